/*-------------------------------------------------------------------------
 *
 * amcheck.c
 *	  Checking tables and indexes with the functions of extension amcheck.
 *
 * amcheck reads and judges; what is done here is that a finding becomes an
 * error whose text may be kept.  verify_heapam() returns rows: the first of
 * them become the message.  The check of an index runs its expressions and
 * operators, as the owner of the table in a security-restricted operation,
 * to which amcheck itself switches; amcheck_error.c tells their errors from
 * findings.
 *
 * Runs in any backend, with the rights of the caller, who needs those of
 * amcheck's functions.  Locks: AccessShareLock on the table until the end of
 * the transaction; amcheck takes its own on indexes (ShareLock on table and
 * index for the check of parents).  Nothing is written.
 *
 * A table is opened by name without looking at the rights on its schema, as
 * amcheck does by oid.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/exec.h"
#include "routines/amcheck.h"

/* damaged pages, and findings on each of them, that are told */
#define MAX_PAGES 5
#define MAX_FINDINGS 3

PG_FUNCTION_INFO_V1(maintsched_check_table);
PG_FUNCTION_INFO_V1(maintsched_check_toast);
PG_FUNCTION_INFO_V1(maintsched_check_index);
PG_FUNCTION_INFO_V1(maintsched_check_toast_index);
PG_FUNCTION_INFO_V1(maintsched_relation_pages);

/*
 * The oid of a relation by its qualified name; an error where there is none.
 */
static Oid
find_relation(const text *name)
{
	List	   *names = textToQualifiedNameList(unconstify(text *, name));
	Oid			relation = InvalidOid;

	if (list_length(names) == 2)
	{
		Oid			schema = get_namespace_oid(strVal(linitial(names)), true);

		if (OidIsValid(schema))
			relation = get_relname_relid(strVal(lsecond(names)), schema);
	}
	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", text_to_cstring(name)),
				 errhint("Give its name with its schema.")));
	return relation;
}

/*
 * The qualified name of a function of amcheck that the caller may call.
 */
static char *
amcheck_function(const char *signature)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(signature)};

	exec_query("select maintsched.amcheck_function($1)", 1, types, values, NULL);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/*
 * Add what verify_heapam() found on one page to a message.  Returns the block.
 */
static BlockNumber
note_findings(Relation rel, StringInfo findings)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	int			told = Min(SPI_processed, MAX_FINDINGS);
	BlockNumber block = 0;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *offset = SPI_getvalue(row, desc, 2);
		bool		isnull;
		int			attribute;

		block = Max(block, (BlockNumber) DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull)));
		if (i >= told)
			continue;
		appendStringInfo(findings, "%sblock %s", findings->len > 0 ? "; " : "", SPI_getvalue(row, desc, 1));
		if (offset != NULL)
			appendStringInfo(findings, ", item %s", offset);
		/* verify_heapam() counts columns from 0 */
		attribute = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
		if (!isnull && attribute >= 0 && attribute < RelationGetNumberOfAttributes(rel))
			appendStringInfo(findings, ", column %s",
							 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), attribute)->attname)));
		appendStringInfo(findings, ": %s", SPI_getvalue(row, desc, 4));
	}
	if (SPI_processed > told)
		appendStringInfo(findings, "; " UINT64_FORMAT " more in block %u", SPI_processed - told, block);
	return block;
}

/*
 * Check some pages of a table that is open, or of its toast.  Returns how many.
 */
static int64
check_pages(Relation rel, const char *name, bool toast, int64 first, int64 count)
{
	int64		pages;
	int64		last;
	char	   *sql = psprintf("select blkno, offnum, attnum, msg from %s($1, true, $2, 'none'::pg_catalog.text, $3, $4)",
							   amcheck_function("verify_heapam(regclass,boolean,boolean,text,bigint,bigint)"));
	Oid			types[4] = {REGCLASSOID, BOOLOID, INT8OID, INT8OID};
	Datum		values[4] = {ObjectIdGetDatum(RelationGetRelid(rel)), BoolGetDatum(toast)};
	MemoryContext context = CurrentMemoryContext;
	StringInfoData findings;
	volatile int damaged = 0;

	if (!smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s: its file is not there", name)));
	pages = RelationGetNumberOfBlocks(rel);
	last = count < 0 || count > pages - first ? pages - 1 : first + count - 1;
	initStringInfo(&findings);
	for (int64 block = first; block <= last && damaged < MAX_PAGES;)
	{
		values[2] = Int64GetDatum(block);
		values[3] = Int64GetDatum(last);
		PG_TRY();
		{
			/* it stops after the first page with a finding */
			if (exec_query(sql, 4, types, values, NULL) == 0)
				block = last + 1;
			else
			{
				block = (int64) note_findings(rel, &findings) + 1;
				damaged++;
			}
		}
		PG_CATCH();
		{
			ErrorData  *error;

			MemoryContextSwitchTo(context);
			error = CopyErrorData();
			FlushErrorState();
			/* what was found before is not lost */
			if (damaged > 0)
				error->message = psprintf("%s; %s", findings.data, error->message);
			error->message = psprintf("%s: %s", name, error->message);
			amcheck_rethrow(error, name, InvalidRelFileNumber);
		}
		PG_END_TRY();
	}
	if (damaged > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s: %s%s", name, findings.data,
						damaged < MAX_PAGES ? "" : "; what follows was not looked at")));
	return Max(last - first + 1, 0);
}

/*
 * Open a table for the rest of the transaction: it does not shrink meanwhile.
 */
static Relation
open_table(const text *name)
{
	Relation	rel = try_relation_open(find_relation(name), AccessShareLock);

	if (rel == NULL)
		amcheck_changed(text_to_cstring(name));
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is neither a table nor a materialized view", text_to_cstring(name))));
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("there is no check for the access method of table \"%s\"", text_to_cstring(name))));
	return rel;
}

/*
 * The toast table of a table.
 */
static Oid
toast_of(Relation rel, const char *name)
{
	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" has no toast", name)));
	return rel->rd_rel->reltoastrelid;
}

/*
 * Blocks by two arguments: the first one, and how many (NULL: the rest).
 */
static void
get_range(FunctionCallInfo fcinfo, int arg, int64 *first, int64 *count)
{
	*first = PG_ARGISNULL(arg) ? 0 : PG_GETARG_INT64(arg);
	*count = PG_ARGISNULL(arg + 1) ? -1 : PG_GETARG_INT64(arg + 1);
	if (*first < 0 || (!PG_ARGISNULL(arg + 1) && *count < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("first_block and blocks must not be negative")));
}

static void
need_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
}

static bool
get_flag(FunctionCallInfo fcinfo, int arg)
{
	return !PG_ARGISNULL(arg) && PG_GETARG_BOOL(arg);
}

/*
 * Check a table or its toast, with the range from some argument on.
 */
static int64
check_table(FunctionCallInfo fcinfo, bool of_toast, int range)
{
	const char *name;
	int64		first;
	int64		count;
	Relation	rel;
	Relation	toast;

	need_argument(fcinfo, 0, "name");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	get_range(fcinfo, range, &first, &count);
	SPI_connect();
	rel = open_table(PG_GETARG_TEXT_PP(0));
	if (of_toast)
	{
		toast = try_relation_open(toast_of(rel, name), AccessShareLock);
		if (toast == NULL)
			amcheck_changed(psprintf("toast of table %s", name));
		count = check_pages(toast, psprintf("toast of table %s", name), false, first, count);
		relation_close(toast, NoLock);
	}
	else
		count = check_pages(rel, psprintf("table %s", name), get_flag(fcinfo, 1), first, count);
	relation_close(rel, NoLock);
	SPI_finish();
	return count;
}

/*
 * check_table(name text, toast boolean, first_block bigint, blocks bigint)
 * returns bigint
 */
Datum
maintsched_check_table(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(check_table(fcinfo, false, 2));
}

/*
 * check_toast(name text, first_block bigint, blocks bigint) returns bigint
 */
Datum
maintsched_check_toast(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(check_table(fcinfo, true, 1));
}

/*
 * Have an index checked by a function of amcheck: its oid, then booleans.
 */
static void
run_index_check(Oid index, const char *name, const char *signature, int nflags, const bool *flags)
{
	StringInfoData sql;
	Oid			types[1] = {REGCLASSOID};
	Datum		values[1] = {ObjectIdGetDatum(index)};
	MemoryContext context = CurrentMemoryContext;
	Relation	rel = try_relation_open(index, AccessShareLock);
	RelFileNumber file;

	if (rel == NULL)
		amcheck_changed(name);
	file = compat_filenode(rel);
	/* amcheck takes the lock of the table first */
	relation_close(rel, AccessShareLock);
	initStringInfo(&sql);
	appendStringInfo(&sql, "select %s($1", amcheck_function(signature));
	for (int i = 0; i < nflags; i++)
		appendStringInfoString(&sql, flags[i] ? ", true" : ", false");
	appendStringInfoChar(&sql, ')');

	PG_TRY();
	{
		exec_query(sql.data, 1, types, values, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		amcheck_rethrow(error, name, file);
	}
	PG_END_TRY();
}

/*
 * bt_index_check() or bt_index_parent_check() with what is asked for by the
 * arguments from the second on: parents, heapallindexed, rootdescend and
 * checkunique.
 */
static void
check_btree(Oid index, const char *name, FunctionCallInfo fcinfo)
{
	bool		parents = get_flag(fcinfo, 1);
	bool		checkunique = get_flag(fcinfo, 4);
	bool		flags[3] = {get_flag(fcinfo, 2), get_flag(fcinfo, 3), checkunique};

	if (parents)
		run_index_check(index, name,
						checkunique ? "bt_index_parent_check(regclass,boolean,boolean,boolean)" :
						"bt_index_parent_check(regclass,boolean,boolean)",
						checkunique ? 3 : 2, flags);
	else
	{
		flags[1] = checkunique;
		run_index_check(index, name,
						checkunique ? "bt_index_check(regclass,boolean,boolean)" : "bt_index_check(regclass,boolean)",
						checkunique ? 2 : 1, flags);
	}
}

/*
 * check_index(name text, parents boolean, heapallindexed boolean,
 * rootdescend boolean, checkunique boolean) returns void
 */
Datum
maintsched_check_index(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			index;
	Oid			method = InvalidOid;
	HeapTuple	tuple;

	need_argument(fcinfo, 0, "name");
	name = psprintf("index %s", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	index = find_relation(PG_GETARG_TEXT_PP(0));
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		amcheck_changed(name);
	if (((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_INDEX)
		method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	if (method != BTREE_AM_OID && method != GIN_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is neither a btree nor a GIN index", text_to_cstring(PG_GETARG_TEXT_PP(0)))));

	SPI_connect();
	if (method == GIN_AM_OID)
		run_index_check(index, name, "gin_index_check(regclass)", 0, NULL);
	else
		check_btree(index, name, fcinfo);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * check_toast_index(name text, parents boolean, heapallindexed boolean,
 * rootdescend boolean, checkunique boolean) returns void
 */
Datum
maintsched_check_toast_index(PG_FUNCTION_ARGS)
{
	const char *name;
	Relation	rel;
	Oid			index = InvalidOid;
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	bool		isnull;

	need_argument(fcinfo, 0, "name");
	SPI_connect();
	name = psprintf("index of the toast of table %s", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	rel = open_table(PG_GETARG_TEXT_PP(0));
	values[0] = ObjectIdGetDatum(toast_of(rel, text_to_cstring(PG_GETARG_TEXT_PP(0))));
	if (exec_query("select indexrelid from pg_catalog.pg_index where indrelid operator(pg_catalog.=) $1 and indisvalid",
				   1, types, values, NULL) > 0)
		index = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!OidIsValid(index))
		amcheck_changed(name);
	check_btree(index, name, fcinfo);
	relation_close(rel, NoLock);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * relation_pages(relation oid) returns bigint
 *
 * Does not wait: NULL where somebody has it locked exclusively, where it is
 * gone, or its file is.
 */
Datum
maintsched_relation_pages(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	Relation	rel;
	int64		pages = -1;

	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		PG_RETURN_NULL();
	rel = try_relation_open(relation, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relation, AccessShareLock);
		PG_RETURN_NULL();
	}
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind) && smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM))
		pages = RelationGetNumberOfBlocks(rel);
	relation_close(rel, AccessShareLock);
	if (pages < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(pages);
}
