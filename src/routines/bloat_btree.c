/*-------------------------------------------------------------------------
 *
 * bloat_btree.c
 *	  How much smaller REINDEX would make a btree.
 *
 * The entries of the sampled leaf pages are loaded again, one after another,
 * as _bt_load() and _bt_buildadd() of nbtsort.c would: pages filled up to the
 * fillfactor, and, where the index deduplicates, neighbours of equal key
 * gathered in posting lists of at most a tenth of a page.  Posting lists are
 * opened first: those that grew by insertion are shorter or longer than those
 * that a build makes.  Upper levels follow from the size of the high keys.
 *
 * Of a key whose entries go on beyond its page (the high key then has a heap
 * tid) the last posting list is not closed at the end of it, but with the
 * first key of the page that is sampled next: of each such cut there are two
 * sides in the index.
 *
 * An index does not know which rows are dead, unless somebody marked the
 * entry.  Where the table is not vacuumed, REINDEX gives back more; of how many
 * entries, is for the caller to say, who holds AccessShareLock.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/itup.h"
#include "access/nbtree.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "core/stream.h"
#include "routines/bloat.h"

#define BTREE_SPECIAL MAXALIGN(sizeof(BTPageOpaqueData))
/* of an empty page, after the line pointer of its high key */
#define BTREE_ROOM ((int) (BLCKSZ - SizeOfPageHeaderData - BTREE_SPECIAL - sizeof(ItemIdData)))
/* limit of posting lists in a build: see _bt_load() */
#define BTREE_POSTING ((int) (MAXALIGN_DOWN((BLCKSZ * 10 / 100)) - sizeof(ItemIdData)))

typedef struct BtreeState
{
	bool		deduplicate;
	bool		unique;
	int			reserved;		/* by the fillfactor */
	bool		mixed;			/* a page was seen that is not plain */

	/* the page that is loaded now */
	int			room;
	int			items;
	int			last;			/* size of the last item on it */
	int			last_extra;		/* ... of which this is a posting list */
	double		open_bytes;
	bool		last_again;		/* its key is that of the item before */
	double		loaded_pages;	/* finished ones */
	double		loaded_bytes;	/* on them */
	double		loaded_tids;	/* of their high keys, those with a heap tid */

	/* equal keys not loaded yet, after items of one size */
	int			key_size;
	int			tids;
	bool		begun;			/* some of them are loaded */
	int			run_size;
	int			run;

	/* high keys as they are, without and with their heap tids */
	double		high_keys;
	double		high_key_bytes;
	double		high_key_tids;
} BtreeState;

static void
new_page(BtreeState *tree)
{
	tree->room = BTREE_ROOM;
	tree->items = tree->last = tree->last_extra = 0;
	tree->last_again = false;
	tree->open_bytes = 0;
}

static void
btree_reset(void *arg)
{
	BtreeState *tree = arg;

	new_page(tree);
	tree->loaded_pages = tree->loaded_bytes = tree->loaded_tids = 0;
	tree->begun = tree->mixed = false;
	tree->key_size = tree->tids = tree->run_size = tree->run = 0;
	tree->high_keys = tree->high_key_bytes = tree->high_key_tids = 0;
}

/*
 * _bt_buildadd() for a leaf: a page is finished when it is full, and its last
 * item becomes the first one of the next, leaving a high key behind.
 */
static void
load(BtreeState *tree, int size, int extra, bool again)
{
	int			space = tree->room - (int) sizeof(ItemIdData);

	if (space < size + (int) MAXALIGN(sizeof(ItemPointerData)) ||
		(space + tree->last_extra < tree->reserved && tree->items >= 2))
	{
		int			last = tree->last;

		/* counted where it ends up, like its bytes */
		tree->loaded_pages++;
		tree->loaded_tids += tree->last_again ? 1 : 0;
		tree->loaded_bytes += tree->open_bytes - (last + sizeof(ItemIdData));
		new_page(tree);
		if (last > 0)
		{
			tree->room -= last + sizeof(ItemIdData);
			tree->open_bytes += last + sizeof(ItemIdData);
			tree->items = 1;
		}
	}
	tree->room -= size + sizeof(ItemIdData);
	tree->open_bytes += size + sizeof(ItemIdData);
	tree->items++;
	tree->last = size;
	tree->last_extra = extra;
	tree->last_again = again;
}

/*
 * Load the items of one size that were put off: as many at a time as fit.
 */
static void
load_run(BtreeState *tree)
{
	int			each = tree->run_size + sizeof(ItemIdData);
	int			least = Max(tree->run_size + (int) MAXALIGN(sizeof(ItemPointerData)), tree->reserved) +
	(int) sizeof(ItemIdData);

	while (tree->run > 0)
	{
		int			fit = tree->room >= least ? (tree->room - least) / each + 1 : 0;

		if (fit == 0 || tree->items < 2)
		{
			load(tree, tree->run_size, 0, false);
			tree->run--;
			continue;
		}
		fit = Min(fit, tree->run);
		tree->room -= fit * each;
		tree->open_bytes += (double) fit * each;
		tree->items += fit;
		tree->last = tree->run_size;
		tree->last_extra = 0;
		tree->last_again = false;
		tree->run -= fit;
	}
}

/*
 * So many items of one size are to be loaded.
 */
static void
put_off(BtreeState *tree, int size, int items)
{
	if (items > 0 && size != tree->run_size)
	{
		load_run(tree);
		tree->run_size = size;
	}
	tree->run += items;
}

/*
 * Load the pending key, but for the last posting list of one that goes on;
 * returns the bytes loaded.
 */
static double
load_key(BtreeState *tree, bool goes_on)
{
	int			most;
	double		bytes = 0;

	if (tree->tids == 0)
		return 0;
	if ((tree->tids == 1 && !tree->begun && !goes_on) || !tree->deduplicate)
	{
		put_off(tree, tree->key_size, tree->tids);
		bytes = (double) tree->tids * (tree->key_size + sizeof(ItemIdData));
		tree->tids = 0;
		return bytes;
	}
	load_run(tree);
	most = Max((MAXALIGN_DOWN(BTREE_POSTING) - tree->key_size) / (int) sizeof(ItemPointerData), 1);
	while (tree->tids > (goes_on ? most : 0))
	{
		int			tids = Min(tree->tids, most);
		int			size = tids > 1 ? MAXALIGN(tree->key_size + tids * sizeof(ItemPointerData)) : tree->key_size;

		load(tree, size, size - tree->key_size, tree->begun);
		tree->begun = true;
		bytes += size + sizeof(ItemIdData);
		tree->tids -= tids;
	}
	if (!goes_on)
		tree->begun = false;
	return bytes;
}

/*
 * The tuple of a line pointer; NULL: it cannot be one.
 */
static IndexTuple
tuple_at(Page page, ItemId item)
{
	PageHeader	header = (PageHeader) page;
	uint32		offset = ItemIdGetOffset(item);
	uint32		length = ItemIdGetLength(item);
	IndexTuple	tuple;

	if (offset < header->pd_upper || offset + length > header->pd_special ||
		offset != MAXALIGN(offset) || length < sizeof(IndexTupleData))
		return NULL;
	tuple = (IndexTuple) PageGetItem(page, item);
	if (IndexTupleSize(tuple) > length || IndexTupleSize(tuple) < sizeof(IndexTupleData))
		return NULL;
	if (BTreeTupleIsPosting(tuple) &&
		(BTreeTupleGetPostingOffset(tuple) < sizeof(IndexTupleData) ||
		 BTreeTupleGetNPosting(tuple) < 1 ||
		 BTreeTupleGetPostingOffset(tuple) + BTreeTupleGetNPosting(tuple) * sizeof(ItemPointerData) >
		 IndexTupleSize(tuple)))
		return NULL;
	return tuple;
}

/*
 * Have two entries the same key, byte for byte?
 */
static bool
same_key(IndexTuple one, IndexTuple other, int key_size)
{
	if (((one->t_info ^ other->t_info) & INDEX_NULL_MASK) != 0)
		return false;
	if (key_size == sizeof(IndexTupleData) + sizeof(uint64))
		return *(const uint64 *) (one + 1) == *(const uint64 *) (other + 1);
	return memcmp((char *) one + sizeof(IndexTupleData), (char *) other + sizeof(IndexTupleData),
				  key_size - sizeof(IndexTupleData)) == 0;
}

/*
 * Count the high key of a leaf page; *cut: the key before it goes on beyond.
 * False: it makes no sense.
 */
static bool
read_high_key(BtreeState *tree, Page page, bool *cut)
{
	IndexTuple	high = tuple_at(page, PageGetItemId(page, P_HIKEY));

	if (high == NULL)
		return false;
	*cut = BTreeTupleIsPivot(high) &&
		(ItemPointerGetOffsetNumberNoCheck(&high->t_tid) & BT_PIVOT_HEAP_TID_ATTR) != 0;
	tree->high_keys++;
	tree->high_key_bytes += MAXALIGN(IndexTupleSize(high));
	tree->high_key_tids += *cut ? 1 : 0;
	return true;
}

/*
 * Does a leaf page look as if it had neither posting lists nor, where that
 * matters, equal keys?  Some pairs of neighbours are looked at, more from the
 * first page on that does not: the rest need not be fetched into the processor.
 */
static bool
is_plain(BtreeState *tree, Page page, int first, int items)
{
	for (int i = first, n = 0; i <= items; i += bloat_step(n++, !tree->mixed))
		stream_prefetch((char *) page + ItemIdGetOffset(PageGetItemId(page, i)));
	for (int i = first, n = 0; i <= items; i += bloat_step(n++, !tree->mixed))
	{
		IndexTuple	one = tuple_at(page, PageGetItemId(page, i));
		IndexTuple	other = i < items ? tuple_at(page, PageGetItemId(page, i + 1)) : one;

		if (one == NULL || other == NULL || BTreeTupleIsPosting(one) || BTreeTupleIsPosting(other))
			return false;
		if (tree->deduplicate && one != other && IndexTupleSize(one) == IndexTupleSize(other) &&
			same_key(one, other, IndexTupleSize(one)))
			return false;
	}
	return true;
}

/*
 * Load the entries of a plain leaf page, by the length of its items.
 */
static bool
read_plain(BtreeState *tree, Page page, int first, int items, BloatPage *result)
{
	int			upper = ((PageHeader) page)->pd_upper;
	int			stored = 0;
	int			kept = 0;
	int			dead = 0;
	int			size = 0;		/* of the items of the run */
	int			run = 0;

	result->kept += load_key(tree, false);
	for (int i = first; i <= items; i++)
	{
		ItemIdData	item = *PageGetItemId(page, i);
		int			length = item.lp_len;

		stored += length;
		if (length < sizeof(IndexTupleData) || stored > BLCKSZ || item.lp_off < upper)
			return false;
		if (item.lp_flags == LP_DEAD)
		{
			dead += length + sizeof(ItemIdData);
			continue;
		}
		if (MAXALIGN(length) != size)
		{
			put_off(tree, size, run);
			size = MAXALIGN(length);
			run = 0;
		}
		run++;
		kept += size + sizeof(ItemIdData);
	}
	put_off(tree, size, run);
	result->kept += kept;
	result->dead += dead;
	return true;
}

/*
 * Load the entries of a leaf page with posting lists or equal keys.
 */
static bool
read_keys(BtreeState *tree, Page page, int first, int items, bool cut, BloatPage *result)
{
	int			stored = 0;
	bool		other_side = tree->tids > 0;
	IndexTuple	key = NULL;

	for (int i = first; i <= items; i++)
	{
		ItemId		item = PageGetItemId(page, i);
		IndexTuple	tuple = tuple_at(page, item);
		int			key_size;
		int			tids = 1;

		stored += ItemIdGetLength(item);
		if (tuple == NULL || stored > BLCKSZ)
			return false;
		if (ItemIdIsDead(item))
		{
			result->dead += ItemIdGetLength(item) + sizeof(ItemIdData);
			continue;
		}
		key_size = MAXALIGN(IndexTupleSize(tuple));
		if (BTreeTupleIsPosting(tuple))
		{
			key_size = MAXALIGN(BTreeTupleGetPostingOffset(tuple));
			/* of the versions of a row a unique index keeps one */
			if (!tree->unique || IndexTupleHasNulls(tuple))
				tids = BTreeTupleGetNPosting(tuple);
		}
		if (!tree->deduplicate)
		{
			if (key_size != tree->key_size)
				result->kept += load_key(tree, false);
		}
		else if (other_side)
			other_side = false; /* of a cut */
		else if (key == NULL || key_size != tree->key_size || !same_key(key, tuple, key_size))
			result->kept += load_key(tree, false);
		key = tuple;
		tree->key_size = key_size;
		tree->tids += tids;
	}
	result->kept += load_key(tree, cut && tree->deduplicate);
	return true;
}

/*
 * Load the entries of a leaf page; false: it makes no sense.
 */
static bool
read_leaf(BtreeState *tree, Page page, BTPageOpaque opaque, BloatPage *result)
{
	int			first = P_FIRSTDATAKEY(opaque);
	int			items = PageGetMaxOffsetNumber(page);
	bool		cut = false;

	if (!P_RIGHTMOST(opaque) && (items < P_HIKEY || !read_high_key(tree, page, &cut)))
		return false;
	if (!cut && is_plain(tree, page, first, items))
		return read_plain(tree, page, first, items, result);
	tree->mixed = true;
	return read_keys(tree, page, first, items, cut, result);
}

static void
btree_read(void *arg, Page page, BlockNumber block, BloatPage *result)
{
	BtreeState *tree = arg;
	BTPageOpaque opaque;

	if (PageIsNew(page))
		return;
	if (!bloat_page_sane(page, BTREE_SPECIAL))
	{
		result->damaged = true;
		return;
	}
	opaque = BTPageGetOpaque(page);
	if (P_ISMETA(opaque))
		result->damaged = true;
	else if (P_ISLEAF(opaque) && !P_ISDELETED(opaque) && !P_ISHALFDEAD(opaque))
	{
		result->usable = BLCKSZ - BTREE_SPECIAL - SizeOfPageHeaderData;
		result->unused = PageGetFreeSpace(page);
		result->damaged = !read_leaf(tree, page, opaque, result);
	}
}

/*
 * Pages of an index with so many leaf pages.
 */
static double
with_upper_levels(const BtreeState *tree, double leaves)
{
	int			reserved = BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100;
	double		pages = 1 + leaves; /* one is the metapage */
	double		key = 16;
	double		fanout;

	/* which high keys need a heap tid depends on where pages end */
	if (tree->high_keys > 0)
	{
		double		tids = tree->deduplicate && tree->loaded_pages > 0 ?
		tree->loaded_tids / tree->loaded_pages : tree->high_key_tids / tree->high_keys;

		key = (tree->high_key_bytes - tree->high_key_tids * MAXALIGN(sizeof(ItemPointerData))) / tree->high_keys +
			tids * MAXALIGN(sizeof(ItemPointerData));
	}

	/* as in load(), where keys differ in length; the first has none */
	fanout = Max((BTREE_ROOM - reserved - sizeof(IndexTupleData) - 2 * sizeof(ItemIdData)) / (key + sizeof(ItemIdData)) + 0.5, 2);
	while (leaves > 1)
	{
		leaves = ceil(leaves / fanout);
		pages += leaves;
	}
	return pages;
}

/*
 * Judge a btree; false: too much of the sample is damaged.
 */
bool
bloat_btree(Relation rel, BloatSample *sample, BloatResult *result)
{
	BtreeState	tree = {0};
	BloatReader reader = {btree_reset, btree_read, &tree};
	const BloatSums *sums = &sample->sums;
	double		per_page;
	double		leaves;
	double		density;
	double		squares;

	tree.unique = rel->rd_index->indisunique;
	tree.deduplicate = BTGetDeduplicateItems(rel) && !tree.unique && _bt_allequalimage(rel, false);
	tree.reserved = BTGetTargetPageFreeSpace(rel);
	sample->rel = rel;
	sample->first = 1;
	if (!bloat_take(sample, &reader))
		return false;

	if (sample->complete)
		(void) load_key(&tree, false);
	load_run(&tree);
	per_page = tree.loaded_pages > 0 ? tree.loaded_bytes / tree.loaded_pages : BTREE_ROOM - tree.reserved;
	if (sample->complete && sums->damaged == 0)
		leaves = tree.loaded_pages + (tree.items > 0 ? 1 : 0);
	else
		leaves = ceil(sums->kept * (sample->blocks - 1) / (sums->weight * per_page));
	result->ratio = Max(1 - with_upper_levels(&tree, leaves) / sample->blocks, 0);
	result->half = bloat_half(sample, sums->d_kept, per_page, leaves / sample->blocks, 0);
	result->dead_bytes = sums->dead / sums->weight * (sample->blocks - 1);

	/* a ratio of two sums: the variance is that of unused - density * usable */
	density = sums->usable > 0 ? sums->unused / sums->usable : 0;
	squares = sums->d_unused - 2 * density * sums->d_both + density * density * sums->d_usable;
	result->unused = density;
	result->unused_half = sums->usable > 0 ?
		bloat_half(sample, Max(squares, 0), sums->usable / sums->weight, density, 0) : 1;
	return true;
}
