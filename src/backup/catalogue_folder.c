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

#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "backup/catalogue.h"

PG_FUNCTION_INFO_V1(maintsched_read_backup_folder);
PG_FUNCTION_INFO_V1(maintsched_archived_system);

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

const FolderItem *
backup_item(const Backup *backup, const char *name)
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
const char *
backup_archive(const Backup *backup, const char *name, const char **compression)
{
	for (int i = 0; i < lengthof(archives); i++)
	{
		char	   *archive = psprintf("%s%s", name, archives[i].suffix);

		if (backup_item(backup, archive) != NULL)
		{
			*compression = archives[i].compression;
			return archive;
		}
	}
	return NULL;
}

void
backup_problem(Backup *backup, const char *format,...)
{
	char		words[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	appendStringInfo(&backup->problem, "%s%s", backup->problem.len > 0 ? "; " : "", words);
}

char	   *
backup_path(const Backup *backup, const char *name)
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
	backup->complete = verify_read_manifest(backup->roots, backup->root, backup_path(backup, "backup_manifest"),
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
		backup_problem(backup, "its manifest is no good: %s", text_to_cstring(detail));
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
	verify_small_data(VERIFY_CONTROL_FILE, backup->files.control, backup->files.control_length, &backup->summary, &report);
	if (!backup->summary.has_control)
	{
		backup_problem(backup, "its control file is damaged, or is of another system than its manifest");
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
	char	   *folder = backup_path(backup, "pg_tblspc");
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
			backup_problem(backup, "tablespace %s leads out of maintsched.backup_roots, and cannot be verified", item->name);
		else if (found == VERIFY_ERROR || !S_ISDIR(st.st_mode))
			backup_problem(backup, "the folder of tablespace %s is gone", item->name);
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
	backup->archive = backup_archive(backup, "base", &backup->compression);
	backup->manifest = backup_item(backup, "backup_manifest");
	backup->label_file = backup_item(backup, "backup_label");
	if (backup->archive == NULL && backup->manifest == NULL && backup->label_file == NULL &&
		backup_item(backup, "backup_manifest.tmp") == NULL)
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
			backup_problem(backup, "its backup_label is gone: a server was started in it, or it was removed");
	}
	else
		backup_files_tar(backup->roots, backup->root, backup_path(backup, backup->archive),
						 BACKUP_ARCHIVE_HEAD, &backup->files);
	if (backup->files.label != NULL)
		backup_label_parse(backup->files.label, &backup->label);
	read_control(backup);
	return true;
}

/*
 * Look at one folder, and write what it is; false: it is no backup.
 */
static bool
take_backup(StringInfo json, const char *name, const VerifyRoots *roots, int root, const char *below, List *items)
{
	Backup		backup = {.name = name,.roots = roots,.root = root,.below = below,.items = items};

	if (!look_at_backup(&backup))
		return false;
	backup_write(json, &backup);
	return true;
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
			(void) take_backup(json, item->name, roots, place_root, place, inner);
		/* the one that mkfs makes for fsck(8) is no one's backup */
		else if (errno != ENOENT && strcmp(item->name, "lost+found") != 0)
			backup_write_unreadable(json, item->name, path, strerror(errno));
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
	for (size_t end = strlen(folder); end > 1 && folder[end - 1] == '/'; end--)
		folder[end - 1] = '\0';
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
	if (!take_backup(&json, strrchr(folder, '/') + 1, &roots, root, below, items))
		take_folder(&json, &roots, root, below, items);
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/*
 * archived_system(folder text, max_bytes bigint) returns text
 *
 * The identifier in the control file that is at the end of a compressed archive.
 */
Datum
maintsched_archived_system(PG_FUNCTION_ARGS)
{
	char	   *folder = text_to_cstring(PG_GETARG_TEXT_PP(0));
	VerifyRoots roots;
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	Backup		backup = {.roots = &roots,.below = below};

	backup_roots_get(&roots);
	if (!verify_is_below(&roots, folder) ||
		verify_resolve(&roots, folder, &backup.root, below, &st) != VERIFY_FOUND ||
		!folder_list(&roots, backup.root, below, &backup.items))
		PG_RETURN_NULL();
	backup.archive = backup_archive(&backup, "base", &backup.compression);
	if (backup.archive == NULL || strcmp(backup.compression, "none") == 0 ||
		backup_item(&backup, backup.archive)->size > PG_GETARG_INT64(1))
		PG_RETURN_NULL();
	initStringInfo(&backup.problem);
	backup_files_tar(&roots, backup.root, backup_path(&backup, backup.archive), PG_GETARG_INT64(1), &backup.files);
	read_control(&backup);
	if (!backup.summary.has_control)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT, backup.summary.control_identifier)));
}
