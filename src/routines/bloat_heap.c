/*-------------------------------------------------------------------------
 *
 * bloat_heap.c
 *	  How much smaller VACUUM FULL would make a heap: tables, materialized
 *	  views, toast.
 *
 * The row versions of the sampled pages that a rewrite would keep are packed
 * again, one after another, as raw_heap_insert() of rewriteheap.c would: into
 * pages filled up to the fillfactor, each tuple aligned, with its line
 * pointer.  So what is lost at the end of pages is counted as it will be.
 * Toast is written value by value, where the pages as they are may hold a
 * last chunk from anywhere in a gap: packed are the values whose last chunk
 * is in the sample, each with as many whole chunks as came before it.
 *
 * Free space plus dead tuples, as pgstattuple shows them, is not what a
 * rewrite gives back; that figure is kept beside it for comparison.
 *
 * The caller holds AccessShareLock.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "core/stream.h"
#include "routines/bloat.h"

/* what a page offers to tuples and their line pointers */
#define HEAP_ROOM (BLCKSZ - SizeOfPageHeaderData)

/* share of the loss at the end of pages that another order may change */
#define HEAP_ORDER 0.07
#define TOAST_ORDER 0.03

/* a tuple of toast: chunk_id, chunk_seq, and chunk_data with its length */
#define TOAST_TUPLE ((int) (MAXALIGN(SizeofHeapTupleHeader) + 2 * sizeof(int32) + VARHDRSZ))
#define TOAST_WHOLE ((int) MAXALIGN(TOAST_TUPLE + TOAST_MAX_CHUNK_SIZE))
#define TOAST_PER_PAGE ((int) (HEAP_ROOM / (TOAST_WHOLE + sizeof(ItemIdData))))

typedef struct HeapState
{
	BloatTuples tuples;
	bool		toast;
	int			reserved;		/* by the fillfactor */
	int			room;			/* left on the page that is packed now */
	bool		packing;		/* there is such a page */
	double		packed_pages;	/* finished ones */
	double		packed_bytes;	/* on them */
	double		open_bytes;		/* on the one that is packed now */
	double		kept_bytes;
	double		recent_bytes;
	BloatEntries entries;
} HeapState;

static void
heap_reset(void *arg)
{
	HeapState  *heap = arg;

	heap->packing = false;
	heap->packed_pages = heap->packed_bytes = heap->open_bytes = 0;
	heap->kept_bytes = heap->recent_bytes = 0;
	heap->entries.live = heap->entries.dead = 0;
}

/*
 * Write one tuple of aligned length into the rewritten heap.
 */
static void
pack(HeapState *heap, int length)
{
	int			need = length + sizeof(ItemIdData);

	if (heap->packing && need + heap->reserved > heap->room)
	{
		heap->packed_pages++;
		heap->packed_bytes += heap->open_bytes;
		heap->packing = false;
	}
	if (!heap->packing)
	{
		heap->room = HEAP_ROOM;
		heap->open_bytes = 0;
		heap->packing = true;
	}
	heap->room -= need;
	heap->open_bytes += need;
}

/*
 * Write so many tuples of one aligned length: as many at a time as fit.
 */
static void
pack_run(HeapState *heap, int length, int tuples)
{
	int			need = length + sizeof(ItemIdData);

	while (tuples > 0)
	{
		int			fit = heap->packing && heap->room > heap->reserved ? Min((heap->room - heap->reserved) / need, tuples) : 0;

		heap->room -= fit * need;
		heap->open_bytes += fit * need;
		tuples -= fit;
		/* on the next page */
		if (tuples > 0)
		{
			pack(heap, length);
			tuples--;
		}
	}
}

/*
 * Write the value of toast whose last chunk this is.
 */
static void
pack_value(HeapState *heap, HeapTupleHeader tuple, int length)
{
	int32		before;

	if (length < TOAST_TUPLE || MAXALIGN(length) >= TOAST_WHOLE)
		return;
	memcpy(&before, (char *) tuple + tuple->t_hoff + sizeof(int32), sizeof(int32));
	if (before < 0 || before > MaxAllocSize / TOAST_MAX_CHUNK_SIZE)
		return;
	/* a long one fills many pages all the same */
	if (before > 4 * TOAST_PER_PAGE)
	{
		int			pages = before / TOAST_PER_PAGE - 2;

		heap->packed_pages += pages;
		heap->packed_bytes += (double) pages * TOAST_PER_PAGE * (TOAST_WHOLE + sizeof(ItemIdData));
		before -= pages * TOAST_PER_PAGE;
	}
	for (int i = 0; i < before; i++)
		pack(heap, TOAST_WHOLE);
	pack(heap, MAXALIGN(length));
}

/*
 * The tuple that a line pointer points to; NULL: it cannot be one.
 */
static HeapTupleHeader
tuple_at(Page page, ItemId item)
{
	PageHeader	header = (PageHeader) page;
	uint32		offset = ItemIdGetOffset(item);
	uint32		length = ItemIdGetLength(item);
	HeapTupleHeader tuple;

	if (offset < header->pd_upper || offset + length > header->pd_special ||
		offset != MAXALIGN(offset) || length < SizeofHeapTupleHeader)
		return NULL;
	tuple = (HeapTupleHeader) PageGetItem(page, item);
	if (tuple->t_hoff < SizeofHeapTupleHeader || tuple->t_hoff > length ||
		tuple->t_hoff != MAXALIGN(tuple->t_hoff))
		return NULL;
	if ((tuple->t_infomask & HEAP_HASNULL) &&
		tuple->t_hoff < SizeofHeapTupleHeader + BITMAPLEN(HeapTupleHeaderGetNatts(tuple)))
		return NULL;
	return tuple;
}

/*
 * Count one stored row version; false: it makes no sense.
 */
static bool
read_tuple(HeapState *heap, HeapTupleHeader tuple, int length, bool all_visible, BloatPage *result)
{
	BloatFate	fate = all_visible ? BLOAT_KEPT : bloat_tuple_fate(&heap->tuples, tuple);
	int			aligned;

	if (fate == BLOAT_DAMAGED)
		return false;
	if (fate == BLOAT_DEAD)
	{
		result->dead += MAXALIGN(length) + sizeof(ItemIdData);
		result->unused += length;
		if (HeapTupleHeaderIsHotUpdated(tuple))
			heap->entries.live += HeapTupleHeaderIsHeapOnly(tuple) ? 0 : 1;
		else
			heap->entries.dead += HeapTupleHeaderIsHeapOnly(tuple) ? 0 : 1;
		return true;
	}
	if (!HeapTupleHeaderIsHeapOnly(tuple))
		heap->entries.live++;
	length = bloat_tuple_rewritten(&heap->tuples, tuple, length);
	if (length < 0)
		return false;
	aligned = MAXALIGN(length);
	if (aligned + sizeof(ItemIdData) > HEAP_ROOM)
		return false;
	if (heap->toast)
		pack_value(heap, tuple, length);
	else
		pack(heap, aligned);
	result->kept += aligned + sizeof(ItemIdData);
	if (fate == BLOAT_RECENT)
	{
		heap->recent_bytes += aligned + sizeof(ItemIdData);
		result->unused += length;
	}
	return true;
}

/*
 * Does a page look as if a rewrite kept all its tuples as they are?  Some
 * are looked at: the rest of such a page need not be fetched into the processor.
 */
static bool
is_plain(HeapState *heap, Page page, int items)
{
	int			natts = heap->tuples.desc->natts;
	int			looked = 0;

	if (heap->toast || heap->tuples.dropped || !PageIsAllVisible(page))
		return false;
	for (int i = FirstOffsetNumber, n = 0; i <= items; i += bloat_step(n++, false))
		stream_prefetch((char *) page + ItemIdGetOffset(PageGetItemId(page, i)));
	for (int i = FirstOffsetNumber, n = 0; i <= items; i += bloat_step(n++, false))
	{
		ItemId		item = PageGetItemId(page, i);
		HeapTupleHeader tuple;

		if (!ItemIdIsNormal(item))
			continue;
		tuple = tuple_at(page, item);
		if (tuple == NULL || HeapTupleHeaderGetNatts(tuple) != natts)
			return false;
		looked++;
	}
	return looked > 0;
}

/*
 * Pack the tuples of a plain page, by the length of its items.  Of each chain
 * of versions only one is left: what a redirection is for the indexes, is its
 * tuple without being one of theirs.
 */
static bool
read_plain(HeapState *heap, Page page, int items, BloatPage *result)
{
	PageHeader	header = (PageHeader) page;
	int			upper = header->pd_upper;
	int			stored = 0;
	int			kept = 0;
	int			live = 0;
	int			length = 0;		/* of the tuples of the run, aligned */
	int			run = 0;

	for (int i = FirstOffsetNumber; i <= items; i++)
	{
		ItemIdData	item = *PageGetItemId(page, i);

		if (item.lp_flags != LP_NORMAL)
		{
			if (item.lp_flags == LP_DEAD)
				heap->entries.dead++;
			continue;
		}
		stored += item.lp_len;
		if (item.lp_off < upper || item.lp_off + item.lp_len > BLCKSZ || stored > BLCKSZ ||
			item.lp_off != MAXALIGN(item.lp_off) || item.lp_len < SizeofHeapTupleHeader)
			return false;
		if (MAXALIGN(item.lp_len) != length)
		{
			pack_run(heap, length, run);
			length = MAXALIGN(item.lp_len);
			run = 0;
		}
		run++;
		live++;
		kept += length + sizeof(ItemIdData);
	}
	pack_run(heap, length, run);
	heap->entries.live += live;
	result->kept += kept;
	return true;
}

static void
heap_read(void *arg, Page page, BlockNumber block, BloatPage *result)
{
	HeapState  *heap = arg;
	bool		all_visible;
	int			items;
	int			stored = 0;

	result->usable = BLCKSZ;
	if (PageIsNew(page))
	{
		result->unused = HEAP_ROOM;
		return;
	}
	if (!bloat_page_sane(page, 0))
	{
		result->damaged = true;
		return;
	}
	result->unused = PageGetFreeSpace(page);
	all_visible = PageIsAllVisible(page);
	items = PageGetMaxOffsetNumber(page);
	if (is_plain(heap, page, items))
	{
		result->damaged = !read_plain(heap, page, items, result);
		heap->kept_bytes += result->damaged ? 0 : result->kept;
		return;
	}
	for (int i = FirstOffsetNumber; i <= items; i++)
		stream_prefetch((char *) page + ItemIdGetOffset(PageGetItemId(page, i)));
	for (int i = FirstOffsetNumber; i <= items; i++)
	{
		ItemId		item = PageGetItemId(page, i);
		HeapTupleHeader tuple;

		if (!ItemIdIsNormal(item))
		{
			if (ItemIdIsDead(item))
				heap->entries.dead++;
			else if (ItemIdIsRedirected(item))
				heap->entries.live++;
			continue;
		}
		tuple = tuple_at(page, item);
		stored += ItemIdGetLength(item);
		/* more than fits: line pointers share their tuples */
		if (tuple == NULL || stored > BLCKSZ ||
			!read_tuple(heap, tuple, ItemIdGetLength(item), all_visible, result))
		{
			result->damaged = true;
			return;
		}
	}
	heap->kept_bytes += result->kept;
}

/*
 * Judge a heap; false: too much of the sample is damaged.  entries: what its
 * indexes point to, unless NULL.
 */
bool
bloat_heap(Relation rel, BloatSample *sample, BloatResult *result, BloatEntries *entries)
{
	HeapState	heap = {0};
	BloatReader reader = {heap_reset, heap_read, &heap};
	const BloatSums *sums = &sample->sums;
	double		per_page;
	double		after;
	double		loss;

	bloat_tuples_begin(&heap.tuples, rel);
	heap.toast = rel->rd_rel->relkind == RELKIND_TOASTVALUE;
	heap.reserved = RelationGetTargetPageFreeSpace(rel, HEAP_DEFAULT_FILLFACTOR);
	sample->rel = rel;
	sample->first = 0;
	if (!bloat_take(sample, &reader))
		return false;

	per_page = heap.packed_pages > 0 ? heap.packed_bytes / heap.packed_pages : HEAP_ROOM - heap.reserved;
	if (sample->complete && sums->damaged == 0 && !heap.toast)
		after = heap.packed_pages + (heap.packing ? 1 : 0);
	else
		after = ceil(sums->kept * sample->blocks / (sums->weight * per_page));

	result->ratio = Max(1 - after / sample->blocks, 0);
	/* how much is lost at the end of pages depends on the order of the rows */
	loss = sample->complete && !heap.toast ? 0 : 1 - per_page / (HEAP_ROOM - heap.reserved);
	result->model = Max(loss, 0) * (heap.toast ? TOAST_ORDER : HEAP_ORDER) * after / sample->blocks;
	result->half = bloat_half(sample, sums->d_kept, per_page, after / sample->blocks, result->model);
	result->dead_bytes = sums->dead / sums->weight * sample->blocks;
	result->lower_bound = heap.kept_bytes > 0 ? heap.recent_bytes / heap.kept_bytes : 0;
	result->unused = sums->unused / sums->usable;
	result->unused_half = bloat_half(sample, sums->d_unused, BLCKSZ, result->unused, 0);
	if (entries != NULL)
		*entries = heap.entries;
	return true;
}
