/*-------------------------------------------------------------------------
 *
 * backup_roots.c
 *	  The folders below which backups and archives of WAL are.
 *
 * maintsched.backup_roots is a list of absolute paths, which only the server's
 * configuration file sets.  Nothing of a backup is read outside of them.  Where
 * a path below a root really leads is found by verify_place.c.
 *
 * Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "backup/catalogue.h"
#include "backup/folder.h"
#include "core/roots.h"

PG_FUNCTION_INFO_V1(maintsched_check_backup_folder);
PG_FUNCTION_INFO_V1(maintsched_backup_roots);
PG_FUNCTION_INFO_V1(maintsched_backup_file);
PG_FUNCTION_INFO_V1(maintsched_backup_names);

#define SMALL_FILE	65536

static char *backup_roots = NULL;

void
backup_roots_define_settings(void)
{
	DefineCustomStringVariable("maintsched.backup_roots",
							   "Folders below which backups and archives of WAL may be read.",
							   "Absolute paths, separated by commas; none: no folder is read. Set in the configuration file alone.",
							   &backup_roots,
							   "",
							   PGC_SIGHUP,
							   GUC_LIST_INPUT | GUC_SUPERUSER_ONLY | GUC_DISALLOW_IN_AUTO_FILE,
							   roots_check, NULL, NULL);
}

/*
 * The roots; at least one.
 */
void
backup_roots_get(VerifyRoots *roots)
{
	List	   *paths = roots_split(backup_roots);
	ListCell   *cell;

	roots->count = 0;
	foreach(cell, paths)
	{
		if (roots->count == VERIFY_MAX_ROOTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("maintsched.backup_roots names more than %d folders", VERIFY_MAX_ROOTS)));
		roots->paths[roots->count++] = lfirst(cell);
	}
	if (roots->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no folder of backups may be read: maintsched.backup_roots is empty"),
				 errhint("Name the folder in postgresql.conf, such as maintsched.backup_roots = '/srv/backup', and reload.")));
}

/*
 * backup_roots() returns text[]
 */
Datum
maintsched_backup_roots(PG_FUNCTION_ARGS)
{
	List	   *paths = roots_split(backup_roots);
	Datum	   *values = palloc(sizeof(Datum) * (list_length(paths) + 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, paths)
		values[count++] = CStringGetTextDatum((char *) lfirst(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * A path that may be that of a folder, as far as can be told without looking.
 */
static void
check_path(const char *path, const char *what)
{
	if (path[0] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" is not an absolute path", what, path)));
	if (strlen(path) > MANIFEST_MAX_PATH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is longer than %d bytes", what, MANIFEST_MAX_PATH)));
	if (roots_have_dots(path, "/"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" holds \".\" or \"..\"", what, path)));
	for (const char *at = path; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7F)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s holds a control character", what)));
}

/*
 * check_backup_folder(path text, what text, exists boolean) returns void
 */
Datum
maintsched_check_backup_folder(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *what = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		exists = PG_GETARG_BOOL(2);
	VerifyRoots roots;
	VerifyFound found;
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	int			folder;
	struct stat st;

	check_path(path, what);
	if (!exists)
		PG_RETURN_VOID();
	backup_roots_get(&roots);
	found = verify_is_below(&roots, path) ? verify_resolve(&roots, path, &root, below, &st) : VERIFY_OUTSIDE;
	if (found == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%s \"%s\" is not below one of maintsched.backup_roots", what, path),
				 errhint("The roots are set in the server's configuration file.")));
	if (found == VERIFY_ERROR)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open %s \"%s\": %m", what, path)));
	if (!S_ISDIR(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s \"%s\" is not a folder", what, path)));
	folder = verify_open_directory(roots.paths[root], below);
	if (folder < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open %s \"%s\": %m", what, path),
				 errhint("The server's user must be able to read it.")));
	(void) close(folder);
	PG_RETURN_VOID();
}

/*
 * backup_file(path text) returns text
 */
Datum
maintsched_backup_file(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	VerifyRoots roots;
	VerifyOpener opener;
	char		below[MANIFEST_MAX_PATH + 1];
	char		data[SMALL_FILE + 1];
	int			root;
	int			fd;
	ssize_t		length;
	struct stat st;

	if (backup_roots[0] == '\0')
		PG_RETURN_NULL();
	backup_roots_get(&roots);
	if (!verify_is_below(&roots, path) || verify_resolve(&roots, path, &root, below, &st) != VERIFY_FOUND)
		PG_RETURN_NULL();
	verify_opener_init(&opener);
	fd = verify_open_file(&opener, &roots, root, below);
	verify_opener_close(&opener);
	if (fd < 0)
		PG_RETURN_NULL();
	length = read(fd, data, SMALL_FILE);
	(void) close(fd);
	if (length < 0 || length == SMALL_FILE || !pg_verifymbstr(data, length, true))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(data, length));
}

/*
 * Is there a folder, and can it be found?  So one that is not in it is gone, and
 * not on another machine, or on a volume that is not mounted.
 */
static bool
is_folder(const VerifyRoots *roots, const char *path)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;

	return verify_is_below(roots, path) && verify_resolve(roots, path, &root, below, &st) == VERIFY_FOUND && S_ISDIR(st.st_mode);
}

/*
 * backup_names(folder text) returns text[]
 */
Datum
maintsched_backup_names(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *above = pstrdup(path);
	VerifyRoots roots;
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	VerifyFound found;
	List	   *items = NIL;
	Datum	   *names;
	int			count = 0;
	ListCell   *cell;

	if (backup_roots[0] == '\0')
		PG_RETURN_NULL();
	backup_roots_get(&roots);
	if (!verify_is_below(&roots, path))
		PG_RETURN_NULL();
	found = verify_resolve(&roots, path, &root, below, &st);
	get_parent_directory(above);
	if (found == VERIFY_ERROR && (errno == ENOENT || errno == ENOTDIR) && is_folder(&roots, above))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	if (found != VERIFY_FOUND || !S_ISDIR(st.st_mode) || !folder_list(&roots, root, below, &items))
		PG_RETURN_NULL();
	names = palloc(Max(list_length(items), 1) * sizeof(Datum));
	foreach(cell, items)
	{
		const FolderItem *item = lfirst(cell);

		if (pg_verifymbstr(item->name, strlen(item->name), true))
			names[count++] = CStringGetTextDatum(item->name);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}
