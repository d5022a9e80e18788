/*-------------------------------------------------------------------------
 *
 * bloat.c
 *	  bloat_sample(): how much smaller a rewrite would make relations.
 *
 * Runs in the backend of its caller, and writes nothing.  Each relation is
 * locked with AccessShareLock while it is looked at and released then, so
 * that a list of thousands holds one or two locks at a time.  A lock that
 * somebody else has (a rewrite, a change) is not waited for: the relation is
 * not judged, and said to be locked.  No snapshot is taken here.
 *
 * No user's code runs: rows are looked at as bytes.  (The support functions
 * of operator classes that say whether an index may deduplicate are a
 * superuser's.)
 *
 * What cannot be judged has a state that says why, and no figures.  So has,
 * in bloat_sample(), a relation whose file is not there or cannot be read: the
 * others are looked at all the same.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "core/attempt.h"
#include "core/compat.h"
#include "routines/bloat.h"

PG_FUNCTION_INFO_V1(maintsched_bloat_sample);

/* a wider interval is worth a larger sample, of at most so many times */
#define BLOAT_WIDE 0.009
#define BLOAT_MORE 10

/* pages of a table that say how many entries of an index are of dead rows */
#define BLOAT_GLANCE 64

/* what is asked for, and what was learnt on the way */
typedef struct Question
{
	uint32		pages;
	uint64		seed;
	Oid			role;
	Oid			heap;			/* looked at last */
	BloatEntries entries;		/* ... and what its indexes point to */
} Question;

/*
 * Open a relation unless it is gone or somebody has locked it.
 */
static Relation
open_now(Oid relid, const char **state)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		*state = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ? "locked" : "gone";
		return NULL;
	}
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		*state = "gone";
	}
	return rel;
}

static bool
may_look(Relation rel)
{
	Oid			role = GetUserId();
	Oid			table = RelationGetRelid(rel);

	if (has_privs_of_role(role, ROLE_PG_STAT_SCAN_TABLES) ||
		has_privs_of_role(role, rel->rd_rel->relowner))
		return true;
	if (rel->rd_rel->relkind == RELKIND_INDEX || rel->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		table = rel->rd_index->indrelid;
	return pg_class_aclcheck(table, role, ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Why a relation is not judged, whatever its pages; NULL: it is.
 */
static const char *
why_not(Relation rel)
{
	char		kind = rel->rd_rel->relkind;

	if (!may_look(rel))
		return "no_permission";
	if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW && kind != RELKIND_TOASTVALUE &&
		kind != RELKIND_INDEX)
		return "no_storage";
	if (RELATION_IS_OTHER_TEMP(rel))
		return "other_temporary";
	if (RecoveryInProgress() && rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return "unlogged";
	if (kind == RELKIND_INDEX)
		return rel->rd_index->indisvalid && rel->rd_index->indisready ? NULL : "not_valid";
	return rel->rd_rel->relam == HEAP_TABLE_AM_OID ? NULL : "access_method";
}

/*
 * Take the sample, and a larger one where the interval is wide.
 */
static bool
judge(Question *question, Relation rel, BlockNumber blocks, BloatSample *sample, BloatResult *result)
{
	bool		is_index = rel->rd_rel->relkind == RELKIND_INDEX;

	sample->blocks = blocks;
	sample->seed = question->seed;
	sample->wanted = question->pages;
	for (int round = 0;; round++)
	{
		double		excess;

		if (!(is_index ? bloat_btree(rel, sample, result) :
			  bloat_heap(rel, sample, result, &question->entries)))
			return false;
		excess = (result->half - result->model) / BLOAT_WIDE;
		if (round > 0 || sample->complete || excess <= 1)
			break;
		sample->wanted = (uint32) Min(question->pages * Min(excess * excess, BLOAT_MORE), (double) blocks);
		sample->seed++;
	}
	if (!is_index)
		question->heap = RelationGetRelid(rel);
	return true;
}

/*
 * Share of the entries of an index whose rows are dead and not vacuumed.
 */
static double
dead_entries(Question *question, Relation index)
{
	Oid			heap = index->rd_index->indrelid;
	double		all;

	if (question->heap != heap)
	{
		const char *state;
		Relation	rel = open_now(heap, &state);
		BloatSample sample = {0};
		BloatResult ignored;
		bool		known;

		if (rel == NULL)
			return 0;
		/* that its file is missing, is for the table to say */
		sample.blocks = rel->rd_rel->relam == HEAP_TABLE_AM_OID && smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM) ?
			RelationGetNumberOfBlocks(rel) : 0;
		sample.seed = question->seed;
		sample.wanted = Min(question->pages, BLOAT_GLANCE);
		known = sample.blocks > 0 && bloat_heap(rel, &sample, &ignored, &question->entries);
		relation_close(rel, AccessShareLock);
		if (!known)
			return 0;
		question->heap = heap;
	}
	all = question->entries.live + question->entries.dead;
	return all > 0 ? question->entries.dead / all : 0;
}

static void
put_figures(const BloatSample *sample, const BloatResult *result, Datum *values, bool *nulls)
{
	double		size = (double) sample->blocks * BLCKSZ;

	values[BLOAT_RATIO] = Float8GetDatum(result->ratio);
	values[BLOAT_BYTES] = Int64GetDatum((int64) rint(result->ratio * size));
	values[BLOAT_LOW] = Float8GetDatum(Max(result->ratio - result->half, 0));
	values[BLOAT_HIGH] = Float8GetDatum(Min(result->ratio + result->half, 1));
	values[BLOAT_DEAD_BYTES] = Int64GetDatum((int64) rint(result->dead_bytes));
	values[BLOAT_LOWER_BOUND] = Float8GetDatum(result->lower_bound);
	values[BLOAT_PAGES] = Int32GetDatum((int32) sample->sums.pages);
	values[BLOAT_COMPLETE] = BoolGetDatum(sample->complete);
	values[BLOAT_UNUSED] = Float8GetDatum(result->unused);
	values[BLOAT_UNUSED_HALF] = Float8GetDatum(result->unused_half);
	for (int i = BLOAT_RATIO; i <= BLOAT_UNUSED_HALF; i++)
		nulls[i] = false;
}

/*
 * Look at one relation that is open; returns its state, and fills values.
 */
static const char *
look_at(Question *question, Relation rel, int64 least, Datum *values, bool *nulls)
{
	const char *state = why_not(rel);
	bool		is_index = rel->rd_rel->relkind == RELKIND_INDEX;
	bool		is_btree = is_index && rel->rd_rel->relam == BTREE_AM_OID;
	BlockNumber blocks;
	BloatSample sample = {0};
	BloatResult result = {0};
	bool		judged;

	if (state != NULL)
		return state;
	blocks = RelationGetNumberOfBlocks(rel);
	values[BLOAT_SIZE] = Int64GetDatum((int64) blocks * BLCKSZ);
	values[BLOAT_FILENODE] = ObjectIdGetDatum(compat_filenode(rel));
	nulls[BLOAT_SIZE] = nulls[BLOAT_FILENODE] = false;
	if (blocks == 0 || (is_btree && blocks == 1))
		return "empty";
	if ((int64) blocks * BLCKSZ < least)
		return "too_small";
	if (is_index && !is_btree)
		return "per_row";
	if (blocks == (is_btree ? 2 : 1))
		return "too_small";

	judged = judge(question, rel, blocks, &sample, &result);
	if (sample.sums.damaged > 0)
	{
		values[BLOAT_DAMAGED_PAGES] = Int32GetDatum((int32) sample.sums.damaged);
		values[BLOAT_DAMAGED_BLOCK] = Int64GetDatum((int64) sample.sums.damaged_block);
		nulls[BLOAT_DAMAGED_PAGES] = nulls[BLOAT_DAMAGED_BLOCK] = false;
	}
	if (!judged)
		return "damaged";
	if (is_index)
		result.lower_bound = dead_entries(question, rel);
	put_figures(&sample, &result, values, nulls);
	return "judged";
}

/*
 * Look at one relation, if it is there and nobody has locked it.
 */
static const char *
look(Question *question, Oid relid, int64 least, Datum *values, bool *nulls)
{
	const char *state = NULL;
	Relation	rel = open_now(relid, &state);

	if (rel != NULL)
	{
		state = look_at(question, rel, least, values, nulls);
		relation_close(rel, AccessShareLock);
	}
	return state;
}

typedef struct Look
{
	Question   *question;
	Oid			relid;
	int64		least;
	Datum	   *values;
	bool	   *nulls;
	const char *state;
} Look;

static void
look_for(void *arg)
{
	Look	   *l = arg;

	l->state = look(l->question, l->relid, l->least, l->values, l->nulls);
}

/*
 * The same, of one of many: where it cannot be read, that is its state.
 */
static const char *
look_or_say(Question *question, Oid relid, int64 least, Datum *values, bool *nulls)
{
	Look		l = {question, relid, least, values, nulls, "unreadable"};
	ErrorData  *error = attempt(look_for, &l);

	if (error != NULL)
	{
		if (!bloat_is_damage(error->sqlerrcode))
			ReThrowError(error);
		memset(nulls, true, BLOAT_COLUMNS * sizeof(bool));
		values[BLOAT_MESSAGE] = CStringGetTextDatum(error->message);
		nulls[BLOAT_MESSAGE] = false;
		FreeErrorData(error);
	}
	return l.state;
}

/*
 * The same for others: other pages each time.
 */
const char *
bloat_look(Oid relid, int32 pages, Datum *values, bool *nulls)
{
	Question	question = {0};

	question.pages = pages;
	question.seed = pg_prng_uint64(&pg_global_prng_state);
	return look(&question, relid, 0, values, nulls);
}

static void
read_arguments(FunctionCallInfo fcinfo, Question *question)
{
	int32		pages = PG_GETARG_INT32(2);

	if (pages < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample_pages must be 1 or more")));
	question->pages = pages;
	question->seed = PG_ARGISNULL(3) ? pg_prng_uint64(&pg_global_prng_state) : (uint64) PG_GETARG_INT64(3);
	question->heap = InvalidOid;
}

/*
 * bloat_sample(relations oid[], least_bytes bigint[], sample_pages integer,
 *				seed bigint)
 *
 * One row per relation, in that order.
 */
Datum
maintsched_bloat_sample(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Question	question;
	Datum	   *relations;
	Datum	   *least;
	int			count;
	int			least_count;

	for (int i = 0; i < 4; i++)
	{
		if (PG_ARGISNULL(i) && i != 3)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %d of bloat_sample() is NULL", i + 1)));
	}
	read_arguments(fcinfo, &question);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &relations, NULL, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &least, NULL, &least_count);
	if (count != least_count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of bloat_sample() differ in length")));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < count; i++)
	{
		Datum		values[BLOAT_COLUMNS] = {0};
		bool		nulls[BLOAT_COLUMNS];
		const char *state;

		CHECK_FOR_INTERRUPTS();
		memset(nulls, true, sizeof(nulls));
		state = look_or_say(&question, DatumGetObjectId(relations[i]), DatumGetInt64(least[i]), values, nulls);
		values[BLOAT_RELATION] = relations[i];
		values[BLOAT_STATE] = CStringGetTextDatum(state);
		nulls[BLOAT_RELATION] = nulls[BLOAT_STATE] = false;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
