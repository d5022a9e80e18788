/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  Telling the background, at commit, that a database has something new.
 *
 * Any backend that changes a calendar or queues a run says so here, from a
 * trigger or a function.  Nothing is told before the commit: who listens would
 * look too early, and not again.  At the commit the scheduler that works in
 * the database has its latch set; where there is none, the database is noted
 * for the launcher, and the launcher's latch is set.
 *
 * A scheduler that wants to end must not miss what comes at that moment: it
 * stops listening only if nothing came since it last looked, under the same
 * spinlock (wake_stop_listening).
 *
 * Where the library is not preloaded there is no shared memory and no
 * launcher.  start_work(), which tick() and its like call, then starts a
 * scheduler as a dynamic background worker, after the commit.
 *
 * A prepared transaction is committed by another session, maybe on another
 * day: what it would have told would be lost, so PREPARE TRANSACTION is
 * refused.
 *
 * Locks: one spinlock, held for a few loads and stores.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"

#include "core/wake.h"

#define WAKE_MAX_LISTENERS 64

typedef struct Listener
{
	Latch	   *latch;			/* NULL: free */
	Oid			database;		/* InvalidOid: the launcher */
	uint32		wakes;			/* how often it was woken */
} Listener;

typedef struct WakeShared
{
	slock_t		mutex;
	Listener	listeners[WAKE_MAX_LISTENERS];
	int			ndirty;
	bool		overflow;
	Oid			dirty[WAKE_MAX_DIRTY];	/* databases for the launcher */
} WakeShared;

/* maintsched.launcher and maintsched.max_workers */
bool		wake_launcher_enabled = true;
int			wake_max_workers = 4;

static WakeShared *shared = NULL;
static Listener *my_listener = NULL;

/* what this transaction tells when it commits */
static bool callback_registered = false;
static Oid	pending_database = InvalidOid;
static bool pending_start = false;
static bool pending_databases = false;
static bool pending_announcement = false;

PG_FUNCTION_INFO_V1(maintsched_wake);
PG_FUNCTION_INFO_V1(maintsched_start_work);
PG_FUNCTION_INFO_V1(maintsched_announce);
PG_FUNCTION_INFO_V1(maintsched_launcher_state);

void
wake_request_shmem(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(WakeShared)));
}

void
wake_create_shmem(void)
{
	bool		found;

	shared = ShmemInitStruct("maintsched wake", sizeof(WakeShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(WakeShared));
		SpinLockInit(&shared->mutex);
	}
}

/*
 * Whether the library was preloaded, so that there is shared memory.
 */
bool
wake_preloaded(void)
{
	return shared != NULL;
}

static void
forget_listener(int code, Datum arg)
{
	if (my_listener == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	my_listener->latch = NULL;
	SpinLockRelease(&shared->mutex);
	my_listener = NULL;
}

/*
 * From now on this process is woken for a database; InvalidOid: for all that
 * have no listener of their own.  False: there are too many listeners.
 */
bool
wake_listen(Oid database)
{
	if (shared == NULL)
		return true;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < WAKE_MAX_LISTENERS && my_listener == NULL; i++)
	{
		Listener   *l = &shared->listeners[i];

		if (l->latch == NULL)
		{
			l->latch = MyLatch;
			l->database = database;
			l->wakes = 0;
			my_listener = l;
		}
	}
	SpinLockRelease(&shared->mutex);

	if (my_listener != NULL)
		before_shmem_exit(forget_listener, (Datum) 0);
	return my_listener != NULL;
}

/*
 * How often this listener was woken.
 */
uint32
wake_count(void)
{
	uint32		wakes;

	if (my_listener == NULL)
		return 0;
	SpinLockAcquire(&shared->mutex);
	wakes = my_listener->wakes;
	SpinLockRelease(&shared->mutex);
	return wakes;
}

/*
 * Stop listening, unless something came since wake_count() was seen.
 */
bool
wake_stop_listening(uint32 seen)
{
	bool		stopped;

	if (my_listener == NULL)
		return true;
	SpinLockAcquire(&shared->mutex);
	stopped = my_listener->wakes == seen;
	if (stopped)
		my_listener->latch = NULL;
	SpinLockRelease(&shared->mutex);
	if (stopped)
		my_listener = NULL;
	return stopped;
}

/*
 * For the launcher: the databases that were noted since the last call.
 * overflow: there were more, so look at all.
 */
int
wake_take_dirty(Oid *databases, bool *overflow)
{
	int			n;

	SpinLockAcquire(&shared->mutex);
	n = shared->ndirty;
	memcpy(databases, shared->dirty, n * sizeof(Oid));
	*overflow = shared->overflow;
	shared->ndirty = 0;
	shared->overflow = false;
	SpinLockRelease(&shared->mutex);
	return n;
}

/*
 * Find the listener for a database, count the wake, and note the database
 * for the launcher where it has none of its own.  The caller holds the mutex.
 */
static Latch *
note_wake(Oid database, bool *launcher)
{
	Listener   *listener = NULL;

	for (int i = 0; i < WAKE_MAX_LISTENERS; i++)
	{
		Listener   *l = &shared->listeners[i];

		if (l->latch == NULL)
			continue;
		if (l->database == database)
		{
			listener = l;
			break;
		}
		if (!OidIsValid(l->database))
			listener = l;
	}
	*launcher = listener != NULL && !OidIsValid(listener->database);
	if (listener == NULL || *launcher)
	{
		for (int i = 0; i < shared->ndirty; i++)
			if (shared->dirty[i] == database)
				return listener ? listener->latch : NULL;
		if (shared->ndirty < WAKE_MAX_DIRTY)
			shared->dirty[shared->ndirty++] = database;
		else
			shared->overflow = true;
	}
	if (listener == NULL)
		return NULL;
	listener->wakes++;
	return listener->latch;
}

/*
 * Wake whoever listens for a database; false: nobody who would act does.
 */
static bool
wake_somebody(Oid database)
{
	Latch	   *latch;
	bool		launcher;

	if (shared == NULL)
		return false;
	SpinLockAcquire(&shared->mutex);
	latch = note_wake(database, &launcher);
	SpinLockRelease(&shared->mutex);
	if (latch != NULL)
		SetLatch(latch);
	return latch != NULL && (!launcher || wake_launcher_enabled);
}

void
wake_database(Oid database)
{
	(void) wake_somebody(database);
}

/*
 * Start a scheduler for this database.  Where no worker slot is free, the
 * runs stay queued: the next tick() tries again.
 */
static void
start_scheduler(Oid database)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "maintsched");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "maintsched_scheduler_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "maintsched scheduler");
	snprintf(worker.bgw_type, BGW_MAXLEN, "maintsched scheduler");
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

static void
forget_pending(void)
{
	pending_database = InvalidOid;
	pending_start = false;
	pending_databases = false;
	pending_announcement = false;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	Oid			database = pending_database;
	bool		start = pending_start;
	bool		databases = pending_databases;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (pending_announcement && shared == NULL)
				ereport(NOTICE,
						(errmsg("maintsched is not preloaded: nothing runs by itself"),
						 errhint("Add it to shared_preload_libraries and restart the server, or let pg_cron or any cron call tick(): select maintsched.enable_pg_cron();")));
			pending_announcement = false;
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (OidIsValid(pending_database))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that has changed a maintenance calendar or queued a run")));
			break;
		case XACT_EVENT_COMMIT:
			forget_pending();
			if (OidIsValid(database) && !wake_somebody(database) &&
				start && wake_max_workers > 0 && !IsBinaryUpgrade)
				start_scheduler(database);
			if (databases)
				wake_database(InvalidOid);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_pending();
			break;
		default:
			break;
	}
}

static void
register_callback(void)
{
	if (!callback_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		callback_registered = true;
	}
}

/*
 * Tell of a database when the current transaction commits.
 */
void
wake_at_commit(Oid database)
{
	register_callback();
	pending_database = database;
}

/*
 * Tell the launcher, when the current transaction commits, that there are
 * other databases than before.
 */
void
wake_databases_at_commit(void)
{
	register_callback();
	pending_databases = true;
}

/*
 * wake() returns trigger
 */
Datum
maintsched_wake(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "wake")));
	wake_at_commit(MyDatabaseId);
	PG_RETURN_POINTER(NULL);
}

/*
 * start_work() returns void
 */
Datum
maintsched_start_work(PG_FUNCTION_ARGS)
{
	wake_at_commit(MyDatabaseId);
	pending_start = true;
	PG_RETURN_VOID();
}

/*
 * announce() returns void: for the install script, in which no NOTICE is
 * shown.  It says at commit that the library is not preloaded.
 */
Datum
maintsched_announce(PG_FUNCTION_ARGS)
{
	wake_at_commit(MyDatabaseId);
	pending_announcement = true;
	PG_RETURN_VOID();
}

/*
 * launcher_state() returns text
 */
Datum
maintsched_launcher_state(PG_FUNCTION_ARGS)
{
	bool		lives = false;

	if (shared == NULL)
		PG_RETURN_TEXT_P(cstring_to_text("not preloaded"));
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < WAKE_MAX_LISTENERS; i++)
		if (shared->listeners[i].latch != NULL && !OidIsValid(shared->listeners[i].database))
			lives = true;
	SpinLockRelease(&shared->mutex);
	PG_RETURN_TEXT_P(cstring_to_text(!lives ? "not running" :
									 !wake_launcher_enabled ? "off" : "running"));
}
