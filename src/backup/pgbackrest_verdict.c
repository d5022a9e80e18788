/*-------------------------------------------------------------------------
 *
 * pgbackrest_verdict.c
 *	  What "pgbackrest verify" says of a repository.
 *
 * It says it in words, and exits with 0 whatever it found:
 *
 *		stanza: main
 *		status: error
 *		  archiveId: 15-1, total WAL checked: 7, total valid WAL: 7
 *			missing: 0, checksum invalid: 0, size invalid: 0, other: 0
 *		  backup: 20261122-134132F, status: invalid, total files checked: 1648, total valid files: 1647
 *			missing: 0, checksum invalid: 1, size invalid: 0, other: 0
 *
 * and in its log, on the standard error, which files they are:
 *
 *		INFO: invalid checksum '20261122-134132F/pg_data/base/1/1247.gz'
 *
 * The words are those of its source, verify.c, of 2.45 and its like.  A line that is
 * none of them is kept: then what it said is not known, and not taken for good.
 *
 * Pure reading of memory.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "backup/pgbackrest.h"

/* so many files are kept */
#define MAX_FILES	10000

/*
 * The next line, without spaces around it, as a copy; NULL: no more.
 */
static char *
next_line(const char **at)
{
	const char *from = *at;
	const char *end;

	if (*from == '\0')
		return NULL;
	end = from + strcspn(from, "\n");
	*at = *end == '\0' ? end : end + 1;
	from += strspn(from, " \t");
	while (end > from && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t'))
		end--;
	return pnstrdup(from, Max(end - from, 0));
}

/*
 * Read a line with two counts; false: it is not of the form.
 */
static bool
read_backup_line(const char *line, ToolBackup *backup)
{
	char		label[256];
	char		status[64];
	unsigned long long checked;
	unsigned long long valid;
	int			used = 0;

	if (sscanf(line, "backup: %255[^,], status: %63[^,], total files checked: %llu, total valid files: %llu%n",
			   label, status, &checked, &valid, &used) != 4 || line[used] != '\0')
		return false;
	backup->label = pstrdup(label);
	backup->status = pstrdup(status);
	backup->checked = checked;
	backup->valid = valid;
	return true;
}

static bool
read_counts(const char *line, uint64 *bad)
{
	unsigned long long counts[4];
	int			used = 0;

	if (sscanf(line, "missing: %llu, checksum invalid: %llu, size invalid: %llu, other: %llu%n",
			   &counts[0], &counts[1], &counts[2], &counts[3], &used) != 4 || line[used] != '\0')
		return false;
	*bad = counts[0] + counts[1] + counts[2] + counts[3];
	return true;
}

static bool
is_archive_line(const char *line)
{
	char		id[64];
	unsigned long long counts[2];
	int			used = 0;

	return sscanf(line, "archiveId: %63[^,], total WAL checked: %llu, total valid WAL: %llu%n",
				  id, &counts[0], &counts[1], &used) == 3 && line[used] == '\0';
}

static void
read_output(ToolVerdict *verdict, const char *output)
{
	ToolBackup *backup = NULL;
	char	   *line;

	while ((line = next_line(&output)) != NULL)
	{
		ToolBackup	next = {0};
		uint64		bad;

		if (line[0] == '\0' || pg_strncasecmp(line, "stanza: ", 8) == 0 ||
			strcmp(line, "archiveId: none found") == 0 || strcmp(line, "backup: none found") == 0 ||
			strcmp(line, "Verify command completed successfully") == 0)
			continue;
		if (strncmp(line, "status: ", 8) == 0)
			verdict->status = pstrdup(line + 8);
		else if (is_archive_line(line))
			backup = NULL;
		else if (read_backup_line(line, &next))
		{
			backup = palloc(sizeof(ToolBackup));
			*backup = next;
			verdict->backups = lappend(verdict->backups, backup);
		}
		else if (read_counts(line, &bad))
		{
			if (backup != NULL)
				backup->bad = bad;
		}
		else if (verdict->odd == NULL)
			verdict->odd = line;
	}
}

/*
 * A path among the options that the log begins with: --repo1-path=/srv/backups
 */
static void
read_options(ToolVerdict *verdict, const char *line)
{
	const char *at = line;
	char	   *option = psprintf(" --repo%s-path=", verdict->number == NULL ? "1" : verdict->number);

	while ((at = strstr(at, option)) != NULL)
	{
		bool		quoted;
		size_t		length;

		at += strlen(option);
		quoted = *at == '"';
		at += quoted ? 1 : 0;
		length = strcspn(at, quoted ? "\"" : " ");
		verdict->paths = lappend(verdict->paths, pnstrdup(at, length));
	}
}

static void
read_log(ToolVerdict *verdict, const char *log)
{
	static const char *const reasons[] = {
		"file missing '", "invalid checksum '", "invalid size '", "invalid result '", "invalid result "
	};
	char	   *line;

	while ((line = next_line(&log)) != NULL)
	{
		const char *at;

		if ((at = strstr(line, "verify command begin ")) != NULL)
		{
			at += strlen("verify command begin ");
			verdict->version = pnstrdup(at, strcspn(at, ":"));
			read_options(verdict, at);
		}
		for (int i = 0; i < lengthof(reasons); i++)
		{
			ToolFile   *file;

			if ((at = strstr(line, reasons[i])) == NULL || list_length(verdict->files) >= MAX_FILES)
				continue;
			at += strlen(reasons[i]);
			file = palloc(sizeof(ToolFile));
			file->reason = pnstrdup(reasons[i], strcspn(reasons[i], "'") - 1);
			file->path = pnstrdup(at, strcspn(at, "':"));
			verdict->files = lappend(verdict->files, file);
			break;
		}
	}
}

/*
 * Read what it printed, and what is in its log.
 */
void
tool_verdict_parse(ToolVerdict *verdict, const char *output, const char *log)
{
	read_output(verdict, output);
	read_log(verdict, log);
}

/*
 * What it said of a backup; NULL: nothing.
 */
ToolBackup *
tool_verdict_of(const ToolVerdict *verdict, const char *label)
{
	ListCell   *cell;

	foreach(cell, verdict->backups)
	{
		ToolBackup *backup = lfirst(cell);

		if (strcmp(backup->label, label) == 0)
			return backup;
	}
	return NULL;
}
