/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The process that knows when which database has something to do.
 *
 * One static background worker, started when recovery has ended.  It is
 * connected to no database (it reads the shared catalog pg_database) and keeps
 * in its memory, for each database, when its next event is.  It sleeps until
 * the earliest of them, starts a scheduler there (scheduler.c), and is told the
 * next event when that ends.  A commit that changes something wakes it
 * (core/wake.c).  A database is looked at when the launcher starts, once an
 * hour where the extension is, and whenever it says so.
 *
 * It wakes at least once a minute and compares the wall clock: sleeping is
 * measured on a clock that stands still while a machine is suspended, and
 * the wall clock can be set.
 *
 * When it starts, it ends child processes that outlived their backends
 * (core/process_leftover.c).
 *
 * It holds no lock while it sleeps, and nothing that it knows is precious:
 * killed, it is started again after a second and looks at every database.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backup/drill.h"
#include "core/compat.h"
#include "core/process.h"
#include "core/wake.h"
#include "scheduler/launcher.h"
#include "scheduler/workers.h"

#define SECOND INT64CONST(1000000)
#define LONGEST_SLEEP (60 * SECOND)
#define PROBE_INTERVAL (3600 * SECOND)
#define LONGEST_BACKOFF (300 * SECOND)

typedef struct Database
{
	Oid			oid;			/* hash key */
	TimestampTz next_event;		/* when to start a scheduler */
	bool		seen;			/* by the scan under way */
	bool		reported;		/* its scheduler has told what comes next */
	int			failures;		/* schedulers in a row that did not */
	BackgroundWorkerHandle *handle; /* of its scheduler, or NULL */
	TimestampTz started;		/* when that was, which tells its report from
								 * others' */
} Database;

PGDLLEXPORT void maintsched_launcher_main(Datum arg);

static HTAB *databases = NULL;
static int	running = 0;

/*
 * Register the launcher; only while shared_preload_libraries are loaded.
 */
void
launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "maintsched");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "maintsched_launcher_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "maintsched launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "maintsched launcher");
	RegisterBackgroundWorker(&worker);
}

static void
forget(Database *database)
{
	if (database->handle != NULL)
	{
		pfree(database->handle);
		running--;
	}
	(void) hash_search(databases, &database->oid, HASH_REMOVE, NULL);
}

static Database *
remember(Oid oid, TimestampTz next_event)
{
	bool		found;
	Database   *database = hash_search(databases, &oid, HASH_ENTER, &found);

	if (!found)
	{
		memset(database, 0, sizeof(Database));
		database->oid = oid;
		database->next_event = next_event;
	}
	return database;
}

/*
 * Read pg_database: a new one is looked at, one that is gone or takes no
 * connections is forgotten.  Templates are left alone, since whoever copies
 * one needs it for himself.
 */
static void
scan_databases(TimestampTz now)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	HASH_SEQ_STATUS status;
	Database   *database;
	MemoryContext context = CurrentMemoryContext;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		database->seen = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn && !form->datistemplate && form->datconnlimit != -2)
			remember(form->oid, now)->seen = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		if (!database->seen)
			forget(database);
}

static void
wake_all(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Database   *database;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		database->next_event = Min(database->next_event, now);
}

/*
 * Take what backends and schedulers have told.  True: pg_database has to be
 * read.
 */
static bool
take_news(TimestampTz now)
{
	Oid			dirty[WAKE_MAX_DIRTY];
	WorkerReport reports[WORKERS_MAX_REPORTS];
	bool		rescan;
	int			n;

	n = workers_take_reports(reports);
	for (int i = 0; i < n; i++)
	{
		Database   *database = hash_search(databases, &reports[i].database, HASH_FIND, NULL);

		if (database == NULL)
			continue;
		if (reports[i].started == database->started)
		{
			database->reported = true;
			database->failures = 0;
		}
		/* it may have been woken after its scheduler had stopped listening */
		if (reports[i].installed)
			database->next_event = Min(database->next_event,
									   Min(reports[i].next_event, now + PROBE_INTERVAL));
	}

	n = wake_take_dirty(dirty, &rescan);
	if (rescan)
		wake_all(now);			/* there were more than fit */
	for (int i = 0; i < n; i++)
	{
		Database   *database = hash_search(databases, &dirty[i], HASH_FIND, NULL);

		if (database != NULL)
			database->next_event = now;
		else
			rescan = true;
	}
	return rescan;
}

/*
 * Note which schedulers have ended.  One that did not report has failed: the
 * next one is started later each time.  True: there was one, maybe since its
 * database is gone.
 */
static bool
reap_schedulers(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Database   *database;
	pid_t		pid;
	bool		failed = false;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
	{
		if (database->handle == NULL ||
			GetBackgroundWorkerPid(database->handle, &pid) != BGWH_STOPPED)
			continue;
		pfree(database->handle);
		database->handle = NULL;
		running--;
		if (!database->reported)
		{
			int64		backoff = SECOND << Min(database->failures, 9);

			database->failures++;
			database->next_event = now + Min(backoff, LONGEST_BACKOFF);
			failed = true;
		}
	}
	return failed;
}

/*
 * The database whose event is due, the earliest first; NULL: none is.
 */
static Database *
most_urgent(TimestampTz until)
{
	HASH_SEQ_STATUS status;
	Database   *database;
	Database   *first = NULL;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		if (database->handle == NULL && database->next_event <= until &&
			(first == NULL || database->next_event < first->next_event))
			first = database;
	return first;
}

/*
 * Start schedulers where something is due, as many as there is room for.  A
 * scheduler needs a runner beside it: half of the workers are left for those.
 * False: no worker slot of the server was free.
 */
static bool
start_schedulers(TimestampTz now)
{
	TimestampTz until = now + WORKERS_LEAD_MS * INT64CONST(1000);
	Database   *database;

	while (running < Max(wake_max_workers / 2, 1) &&
		   (database = most_urgent(until)) != NULL)
	{
		database->reported = false;
		database->next_event = DT_NOEND;
		database->started = now;
		if (!workers_start(&database->handle, "maintsched_scheduler_main", "maintsched scheduler",
						   ObjectIdGetDatum(database->oid), &now, sizeof(now)))
		{
			database->handle = NULL;
			database->next_event = now;
			return false;
		}
		running++;
	}
	return true;
}

/*
 * How long to sleep, in milliseconds.
 */
static long
sleep_ms(TimestampTz now, bool slots_free)
{
	int64		sleep = LONGEST_SLEEP;
	Database   *database;

	if (!slots_free)
		return 1000L;
	if (running < Max(wake_max_workers / 2, 1) && (database = most_urgent(DT_NOEND - 1)) != NULL)
		sleep = Min(sleep, database->next_event - WORKERS_LEAD_MS * INT64CONST(1000) - now);
	return Max(sleep / 1000, 1);
}

static void
create_table(void)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Database);
	control.hcxt = TopMemoryContext;
	databases = hash_create("maintsched databases", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * One turn: take what is new, start what is due; returns how long to sleep.
 */
static long
turn(TimestampTz *last_turn, TimestampTz *next_scan)
{
	static bool slots_were_free = true;
	TimestampTz now = GetCurrentTimestamp();
	bool		slots_free;

	if (take_news(now) || now >= *next_scan)
	{
		scan_databases(now);
		*next_scan = now + PROBE_INTERVAL;
	}
	/* set back: what was ahead may be due again, or later than was told */
	if (now < *last_turn - SECOND)
	{
		wake_all(now);
		*next_scan = now + PROBE_INTERVAL;
	}
	*last_turn = now;

	if (reap_schedulers(now))
		scan_databases(now);
	slots_free = start_schedulers(now);
	if (!slots_free && slots_were_free)
		ereport(LOG,
				(errmsg("no background worker slot is free for maintsched"),
				 errdetail("What is due waits until one is."),
				 errhint("You might need to increase max_worker_processes.")));
	slots_were_free = slots_free;
	return sleep_ms(now, slots_free);
}

void
maintsched_launcher_main(Datum arg)
{
	TimestampTz last_turn = 0;
	TimestampTz next_scan = 0;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	create_table();
	if (!wake_listen(InvalidOid))
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("maintsched has too many processes")));

	/* before anything new is started: what a crash left running */
	(void) process_end_leftovers();
	(void) drill_remove_all_dead();

	for (;;)
	{
		long		sleep = LONGEST_SLEEP / 1000;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (wake_launcher_enabled && wake_max_workers > 0)
			sleep = turn(&last_turn, &next_scan);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 sleep, PG_WAIT_EXTENSION);
	}
}
