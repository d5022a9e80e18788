/*-------------------------------------------------------------------------
 *
 * verify_store.c
 *	  The files of a manifest, packed.
 *
 * A backup may have millions of files, so each takes what it needs and no more:
 * one record of its size, path and sum, some 60 bytes with CRC32C, in one piece
 * of memory that grows, and four bytes in a table by which it is found.  A
 * record is known by its position in eights of bytes.  Pointers to a record are
 * good until the next one is added.
 *
 * All of it is in the memory context of the caller, and goes with that.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "backup/verify.h"

#define UNIT 8

struct VerifyStore
{
	char	   *records;
	size_t		used;
	size_t		size;
	/* positions, plus one; 0: free.  A power of two, at most 3/4 full */
	uint32	   *slots;
	uint32		nslots;
	uint32		nrecords;
};

VerifyStore *
verify_store_create(void)
{
	VerifyStore *store = palloc0(sizeof(VerifyStore));

	store->size = 64 * 1024;
	store->records = palloc(store->size);
	store->nslots = 1024;
	store->slots = palloc0(store->nslots * sizeof(uint32));
	return store;
}

VerifyEntry *
verify_store_at(VerifyStore *store, uint32 position)
{
	return (VerifyEntry *) (store->records + (size_t) position * UNIT);
}

static size_t
record_size(const VerifyEntry *entry)
{
	return TYPEALIGN(UNIT, offsetof(VerifyEntry, path) + entry->path_length + 1 + entry->sum_length);
}

const uint8 *
verify_entry_sum(const VerifyEntry *entry)
{
	return (const uint8 *) entry->path + entry->path_length + 1;
}

/*
 * The slot of a path, or the free one where it belongs.
 */
static uint32
slot_of(VerifyStore *store, const char *path, size_t length)
{
	uint32		slot = hash_bytes((const unsigned char *) path, (int) length) & (store->nslots - 1);

	while (store->slots[slot] != 0)
	{
		const VerifyEntry *entry = verify_store_at(store, store->slots[slot] - 1);

		if (entry->path_length == length && memcmp(entry->path, path, length) == 0)
			break;
		slot = (slot + 1) & (store->nslots - 1);
	}
	return slot;
}

static void
grow_slots(VerifyStore *store)
{
	uint32		position = 0;

	pfree(store->slots);
	store->nslots *= 2;
	store->slots = MemoryContextAllocExtended(CurrentMemoryContext, (Size) store->nslots * sizeof(uint32),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	while ((size_t) position * UNIT < store->used)
	{
		const VerifyEntry *entry = verify_store_at(store, position);

		store->slots[slot_of(store, entry->path, entry->path_length)] = position + 1;
		position += record_size(entry) / UNIT;
	}
}

/*
 * Add a file; false: its path is there already.
 */
bool
verify_store_add(VerifyStore *store, const ManifestFile *file)
{
	size_t		needed = offsetof(VerifyEntry, path) + file->path_length + 1 + file->sum_length + UNIT;
	VerifyEntry *entry;
	uint32		slot;

	if (store->nrecords >= store->nslots / 4 * 3)
		grow_slots(store);
	slot = slot_of(store, file->path, file->path_length);
	if (store->slots[slot] != 0)
		return false;
	if (store->used / UNIT >= PG_UINT32_MAX - MANIFEST_MAX_PATH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the backup manifest names too many files")));
	if (store->used + needed > store->size)
	{
		store->size *= 2;
		store->records = repalloc_huge(store->records, store->size);
	}
	store->slots[slot] = (uint32) (store->used / UNIT) + 1;
	store->nrecords++;
	entry = (VerifyEntry *) (store->records + store->used);
	entry->size = file->size;
	entry->base = VERIFY_NOT_FOUND;
	entry->path_length = file->path_length;
	entry->algorithm = file->algorithm;
	entry->sum_length = file->sum_length;
	entry->bad = false;
	memcpy(entry->path, file->path, file->path_length);
	entry->path[file->path_length] = '\0';
	memcpy(entry->path + file->path_length + 1, file->sum, file->sum_length);
	store->used += record_size(entry);
	return true;
}

VerifyEntry *
verify_store_find(VerifyStore *store, const char *path, size_t length)
{
	uint32		position = store->slots[slot_of(store, path, length)];

	return position == 0 ? NULL : verify_store_at(store, position - 1);
}

/*
 * The record at *position, which begins with 0 and moves on; NULL: there are no
 * more.
 */
VerifyEntry *
verify_store_next(VerifyStore *store, uint32 *position)
{
	VerifyEntry *entry;

	if ((size_t) *position * UNIT >= store->used)
		return NULL;
	entry = verify_store_at(store, *position);
	*position += record_size(entry) / UNIT;
	return entry;
}
