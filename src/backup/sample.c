/*-------------------------------------------------------------------------
 *
 * sample.c
 *	  Whether a text is a query that may be asked in a restored copy.
 *
 * A sample query is put in parentheses there, into a statement of ours that is
 * run by a superuser.  So it has to be one SELECT by itself: what parses as
 * such cannot end the parentheses.  That it changes nothing is seen to by the
 * transaction, which is read-only; INTO and row locks are refused here, for
 * they would fail there.
 *
 * Planned as whoever calls this, with his rights and search_path; it is not
 * run.  Locks: those of planning.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/plancache.h"

#include "core/exec.h"

/* it is an argument of a command */
#define LONGEST_QUERY 30000

PG_FUNCTION_INFO_V1(maintsched_check_sample_query);

/*
 * A position is one in the query, not in the statement that hands it over.
 */
static void
move_position(void *query)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(query);
	}
}

static void
check_select(const char *query)
{
	ErrorContextCallback callback = {error_context_stack, move_position, unconstify(char *, query)};
	List	   *statements;
	SelectStmt *select;

	if (strlen(query) > LONGEST_QUERY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a sample query is no longer than %d bytes", LONGEST_QUERY)));
	error_context_stack = &callback;
	statements = pg_parse_query(query);
	error_context_stack = callback.previous;
	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sample query is one statement, and not %d", list_length(statements))));
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sample query is a SELECT, and nothing else")));
	if (select->lockingClause != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sample query locks no rows")));
	/* of a UNION, the first one has it */
	while (select->larg != NULL)
		select = select->larg;
	if (select->intoClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sample query makes no table")));
}

/*
 * Plan a query as it will be asked; the names of its columns.
 */
static Datum
plan_query(const char *query)
{
	SPIPlanPtr	plan;
	TupleDesc	desc;
	Datum	   *names;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	ArrayType  *result;

	SPI_connect();
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s", SPI_result_code_string(SPI_result));
	desc = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->resultDesc;
	if (desc == NULL || desc->natts == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sample query has columns")));
	old = MemoryContextSwitchTo(context);
	names = palloc(sizeof(Datum) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), NameStr(TupleDescAttr(desc, j)->attname)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" of a sample query is there twice", NameStr(TupleDescAttr(desc, i)->attname)),
						 errhint("Name it with AS.")));
		}
		names[i] = CStringGetTextDatum(NameStr(TupleDescAttr(desc, i)->attname));
	}
	result = construct_array(names, desc->natts, TEXTOID, -1, false, TYPALIGN_INT);
	MemoryContextSwitchTo(old);
	/* what ends in a comment ends there */
	if (SPI_execute(psprintf("explain select coalesce(jsonb_agg(to_jsonb(q)), '[]') from (%s\n) q", query), false, 0) < 0)
		elog(ERROR, "could not plan a sample query");
	SPI_finish();
	return PointerGetDatum(result);
}

/*
 * check_sample_query(query text, here boolean) returns text[]
 */
Datum
maintsched_check_sample_query(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));

	check_select(query);
	if (!PG_GETARG_BOOL(1))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(plan_query(query));
}
