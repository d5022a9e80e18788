/*-------------------------------------------------------------------------
 *
 * vacuum_outlook.c
 *	  What a VACUUM of a table would give, from a sample of its pages.
 *
 * Runs in the backend that plans, or in a runner right before the command.
 * What the counters call dead is of no use to VACUUM as long as somebody may
 * still see it, and no counter tells the one from the other.  So a sample of
 * the pages that are not all-visible is read (dead rows are on no others),
 * and each row judged as VACUUM would, against the horizon of the relation.
 *
 * AccessShareLock, taken only where it is free and released at the end; one
 * buffer at a time, pinned and locked as ANALYZE does, through the ring of
 * VACUUM.  Nothing of a row but its header is looked at: no operator, no
 * index expression, no code of anybody's is run.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_class.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "storage/smgr.h"
#include "utils/rel.h"

#include "core/compat.h"

/* how many bits of the visibility map are looked at */
#define MAX_VISITED (1 << 20)

typedef struct Outlook
{
	TransactionId horizon;		/* what it no longer sees can be removed */
	BlockNumber pages;
	BlockNumber hidden;			/* not all-visible */
	int			sampled;		/* of these */
	double		removable;		/* dead rows and line pointers in the sample */
	double		recent;			/* dead rows that somebody may see */
	int			settable;		/* pages that VACUUM would make all-visible */
}			Outlook;

PG_FUNCTION_INFO_V1(maintsched_vacuum_outlook);

/*
 * Judge the rows of a page as VACUUM would.
 */
static void
judge_page(Relation rel, Buffer buffer, Outlook * outlook)
{
	Page		page = BufferGetPage(buffer);
	bool		settable = true;
	OffsetNumber max;

	max = PageIsNew(page) ? InvalidOffsetNumber : PageGetMaxOffsetNumber(page);
	for (OffsetNumber line = FirstOffsetNumber; line <= max; line = OffsetNumberNext(line))
	{
		ItemId		item = PageGetItemId(page, line);
		HeapTupleData tuple;

		if (ItemIdIsDead(item))
			outlook->removable++;
		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_tableOid = RelationGetRelid(rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), line);
		switch (HeapTupleSatisfiesVacuum(&tuple, outlook->horizon, buffer))
		{
			case HEAPTUPLE_DEAD:
				outlook->removable++;
				break;
			case HEAPTUPLE_RECENTLY_DEAD:
				outlook->recent++;
				settable = false;
				break;
			case HEAPTUPLE_LIVE:
				if (!HeapTupleHeaderXminCommitted(tuple.t_data) ||
					!TransactionIdPrecedes(HeapTupleHeaderGetXmin(tuple.t_data), outlook->horizon))
					settable = false;
				break;
			case HEAPTUPLE_INSERT_IN_PROGRESS:
			case HEAPTUPLE_DELETE_IN_PROGRESS:
				settable = false;
				break;
		}
	}
	outlook->sampled++;
	if (settable)
		outlook->settable++;
}

/*
 * Read about so many of the pages that are not all-visible, evenly spread.
 */
static void
sample_pages(Relation rel, int wanted, Outlook * outlook)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_VACUUM);
	Buffer		map = InvalidBuffer;
	uint64		stride = outlook->pages / MAX_VISITED + 1;
	double		step = Max((double) outlook->hidden / stride / wanted, 1.0);
	double		next = step * pg_prng_double(&pg_global_prng_state);
	double		seen = 0;

	for (uint64 start = 0; start < outlook->pages; start += stride)
	{
		uint64		block = start;
		Buffer		buffer;

		if (stride > 1)
			block = Min(start + pg_prng_uint64_range(&pg_global_prng_state, 0, stride - 1), outlook->pages - 1);
		CHECK_FOR_INTERRUPTS();
		if (VM_ALL_VISIBLE(rel, (BlockNumber) block, &map))
			continue;
		seen++;
		if (seen <= next)
			continue;
		next += step;
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, (BlockNumber) block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		judge_page(rel, buffer, outlook);
		UnlockReleaseBuffer(buffer);
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	FreeAccessStrategy(strategy);
}

/*
 * vacuum_outlook(relation oid, wanted integer): what a sample of its pages
 * says, at the scale of the sample; NULL where it cannot be looked at.
 */
Datum
maintsched_vacuum_outlook(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	int32		wanted = PG_GETARG_INT32(1);
	Relation	rel;
	TupleDesc	desc;
	Outlook		outlook = {0};
	Datum		values[7];
	bool		nulls[7] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		PG_RETURN_NULL();
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		PG_RETURN_NULL();
	}
	if ((rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW &&
		 rel->rd_rel->relkind != RELKIND_TOASTVALUE) ||
		rel->rd_tableam != GetHeapamTableAmRoutine() || RELATION_IS_OTHER_TEMP(rel) ||
		!smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM))
	{
		relation_close(rel, AccessShareLock);
		PG_RETURN_NULL();
	}

	outlook.horizon = GetOldestNonRemovableTransactionId(rel);
	outlook.pages = RelationGetNumberOfBlocks(rel);
	visibilitymap_count(rel, &outlook.hidden, NULL);
	outlook.hidden = outlook.pages - Min(outlook.hidden, outlook.pages);
	if (wanted > 0 && outlook.hidden > 0)
		sample_pages(rel, wanted, &outlook);
	relation_close(rel, AccessShareLock);

	values[0] = TransactionIdGetDatum(outlook.horizon);
	values[1] = Int64GetDatum(outlook.pages);
	values[2] = Int64GetDatum(outlook.hidden);
	values[3] = Int32GetDatum(outlook.sampled);
	values[4] = Float8GetDatum(outlook.removable);
	values[5] = Float8GetDatum(outlook.recent);
	values[6] = Int32GetDatum(outlook.settable);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
