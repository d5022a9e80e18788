/*-------------------------------------------------------------------------
 *
 * wal_list.c
 *	  The WAL segments that an archive has.
 *
 * A million segments are 48 MB here, and a sort.  A segment of another size
 * than it should have is as good as missing, but the newest of a timeline may
 * be on its way.  The contents of a few are looked at (wal_header.c): of
 * all where they are few, else of those at which a range begins or ends and of
 * the newest.
 *
 * No catalogs, no locks.  Memory is the caller's context's.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "backup/wal.h"

/* so many are looked into, and so many of the newest where there are more */
#define LOOK_AT_ALL		2048
#define LOOK_AT_NEWEST	512

/* how long a file may take to arrive */
#define ARRIVES_WITHIN	300

WalList    *
wal_list_create(uint32 segment_size, uint64 system_identifier)
{
	WalList    *list = palloc0(sizeof(WalList));

	list->segment_size = segment_size;
	list->system_identifier = system_identifier;
	list->room = 1024;
	list->entries = palloc(list->room * sizeof(WalEntry));
	return list;
}

void
wal_list_add(WalList *list, const WalName *name, uint64 size, pg_time_t modified)
{
	WalEntry   *entry;

	if (list->count == list->room)
	{
		list->room *= 2;
		list->entries = repalloc_huge(list->entries, list->room * sizeof(WalEntry));
	}
	entry = &list->entries[list->count++];
	memset(entry, 0, sizeof(*entry));
	entry->segno = name->segno;
	entry->timeline = name->timeline;
	entry->partial = name->kind == WAL_PARTIAL;
	entry->with_checksum = name->with_checksum;
	entry->size = size;
	entry->modified = modified;
	/* encrypted by pgBackRest, it is a little longer */
	if (size == 0)
		entry->state = WAL_EMPTY;
	else if (name->compression == WAL_PLAIN &&
			 (name->with_checksum ? size < list->segment_size : size != list->segment_size))
		entry->state = WAL_OTHER_SIZE;
	/* a partial one may be of any size: how much is in it is not known */
	if (entry->partial && entry->state == WAL_OTHER_SIZE)
		entry->state = WAL_GOOD;
}

static int
compare(const void *a, const void *b)
{
	const WalEntry *x = a;
	const WalEntry *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->partial != y->partial)
		return x->partial ? 1 : -1;
	if (x->segno != y->segno)
		return x->segno < y->segno ? -1 : 1;
	/* of several files the one that is good counts, which comes last */
	return (x->state == WAL_GOOD) - (y->state == WAL_GOOD);
}

static bool
same_segment(const WalEntry *a, const WalEntry *b)
{
	return a->timeline == b->timeline && a->segno == b->segno && a->partial == b->partial;
}

/*
 * In order, each segment once.
 */
void
wal_list_sort(WalList *list)
{
	uint64		kept = 0;

	if (list->count == 0)
		return;
	qsort(list->entries, list->count, sizeof(WalEntry), compare);
	for (uint64 i = 1; i < list->count; i++)
	{
		WalEntry   *last = &list->entries[kept];
		WalEntry   *entry = &list->entries[i];

		if (!same_segment(last, entry))
			list->entries[++kept] = *entry;
		else
		{
			/* pgBackRest takes neither of two: their sums are not the same */
			if (last->with_checksum && entry->with_checksum)
				entry->state = WAL_TWICE;
			*last = *entry;
		}
	}
	list->count = kept + 1;
}

WalEntry   *
wal_list_find(WalList *list, uint32 timeline, uint64 segno, bool partial)
{
	WalEntry	key = {.segno = segno,.timeline = timeline,.partial = partial};
	uint64		low = 0;
	uint64		high = list->count;

	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;
		WalEntry   *entry = &list->entries[middle];

		if (same_segment(entry, &key))
			return entry;
		key.state = entry->state;
		if (compare(entry, &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool
is_newest(const WalList *list, uint64 i)
{
	return i + 1 == list->count || list->entries[i + 1].timeline != list->entries[i].timeline ||
		list->entries[i + 1].partial != list->entries[i].partial;
}

/*
 * The newest of a timeline may still be written.
 */
void
wal_list_settle(WalList *list)
{
	pg_time_t	now = (pg_time_t) time(NULL);

	for (uint64 i = 0; i < list->count; i++)
	{
		WalEntry   *entry = &list->entries[i];

		if ((entry->state == WAL_EMPTY || entry->state == WAL_OTHER_SIZE || entry->state == WAL_CUT_OFF) &&
			entry->size < list->segment_size && is_newest(list, i) &&
			entry->modified > now - ARRIVES_WITHIN)
			entry->state = WAL_ARRIVING;
	}
}

/*
 * Choose those whose contents are looked at.
 */
void
wal_list_sample(WalList *list)
{
	bool		all = list->count <= LOOK_AT_ALL;

	for (uint64 i = 0; i < list->count; i++)
	{
		WalEntry   *entry = &list->entries[i];
		WalEntry   *before = i > 0 ? entry - 1 : NULL;
		bool		begins = true;

		if (before != NULL && before->timeline == entry->timeline && before->partial == entry->partial)
			begins = before->segno + 1 != entry->segno;
		/* another size may be that of a compressed one */
		entry->look = all || begins || is_newest(list, i) || i + LOOK_AT_NEWEST >= list->count ||
			entry[1].segno != entry->segno + 1 || entry->state == WAL_OTHER_SIZE;
	}
}
