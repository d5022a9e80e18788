/*-------------------------------------------------------------------------
 *
 * wal.c
 *	  WAL archives, for SQL.
 *
 * What an archive has is told in few rows, however many files there are: ranges
 * of segments without a gap, and apart from them what is no good, with why.
 * Which ranges should be there is the matter of SQL (62_wal.sql).
 *
 * Runs in any backend.  Folders are read by superusers and roles with
 * privileges of pg_read_server_files, below the roots that the caller names;
 * pgBackRest is asked by those with privileges of pg_execute_server_program.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog_internal.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "backup/wal.h"

PG_FUNCTION_INFO_V1(maintsched_list_wal);
PG_FUNCTION_INFO_V1(maintsched_list_stanza_wal);
PG_FUNCTION_INFO_V1(maintsched_list_own_wal);

enum
{
	COLUMN_ITEM,
	COLUMN_TIMELINE,
	COLUMN_FIRST,
	COLUMN_LAST,
	COLUMN_FILES,
	COLUMN_BYTES,
	COLUMN_MODIFIED,
	COLUMN_DETAIL,
	COLUMNS
};

/* so many that are no good are told one by one */
#define MAX_DAMAGED 1000

static void
check_reader(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to look at archived WAL"),
				 errdetail("Only superusers and roles with privileges of the role pg_read_server_files may read files of the server.")));
}

/*
 * Size of segments, as an argument.
 */
static uint32
segment_size(int64 bytes)
{
	if (bytes > PG_INT32_MAX || !IsValidWalSegSize((int) bytes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%lld bytes are no size of WAL segments", (long long) bytes)));
	return (uint32) bytes;
}

static uint64
system_identifier(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		return 0;
	return strtoull(DatumGetCString(DirectFunctionCall1(numeric_out, PG_GETARG_DATUM(number))), NULL, 10);
}

static List *
root_list(FunctionCallInfo fcinfo, int number)
{
	List	   *roots = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(number))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			roots = lappend(roots, TextDatumGetCString(values[i]));
	return roots;
}

static char *
damage_text(const WalList *list, const WalEntry *entry)
{
	switch ((WalState) entry->state)
	{
		case WAL_GOOD:
		case WAL_ARRIVING:
			return NULL;
		case WAL_EMPTY:
			return "is empty";
		case WAL_OTHER_SIZE:
			return psprintf("has " UINT64_FORMAT " bytes instead of %u", entry->size, list->segment_size);
		case WAL_TWICE:
			return "is there twice, with different contents";
		case WAL_CUT_OFF:
			return "is cut off, or damaged";
		case WAL_NO_WAL:
			return "does not begin as WAL does";
		case WAL_OTHER_POSITION:
			return "holds the WAL of another position";
		case WAL_OTHER_SYSTEM:
			return psprintf("is of another cluster, with system identifier " UINT64_FORMAT, entry->found);
		case WAL_UNREADABLE:
			errno = (int) entry->found;
			return psprintf("could not be read: %m");
	}
	return NULL;
}

static void
put_row(ReturnSetInfo *rsinfo, const char *item, int64 timeline, const char *first, const char *last,
		int64 files, uint64 bytes, pg_time_t modified, const char *detail)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};

	values[COLUMN_ITEM] = CStringGetTextDatum(item);
	values[COLUMN_TIMELINE] = Int64GetDatum(timeline);
	values[COLUMN_FILES] = Int64GetDatum(files);
	values[COLUMN_BYTES] = Int64GetDatum((int64) bytes);
	nulls[COLUMN_TIMELINE] = timeline == 0;
	nulls[COLUMN_FIRST] = first == NULL;
	if (first != NULL)
		values[COLUMN_FIRST] = CStringGetTextDatum(first);
	nulls[COLUMN_LAST] = last == NULL;
	if (last != NULL)
		values[COLUMN_LAST] = CStringGetTextDatum(last);
	nulls[COLUMN_MODIFIED] = modified == 0;
	values[COLUMN_MODIFIED] = TimestampTzGetDatum(time_t_to_timestamptz(modified));
	nulls[COLUMN_DETAIL] = detail == NULL;
	if (detail != NULL)
		values[COLUMN_DETAIL] = CStringGetTextDatum(detail);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * A row for the entries from first to last.
 */
static void
put_entries(ReturnSetInfo *rsinfo, const WalList *list, const char *item, uint64 first, uint64 last, const char *detail)
{
	const WalEntry *a = &list->entries[first];
	const WalEntry *b = &list->entries[last];
	uint64		bytes = 0;

	for (uint64 i = first; i <= last; i++)
		bytes += list->entries[i].size;
	put_row(rsinfo, item, a->timeline,
			wal_segment_name(a->timeline, a->segno, list->segment_size),
			wal_segment_name(b->timeline, b->segno, list->segment_size),
			last - first + 1, bytes, b->modified, detail);
}

static bool
goes_on(const WalEntry *entry, const WalEntry *next)
{
	return next->state == WAL_GOOD && !next->partial &&
		next->timeline == entry->timeline && next->segno == entry->segno + 1;
}

static void
put_list(ReturnSetInfo *rsinfo, WalList *list)
{
	int			damaged = 0;
	ListCell   *cell;

	for (uint64 i = 0; i < list->count; i++)
	{
		const WalEntry *entry = &list->entries[i];
		uint64		first = i;

		if (entry->state == WAL_ARRIVING)
			put_entries(rsinfo, list, "arriving", i, i, NULL);
		else if (entry->state != WAL_GOOD)
		{
			if (++damaged <= MAX_DAMAGED)
				put_entries(rsinfo, list, "damaged", i, i, damage_text(list, entry));
		}
		else if (entry->partial)
			put_entries(rsinfo, list, "partial", i, i, NULL);
		else
		{
			while (i + 1 < list->count && goes_on(&list->entries[i], &list->entries[i + 1]))
				i++;
			put_entries(rsinfo, list, "range", first, i, NULL);
		}
	}
	foreach(cell, list->histories)
	{
		WalHistory *history = lfirst(cell);

		put_row(rsinfo, "history", history->timeline, NULL, NULL, 1, 0, 0, history->contents);
	}
	if (list->encrypted > 0)
		put_row(rsinfo, "encrypted", 0, NULL, NULL, list->encrypted, 0, 0, NULL);
	if (list->plain > 0)
		put_row(rsinfo, "plain", 0, NULL, NULL, list->plain, 0, 0, NULL);
}

/*
 * list_wal(folder text, roots text[], segment_size bigint,
 * system_identifier numeric)
 */
Datum
maintsched_list_wal(PG_FUNCTION_ARGS)
{
	WalList    *list;

	check_reader();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("folder and size of segments must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	list = wal_list_create(segment_size(PG_GETARG_INT64(2)), system_identifier(fcinfo, 3));
	wal_read_folder(list, text_to_cstring(PG_GETARG_TEXT_PP(0)), root_list(fcinfo, 1));
	put_list((ReturnSetInfo *) fcinfo->resultinfo, list);
	return (Datum) 0;
}

/*
 * list_stanza_wal(stanza text, config text, archive text, repository integer,
 * segment_size bigint)
 */
Datum
maintsched_list_stanza_wal(PG_FUNCTION_ARGS)
{
	WalList    *list;

	if (!has_privs_of_role(GetUserId(), ROLE_PG_EXECUTE_SERVER_PROGRAM))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to ask backup tools"),
				 errdetail("Only superusers and roles with privileges of the role pg_execute_server_program may run programs on the server.")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stanza, archive and size of segments must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	list = wal_list_create(segment_size(PG_GETARG_INT64(4)), 0);
	wal_read_stanza(list, text_to_cstring(PG_GETARG_TEXT_PP(0)),
					PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
					text_to_cstring(PG_GETARG_TEXT_PP(2)),
					PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3));
	put_list((ReturnSetInfo *) fcinfo->resultinfo, list);
	return (Datum) 0;
}

/*
 * list_own_wal(directory text, roots text[], segment_size bigint,
 * system_identifier numeric, packed boolean)
 */
Datum
maintsched_list_own_wal(PG_FUNCTION_ARGS)
{
	WalList    *list;

	check_reader();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("directory and size of segments must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	list = wal_list_create(segment_size(PG_GETARG_INT64(2)), system_identifier(fcinfo, 3));
	if (!wal_read_own(list, text_to_cstring(PG_GETARG_TEXT_PP(0)), root_list(fcinfo, 1), !PG_ARGISNULL(4) && PG_GETARG_BOOL(4)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("there is no WAL with the backup in \"%s\" that could be looked at", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	put_list((ReturnSetInfo *) fcinfo->resultinfo, list);
	return (Datum) 0;
}
