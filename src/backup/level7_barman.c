/*-------------------------------------------------------------------------
 *
 * level7_barman.c
 *	  Level 7 of a backup by Barman.
 *
 * Barman keeps a backup in the folder BASE/ID/data, as pg_basebackup or rsync
 * have copied it.  With a manifest, which the method "postgres" brings along and
 * "barman generate-manifest" makes later, it is compared with it as any folder
 * by pg_basebackup.
 *
 * Where that folder may not be read here, "barman verify-backup" is asked, which
 * runs pg_verifybackup where the backup is.  What it finds wrong is wrong; that it
 * finds nothing is its word alone, and no proof.
 *
 * Runs in the backend that verifies; no snapshot is held.  Errors: a tool that
 * cannot be asked.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "backup/level7.h"

#define MAX_LOG (1024 * 1024)

/*
 * Can a folder be looked into here, and has it a manifest?
 */
static bool
has_manifest(const Level7 *l, const char *directory, bool *readable)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	int			fd;
	struct stat st;

	*readable = false;
	if (l->roots.count == 0 || !verify_is_below(&l->roots, directory) ||
		verify_resolve(&l->roots, directory, &root, below, &st) != VERIFY_FOUND || !S_ISDIR(st.st_mode))
		return false;
	fd = verify_open_directory(l->roots.paths[root], below);
	if (fd < 0)
		return false;
	*readable = true;
	(void) close(fd);
	return verify_resolve(&l->roots, psprintf("%s/backup_manifest", directory), &root, below, &st) == VERIFY_FOUND;
}

/*
 * The first line of its log that says that something is wrong, or NULL.
 */
static char *
first_error(const char *log)
{
	while (*log != '\0')
	{
		size_t		length = strcspn(log, "\n");

		if (strncmp(log, "ERROR: ", 7) == 0 && strstr(log, "verify backup failure") != log + 7)
			return pnstrdup(log + 7, Min(length - 7, 500));
		log += length + (log[length] == '\n' ? 1 : 0);
	}
	return NULL;
}

static void
ask_tool(Level7 *l)
{
	static const ToolLimits limits = {.long_work = true,.error = MAX_LOG};
	ToolAnswer	answer;
	List	   *list = NIL;
	char	   *error;

	if (l->config != NULL)
		list = list_make2("-c", l->config);
	list = lappend(list, "verify-backup");
	list = lappend(list, l->location);
	list = lappend(list, l->label);
	level7_ask(TOOL_BARMAN, list, &limits, &answer);
	error = first_error(answer.whole_error);
	level7_fact(l, "checksums", "tool");
	level7_number(l, "tool_exit_code", answer.exit_code);
	if (answer.exit_code == 0)
		level7_unchecked(l, "barman verify-backup finds nothing wrong, which is its word alone: its folder is not one of maintsched.backup_roots that can be read");
	else if (error != NULL && strstr(error, "pg_verifybackup: error: ") == error)
		level7_fail(l, "barman verify-backup says: %s", error + strlen("pg_verifybackup: error: "));
	else
		level7_unchecked(l, "barman verify-backup exited with code %d: %s", answer.exit_code,
						 error != NULL ? error : answer.error);
}

void
level7_barman(Level7 *l)
{
	ListCell   *cell;

	foreach(cell, l->chain)
	{
		Level7Member member = *(Level7Member *) lfirst(cell);
		bool		readable = false;
		bool		found = false;

		if (member.directory != NULL)
		{
			member.directory = psprintf("%s/data", member.directory);
			found = has_manifest(l, member.directory, &readable);
		}
		/* of the catalogue's begin Barman knows more than the manifest */
		member.start = InvalidXLogRecPtr;
		if (found)
			level7_directory(l, &member);
		else if (readable)
		{
			level7_unchecked(l, "backup %s has no manifest, so there are no checksums to compare its files with; barman generate-manifest %s %s makes one of what is there now",
							 member.label, l->location, member.label);
			if (strcmp(member.label, l->label) == 0)
				level7_wal(l, member.directory, NULL);
		}
		else
		{
			ask_tool(l);
			break;
		}
	}
}
