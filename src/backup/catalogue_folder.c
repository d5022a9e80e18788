/*-------------------------------------------------------------------------
 *
 * catalogue_folder.c
 *	  A folder of backups by pg_basebackup.
 *
 * Each folder in it, or it itself, that has a manifest, a backup_label or a
 * base.tar is a backup; what is anything else is left out.  Of each it is told
 * what its small files and its manifest say, how much it takes, and where it
 * lies.  The manifest is read as a stream.  What is wrong with a backup is its
 * problem, and no error: only a folder that cannot be read is one.
 *
 * A backup without a manifest is not done: pg_basebackup writes it last.
 *
 * The answer is JSON with the columns of backup_record, for folder_backup() in
 * SQL.  Files are opened as verify_place.c tells: below the roots, and through
 * no link that leads out of them.  Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "backup/catalogue.h"
#include "backup/folder.h"

PG_FUNCTION_INFO_V1(maintsched_read_backup_folder);

/* an unfinished backup that was not written to for so long is left behind */
#define STILL_WRITTEN (15 * 60)

/* the archives of a backup in tar format, and how they are compressed */
static const struct
{
	const char *suffix;
	const char *compression;
}			archives[] = {
	{".tar", "none"},
	{".tar.gz", "gzip"},
	{".tgz", "gzip"},
	{".tar.lz4", "lz4"},
	{".tar.zst", "zstd"},
};

/* what is found in the folder of a backup */
typedef struct Backup
{
	const VerifyRoots *roots;
	int			root;
	const char *below;
	const char *name;			/* the last part of it */
	List	   *items;			/* FolderItem *, of the folder itself */
	const char *archive;		/* base.tar or its like; NULL: it is plain */
	const char *compression;
	const FolderItem *manifest;
	const FolderItem *label_file;
	bool		complete;		/* the manifest is good */
	FolderUsage usage;
	BackupFiles files;
	BackupLabel label;
	VerifySummary summary;
	uint64		segment;		/* bytes of a WAL file; 0: not known */
	StringInfoData problem;
	StringInfoData tablespaces;
} Backup;

static const FolderItem *
item_of(const Backup *backup, const char *name)
{
	ListCell   *cell;

	foreach(cell, backup->items)
	{
		const FolderItem *item = lfirst(cell);

		if (strcmp(item->name, name) == 0)
			return item;
	}
	return NULL;
}

/*
 * The archive of a name, however it is compressed; NULL: there is none.
 */
static const char *
archive_of(const Backup *backup, const char *name, const char **compression)
{
	for (int i = 0; i < lengthof(archives); i++)
	{
		char	   *archive = psprintf("%s%s", name, archives[i].suffix);

		if (item_of(backup, archive) != NULL)
		{
			*compression = archives[i].compression;
			return archive;
		}
	}
	return NULL;
}

static void
add_problem(Backup *backup, const char *format,...) pg_attribute_printf(2, 3);

static void
add_problem(Backup *backup, const char *format,...)
{
	char		text[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	appendStringInfo(&backup->problem, "%s%s", backup->problem.len > 0 ? "; " : "", text);
}

static char *
inner_path(const Backup *backup, const char *name)
{
	return psprintf("%s%s%s", backup->below, *backup->below != '\0' ? "/" : "", name);
}

/*
 * The manifest, as a stream, into the summary.
 */
static void
read_manifest(Backup *backup)
{
	VerifyReport report = {.limit = 1};

	initStringInfo(&report.json);
	appendStringInfoChar(&report.json, '[');
	backup->complete = verify_read_manifest(backup->roots, backup->root, inner_path(backup, "backup_manifest"),
											NULL, &backup->summary, &report);
	if (!backup->complete)
	{
		Datum		problems;
		text	   *detail;

		appendStringInfoChar(&report.json, ']');
		problems = DirectFunctionCall1(json_in, CStringGetDatum(report.json.data));
		problems = DirectFunctionCall2(json_array_element, problems, Int32GetDatum(0));
		detail = DatumGetTextPP(DirectFunctionCall2(json_object_field_text, problems,
													PointerGetDatum(cstring_to_text("detail"))));
		add_problem(backup, "its manifest is no good: %s", text_to_cstring(detail));
	}
}

/*
 * The control file: of which system it is, and how large its WAL files are.
 */
static void
read_control(Backup *backup)
{
	VerifyReport report = {0};
	ControlFileData control;

	initStringInfo(&report.json);
	if (backup->files.control == NULL)
		return;
	verify_control_data(backup->files.control, backup->files.control_length, &backup->summary, &report);
	if (!backup->summary.has_control)
	{
		add_problem(backup, "its control file is damaged, or is of another system than its manifest");
		return;
	}
	memset(&control, 0, sizeof(control));
	memcpy(&control, backup->files.control, Min(backup->files.control_length, sizeof(control)));
	if (control.pg_control_version == PG_CONTROL_VERSION && IsValidWalSegSize(control.xlog_seg_size))
		backup->segment = control.xlog_seg_size;
}

/*
 * The tablespaces of a plain backup: links out of it.
 */
static void
read_tablespaces(Backup *backup)
{
	char	   *folder = inner_path(backup, "pg_tblspc");
	List	   *items = NIL;
	ListCell   *cell;

	if (!folder_list(backup->roots, backup->root, folder, &items))
		return;
	foreach(cell, items)
	{
		const FolderItem *item = lfirst(cell);
		char		path[MANIFEST_MAX_PATH + 1];
		char		below[MANIFEST_MAX_PATH + 1];
		int			root;
		struct stat st;
		VerifyFound found = VERIFY_ERROR;

		if (item->link == NULL || strspn(item->name, "0123456789") != strlen(item->name))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s/%s", backup->roots->paths[backup->root], folder, item->name) < sizeof(path))
			found = verify_resolve(backup->roots, path, &root, below, &st);
		if (found == VERIFY_OUTSIDE)
			add_problem(backup, "tablespace %s leads out of maintsched.backup_roots, and cannot be verified", item->name);
		else if (found == VERIFY_ERROR || !S_ISDIR(st.st_mode))
			add_problem(backup, "the folder of tablespace %s is gone", item->name);
		else
			folder_usage(backup->roots, root, below, &backup->usage);
		appendStringInfo(&backup->tablespaces, "%s{\"oid\": \"%s\", \"location\": ",
						 backup->tablespaces.len > 0 ? ", " : "", item->name);
		escape_json(&backup->tablespaces, verify_shown_path(item->link, strlen(item->link)));
		appendStringInfoChar(&backup->tablespaces, '}');
	}
}

/*
 * Look at a folder; false: it is no backup.
 */
static bool
look_at_backup(Backup *backup)
{
	backup->archive = archive_of(backup, "base", &backup->compression);
	backup->manifest = item_of(backup, "backup_manifest");
	backup->label_file = item_of(backup, "backup_label");
	if (backup->archive == NULL && backup->manifest == NULL && backup->label_file == NULL &&
		item_of(backup, "backup_manifest.tmp") == NULL)
		return false;

	initStringInfo(&backup->problem);
	initStringInfo(&backup->tablespaces);
	folder_usage(backup->roots, backup->root, backup->below, &backup->usage);
	if (backup->manifest != NULL)
		read_manifest(backup);
	if (backup->archive == NULL)
	{
		backup_files_plain(backup->roots, backup->root, backup->below, &backup->files);
		read_tablespaces(backup);
		if (backup->files.label == NULL && backup->manifest != NULL)
			add_problem(backup, "its backup_label is gone: a server was started in it, or it was removed");
	}
	else if (strcmp(backup->compression, "none") == 0 || strcmp(backup->compression, "gzip") == 0)
		backup_files_tar(backup->roots, backup->root, inner_path(backup, backup->archive),
						 strcmp(backup->compression, "gzip") == 0, &backup->files);
	if (backup->files.label != NULL)
		backup_label_parse(backup->files.label, &backup->label);
	read_control(backup);
	return true;
}

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
	const char *archive = archive_of(backup, "pg_wal", &compression);
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
	if (backup->archive != NULL || !folder_list(backup->roots, backup->root, inner_path(backup, "pg_wal"), &items))
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
	bool		is_text = pg_verify_mbstr(GetDatabaseEncoding(), path, strlen(path), true);

	for (char *at = path; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7F)
			is_text = false;
	/* a backslash alone is no reason to write it twice */
	put_text(json, "label", is_text ? backup->name : shown);
	if (is_text)
		put_text(json, "location", path);
	else
		add_problem(backup, "the name of its folder is no text, and so it is not looked at: rename it");
}

static void
put_backup(StringInfo json, Backup *backup)
{
	const VerifySummary *summary = &backup->summary;
	bool		unfinished = backup->manifest == NULL;
	const char *state = "done";

	if (unfinished)
	{
		bool		written = backup->usage.newest > time(NULL) - STILL_WRITTEN;

		state = written ? "running" : "failed";
		add_problem(backup, "it has no backup_manifest: pg_basebackup %s, or was told to make none",
					written ? "may still be at it" : "did not end");
	}
	appendStringInfoChar(json, '{');
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
		add_problem(backup, "%d folders in it cannot be read", backup->usage.unread);
	put_text(json, "problem", backup->problem.data);
	appendStringInfoChar(json, '}');
}

/*
 * Look at one folder, and write what it is; false: it is no backup.
 */
static bool
take_backup(StringInfo json, const VerifyRoots *roots, int root, const char *below, List *items)
{
	const char *name = strrchr(below, '/');
	Backup		backup = {.roots = roots,.root = root,.below = below,.items = items};

	if (name == NULL)
		name = *below != '\0' ? below : strrchr(roots->paths[root], '/') + 1;
	else
		name++;
	backup.name = name;
	if (!look_at_backup(&backup))
		return false;
	if (json->data[json->len - 1] != '[')
		appendStringInfoString(json, ", ");
	put_backup(json, &backup);
	return true;
}

/*
 * A folder that cannot be read may be a backup.
 */
static void
take_unreadable(StringInfo json, const char *name, const char *path, const char *why)
{
	if (json->data[json->len - 1] != '[')
		appendStringInfoString(json, ", ");
	appendStringInfoChar(json, '{');
	put_text(json, "label", verify_shown_path(name, strlen(name)));
	put_text(json, "state", "failed");
	put_text(json, "problem", psprintf("its folder cannot be read: %s", why));
	appendStringInfoChar(json, '}');
}

/*
 * All folders in a folder.
 */
static void
take_folder(StringInfo json, const VerifyRoots *roots, int root, const char *below, List *items)
{
	ListCell   *cell;

	foreach(cell, items)
	{
		const FolderItem *item = lfirst(cell);
		char		path[MANIFEST_MAX_PATH + 1];
		char		place[MANIFEST_MAX_PATH + 1];
		int			place_root;
		struct stat st;
		List	   *inner = NIL;

		if ((item->link == NULL && !item->folder) ||
			snprintf(path, sizeof(path), "%s/%s%s%s", roots->paths[root], below, *below != '\0' ? "/" : "", item->name) >= sizeof(path) ||
			verify_resolve(roots, path, &place_root, place, &st) != VERIFY_FOUND || !S_ISDIR(st.st_mode))
			continue;
		if (folder_list(roots, place_root, place, &inner))
			(void) take_backup(json, roots, place_root, place, inner);
		else if (errno != ENOENT)
			take_unreadable(json, item->name, path, strerror(errno));
	}
}

/*
 * read_backup_folder(folder text) returns jsonb
 */
Datum
maintsched_read_backup_folder(PG_FUNCTION_ARGS)
{
	char	   *folder = text_to_cstring(PG_GETARG_TEXT_PP(0));
	VerifyRoots roots;
	VerifyFound found;
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	List	   *items = NIL;
	StringInfoData json;

	backup_roots_get(&roots);
	found = verify_is_below(&roots, folder) ? verify_resolve(&roots, folder, &root, below, &st) : VERIFY_OUTSIDE;
	if (found == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("folder \"%s\" is not below one of maintsched.backup_roots", folder)));
	if (found == VERIFY_ERROR || !folder_list(&roots, root, below, &items))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read folder \"%s\": %m", folder)));
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	if (!take_backup(&json, &roots, root, below, items))
		take_folder(&json, &roots, root, below, items);
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
