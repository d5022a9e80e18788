/*-------------------------------------------------------------------------
 *
 * verify_share.c
 *	  Files that several processes read side by side.
 *
 * The backend that verifies lays out items in a piece of dynamic shared memory,
 * a batch at a time, and takes them one by one like the workers that it has
 * started; so it needs none of them, and a server without free slots only takes
 * longer.  Workers are dynamic background workers without a database: they look
 * up nothing, and run nothing but verify_file().  What they find stays in the
 * items.
 *
 * Invariants: items change while next < nitems or busy > 0 only by who has taken
 * them; the backend lays out new ones when neither is so.  An item that a worker
 * leaves, because it is ended or fails, stays pending, and the backend reads it
 * itself.  When the backend is done, cancelled or gone, its part of the shared
 * memory is detached, which tells the workers to stop; they look after each
 * block.  One spinlock, held for a few loads and stores.
 *
 * The rate is that of all together since the beginning: who is ahead of it waits.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "backup/verify.h"

struct VerifyTeam
{
	VerifyShared *shared;
	dsm_segment *segment;		/* NULL: this process is alone */
	int			nworkers;
	BackgroundWorkerHandle *workers[64];
};

PGDLLEXPORT void maintsched_verify_main(Datum arg);

/* of a worker: has it taken an item? */
static bool taken = false;

/*
 * The number of an item that this process is to read; -1: there is none now.
 */
int
verify_take(VerifyShared *shared)
{
	int			item = -1;

	SpinLockAcquire(&shared->mutex);
	if (!shared->stop && shared->next < shared->nitems)
	{
		item = shared->next++;
		shared->busy++;
	}
	SpinLockRelease(&shared->mutex);
	return item;
}

/*
 * It has read, or left, an item.
 */
void
verify_done(VerifyShared *shared)
{
	bool		last;

	SpinLockAcquire(&shared->mutex);
	shared->busy--;
	last = shared->busy == 0 && shared->next >= shared->nitems;
	SpinLockRelease(&shared->mutex);
	if (last)
		ConditionVariableBroadcast(&shared->changed);
}

/*
 * A new batch has been laid out.
 */
void
verify_offer(VerifyShared *shared, int nitems)
{
	SpinLockAcquire(&shared->mutex);
	Assert(shared->busy == 0 && shared->next >= shared->nitems);
	shared->nitems = nitems;
	shared->next = 0;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->changed);
}

static bool
is_busy(VerifyShared *shared)
{
	bool		busy;

	SpinLockAcquire(&shared->mutex);
	busy = shared->busy > 0;
	SpinLockRelease(&shared->mutex);
	return busy;
}

/*
 * Wait until all items that were taken are done.
 */
void
verify_wait(VerifyShared *shared)
{
	ConditionVariablePrepareToSleep(&shared->changed);
	while (is_busy(shared))
	{
		verify_progress(VERIFY_SUMMING, pg_atomic_read_u64(&shared->bytes), 0);
		(void) ConditionVariableTimedSleep(&shared->changed, 200, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

static bool
is_stopped(VerifyShared *shared)
{
	bool		stop;

	SpinLockAcquire(&shared->mutex);
	stop = shared->stop;
	SpinLockRelease(&shared->mutex);
	return stop || ShutdownRequestPending;
}

/*
 * A block has been read: wait as long as the rate asks for.  False: stop.
 */
bool
verify_pace(void *arg, size_t bytes)
{
	VerifyShared *shared = arg;
	uint64		total = pg_atomic_add_fetch_u64(&shared->bytes, bytes);

	verify_progress(VERIFY_SUMMING, total, 0);
	for (;;)
	{
		double		ahead;

		CHECK_FOR_INTERRUPTS();
		if (is_stopped(shared))
			return false;
		if (shared->rate == 0)
			return true;
		/* in milliseconds */
		ahead = total * 1000.0 / shared->rate - (GetCurrentTimestamp() - shared->started) / 1000.0;
		if (ahead < 1)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Min(ahead, 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/*
 * The backend is done, cancelled or gone.
 */
static void
tell_to_stop(dsm_segment *segment, Datum arg)
{
	VerifyShared *shared = (VerifyShared *) DatumGetPointer(arg);

	SpinLockAcquire(&shared->mutex);
	shared->stop = true;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->changed);
}

static void
give_back(dsm_segment *segment, Datum arg)
{
	if (taken)
		verify_done((VerifyShared *) DatumGetPointer(arg));
	taken = false;
}

static void
wake_up(int code, Datum arg)
{
	/* before the memory that it sleeps in goes away */
	ConditionVariableCancelSleep();
}

static bool
wait_for_items(VerifyShared *shared)
{
	bool		more = false;

	ConditionVariablePrepareToSleep(&shared->changed);
	while (!more && !is_stopped(shared))
	{
		SpinLockAcquire(&shared->mutex);
		more = shared->next < shared->nitems;
		SpinLockRelease(&shared->mutex);
		if (!more)
			(void) ConditionVariableTimedSleep(&shared->changed, 1000, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return more;
}

/*
 * What a worker does.
 */
void
maintsched_verify_main(Datum arg)
{
	dsm_segment *segment;
	VerifyShared *shared;
	VerifyRoots roots;
	VerifyReader reader;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	/* without a resource owner: attached as long as this process lives */
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		return;
	shared = dsm_segment_address(segment);
	on_dsm_detach(segment, give_back, PointerGetDatum(shared));
	before_shmem_exit(wake_up, (Datum) 0);
	/* contexts of checksums want one */
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "maintsched verify");

	roots.count = shared->nroots;
	for (int i = 0; i < roots.count; i++)
		roots.paths[i] = shared->text +shared->roots[i];
	verify_reader_init(&reader, &roots);
	reader.pace = verify_pace;
	reader.arg = shared;
	while (wait_for_items(shared))
	{
		int			number;

		while ((number = verify_take(shared)) >= 0)
		{
			VerifyItem *item = &shared->items[number];
			bool		finished;

			taken = true;
			finished = verify_file(&reader, item, shared->text +item->text);
			taken = false;
			verify_done(shared);
			if (!finished)
				break;
		}
	}
	verify_reader_close(&reader);
}

static void
start_workers(VerifyTeam *team, int count)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "maintsched");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "maintsched_verify_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "maintsched verify for PID %d", MyProcPid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "maintsched verify");
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(team->segment));
	worker.bgw_notify_pid = MyProcPid;
	while (team->nworkers < Min(count, (int) lengthof(team->workers)) &&
		   RegisterDynamicBackgroundWorker(&worker, &team->workers[team->nworkers]))
		team->nworkers++;
}

/*
 * This process and others, as many as asked for or as there is room for.
 */
VerifyTeam *
verify_team(const VerifyRoots *roots, int processes, uint64 rate)
{
	VerifyTeam *team = palloc0(sizeof(VerifyTeam));
	Size		size = offsetof(VerifyShared, text) + VERIFY_BATCH_TEXT;
	uint32		used = 0;

	for (int i = 0; i < roots->count; i++)
		size += strlen(roots->paths[i]) + 1;
	if (processes > 1)
		team->segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	team->shared = team->segment == NULL ? palloc(size) : dsm_segment_address(team->segment);
	memset(team->shared, 0, offsetof(VerifyShared, items));
	SpinLockInit(&team->shared->mutex);
	ConditionVariableInit(&team->shared->changed);
	pg_atomic_init_u64(&team->shared->bytes, 0);
	team->shared->rate = rate;
	team->shared->started = GetCurrentTimestamp();
	team->shared->nroots = roots->count;
	for (int i = 0; i < roots->count; i++)
	{
		team->shared->roots[i] = VERIFY_BATCH_TEXT + used;
		strcpy(team->shared->text +VERIFY_BATCH_TEXT + used, roots->paths[i]);
		used += strlen(roots->paths[i]) + 1;
	}
	if (team->segment != NULL)
	{
		on_dsm_detach(team->segment, tell_to_stop, PointerGetDatum(team->shared));
		start_workers(team, processes - 1);
	}
	return team;
}

VerifyShared *
verify_team_shared(VerifyTeam *team)
{
	return team->shared;
}

int
verify_team_size(const VerifyTeam *team)
{
	return team->nworkers + 1;
}

/*
 * Send the workers home, and wait until they have gone.
 */
void
verify_team_end(VerifyTeam *team)
{
	if (team->segment == NULL)
		pfree(team->shared);
	else
		dsm_detach(team->segment);
	for (int i = 0; i < team->nworkers; i++)
		(void) WaitForBackgroundWorkerShutdown(team->workers[i]);
	pfree(team);
}
