/*-------------------------------------------------------------------------
 *
 * bloat_estimate.c
 *	  bloat_estimate(): how much smaller a rewrite would make one relation.
 *
 * Names the relation as measurements do, toast by its table, and has it looked
 * at.  An estimate of a large relation takes as long as a few catalog queries,
 * so the names are read from the caches here.  Only what is judged by its size
 * per row needs a query, for earlier measurements (bloat_by_row()), with the
 * rights of the caller.
 *
 * Runs in any backend, on a standby too.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "routines/bloat.h"

PG_FUNCTION_INFO_V1(maintsched_bloat_estimate);

/* columns of bloat_estimate() */
enum
{
	ESTIMATE_SCHEMA,
	ESTIMATE_RELATION,
	ESTIMATE_KIND,
	ESTIMATE_ACCESS_METHOD,
	ESTIMATE_SIZE,
	ESTIMATE_RATIO,
	ESTIMATE_BYTES,
	ESTIMATE_LOW,
	ESTIMATE_HIGH,
	ESTIMATE_DEAD,
	ESTIMATE_PAGES,
	ESTIMATE_METHOD,
	ESTIMATE_DETAIL,
	ESTIMATE_COLUMNS
};

/* ... and what bloat_look() has them as */
static const int looked_at[][2] = {
	{ESTIMATE_SIZE, BLOAT_SIZE},
	{ESTIMATE_RATIO, BLOAT_RATIO},
	{ESTIMATE_BYTES, BLOAT_BYTES},
	{ESTIMATE_LOW, BLOAT_LOW},
	{ESTIMATE_HIGH, BLOAT_HIGH},
	{ESTIMATE_DEAD, BLOAT_DEAD_BYTES},
	{ESTIMATE_PAGES, BLOAT_PAGES}
};

/*
 * The table that a toast table is of; InvalidOid: there is none.  It bears its
 * oid as a name, unless somebody renamed it.
 */
static Oid
table_of_toast(Oid toast, const char *name)
{
	Oid			table = InvalidOid;
	unsigned int number;
	Relation	catalog;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (sscanf(name, "pg_toast_%u", &number) == 1)
	{
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum((Oid) number));
		if (HeapTupleIsValid(tuple))
		{
			if (((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid == toast)
				table = (Oid) number;
			ReleaseSysCache(tuple);
		}
		if (OidIsValid(table))
			return table;
	}
	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_reltoastrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(toast));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		table = ((Form_pg_class) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return table;
}

/*
 * As relation_kind() in SQL.
 */
static const char *
kind_text(char kind, bool of_toast)
{
	switch (kind)
	{
		case RELKIND_RELATION:
			return "table";
		case RELKIND_MATVIEW:
			return "materialized view";
		case RELKIND_TOASTVALUE:
			return "toast";
		case RELKIND_INDEX:
			return of_toast ? "toast index" : "index";
		case RELKIND_PARTITIONED_TABLE:
			return "partitioned table";
		case RELKIND_PARTITIONED_INDEX:
			return "partitioned index";
		case RELKIND_VIEW:
			return "view";
		case RELKIND_FOREIGN_TABLE:
			return "foreign table";
		case RELKIND_SEQUENCE:
			return "sequence";
		default:
			return "composite type";
	}
}

static void
put_text(Datum *values, bool *nulls, int column, const char *words)
{
	nulls[column] = words == NULL;
	if (words != NULL)
		values[column] = CStringGetTextDatum(words);
}

/*
 * The row of the catalog of a relation; NULL: there is none.
 */
static Form_pg_class
catalog_row(Oid relid)
{
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));

	return HeapTupleIsValid(tuple) ? (Form_pg_class) GETSTRUCT(tuple) : NULL;
}

/*
 * What a relation is called in measurements; sets the rows of its table that
 * the catalog has.
 */
static void
name_relation(Oid relid, Datum *values, bool *nulls, float4 *rows)
{
	Form_pg_class relation = catalog_row(relid);
	Form_pg_class named = relation;
	Form_pg_class heap = relation;

	*rows = -1;
	put_text(values, nulls, ESTIMATE_RELATION, psprintf("%u", relid));
	if (relation != NULL && (relation->relkind == RELKIND_INDEX || relation->relkind == RELKIND_PARTITIONED_INDEX))
		heap = catalog_row(IndexGetRelation(relid, true));
	if (heap == NULL)
		return;
	put_text(values, nulls, ESTIMATE_KIND, kind_text(relation->relkind, heap->relkind == RELKIND_TOASTVALUE));
	if (OidIsValid(relation->relam))
		put_text(values, nulls, ESTIMATE_ACCESS_METHOD, get_am_name(relation->relam));
	if (heap->relkind == RELKIND_TOASTVALUE)
	{
		Form_pg_class table = catalog_row(table_of_toast(heap->oid, NameStr(heap->relname)));

		if (table != NULL)
			named = heap = table;
	}
	*rows = heap->reltuples;
	put_text(values, nulls, ESTIMATE_SCHEMA, get_namespace_name(named->relnamespace));
	put_text(values, nulls, ESTIMATE_RELATION, NameStr(named->relname));
}

/*
 * Judge by the size per row; returns how that went.
 */
static const char *
judge_by_row(float4 rows, Datum *values, bool *nulls)
{
	static Oid	types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT4OID, INT8OID};
	static const int into[] = {ESTIMATE_RATIO, ESTIMATE_BYTES, ESTIMATE_DETAIL};
	Datum		arguments[] = {values[ESTIMATE_SCHEMA], values[ESTIMATE_RELATION], values[ESTIMATE_KIND],
	values[ESTIMATE_ACCESS_METHOD], Float4GetDatum(rows), values[ESTIMATE_SIZE]};
	char		marks[] = "      ";
	char	   *state;
	char	   *result;

	for (int i = 0; i < 4; i++)
		marks[i] = nulls[i] ? 'n' : ' ';
	SPI_connect();
	if (SPI_execute_with_args("select r.bloat_ratio, r.bloat_bytes, r.detail, r.state"
							  " from maintsched.bloat_by_row($1, $2, $3, $4, $5, $6) r",
							  lengthof(types), types, arguments, marks, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "bloat_by_row() gave no answer");
	for (int i = 0; i < lengthof(into); i++)
	{
		Form_pg_attribute attr = TupleDescAttr(SPI_tuptable->tupdesc, i);
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &nulls[into[i]]);

		if (!nulls[into[i]])
			values[into[i]] = SPI_datumTransfer(value, attr->attbyval, attr->attlen);
	}
	state = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, lengthof(into) + 1);
	result = SPI_palloc(strlen(state) + 1);
	strcpy(result, state);
	SPI_finish();
	return result;
}

/*
 * Put into words what the figures do not say.
 */
static void
put_words(const char *state, const Datum *looked, const bool *looked_nulls, Datum *values, bool *nulls)
{
	BloatFacts	facts = {0};
	bool		complete = false;

	facts.state = state;
	facts.kind = nulls[ESTIMATE_KIND] ? "" : TextDatumGetCString(values[ESTIMATE_KIND]);
	facts.access_method = nulls[ESTIMATE_ACCESS_METHOD] ? "" : TextDatumGetCString(values[ESTIMATE_ACCESS_METHOD]);

	if (!looked_nulls[BLOAT_SIZE])
		facts.size = DatumGetInt64(looked[BLOAT_SIZE]);
	if (!looked_nulls[BLOAT_RATIO])
	{
		facts.lower_bound = DatumGetFloat8(looked[BLOAT_LOWER_BOUND]);
		facts.sampled = DatumGetInt32(looked[BLOAT_PAGES]);
		complete = DatumGetBool(looked[BLOAT_COMPLETE]);
	}
	if (!looked_nulls[BLOAT_DAMAGED_PAGES])
	{
		facts.damaged = DatumGetInt32(looked[BLOAT_DAMAGED_PAGES]);
		facts.damaged_block = DatumGetInt64(looked[BLOAT_DAMAGED_BLOCK]);
	}
	put_text(values, nulls, ESTIMATE_METHOD, bloat_method(state, complete, facts.lower_bound));
	if (nulls[ESTIMATE_DETAIL])
		put_text(values, nulls, ESTIMATE_DETAIL, bloat_detail(&facts));
}

/*
 * bloat_estimate(relation regclass, sample_pages integer)
 */
Datum
maintsched_bloat_estimate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[ESTIMATE_COLUMNS] = {0};
	bool		nulls[ESTIMATE_COLUMNS];
	Datum		looked[BLOAT_COLUMNS] = {0};
	bool		looked_nulls[BLOAT_COLUMNS];
	const char *state;
	float4		rows;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the relation is missing"),
				 errhint("Such as select * from maintsched.bloat_estimate('sales.orders');")));
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample_pages must be 1 or more"),
				 errhint("The default is 1000; up to ten times as many are read where the interval is wider than a point.")));
	memset(nulls, true, sizeof(nulls));
	memset(looked_nulls, true, sizeof(looked_nulls));

	InitMaterializedSRF(fcinfo, 0);
	name_relation(PG_GETARG_OID(0), values, nulls, &rows);
	state = bloat_look(PG_GETARG_OID(0), PG_GETARG_INT32(1), looked, looked_nulls);
	for (int i = 0; i < lengthof(looked_at); i++)
	{
		values[looked_at[i][0]] = looked[looked_at[i][1]];
		nulls[looked_at[i][0]] = looked_nulls[looked_at[i][1]];
	}
	if (strcmp(state, "per_row") == 0)
		state = judge_by_row(rows, values, nulls);
	put_words(state, looked, looked_nulls, values, nulls);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}
