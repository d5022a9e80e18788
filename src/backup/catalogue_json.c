/*-------------------------------------------------------------------------
 *
 * catalogue_json.c
 *	  What was found of a base backup, as JSON.
 *
 * Its keys are the columns of backup_record, but for the time of backup_label,
 * which is text with a time zone and is read by SQL.  Names that are no text
 * are shown escaped.
 *
 * Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "backup/catalogue.h"

/* an unfinished backup that was not written to for so long is left behind */
#define STILL_WRITTEN (15 * 60)

/*
 * Members of the object that is written.
 */
static void
put(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, "%s\"%s\": %s", json->data[json->len - 1] == '{' ? "" : ", ", key, value);
}

static void
put_text(StringInfo json, const char *key, const char *value)
{
	StringInfoData text;

	if (value == NULL || *value == '\0')
		return;
	initStringInfo(&text);
	escape_json(&text, value);
	put(json, key, text.data);
	pfree(text.data);
}

static void
put_number(StringInfo json, const char *key, uint64 value)
{
	put(json, key, psprintf(UINT64_FORMAT, value));
}

static void
begin_element(StringInfo json)
{
	appendStringInfoString(json, json->data[json->len - 1] == '[' ? "{" : ", {");
}

static void
put_lsn(StringInfo json, const char *key, uint64 lsn)
{
	if (lsn != 0)
		put_text(json, key, psprintf("%X/%X", (uint32) (lsn >> 32), (uint32) lsn));
}

/*
 * From where to where WAL is needed.
 */
static void
put_wal(StringInfo json, const Backup *backup)
{
	const VerifySummary *summary = &backup->summary;
	uint64		start = backup->complete ? summary->start : backup->label.start_lsn;
	uint32		timeline = backup->complete ? summary->timeline : backup->label.timeline;
	uint32		first_timeline = backup->complete ? summary->first_timeline : backup->label.timeline;
	uint64		segment = backup->segment != 0 ? backup->segment : wal_segment_size;
	char		file[MAXFNAMELEN] = "";
	XLogSegNo	number;

	put_lsn(json, "start_lsn", start);
	put_lsn(json, "end_lsn", backup->complete ? summary->end : 0);
	if (timeline != 0)
		put_number(json, "timeline", timeline);
	if (start == 0)
		return;
	XLByteToSeg(start, number, segment);
	XLogFileName(file, first_timeline, number, segment);
	if (backup->segment == 0 && strcmp(file, backup->label.start_wal) != 0)
	{
		/* its files may have another size than this server's */
		put_text(json, "start_wal", backup->label.start_wal);
		return;
	}
	put_text(json, "start_wal", file);
	if (backup->complete && summary->end != 0)
	{
		XLByteToPrevSeg(summary->end, number, segment);
		XLogFileName(file, timeline, number, segment);
		put_text(json, "end_wal", file);
	}
}

/*
 * The WAL that is in the backup itself.
 */
static void
put_own_wal(StringInfo json, const Backup *backup)
{
	const char *compression;
	const char *archive = backup_archive(backup, "pg_wal", &compression);
	List	   *items = NIL;
	ListCell   *cell;
	const char *first = NULL;
	const char *last = NULL;
	int			count = 0;

	if (archive != NULL)
	{
		put_text(json, "wal_archive", archive);
		return;
	}
	if (backup->archive != NULL || !folder_list(backup->roots, backup->root, backup_path(backup, "pg_wal"), &items))
		return;
	foreach(cell, items)
	{
		const FolderItem *item = lfirst(cell);

		if (!IsXLogFileName(item->name))
			continue;
		count++;
		if (first == NULL || strcmp(item->name, first) < 0)
			first = item->name;
		if (last == NULL || strcmp(item->name, last) > 0)
			last = item->name;
	}
	put_number(json, "wal_files", count);
	put_text(json, "wal_first", first);
	put_text(json, "wal_last", last);
}

static void
put_details(StringInfo json, const Backup *backup)
{
	StringInfoData details;

	initStringInfo(&details);
	appendStringInfoChar(&details, '{');
	put_text(&details, "format", backup->archive == NULL ? "plain" : "tar");
	if (backup->archive != NULL)
		put_text(&details, "compression", backup->compression);
	if (backup->complete)
	{
		put_number(&details, "manifest_version", backup->summary.head.version);
		put_number(&details, "files", backup->summary.head.files);
	}
	put_text(&details, "name", backup->label.name);
	if (backup->label.from_standby)
		put(&details, "from_standby", "true");
	if (backup->label.incremental_lsn != 0)
	{
		put_lsn(&details, "incremental_from_lsn", backup->label.incremental_lsn);
		put_number(&details, "incremental_from_timeline", backup->label.incremental_timeline);
	}
	if (backup->tablespaces.len > 0)
		put(&details, "tablespaces", psprintf("[%s]", backup->tablespaces.data));
	if (backup->segment != 0)
		put_number(&details, "wal_segment_size", backup->segment);
	put_own_wal(&details, backup);
	appendStringInfoChar(&details, '}');
	put(json, "details", details.data);
}

/*
 * Its name, and where it lies; not every name of a folder is text.
 */
static void
put_place(StringInfo json, Backup *backup)
{
	char	   *shown = verify_shown_path(backup->name, strlen(backup->name));
	char	   *path = psprintf("%s/%s", backup->roots->paths[backup->root], backup->below);

	/* where any byte is text, people take it for UTF-8 */
	int			encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();
	bool		is_text = pg_verify_mbstr(encoding, path, strlen(path), true);

	for (char *at = path; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7F)
			is_text = false;
	/* a backslash alone is no reason to write it twice */
	put_text(json, "label", is_text ? backup->name : shown);
	if (is_text)
		put_text(json, "location", path);
	else
		backup_problem(backup, "the name of its folder is no text, and so it is not looked at: rename it");
}

void
backup_write(StringInfo json, Backup *backup)
{
	const VerifySummary *summary = &backup->summary;
	bool		unfinished = backup->manifest == NULL;
	const char *state = "done";

	if (unfinished)
	{
		bool		written = backup->usage.newest > time(NULL) - STILL_WRITTEN;

		state = written ? "running" : "failed";
		backup_problem(backup, "it has no backup_manifest: pg_basebackup %s, or was told to make none",
					   written ? "may still be at it" : "did not end");
	}
	begin_element(json);
	put_place(json, backup);
	put_text(json, "state", state);
	put_text(json, "type", backup->label.incremental_lsn != 0 ? "incr" : "full");
	put_text(json, "label_time", backup->label.start_time);
	if (backup->archive == NULL && backup->label_file != NULL)
		put_number(json, "label_written", backup->label_file->changed);
	if (backup->manifest != NULL)
		put_number(json, "finished_at", backup->manifest->changed);
	put_wal(json, backup);
	if (summary->head.has_system_identifier)
		put_number(json, "system_identifier", summary->head.system_identifier);
	else if (summary->has_control)
		put_number(json, "system_identifier", summary->control_identifier);
	if (backup->files.version != NULL)
	{
		size_t		digits = strspn(backup->files.version, "0123456789.");

		put_text(json, "pg_version", pnstrdup(backup->files.version, Min(digits, 10)));
	}
	else if (summary->major != 0)
		put_text(json, "pg_version", psprintf("%d", summary->major));
	if (backup->complete)
		put_number(json, "size_bytes", summary->bytes);
	put_number(json, "stored_bytes", backup->usage.bytes);
	put(json, "encrypted", "false");
	put_details(json, backup);
	if (backup->usage.unread > 0)
		backup_problem(backup, "%d folders in it cannot be read", backup->usage.unread);
	put_text(json, "problem", backup->problem.data);
	appendStringInfoChar(json, '}');
}

/*
 * A folder that cannot be read may be a backup.
 */
void
backup_write_unreadable(StringInfo json, const char *name, const char *path, const char *why)
{
	begin_element(json);
	put_text(json, "label", verify_shown_path(name, strlen(name)));
	put_text(json, "state", "failed");
	put_text(json, "problem", psprintf("its folder cannot be read: %s", why));
	appendStringInfoChar(json, '}');
}
