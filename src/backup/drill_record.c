/*-------------------------------------------------------------------------
 *
 * drill_record.c
 *	  What restore drills read and write in the database.
 *
 * All of it are calls of functions of ours (sql/parts/64_drill.sql), as the
 * extension's owner, with a snapshot of their own each: between them a drill
 * holds none.  Values are text, both ways.
 *
 * Runs in the backend that drills; no locks after a commit.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backup/drill.h"
#include "core/exec.h"

#define MAX_ARGUMENTS 8

/*
 * Ask; a list of rows, each an array of strings or NULLs, in the drill's memory.
 */
List	   *
drill_query(Drill *drill, const char *sql, int nargs, const char *const *args)
{
	Oid			types[MAX_ARGUMENTS];
	Datum		values[MAX_ARGUMENTS];
	char		nulls[MAX_ARGUMENTS];
	ExecRole	role;
	List	   *rows = NIL;
	MemoryContext context = CurrentMemoryContext;

	Assert(nargs <= MAX_ARGUMENTS);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = args[i] == NULL ? 'n' : ' ';
		values[i] = args[i] == NULL ? (Datum) 0 : CStringGetTextDatum(args[i]);
	}
	/* also for what is toasted in the result */
	PushActiveSnapshot(GetTransactionSnapshot());
	exec_as(exec_extension_owner(), false, &role);
	(void) exec_query(sql, nargs, types, values, nulls);
	MemoryContextSwitchTo(drill->context);
	for (uint64 i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	  **row = palloc0(desc->natts * sizeof(char *));

		for (int column = 0; column < desc->natts; column++)
		{
			char	   *value = SPI_getvalue(SPI_tuptable->vals[i], desc, column + 1);

			row[column] = value == NULL ? NULL : pstrdup(value);
		}
		rows = lappend(rows, row);
	}
	if (SPI_tuptable != NULL)
		SPI_freetuptable(SPI_tuptable);
	exec_as_end(&role);
	PopActiveSnapshot();
	MemoryContextSwitchTo(context);
	return rows;
}

/*
 * The elements of an array of text, as it prints.
 */
static List *
array_elements(const char *printed)
{
	Datum		array;
	Datum	   *elements;
	int			count;
	List	   *list = NIL;

	if (printed == NULL)
		return NIL;
	array = OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(printed), ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1));
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	return list;
}

/*
 * Choose the backup, and record that the drill begins.
 */
bool
drill_begin(Drill *drill, const char *backup, const char *within, const char *options)
{
	const char *args[] = {drill->repository, backup, within, drill->root, options};
	char	  **row;
	char	  **option;
	int			timeout = drill_timeout_ms();

	row = linitial(drill_query(drill,
							   "select drill_id, kind, location, config, archive, label, path, target, restore_point, size_bytes, "
							   "end_lsn, system_identifier, pg_version, chain, scratch, timeout_ms, problem, parts_bytes "
							   "from maintsched.begin_drill($1, $2, $3::interval, $4, $5::jsonb)", lengthof(args), args));
	option = linitial(drill_query(drill,
								  "select o ->> 'superuser', coalesce((o ->> 'amcheck')::boolean, true), "
								  "coalesce((o ->> 'space_factor')::float8, 1.1) from (select $1::jsonb) x (o)", 1, &options));
	drill->id = strtoi64(row[0], NULL, 10);
	drill->kind = row[1];
	drill->location = row[2];
	drill->config = row[3];
	drill->archive = row[4];
	drill->label = row[5];
	drill->path = row[6];
	drill->target = row[7];
	drill->restore_point = row[8];
	drill->size_bytes = row[9] == NULL ? 0 : strtou64(row[9], NULL, 10);
	drill->end_lsn = row[10];
	drill->system_identifier = row[11];
	drill->pg_version = row[12];
	drill->chain = array_elements(row[13]);
	drill->scratch = row[14];
	drill->problem = row[16];
	drill->parts_bytes = row[17] == NULL ? 0 : strtou64(row[17], NULL, 10);
	drill->data = psprintf("%s/data", drill->scratch);
	drill->tablespaces = psprintf("%s/tblspc", drill->scratch);
	drill->superuser = option[0] != NULL ? option[0] : GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false);
	drill->amcheck = option[1][0] == 't';
	drill->space_factor = strtod(option[2], NULL);
	if (row[15] != NULL)
		timeout = (int) Max(1, Min(strtoi64(row[15], NULL, 10), INT_MAX));
	drill->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) timeout);
	SPI_commit();
	return true;
}
