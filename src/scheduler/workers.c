/*-------------------------------------------------------------------------
 *
 * workers.c
 *	  The background processes of maintsched, in shared memory.
 *
 * Each scheduler and runner has a slot while it is connected to a database:
 * for the limit maintsched.max_workers, and so that a DROP DATABASE and its
 * like can end them first (ddl.c).  A database that is held takes no new
 * ones: a process that registers there is refused, and ends.
 *
 * Without shared memory (the library is not preloaded) there are no slots; the
 * lock that a scheduler holds on its database is then the only limit.
 *
 * Locks: one spinlock, held for a few loads and stores.  A process leaves its
 * slot in before_shmem_exit; after a crash the postmaster makes all anew.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "core/compat.h"
#include "core/wake.h"
#include "scheduler/workers.h"

#define MAX_SLOTS 128
#define MAX_HELD 16
/* pg_locks shows it, and the next one, as objsubid of an advisory lock; SQL uses 1 and 2 */
#define LOCK_KIND 77

typedef struct WorkerSlot
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	WorkerKind	kind;
} WorkerSlot;

typedef struct WorkersShared
{
	slock_t		mutex;
	WorkerSlot	slots[MAX_SLOTS];
	Oid			held[MAX_HELD];
	int			nreports;
	WorkerReport reports[WORKERS_MAX_REPORTS];
} WorkersShared;

/* maintsched.max_workers_per_database */
int			workers_per_database = 1;

/* maintsched.yield_after; read by SQL through current_setting(), too */
int			workers_yield_after_ms = 5000;

static WorkersShared *shared = NULL;
static WorkerSlot *my_slot = NULL;

void
workers_request_shmem(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(WorkersShared)));
}

void
workers_create_shmem(void)
{
	bool		found;

	shared = ShmemInitStruct("maintsched workers", sizeof(WorkersShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(WorkersShared));
		SpinLockInit(&shared->mutex);
	}
}

static void
leave_slot(int code, Datum arg)
{
	SpinLockAcquire(&shared->mutex);
	my_slot->pid = 0;
	SpinLockRelease(&shared->mutex);
}

static bool
is_held(Oid database)
{
	for (int i = 0; i < MAX_HELD; i++)
		if (shared->held[i] == database)
			return true;
	return false;
}

/*
 * Take a slot for this process.  False: the database is held, or there is no
 * free slot; the process is to end.
 */
bool
workers_register(Oid database, WorkerKind kind)
{
	if (shared == NULL)
		return true;

	SpinLockAcquire(&shared->mutex);
	if (!is_held(database))
	{
		for (int i = 0; i < MAX_SLOTS && my_slot == NULL; i++)
		{
			if (shared->slots[i].pid == 0)
			{
				my_slot = &shared->slots[i];
				my_slot->pid = MyProcPid;
				my_slot->database = database;
				my_slot->kind = kind;
			}
		}
	}
	SpinLockRelease(&shared->mutex);

	if (my_slot != NULL)
		before_shmem_exit(leave_slot, (Datum) 0);
	return my_slot != NULL;
}

/*
 * How many of a kind there are on this server.
 */
int
workers_count(WorkerKind kind)
{
	int			n = 0;

	if (shared == NULL)
		return 0;
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < MAX_SLOTS; i++)
		if (shared->slots[i].pid != 0 && shared->slots[i].kind == kind)
			n++;
	SpinLockRelease(&shared->mutex);
	return n;
}

/*
 * For a scheduler that ends: when its database has something to do again.
 */
void
workers_report(Oid database, TimestampTz started, bool installed, TimestampTz next_event)
{
	bool		noted = false;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	if (shared->nreports < WORKERS_MAX_REPORTS)
	{
		WorkerReport *r = &shared->reports[shared->nreports++];

		r->database = database;
		r->started = started;
		r->installed = installed;
		r->next_event = next_event;
		noted = true;
	}
	SpinLockRelease(&shared->mutex);
	if (!noted)
		elog(DEBUG1, "the launcher will look at database %u again", database);
}

/*
 * For the launcher: what schedulers reported since the last call.
 */
int
workers_take_reports(WorkerReport *reports)
{
	int			n;

	SpinLockAcquire(&shared->mutex);
	n = shared->nreports;
	memcpy(reports, shared->reports, n * sizeof(WorkerReport));
	shared->nreports = 0;
	SpinLockRelease(&shared->mutex);
	return n;
}

/*
 * Take the pids of the workers in a database, but for this process: a run may
 * itself drop or update the extension.
 */
static int
pids_in(Oid database, pid_t *pids)
{
	int			n = 0;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < MAX_SLOTS; i++)
		if (shared->slots[i].pid != 0 && shared->slots[i].pid != MyProcPid &&
			shared->slots[i].database == database)
			pids[n++] = shared->slots[i].pid;
	SpinLockRelease(&shared->mutex);
	return n;
}

/*
 * End the workers in a database and keep others from starting there, until
 * workers_release().  Waits until they are gone, ten seconds at the most: who
 * called finds the database in use then, and says so.
 */
void
workers_hold(Oid database)
{
	pid_t		pids[MAX_SLOTS];
	int			n;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < MAX_HELD; i++)
	{
		if (!OidIsValid(shared->held[i]))
		{
			shared->held[i] = database;
			break;
		}
	}
	SpinLockRelease(&shared->mutex);

	for (int round = 0; round < 1000; round++)
	{
		n = pids_in(database, pids);
		if (n == 0)
			break;
		/* again now and then: a statement may catch the first one */
		if (round % 100 == 0)
			for (int i = 0; i < n; i++)
				(void) kill(pids[i], SIGTERM);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * The database takes workers again.
 */
void
workers_release(Oid database)
{
	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < MAX_HELD; i++)
	{
		if (shared->held[i] == database)
		{
			shared->held[i] = InvalidOid;
			break;
		}
	}
	SpinLockRelease(&shared->mutex);
	wake_database(database);
}

/*
 * Start a dynamic background worker that signals this process when it starts
 * and ends.  False: no slot is free.
 */
bool
workers_start(BackgroundWorkerHandle **handle, const char *function, const char *name,
			  Datum arg, const void *extra, Size extra_size)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION |
		COMPAT_BGWORKER_INTERRUPTIBLE;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "maintsched");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "%s", function);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s", name);
	snprintf(worker.bgw_type, BGW_MAXLEN, "%s", name);
	worker.bgw_main_arg = arg;
	worker.bgw_notify_pid = MyProcPid;
	Assert(extra_size <= BGW_EXTRALEN);
	memcpy(worker.bgw_extra, extra, extra_size);
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static bool
try_lock(int kind)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kind);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Take the lock of which there is one for a database.  Who has it looks once
 * more before it ends, so a short wait is enough, and one who waits.
 */
bool
workers_lock_database(void)
{
	LOCKTAG		tag;
	bool		locked;

	if (!try_lock(LOCK_KIND + 1))
		return false;
	locked = try_lock(LOCK_KIND);
	for (int i = 0; i < 30 && !locked; i++)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 100L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		locked = try_lock(LOCK_KIND);
	}
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, LOCK_KIND + 1);
	(void) LockRelease(&tag, ExclusiveLock, true);
	return locked;
}
