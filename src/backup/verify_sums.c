/*-------------------------------------------------------------------------
 *
 * verify_sums.c
 *	  The checksums of all files of a backup.
 *
 * Files whose presence or size is wrong are not read, nor those for which the
 * manifest has no checksum, as pg_verifybackup does.  The large ones come first,
 * the largest in front, so that in the end no process is left alone with one;
 * then the others as the manifest has them.
 *
 * Runs in the backend that verifies; verify_share.c tells who helps it.  An
 * error or a cancel closes what is open here, and the workers stop.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "backup/verify.h"

#define LARGE_FILE (1024 * 1024)

/* work for which it is not worth to start another process */
#define SMALL_BYTES ((uint64) 32 * 1024 * 1024)
#define SMALL_FILES 4000

/* the settings */
int			verify_workers = 2;
int			verify_rate_kb = 0;

/* which entries are still to be read */
typedef struct Queue
{
	VerifyStore *store;
	VerifyPlace *place;
	uint32	   *large;			/* positions */
	int			nlarge;
	int			at;				/* in them */
	uint32		position;		/* of the others */
	VerifyEntry *entry;			/* the next one, of current */
	uint32		current;
} Queue;

static bool
is_to_be_read(const VerifyPlace *place, const VerifyEntry *entry)
{
	return entry->base != VERIFY_NOT_FOUND && !entry->bad && entry->algorithm != CHECKSUM_TYPE_NONE &&
		!verify_ignored(place, entry->path);
}

static int
compare_sizes(const void *a, const void *b, void *store)
{
	uint64		left = verify_store_at(store, *(const uint32 *) a)->size;
	uint64		right = verify_store_at(store, *(const uint32 *) b)->size;

	return left > right ? -1 : left < right;
}

/*
 * Make the queue; totals of all that is in it.
 */
static void
begin_queue(Queue *queue, VerifyPlace *place, VerifyStore *store, VerifyTotals *totals)
{
	VerifyEntry *entry;
	uint32		position = 0;
	uint32		here = 0;
	int			max_large = 64;

	memset(queue, 0, sizeof(Queue));
	queue->store = store;
	queue->place = place;
	queue->large = palloc(max_large * sizeof(uint32));
	while ((entry = verify_store_next(store, &position)) != NULL)
	{
		if (entry->base != VERIFY_NOT_FOUND)
			totals->algorithms |= 1U << entry->algorithm;
		if (entry->base != VERIFY_NOT_FOUND && entry->algorithm == CHECKSUM_TYPE_NONE)
			totals->unsummed++;
		if (is_to_be_read(place, entry))
		{
			totals->files++;
			totals->bytes += entry->size;
			if (entry->size >= LARGE_FILE)
			{
				if (queue->nlarge >= max_large)
				{
					max_large *= 2;
					queue->large = repalloc_huge(queue->large, max_large * sizeof(uint32));
				}
				queue->large[queue->nlarge++] = here;
			}
		}
		here = position;
	}
	qsort_arg(queue->large, queue->nlarge, sizeof(uint32), compare_sizes, store);
}

/*
 * The next entry, which stays the next one until it is taken.
 */
static VerifyEntry *
peek(Queue *queue)
{
	if (queue->entry == NULL && queue->at < queue->nlarge)
	{
		queue->current = queue->large[queue->at++];
		queue->entry = verify_store_at(queue->store, queue->current);
	}
	while (queue->entry == NULL)
	{
		VerifyEntry *entry;

		queue->current = queue->position;
		entry = verify_store_next(queue->store, &queue->position);
		if (entry == NULL)
			return NULL;
		if (entry->size < LARGE_FILE && is_to_be_read(queue->place, entry))
			queue->entry = entry;
	}
	return queue->entry;
}

/*
 * Lay out as many items as there is room for; how many.
 */
static int
lay_out(Queue *queue, VerifyShared *shared, VerifyReport *report)
{
	uint32		used = 0;
	int			n = 0;
	VerifyEntry *entry;

	while (n < VERIFY_BATCH && (entry = peek(queue)) != NULL)
	{
		VerifyItem *item = &shared->items[n];
		char		below[MANIFEST_MAX_PATH + 1];
		int			root;
		size_t		length;

		if (!verify_location(queue->place, entry, &root, below))
		{
			verify_problem(report, "unreadable", entry->path, entry->path_length, "%s", strerror(ENAMETOOLONG));
			queue->entry = NULL;
			continue;
		}
		length = strlen(below) + 1;
		if (used + length > VERIFY_BATCH_TEXT)
			break;
		memset(item, 0, sizeof(VerifyItem));
		item->size = entry->size;
		item->position = queue->current;
		item->text = used;
		item->root = root;
		item->algorithm = entry->algorithm;
		item->sum_length = entry->sum_length;
		memcpy(item->sum, verify_entry_sum(entry), entry->sum_length);
		item->result = VERIFY_PENDING;
		memcpy(shared->text +used, below, length);
		used += length;
		queue->entry = NULL;
		n++;
	}
	return n;
}

/*
 * Report what was found of a file: got bytes of it were read.
 */
void
verify_report_result(VerifyReport *report, const VerifyEntry *entry, VerifyResult result, uint64 got, int error)
{
	const char *algorithm = pg_checksum_type_name(entry->algorithm);
	const char *kind = "checksum";
	char		detail[256];

	switch (result)
	{
		case VERIFY_GOOD:
			return;
		case VERIFY_UNREADABLE:
			kind = "unreadable";
			snprintf(detail, sizeof(detail), "%s", strerror(error));
			break;
		case VERIFY_OTHER_SIZE:
			kind = "size";
			snprintf(detail, sizeof(detail), "it had %s bytes when it was read than in the manifest, which says " UINT64_FORMAT,
					 got > entry->size ? "more" : "fewer", entry->size);
			break;
		case VERIFY_OTHER_SUM:
			snprintf(detail, sizeof(detail), "its %s is not the one in the manifest", algorithm);
			break;
		case VERIFY_SUM_LENGTH:
			snprintf(detail, sizeof(detail), "the manifest has a checksum of %d bytes, which is no %s",
					 entry->sum_length, algorithm);
			break;
		default:
			snprintf(detail, sizeof(detail), "its %s could not be computed", algorithm);
	}
	verify_problem(report, kind, entry->path, entry->path_length, "%s", detail);
}

static void
read_item(VerifyReader *reader, VerifyShared *shared, int number)
{
	VerifyItem *item = &shared->items[number];

	/* only where this process is itself a worker that is asked to end */
	if (!verify_file(reader, item, shared->text +item->text))
		ereport(ERROR,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("the verification was stopped: the process is asked to end")));
}

/*
 * Read a batch, with all who help.
 */
static void
read_batch(VerifyReader *reader, VerifyShared *shared, int nitems)
{
	int			number;

	verify_offer(shared, nitems);
	while ((number = verify_take(shared)) >= 0)
	{
		read_item(reader, shared, number);
		verify_done(shared);
	}
	verify_wait(shared);
	/* what a worker has left */
	for (int i = 0; i < nitems; i++)
		if (shared->items[i].result == VERIFY_PENDING)
			read_item(reader, shared, i);
}

/*
 * Compare all files that were found with their checksums.
 */
void
verify_sums(VerifyPlace *place, VerifyStore *store, VerifyReport *report, VerifyTotals *totals)
{
	Queue		queue;
	VerifyTeam *team;
	VerifyShared *shared;
	VerifyReader reader;
	bool		small;
	int			n;

	begin_queue(&queue, place, store, totals);
	verify_progress(VERIFY_SUMMING, 0, totals->bytes);
	small = totals->bytes < SMALL_BYTES && totals->files < SMALL_FILES;
	team = verify_team(&place->roots, small ? 1 : verify_workers, (uint64) verify_rate_kb * 1024);
	shared = verify_team_shared(team);
	totals->processes = verify_team_size(team);

	verify_reader_init(&reader, &place->roots);
	reader.pace = verify_pace;
	reader.arg = shared;
	PG_TRY();
	{
		while ((n = lay_out(&queue, shared, report)) > 0)
		{
			read_batch(&reader, shared, n);
			for (int i = 0; i < n; i++)
			{
				const VerifyItem *item = &shared->items[i];

				verify_report_result(report, verify_store_at(store, item->position), item->result, item->got, item->error);
			}
		}
	}
	PG_FINALLY();
	{
		verify_reader_close(&reader);
	}
	PG_END_TRY();
	pfree(reader.memory);
	pfree(queue.large);
	verify_team_end(team);
}
