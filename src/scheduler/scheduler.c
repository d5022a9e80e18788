/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *	  The process that does in one database what is due there.
 *
 * A short-lived background worker, started by the launcher or, where there is
 * none, by tick().  It queues the runs that are due (42_queue), starts a runner
 * for each role that has some, then plans, closes and tells what is to be
 * planned, closed and told (52_step), stays while runners live, and ends.
 *
 * While it stays, it looks once a second who waits for them and whose window
 * is over (step_watch), which cancels their statement, and where user code
 * catches that, ends their process.
 *
 * There is one in a database at a time: it holds a lock of its own kind, which
 * no SQL can take.  Each step is a transaction; what fails is logged, and does
 * not keep the other steps from being done.  The steps lock in the order of
 * README.md and try where they could wait.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/exec.h"
#include "core/wake.h"
#include "scheduler/step.h"
#include "scheduler/workers.h"

#define SECOND INT64CONST(1000000)
#define CHORE_INTERVAL (60 * SECOND)
#define MAX_RUNNERS 16
#define MAX_TRIES 3

typedef struct Runner
{
	BackgroundWorkerHandle *handle; /* NULL: free */
	Oid			role;
} Runner;

PGDLLEXPORT void maintsched_scheduler_main(Datum arg);

static Runner runners[MAX_RUNNERS];

/* for each role the run for which runners were started last, and how often */
typedef struct Attempt
{
	int64		run;
	Oid			role;			/* InvalidOid: free */
	int			tries;
} Attempt;

#define MAX_ROLES 64

static Attempt attempts[MAX_ROLES];

static int
count_runners(Oid role)
{
	int			n = 0;

	for (int i = 0; i < MAX_RUNNERS; i++)
		if (runners[i].handle != NULL && (!OidIsValid(role) || runners[i].role == role))
			n++;
	return n;
}

/*
 * Note which runners have ended; true: one has.
 */
static bool
reap_runners(void)
{
	pid_t		pid;
	bool		ended = false;

	for (int i = 0; i < MAX_RUNNERS; i++)
	{
		if (runners[i].handle == NULL ||
			GetBackgroundWorkerPid(runners[i].handle, &pid) != BGWH_STOPPED)
			continue;
		pfree(runners[i].handle);
		runners[i].handle = NULL;
		ended = true;
	}
	return ended;
}

typedef struct Queue
{
	int			nroles;
	Oid			roles[MAX_ROLES];
	int64		runs[MAX_ROLES];	/* how many wait for a role */
	int64		first[MAX_ROLES];	/* the one that is next */
} Queue;

static void
receive_queue(void *arg)
{
	Queue	   *queue = arg;

	queue->nroles = 0;
	if (SPI_tuptable == NULL || SPI_tuptable->tupdesc->natts != 3 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != OIDOID ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 2) != INT8OID ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 3) != INT8OID)
		elog(ERROR, "step_queue() returned something else than roles and runs");
	for (uint64 i = 0; i < SPI_processed && queue->nroles < lengthof(queue->roles); i++)
	{
		bool		isnull;
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		queue->roles[queue->nroles] = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		queue->runs[queue->nroles] = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		queue->first[queue->nroles++] = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
	}
}

/*
 * Fail the queued runs of a role whose runners end before they begin any.
 */
static void
fail_role(Oid role)
{
	char	   *sql = psprintf("select maintsched.fail_queued(%u)", role);

	(void) run_step(sql, NULL, NULL);
	pfree(sql);
}

static bool
start_runner(Oid role)
{
	RunnerStart start = {MyDatabaseId, role};

	for (int i = 0; i < MAX_RUNNERS; i++)
	{
		if (runners[i].handle != NULL)
			continue;
		runners[i].role = role;
		return workers_start(&runners[i].handle, "maintsched_runner_main", "maintsched runner",
							 (Datum) 0, &start, sizeof(start));
	}
	return false;
}

/*
 * Whether there may be one runner more: within the limit of this database, and
 * of the server, where each database may have one.
 */
static bool
may_start(void)
{
	int			here = count_runners(InvalidOid);

	return here < Min(workers_per_database, MAX_RUNNERS) &&
		(here == 0 ||
		 workers_count(WORKER_RUNNER) + workers_count(WORKER_SCHEDULER) < wake_max_workers);
}

/*
 * The attempts for a run of a role; those for an earlier one count no more.
 * Where all places are taken, the first role starts anew.
 */
static Attempt *
find_attempt(Oid role, int64 run)
{
	Attempt    *attempt = &attempts[0];

	for (int i = 0; i < MAX_ROLES; i++)
	{
		if (attempts[i].role != role && OidIsValid(attempts[i].role))
			continue;
		attempt = &attempts[i];
		break;
	}
	if (attempt->role != role || attempt->run != run)
	{
		attempt->role = role;
		attempt->run = run;
		attempt->tries = 0;
	}
	return attempt;
}

/*
 * Start runners for the roles that have runs queued, within the limits.
 * False: no worker slot of the server was free.
 */
static bool
start_runners(const Queue *queue)
{
	for (int i = 0; i < queue->nroles; i++)
	{
		Oid			role = queue->roles[i];
		Attempt    *attempt = find_attempt(role, queue->first[i]);

		/*
		 * still queued, and nobody there to begin it: its runner did not get
		 * so far
		 */
		if (count_runners(role) == 0 && may_start())
		{
			if (++attempt->tries > MAX_TRIES)
			{
				fail_role(role);
				continue;
			}
		}
		while (count_runners(role) < queue->runs[i] && may_start())
		{
			if (!start_runner(role))
			{
				attempt->tries = 0; /* it was not tried */
				return false;
			}
		}
	}
	return true;
}

static void
receive_count(void *arg)
{
	bool		isnull;
	Datum		value = single_value(INT4OID, &isnull);

	*(int32 *) arg = isnull ? 0 : DatumGetInt32(value);
}

/*
 * Cancel what is to be cancelled; returns how many runs are running, those
 * of runners that an earlier scheduler started included.
 */
static int
watch_runs(void)
{
	int32		running = 0;

	(void) run_step("select maintsched.step_watch()", receive_count, &running);
	return running;
}

/*
 * How long until runs are looked at again: often enough to be there before
 * somebody has waited for maintsched.yield_after.
 */
static int64
watch_interval(void)
{
	return Min(SECOND, workers_yield_after_ms * INT64CONST(1000) / 2);
}

static void
do_chores(void)
{
	(void) run_step("select maintsched.step_plan()", NULL, NULL);
	/* told before it is closed: what is closed is no longer looked at */
	(void) run_step("select maintsched.step_tell()", NULL, NULL);
	(void) run_step("select maintsched.step_close()", NULL, NULL);
	pgstat_report_stat(true);
}

static void
receive_instant(void *arg)
{
	bool		isnull;
	Datum		value = single_value(TIMESTAMPTZOID, &isnull);

	*(TimestampTz *) arg = isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/*
 * When there is something to do here again.  Where that cannot be found out,
 * in a minute.
 */
static TimestampTz
next_event(void)
{
	TimestampTz next;

	if (!run_step("select maintsched.next_event()", receive_instant, &next))
		next = GetCurrentTimestamp() + 60 * SECOND;
	return next;
}

static void
sleep_until(TimestampTz until)
{
	long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Max(Min(ms, 1000L), 1L), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * Queued runs that nothing could begin: tell, and leave them to the next
 * scheduler.
 */
static TimestampTz
give_up(void)
{
	ereport(LOG,
			(errmsg("runs of maintsched wait for a background worker slot"),
			 errhint("You might need to increase max_worker_processes.")));
	(void) wake_stop_listening(wake_count());
	return GetCurrentTimestamp() + 5 * SECOND;
}

/*
 * Do what is due until nothing is; returns when something is next.
 */
static TimestampTz
work(void)
{
	TimestampTz chores_at = 0;
	TimestampTz chores_done = 0;
	TimestampTz watch_at = 0;
	TimestampTz give_up_at = 0;
	uint32		chores_for = 0;
	int			running = 0;
	char	   *sql = psprintf("select * from maintsched.step_queue('%d ms')", WORKERS_LEAD_MS);

	for (;;)
	{
		uint32		seen = wake_count();
		Queue		queue = {0};
		bool		slots_free;
		TimestampTz now;

		if (reap_runners())
			watch_at = 0;		/* count what is running anew, at once */
		(void) run_step(sql, receive_queue, &queue);
		slots_free = start_runners(&queue);

		now = GetCurrentTimestamp();
		if (now >= chores_at || chores_for != seen)
		{
			do_chores();
			chores_at = now + CHORE_INTERVAL;
			chores_done = now;
			chores_for = seen;
			continue;			/* that may have taken a while */
		}
		if (now >= watch_at)
		{
			running = watch_runs();
			watch_at = now + watch_interval();
		}
		if (running > 0 || count_runners(InvalidOid) > 0)
		{
			give_up_at = 0;
			sleep_until(watch_at);
		}
		else if (queue.nroles > 0)
		{
			/* no slot, or they end at once: not for ever in one process */
			if (give_up_at == 0)
				give_up_at = now + 10 * SECOND;
			if (now >= give_up_at)
				return give_up();
			sleep_until(now + (slots_free ? SECOND / 10 : SECOND));
		}
		else
		{
			TimestampTz next = next_event();

			now = GetCurrentTimestamp();
			if (next <= now && next > chores_done)
			{
				/* it came while there was a run */
				chores_at = now;
				continue;
			}

			/*
			 * what the steps above did not do now they would not do again at
			 * once
			 */
			if (next <= now)
				next = now + CHORE_INTERVAL;
			if (next <= now + SECOND)
			{
				/* runs are queued that much early, all else at its time */
				TimestampTz early = next - WORKERS_LEAD_MS * INT64CONST(1000);

				sleep_until(early > now ? early : next);
				chores_at = next;
			}
			else if (wake_stop_listening(seen))
				return next;
		}
	}
}

void
maintsched_scheduler_main(Datum arg)
{
	Oid			database = DatumGetObjectId(arg);
	char	   *version;
	TimestampTz started;
	TimestampTz next = DT_NOEND;

	memcpy(&started, MyBgworkerEntry->bgw_extra, sizeof(started));
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	if (!workers_register(database, WORKER_SCHEDULER))
		proc_exit(1);

	version = exec_extension_version();
	if (version == NULL)
	{
		workers_report(database, started, false, DT_NOEND);
		proc_exit(0);
	}
	if (strcmp(version, MAINTSCHED_VERSION) != 0)
	{
		ereport(LOG,
				(errmsg("maintsched %s in database %u is not served by its library of version %s",
						version, database, MAINTSCHED_VERSION),
				 errhint("ALTER EXTENSION maintsched UPDATE; where the library is the older one, restart the server.")));
		workers_report(database, started, true, DT_NOEND);
		proc_exit(0);
	}

	/* who drops the extension must not find us in his way, nor in a deadlock */
	exec_lock_timeout = "500ms";
	exec_hold_cancel = false;
	if (!workers_lock_database())
	{
		/* another one works here, and will see what there is */
		workers_report(database, started, true, GetCurrentTimestamp() + 5 * SECOND);
		proc_exit(0);
	}
	if (!wake_listen(database))
		proc_exit(1);
	next = work();
	workers_report(database, started, true, next);
	proc_exit(0);
}
