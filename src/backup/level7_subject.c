/*-------------------------------------------------------------------------
 *
 * level7_subject.c
 *	  What level 7 of a backup is about, as the tables say.
 *
 * Runs within SPI.  Tables are read as the owner of the extension, whose
 * statements are the only ones that run then.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/pg_lsn.h"

#include "backup/catalogue.h"
#include "backup/level7.h"
#include "core/exec.h"

/*
 * A query as the owner of the extension.  Its rows are in SPI_tuptable.
 */
uint64
verify_query_as_owner(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	ExecRole	saved;
	uint64		rows;

	exec_as(exec_extension_owner(), false, &saved);
	rows = exec_query(sql, nargs, types, values, nulls);
	exec_as_end(&saved);
	return rows;
}

/*
 * A value of the result, in the memory of the procedure; NULL: it is null.
 */
char	   *
verify_value_of(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

void
verify_done_with_result(void)
{
	SPI_freetuptable(SPI_tuptable);
}

/*
 * The folders below which files of backups may be read.
 */
static void
set_roots(VerifyRoots *roots)
{
	const char *words = GetConfigOption("maintsched.backup_roots", true, false);

	roots->count = 0;
	if (words != NULL && words[0] != '\0')
		backup_roots_get(roots);
}

/*
 * The lines of a text, which may be NULL, as a list.
 */
static List *
lines_of(char *rest)
{
	List	   *lines = NIL;
	char	   *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			lines = lappend(lines, line);
	return lines;
}

/*
 * What level 7 of a backup is about.  The caller has set said.
 */
void
level7_describe(Level7 *l, const char *repository, const char *label)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(repository), CStringGetTextDatum(label)};
	uint64		rows;

	level7_begin(l);
	l->repository = pstrdup(repository);
	l->label = pstrdup(label);
	l->keep = CurrentMemoryContext;
	set_roots(&l->roots);
	rows = verify_query_as_owner("select kind, location, config, pulled, state, expected_system, number, start_wal, end_wal, archive,"
								 " pg_catalog.array_to_string(paths, E'\\n'), member, directory, start_lsn, end_lsn, system,"
								 " pg_catalog.array_to_string(archives, E'\\n')"
								 " from maintsched.verify_subject($1, $2)", 2, types, values, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		Level7Member *member = palloc0(sizeof(Level7Member));
		char	   *start = verify_value_of(i, 14);
		char	   *end = verify_value_of(i, 15);

		member->label = verify_value_of(i, 12);
		member->directory = verify_value_of(i, 13);
		if (start != NULL)
			member->start = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(start)));
		if (end != NULL)
			member->end = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(end)));
		member->system = verify_value_of(i, 16);
		l->chain = lappend(l->chain, member);
	}
	if (rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("repository \"%s\" has no backup \"%s\"", repository, label)));
	l->kind = verify_value_of(0, 1);
	l->location = verify_value_of(0, 2);
	l->config = verify_value_of(0, 3);
	l->system = verify_value_of(0, 6);
	l->number = verify_value_of(0, 7);
	l->start_wal = verify_value_of(0, 8);
	l->end_wal = verify_value_of(0, 9);
	l->archive = verify_value_of(0, 10);
	l->paths = lines_of(verify_value_of(0, 11));
	l->archives = lines_of(verify_value_of(0, 17));
	l->waiting = strcmp(verify_value_of(0, 5), "waiting") == 0;
	if (strcmp(verify_value_of(0, 4), "t") != 0)
		level7_unchecked(l, "the repository is not read from here: its catalogue is imported");
	else if (strcmp(verify_value_of(0, 5), "done") != 0 && strcmp(verify_value_of(0, 5), "waiting") != 0)
		level7_unchecked(l, "the backup is %s", verify_value_of(0, 5));
	verify_done_with_result();
}
