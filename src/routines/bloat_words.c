/*-------------------------------------------------------------------------
 *
 * bloat_words.c
 *	  bloat_detail() and bloat_method(): what there is to say about a relation
 *	  that was looked at.
 *
 * For bloat_estimate() and for measurements.  The states are those of
 * bloat_sample(), and no_rows and no_baseline of what is judged by its size
 * per row.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "routines/bloat.h"

PG_FUNCTION_INFO_V1(maintsched_bloat_detail);
PG_FUNCTION_INFO_V1(maintsched_bloat_method);

/* a lower bound is called one from this share of dead entries */
#define LOWER_BOUND_SAID 0.01

static const struct
{
	const char *state;
	const char *text;
}			reasons[] = {
	{"gone", "it was dropped"},
	{"locked", "somebody holds a lock on it, as a rewrite or another change does"},
	{"no_permission", "permission denied; its owner, who may read it, and pg_stat_scan_tables may judge it"},
	{"other_temporary", "it is temporary and belongs to another session"},
	{"unlogged", "it is unlogged, and has no pages on a standby"},
	{"not_valid", "the index is not valid; it is being built, or was left behind by a failure"},
	{"empty", "it is empty"},
	{"no_rows", "how many rows its table has is not known; VACUUM or ANALYZE counts them"},
};

/*
 * Why a relation is not judged; NULL: it is.
 */
static char *
why_not(const BloatFacts *facts)
{
	const char *state = facts->state;

	for (int i = 0; i < lengthof(reasons); i++)
	{
		if (strcmp(state, reasons[i].state) == 0)
			return psprintf("not judged: %s", reasons[i].text);
	}
	if (strcmp(state, "no_storage") == 0)
		return psprintf("not judged: a %s has no pages that could be rewritten%s", facts->kind,
						strncmp(facts->kind, "partitioned ", 12) == 0 ? "; its partitions are judged one by one" : "");
	if (strcmp(state, "access_method") == 0)
		return psprintf("not judged: the table access method %s is not known", facts->access_method);
	if (strcmp(state, "too_small") == 0)
		return psprintf("not judged: too small (%s)",
						TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(facts->size))));
	if (strcmp(state, "damaged") == 0)
		return psprintf("not judged: too many pages make no sense, the first one is block " INT64_FORMAT "; amcheck tells more",
						facts->damaged_block);
	if (strcmp(state, "no_baseline") == 0)
		return pstrdup("not judged yet: there is no earlier measurement to compare its size per row with");
	return NULL;
}

/*
 * What there is to say about a relation: why it is not judged, or what its
 * figures leave out.  NULL: nothing.
 */
char	   *
bloat_detail(const BloatFacts *facts)
{
	char	   *bound = NULL;
	char	   *damage = NULL;
	char	   *reason = why_not(facts);
	bool		of_index = strcmp(facts->kind, "index") == 0 || strcmp(facts->kind, "toast index") == 0;

	if (reason != NULL)
		return reason;
	if (facts->lower_bound >= LOWER_BOUND_SAID && of_index)
		bound = psprintf("a lower bound: about %.0f %% of its entries are of dead rows that VACUUM has not removed",
						 ceil(facts->lower_bound * 100));
	else if (facts->lower_bound >= LOWER_BOUND_SAID)
		bound = psprintf("a lower bound: about %.0f %% of it are dead rows that some transaction may still see",
						 ceil(facts->lower_bound * 100));
	if (facts->damaged > 0)
		damage = psprintf("%d of %d pages make no sense, the first one is block " INT64_FORMAT "; amcheck tells more",
						  facts->damaged, facts->sampled, facts->damaged_block);
	return bound != NULL && damage != NULL ? psprintf("%s; %s", bound, damage) : bound != NULL ? bound : damage;
}

/*
 * How a relation was judged; NULL: not at all.
 */
const char *
bloat_method(const char *state, bool complete, double lower_bound)
{
	bool		bound = lower_bound >= LOWER_BOUND_SAID;

	if (strcmp(state, "per_row") == 0)
		return "size per row";
	if (strcmp(state, "judged") != 0)
		return NULL;
	if (complete)
		return bound ? "all pages, lower bound" : "all pages";
	return bound ? "sample, lower bound" : "sample";
}

static const char *
text_argument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

/*
 * bloat_detail(state text, kind text, access_method text, size_bytes bigint,
 *				lower_bound double precision, sampled_pages integer,
 *				damaged_pages integer, damaged_block bigint) returns text
 */
Datum
maintsched_bloat_detail(PG_FUNCTION_ARGS)
{
	BloatFacts	facts = {0};
	char	   *detail;

	facts.state = text_argument(fcinfo, 0);
	facts.kind = text_argument(fcinfo, 1);
	facts.access_method = text_argument(fcinfo, 2);
	facts.size = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);
	facts.lower_bound = PG_ARGISNULL(4) ? 0 : PG_GETARG_FLOAT8(4);
	facts.sampled = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT32(5);
	facts.damaged = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT32(6);
	facts.damaged_block = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT64(7);
	detail = bloat_detail(&facts);
	if (detail == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(detail));
}

/*
 * bloat_method(state text, complete boolean, lower_bound double precision)
 * returns text
 */
Datum
maintsched_bloat_method(PG_FUNCTION_ARGS)
{
	const char *method = bloat_method(text_argument(fcinfo, 0), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1),
									  PG_ARGISNULL(2) ? 0 : PG_GETARG_FLOAT8(2));

	if (method == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(method));
}
