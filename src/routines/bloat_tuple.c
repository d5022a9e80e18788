/*-------------------------------------------------------------------------
 *
 * bloat_tuple.c
 *	  What a rewrite of a heap does with one row version.
 *
 * Whether it would be kept: the rules of HeapTupleSatisfiesVacuum(), without
 * its hint bits, which would make pages dirty and, with checksums, write them
 * to WAL: who only looks shall not.  And without its trust: a transaction id
 * that this relation cannot have is damage here, not an error of the commit
 * log.  The caller holds the page locked in share mode; hint bits may change
 * under us, nothing else.
 *
 * And how long it would be: VACUUM FULL forms each tuple anew, with dropped
 * columns NULL, and with columns that were added later in it.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/transam.h"
#include "access/tupdesc_details.h"
#include "access/tupmacs.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/procarray.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "routines/bloat.h"

void
bloat_tuples_begin(BloatTuples *tuples, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	tuples->horizon = GetOldestNonRemovableTransactionId(rel);
	tuples->oldest = rel->rd_rel->relfrozenxid;
	tuples->next = ReadNextTransactionId();
	tuples->oldest_multi = rel->rd_rel->relminmxid;
	tuples->next_multi = ReadNextMultiXactId();
	tuples->desc = desc;
	tuples->dropped = tuples->missing = false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attisdropped)
			tuples->dropped = true;
		else if (attr->atthasmissing)
			tuples->missing = true;
	}
}

/*
 * May this relation have this transaction id?
 */
static bool
xid_sane(BloatTuples *tuples, TransactionId xid)
{
	if (!TransactionIdIsNormal(xid))
		return xid == FrozenTransactionId || xid == BootstrapTransactionId;
	if (TransactionIdIsNormal(tuples->oldest) && TransactionIdPrecedes(xid, tuples->oldest))
		return false;
	if (!TransactionIdPrecedes(xid, tuples->next))
		tuples->next = ReadNextTransactionId();
	return TransactionIdPrecedes(xid, tuples->next);
}

static bool
multi_sane(BloatTuples *tuples, MultiXactId multi)
{
	if (!MultiXactIdIsValid(multi) ||
		(MultiXactIdIsValid(tuples->oldest_multi) && MultiXactIdPrecedes(multi, tuples->oldest_multi)))
		return false;
	if (!MultiXactIdPrecedes(multi, tuples->next_multi))
		tuples->next_multi = ReadNextMultiXactId();
	return MultiXactIdPrecedes(multi, tuples->next_multi);
}

/*
 * What became of the transaction that deleted a row version.
 */
static BloatFate
fate_of_deleter(BloatTuples *tuples, TransactionId xmax, bool known_committed)
{
	if (!known_committed)
	{
		if (!xid_sane(tuples, xmax))
			return BLOAT_DAMAGED;
		if (TransactionIdIsCurrentTransactionId(xmax) || TransactionIdIsInProgress(xmax) ||
			!TransactionIdDidCommit(xmax))
			return BLOAT_KEPT;
	}
	return TransactionIdPrecedes(xmax, tuples->horizon) ? BLOAT_DEAD : BLOAT_RECENT;
}

/*
 * Would a rewrite keep this row version?
 */
BloatFate
bloat_tuple_fate(BloatTuples *tuples, HeapTupleHeader tuple)
{
	uint16		infomask = tuple->t_infomask;
	TransactionId xid;

	if (!HeapTupleHeaderXminCommitted(tuple))
	{
		if (HeapTupleHeaderXminInvalid(tuple))
			return BLOAT_DEAD;
		xid = HeapTupleHeaderGetRawXmin(tuple);
		if (infomask & HEAP_MOVED)
			return BLOAT_KEPT;	/* from before 9.0 */
		if (!xid_sane(tuples, xid))
			return BLOAT_DAMAGED;
		if (TransactionIdIsCurrentTransactionId(xid) || TransactionIdIsInProgress(xid))
			return BLOAT_KEPT;
		if (!TransactionIdDidCommit(xid))
			return BLOAT_DEAD;
	}
	if ((infomask & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(infomask))
		return BLOAT_KEPT;
	xid = HeapTupleHeaderGetRawXmax(tuple);
	if (infomask & HEAP_XMAX_IS_MULTI)
	{
		if (HEAP_LOCKED_UPGRADED(infomask))
			return BLOAT_KEPT;
		if (!multi_sane(tuples, xid))
			return BLOAT_DAMAGED;
		xid = HeapTupleGetUpdateXid(tuple);
		return TransactionIdIsValid(xid) ? fate_of_deleter(tuples, xid, false) : BLOAT_KEPT;
	}
	return fate_of_deleter(tuples, xid, (infomask & HEAP_XMAX_COMMITTED) != 0);
}

/*
 * Walk the stored attributes up to natts of a tuple; where dropped ones have
 * values, *emptied becomes true, and the length of the data without them is
 * returned.  Negative: the tuple makes no sense.
 */
static int
data_without_dropped(BloatTuples *tuples, HeapTupleHeader tuple, int length, int natts, bool *emptied)
{
	const uint8 *nulls = (tuple->t_infomask & HEAP_HASNULL) ? tuple->t_bits : NULL;
	char	   *data = (char *) tuple + tuple->t_hoff;
	int			room = length - tuple->t_hoff;
	int			from = 0;
	int			to = 0;

	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(tuples->desc, i);
		int			size;

		if (nulls != NULL && att_isnull(i, nulls))
			continue;
		if (attr->attlen == -1)
		{
			/* a byte of padding, or of a length */
			if (from >= room)
				return -1;
			from = att_align_pointer(from, attr->attalign, -1, data + from);
			if (from >= room)
				return -1;
			if (VARATT_IS_1B_E(data + from))
				size = from + VARHDRSZ_EXTERNAL <= room && VARTAG_EXTERNAL(data + from) == VARTAG_ONDISK ?
					VARSIZE_EXTERNAL(data + from) : room + 1;
			else if (VARATT_IS_1B(data + from))
				size = VARSIZE_1B(data + from);
			else
				size = from + VARHDRSZ <= room ? VARSIZE_4B(data + from) : room + 1;
		}
		else if (attr->attlen == -2)
			size = strnlen(data + from, room - from) + 1;
		else
		{
			from = att_align_nominal(from, attr->attalign);
			size = attr->attlen;
		}
		if (size <= 0 || size > room - from)
			return -1;
		if (attr->attisdropped)
			*emptied = true;
		else
		{
			if (attr->attlen != -1 || VARATT_IS_4B(data + from))
				to = att_align_nominal(to, attr->attalign);
			to += size;
		}
		from += size;
	}
	return to;
}

/*
 * Length of a tuple, now length bytes, after a rewrite; negative: it makes
 * no sense.  Header and length were checked.
 */
int
bloat_tuple_rewritten(BloatTuples *tuples, HeapTupleHeader tuple, int length)
{
	int			stored = HeapTupleHeaderGetNatts(tuple);
	int			natts = tuples->desc->natts;
	bool		has_null = (tuple->t_infomask & HEAP_HASNULL) != 0;
	int			data = length - tuple->t_hoff;

	if (stored == natts && !tuples->dropped)
		return length;
	if (stored > natts)
		return -1;
	if (tuples->dropped)
	{
		data = data_without_dropped(tuples, tuple, length, stored, &has_null);
		if (data < 0)
			return -1;
	}
	for (int i = stored; i < natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(tuples->desc, i);
		AttrMissing *missing = tuples->desc->constr ? tuples->desc->constr->missing : NULL;

		if (!attr->attisdropped && attr->atthasmissing && missing != NULL && missing[i].am_present)
		{
			Datum		value = missing[i].am_value;

			if (attr->attlen == -1 && attr->attstorage != TYPSTORAGE_PLAIN &&
				VARATT_CAN_MAKE_SHORT(DatumGetPointer(value)))
				data += VARATT_CONVERTED_SHORT_SIZE(DatumGetPointer(value));
			else
			{
				data = att_align_datum(data, attr->attalign, attr->attlen, value);
				data = att_addlength_datum(data, attr->attlen, value);
			}
		}
		else
			has_null = true;
	}
	return MAXALIGN(SizeofHeapTupleHeader + (has_null ? BITMAPLEN(natts) : 0)) + data;
}
