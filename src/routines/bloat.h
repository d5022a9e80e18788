/*-------------------------------------------------------------------------
 *
 * bloat.h
 *	  How much smaller a rewrite would make a relation.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_BLOAT_H
#define MAINTSCHED_BLOAT_H

#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"

/* what one page of a relation says, in bytes */
typedef struct BloatPage
{
	bool		damaged;		/* it makes no sense, and says nothing */
	double		kept;			/* what a rewrite would write again */
	double		dead;			/* what VACUUM would free */
	double		unused;			/* free or dead, as pgstattuple counts it */
	double		usable;			/* of so much */
} BloatPage;

/* sums over the sampled pages; d: squared differences of neighbours */
typedef struct BloatSums
{
	uint32		pages;
	uint32		damaged;
	BlockNumber damaged_block;	/* the first of them */
	double		weight;			/* pages that the judged ones stand for */
	double		kept;
	double		dead;
	double		unused;
	double		usable;
	double		spread;			/* sum of weight * (weight - 1) */
	double		d_kept;
	double		d_unused;
	double		d_usable;
	double		d_both;
	uint32		differences;
} BloatSums;

/* one way of reading pages: heap or btree */
typedef struct BloatReader
{
	void		(*reset) (void *state);
	void		(*read) (void *state, Page page, BlockNumber block, BloatPage *result);
	void	   *state;
} BloatReader;

/* a sample of a relation */
typedef struct BloatSample
{
	Relation	rel;
	BlockNumber first;			/* blocks before are no part of it */
	BlockNumber blocks;			/* size of the relation */
	uint32		wanted;			/* pages to look at */
	uint64		seed;
	BloatSums	sums;
	bool		complete;		/* every page was looked at */
} BloatSample;

/* what is found */
typedef struct BloatResult
{
	double		ratio;			/* share that a rewrite gives back */
	double		half;			/* half the width of its 95 % interval */
	double		model;			/* ... of it, what no larger sample makes less */
	double		dead_bytes;
	double		lower_bound;	/* share of entries whose rows are dead */
	double		unused;			/* share free or dead, as pgstattuple has it */
	double		unused_half;
} BloatResult;

/* what became of the row versions of a heap, for its indexes */
typedef struct BloatEntries
{
	double		live;
	double		dead;
} BloatEntries;

/* columns of bloat_sample() */
enum
{
	BLOAT_RELATION,
	BLOAT_STATE,
	BLOAT_SIZE,
	BLOAT_FILENODE,
	BLOAT_RATIO,
	BLOAT_BYTES,
	BLOAT_LOW,
	BLOAT_HIGH,
	BLOAT_DEAD_BYTES,
	BLOAT_LOWER_BOUND,
	BLOAT_PAGES,
	BLOAT_COMPLETE,
	BLOAT_UNUSED,
	BLOAT_UNUSED_HALF,
	BLOAT_DAMAGED_PAGES,
	BLOAT_DAMAGED_BLOCK,
	BLOAT_MESSAGE,
	BLOAT_COLUMNS
};

/* what words are made of */
typedef struct BloatFacts
{
	const char *state;
	const char *kind;
	const char *access_method;
	int64		size;
	double		lower_bound;
	int			sampled;
	int			damaged;
	int64		damaged_block;
} BloatFacts;

/* bloat_words.c */
extern char *bloat_detail(const BloatFacts *facts);
extern const char *bloat_method(const char *state, bool complete, double lower_bound);

/* bloat.c */
extern const char *bloat_look(Oid relid, int32 pages, Datum *values, bool *nulls);

/*
 * Of the items of a page about every seventh is looked at, to tell whether the
 * rest is as plain as it seems, or one in thirty where no page before had any
 * that was not; rows come and go in patterns, so these do not.
 */
static inline int
bloat_step(int n, bool sparse)
{
	static const int steps[] = {6, 7, 9, 29, 31, 27};

	return steps[n % 3 + (sparse ? 3 : 0)];
}

/* bloat_sample.c */
extern bool bloat_is_damage(int sqlerrcode);
extern bool bloat_take(BloatSample *sample, BloatReader *reader);
extern double bloat_half(const BloatSample *sample, double squares, double scale, double mean, double model);
extern bool bloat_page_sane(Page page, Size special);

/* bloat_tuple.c */
typedef enum BloatFate
{
	BLOAT_KEPT,
	BLOAT_RECENT,				/* dead, and perhaps seen by somebody still */
	BLOAT_DEAD,
	BLOAT_DAMAGED
} BloatFate;

typedef struct BloatTuples
{
	TransactionId horizon;		/* what was deleted before is dead to all */
	TransactionId oldest;		/* there is none older in this relation */
	TransactionId next;			/* there is none from here on */
	MultiXactId oldest_multi;
	MultiXactId next_multi;
	TupleDesc	desc;
	bool		dropped;		/* there are dropped columns */
	bool		missing;		/* ... and columns added with a default */
} BloatTuples;

extern void bloat_tuples_begin(BloatTuples *tuples, Relation rel);
extern BloatFate bloat_tuple_fate(BloatTuples *tuples, HeapTupleHeader tuple);
extern int	bloat_tuple_rewritten(BloatTuples *tuples, HeapTupleHeader tuple, int length);

/* bloat_heap.c, bloat_btree.c */
extern bool bloat_heap(Relation rel, BloatSample *sample, BloatResult *result, BloatEntries *entries);
extern bool bloat_btree(Relation rel, BloatSample *sample, BloatResult *result);

#endif							/* MAINTSCHED_BLOAT_H */
