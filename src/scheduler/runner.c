/*-------------------------------------------------------------------------
 *
 * runner.c
 *	  The process that carries out runs.
 *
 * A background worker of one role in one database, started by the scheduler.
 * It carries out the queued runs of that role one after another, for a minute
 * at the most, and resets the session in between.  The role is the session
 * user, so that RESET ROLE and SET SESSION AUTHORIZATION lead nowhere else.
 *
 * User code (the plan function, the actions, their measures) runs in
 * transactions of its own, as the role.  What is recorded about it is written
 * in other transactions, as the owner of the extension (43_runner), never
 * while user code runs: the two do not meet on the stack.
 *
 * The start of a run and of each action is committed before the work begins,
 * so that a death in between shows: the scheduler then finds a run whose
 * process is gone.  Actions are run at top level, one by one; an error ends an
 * action, not the run.
 *
 * A statement is stopped by its own limit, by the end of the window (the
 * statement timeout is set to what is left of it), and by SIGINT from the
 * scheduler, which has written why into the run before.
 *
 * Locks: user code's own; the rows of the run while something is recorded.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/exec.h"
#include "scheduler/action.h"
#include "scheduler/workers.h"

#define RUNNER_LIFETIME_MS 60000

PGDLLEXPORT void maintsched_runner_main(Datum arg);

static double
column_double(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? -1 : DatumGetFloat8(value);
}

/*
 * An array of text as a list of strings that lives as long as the run.
 */
static List *
column_list(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	MemoryContext context;
	List	   *list = NIL;
	Datum	   *elements;
	int			count;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	context = MemoryContextSwitchTo(run_context);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	MemoryContextSwitchTo(context);
	return list;
}

/*
 * Begin to record something; the extension may be gone.
 */
static void
begin_record(void)
{
	if (!exec_begin())
	{
		ereport(LOG,
				(errmsg("maintsched was dropped while one of its runs was under way")));
		proc_exit(0);
	}
}

/*
 * End what is recorded.  A request to cancel that came meanwhile was for a
 * statement that had ended; what it wanted is written in the run.
 */
static void
end_record(void)
{
	exec_commit();
	QueryCancelPending = false;
	MemoryContextSwitchTo(run_context);
}

/*
 * Take the next action of a run, within a transaction of record.
 */
static bool
take_action(int64 run_id, Action *action)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run_id)};
	bool		isnull;

	if (exec_query("select * from maintsched.next_action($1)", 1, types, values, NULL) == 0)
		return false;
	action->seq = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	action->command = action_text(2);
	action->still_needed = action_text(3);
	action->measure = action_text(4);
	action->statement_timeout = column_double(5);
	action->lock_timeout = column_double(6);
	action->window = column_double(7);
	action->settings = column_list(8);
	action->verify = action_text(9);
	return true;
}

static void
judge_action(int64 run_id, const Action *action, const Outcome *outcome)
{
	Oid			types[9] = {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[9] = {0};
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(run_id);
	values[1] = Int32GetDatum(action->seq);
#define PUT_TEXT(i, text) \
	do { if ((text) != NULL) values[i] = CStringGetTextDatum(text); else nulls[i] = 'n'; } while (0)
	PUT_TEXT(2, outcome->failed ? outcome->sqlstate : NULL);
	PUT_TEXT(3, outcome->failed ? outcome->message : NULL);
	PUT_TEXT(4, outcome->timeout);
	PUT_TEXT(5, outcome->refusal);
	PUT_TEXT(6, outcome->measured[0]);
	PUT_TEXT(7, outcome->measured[1]);
	PUT_TEXT(8, outcome->verdict);
#undef PUT_TEXT
	exec_query("select maintsched.judge_action($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8::jsonb, $9::jsonb)",
			   9, types, values, nulls);
}

static void
finish(int64 run_id, const char *how, const Outcome *outcome)
{
	Oid			types[4] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4] = {0};
	char		nulls[4] = {' ', ' ', 'n', 'n'};

	values[0] = Int64GetDatum(run_id);
	values[1] = CStringGetTextDatum(how);
	if (outcome != NULL)
	{
		values[2] = CStringGetTextDatum(outcome->message);
		values[3] = CStringGetTextDatum(outcome->sqlstate);
		nulls[2] = nulls[3] = ' ';
	}
	exec_query("select maintsched.finish_run($1, $2, $3, $4)", 4, types, values, nulls);
}

/*
 * Mark a run as running; false: it is not to run now.
 */
static bool
begin(int64 run_id, char **plan, Datum *params)
{
	Oid			types[3] = {INT8OID, INT4OID, TIMESTAMPTZOID};
	Datum		values[3];
	bool		begun;

	values[0] = Int64GetDatum(run_id);
	values[1] = Int32GetDatum(MyProcPid);
	values[2] = TimestampTzGetDatum(MyStartTimestamp);
	begin_record();
	begun = exec_query("select * from maintsched.begin_run($1, $2, $3)", 3, types, values, NULL) > 0;
	if (begun)
	{
		bool		isnull;
		Datum		value;
		MemoryContext context = CurrentMemoryContext;

		*plan = action_text(1);
		action_keep_plan_messages = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
		action_keep_messages = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4, &isnull));
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		MemoryContextSwitchTo(run_context);
		*params = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		MemoryContextSwitchTo(context);
	}
	end_record();
	return begun;
}

/*
 * Record what is planned, and take the first action.  What is wrong with the
 * actions is said in words of ours, which are kept.
 */
static bool
record_plan(int64 run_id, Datum actions, Action *action, Outcome *outcome)
{
	Oid			types[2] = {INT8OID, InvalidOid};
	Datum		values[2];
	volatile bool more = false;
	bool		keep_messages = action_keep_messages;

	memset(outcome, 0, sizeof(*outcome));
	action_keep_messages = true;
	PG_TRY();
	{
		begin_record();
		types[1] = action_array_type();
		values[0] = Int64GetDatum(run_id);
		values[1] = actions;
		exec_query("select maintsched.note_actions($1, $2)", 2, types, values, NULL);
		more = take_action(run_id, action);
		if (!more)
			finish(run_id, "done", NULL);
		end_record();
	}
	PG_CATCH();
	{
		note_error(outcome);
	}
	PG_END_TRY();
	action_keep_messages = keep_messages;
	return more;
}

/*
 * Carry out one run.  False: it is not to run now.
 */
static bool
carry_out(int64 run_id)
{
	char	   *plan;
	Datum		params;
	Datum		actions = (Datum) 0;
	Action		action;
	Outcome		outcome;
	bool		more = false;

	if (!begin(run_id, &plan, &params))
		return false;
	ask_plan(plan, params, &actions, &outcome);
	if (!outcome.failed)
		more = record_plan(run_id, actions, &action, &outcome);
	if (outcome.failed)
	{
		begin_record();
		finish(run_id, "error", &outcome);
		end_record();
		return true;
	}

	while (more)
	{
		run_action(&action, &outcome);
		begin_record();
		judge_action(run_id, &action, &outcome);
		more = take_action(run_id, &action);
		if (!more)
			finish(run_id, "done", NULL);
		end_record();
	}
	return true;
}

/*
 * The next queued run of this role; false: there is none.
 */
static bool
peek(Oid role, int64 after, int64 *run_id, double *wait_ms, bool *simulated, int64 *clock_offset)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(role), Int64GetDatum(after)};
	char	   *sql = psprintf("select * from maintsched.peek_run($1, $2, '%d ms')", WORKERS_LEAD_MS);
	bool		found;
	bool		isnull;

	begin_record();
	found = exec_query(sql, 2, types, values, NULL) > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		*run_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		*wait_ms = DatumGetFloat8(SPI_getbinval(row, desc, 2, &isnull));
		*clock_offset = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
		*simulated = !isnull;
	}
	end_record();
	return found;
}

/*
 * Sleep until a run may start: this process was started a little early, and
 * has the time to read and to plan what the run will need.
 */
static void
wait_for_start(int64 run_id, double ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ceil(ms));
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run_id)};

	if (ms > 0)
	{
		begin_record();
		exec_query("select maintsched.get_ready($1)", 1, types, values, NULL);
		end_record();
	}
	while (ms > 0)
	{
		long		rest = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		if (rest <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 rest, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

pg_attribute_unused()
static void
set_session(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_SESSION);
}

/*
 * Give the session back as it was at its start: what DISCARD ALL does
 * (src/backend/commands/discard.c), but for the plans, which belong to nobody.
 */
static void
reset_session(void)
{
	clock_reset_offset();
	StartTransactionCommand();
	PortalHashTableDeleteAll();
	SetPGVariable("session_authorization", NIL, false);
	ResetAllOptions();
	DropAllPreparedStatements();
	Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetTempTableNamespace();
	ResetSequenceCaches();
	CommitTransactionCommand();
	compat_no_transaction_timeout(set_session);
	MemoryContextSwitchTo(run_context);
	MemoryContextReset(run_context);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

void
maintsched_runner_main(Datum arg)
{
	RunnerStart start;
	TimestampTz last_start;
	int64		refused = 0;

	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	if (!OidIsValid(start.role))
		proc_exit(1);			/* that would be the bootstrap superuser */
	BackgroundWorkerInitializeConnectionByOid(start.database, start.role, 0);
	if (!workers_register(start.database, WORKER_RUNNER))
		proc_exit(1);
	/* the role's limit would end this process, and what it records */
	compat_no_transaction_timeout(set_session);

	/* rows are found by their keys: what the keys are changes no plan */
	exec_plan_cache_mode = "force_generic_plan";

	run_context = AllocSetContextCreate(TopMemoryContext, "maintsched run", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(run_context);
	last_start = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RUNNER_LIFETIME_MS);

	for (;;)
	{
		int64		run_id;
		int64		clock_offset;
		double		wait_ms;
		bool		simulated;

		CHECK_FOR_INTERRUPTS();
		if (!peek(start.role, refused, &run_id, &wait_ms, &simulated, &clock_offset))
			break;
		wait_for_start(run_id, wait_ms);
		if (simulated)
		{
			clock_set_offset(clock_offset);
			/* parallel workers would have another clock */
			SetConfigOption("max_parallel_workers_per_gather", "0", PGC_USERSET, PGC_S_SESSION);
		}
		/* another runner has it, or it waits on: the next one then */
		if (!carry_out(run_id))
			refused = run_id;
		reset_session();
		pgstat_report_stat(true);
		if (GetCurrentTimestamp() >= last_start)
			break;
	}
	proc_exit(0);
}
