/*-------------------------------------------------------------------------
 *
 * action.c
 *	  User code of a run: the plan function and the actions.
 *
 * Everything here runs in the runner, as the role of the run, in transactions
 * of its own; what becomes of it is handed back, and recorded by runner.c.  An
 * error is logged, noted and over.  A statement is stopped by the server's
 * statement timeout, armed for what is left of the window or by the action's
 * own limit, and by a request to cancel.  Locks: user code's own.
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
#include "jit/jit.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/condition.h"
#include "core/exec.h"
#include "scheduler/action.h"

/* bytes of a message that are kept */
#define MAX_MESSAGE 1000

#define VERIFY_TIMEOUT_MS 30000

/* of the run under way; reset when it is over */
MemoryContext run_context;

/*
 * whether its plan function, and its commands, come with the extension, so
 * that their errors' texts do, and what is asked by the former is ours
 */
bool		action_keep_plan_messages = false;
bool		action_keep_messages = false;

/* true while SQL of the plan function's runs, or that function itself */
static bool planning = false;

char	   *
action_text(int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(run_context, value) : NULL;
}

/*
 * Routine archive runs the code of owners of tables in between; its own errors
 * say what is wrong, and hold no values.
 */
static bool
is_of_archive(const ErrorData *error)
{
	const char *file = error->filename != NULL ? strrchr(error->filename, '/') : NULL;

	file = file != NULL ? file + 1 : error->filename;
	return file != NULL && strncmp(file, "archive", 7) == 0;
}

/*
 * What is stored of an error: its message where the command is built in or
 * was refused by us, else its condition and the objects that it names.  Texts
 * of user code and details may hold anybody's data.
 */
static char *
describe_error(const ErrorData *error)
{
	StringInfoData text;

	if ((planning ? action_keep_plan_messages : action_keep_messages) ||
		(error->funcname != NULL &&
		 (strcmp(error->funcname, "check_statement") == 0 || strcmp(error->funcname, "ask_plan") == 0 ||
		  strcmp(error->funcname, "check_answer") == 0)) ||
		is_of_archive(error))
		return error->message == NULL ? pstrdup("unknown error") :
			pnstrdup(error->message, pg_mbcliplen(error->message, strlen(error->message), MAX_MESSAGE));

	initStringInfo(&text);
	appendStringInfo(&text, "%s%s", planning ? "the plan function failed: " : "", condition_name(error->sqlerrcode));
	if (error->table_name != NULL)
		appendStringInfo(&text, ", table %s",
						 quote_qualified_identifier(error->schema_name, error->table_name));
	else if (error->datatype_name != NULL)
		appendStringInfo(&text, ", type %s",
						 quote_qualified_identifier(error->schema_name, error->datatype_name));
	if (error->column_name != NULL)
		appendStringInfo(&text, ", column %s", quote_identifier(error->column_name));
	if (error->constraint_name != NULL)
		appendStringInfo(&text, ", constraint %s", quote_identifier(error->constraint_name));
	text.		data[pg_mbcliplen(text.data, text.len, MAX_MESSAGE)] = '\0';
	return text.data;
}

/*
 * After an error in user code: log it, note it, and end its transaction.
 */
void
note_error(Outcome *outcome)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	disable_timeout(STATEMENT_TIMEOUT, false);
	MemoryContextSwitchTo(run_context);
	error = CopyErrorData();
	EmitErrorReport();
	AbortCurrentTransaction();
	/* the rest of what PostgresMain() does after an error */
	PortalErrorCleanup();
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	compat_replication_slot_cleanup();
	jit_reset_after_error();
	MemoryContextSwitchTo(run_context);
	FlushErrorState();
	QueryCancelPending = false;

	outcome->failed = true;
	strlcpy(outcome->sqlstate, unpack_sql_state(error->sqlerrcode), sizeof(outcome->sqlstate));
	outcome->message = describe_error(error);
	RESUME_INTERRUPTS();
}

/*
 * Let the server cancel what follows after some milliseconds; what says by
 * which limit.  Returns when.
 */
static TimestampTz
arm_timeout(const Action *action, const char **what)
{
	double		limit = action->statement_timeout;

	*what = "own";
	if (action->window >= 0 && (limit <= 0 || action->window < limit))
	{
		limit = Max(action->window, 1);
		*what = "window";
	}
	if (limit <= 0 || limit > INT_MAX)
		return DT_NOEND;
	enable_timeout_after(STATEMENT_TIMEOUT, (int) ceil(limit));
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) floor(limit));
}

/*
 * The type maintsched.action[].
 */
Oid
action_array_type(void)
{
	return get_array_type(GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
										  CStringGetDatum("action"),
										  ObjectIdGetDatum(get_namespace_oid("maintsched", false))));
}

/*
 * Ask the plan function, as the role, what is to be done: an array of
 * maintsched.action in *actions.  Nothing can be written by it.
 */
void
ask_plan(const char *plan, Datum params, Datum *actions, Outcome *outcome)
{
	char	   *sql = psprintf("select coalesce(pg_catalog.array_agg(a), '{}') from %s($1) a", plan);
	Oid			types[1] = {JSONBOID};

	memset(outcome, 0, sizeof(*outcome));
	pgstat_report_activity(STATE_RUNNING, sql);
	planning = true;
	PG_TRY();
	{
		bool		isnull;
		Datum		value;

		exec_begin_user(true, action_keep_plan_messages);
		exec_query(sql, 1, types, &params, NULL);

		/*
		 * what is read as actions must be some; its result may be another by
		 * now
		 */
		if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != action_array_type())
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("function %s(jsonb) does not return setof maintsched.action", plan)));
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContextSwitchTo(run_context);
		*actions = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		exec_commit_user();
	}
	PG_CATCH();
	{
		note_error(outcome);
	}
	PG_END_TRY();
	planning = false;
	MemoryContextSwitchTo(run_context);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * A text as an argument of type jsonb.
 */
static Datum
jsonb_datum(const char *json)
{
	return json == NULL ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/*
 * The first value of a query of the plan function's, as JSON text; NULL for
 * none.  An expression is one, too.  arguments: two JSON texts, its $1 and $2;
 * or NULL.
 */
static char *
evaluate(const char *query, char **arguments)
{
	Oid			types[2] = {JSONBOID, JSONBOID};
	Datum		values[2] = {0};
	char		nulls[2] = {'n', 'n'};
	char	   *sql;
	char	   *value = NULL;
	const char *p = query;

	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '(')
		p++;
	if (pg_strncasecmp(p, "select", 6) == 0 || pg_strncasecmp(p, "with", 4) == 0)
		sql = psprintf("select pg_catalog.to_jsonb(m.value) from (%s\n) m(value) limit 1", query);
	else
		sql = psprintf("select pg_catalog.to_jsonb(m.value) from (select %s\n) m(value)", query);

	exec_begin_user(true, action_keep_plan_messages);
	for (int i = 0; arguments != NULL && i < 2; i++)
	{
		values[i] = jsonb_datum(arguments[i]);
		nulls[i] = arguments[i] == NULL ? 'n' : ' ';
	}
	if (exec_query(sql, arguments != NULL ? 2 : 0, types, values, nulls) > 0)
		value = action_text(1);
	exec_commit_user();
	MemoryContextSwitchTo(run_context);
	return value;
}

/*
 * What still_needed said, as JSON text: a number or a text is neither yes nor
 * no.
 */
static void
check_answer(const char *answer)
{
	if (answer != NULL && strchr("tfn{", answer[0]) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("still_needed of the action is neither a boolean nor a JSON object")));
}

/*
 * Set names to values, given in turn, as the role may; returns what was there
 * before.  All of them, or none.
 */
static List *
swap_settings(List *settings)
{
	List	   *old = NIL;
	ListCell   *cell;

	if (settings == NIL)
		return NIL;
	StartTransactionCommand();
	MemoryContextSwitchTo(run_context);
	for (cell = list_head(settings); cell != NULL; cell = lnext(settings, lnext(settings, cell)))
	{
		const char *value = GetConfigOption(lfirst(cell), false, false);

		old = lappend(lappend(old, lfirst(cell)), pstrdup(value != NULL ? value : ""));
		SetConfigOption(lfirst(cell), lfirst(lnext(settings, cell)), PGC_USERSET, PGC_S_SESSION);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(run_context);
	return old;
}

/*
 * After a command, whether it ended well or not: what the catalogs say of its
 * result, as JSON text; NULL where that could not be asked.  It is not to keep
 * the run from its end.
 */
static char *
ask_verdict(const char *query, char **measured)
{
	char	   *volatile verdict = NULL;

	PG_TRY();
	{
		enable_timeout_after(STATEMENT_TIMEOUT, VERIFY_TIMEOUT_MS);
		verdict = evaluate(query, measured);
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PG_CATCH();
	{
		Outcome		ignored;

		note_error(&ignored);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(run_context);
	return verdict;
}

/*
 * Carry out an action as the role.  What its own tests say, before and, however
 * the command ended, after it, is in the outcome.
 */
void
run_action(Action *action, Outcome *outcome)
{
	List	   *volatile old_settings = NIL;
	char	   *volatile old_lock_timeout = NULL;
	const char *volatile limit = NULL;
	volatile TimestampTz ends = DT_NOEND;
	volatile bool begun = false;

	memset(outcome, 0, sizeof(*outcome));
	debug_query_string = action->command;
	pgstat_report_activity(STATE_RUNNING, action->command);

	PG_TRY();
	{
		const char *what;

		ends = arm_timeout(action, &what);
		limit = what;
		if (action->lock_timeout >= 0)
		{
			/*
			 * zero is for ever, which half a millisecond is not; more than 24
			 * days is as good
			 */
			double		milliseconds = Min(ceil(action->lock_timeout), (double) INT_MAX);

			old_lock_timeout = pstrdup(GetConfigOption("lock_timeout", false, false));
			SetConfigOption("lock_timeout", psprintf("%.0f", milliseconds),
							PGC_USERSET, PGC_S_SESSION);
		}
		if (action->still_needed != NULL)
		{
			char	   *answer = evaluate(action->still_needed, NULL);

			check_answer(answer);
			if (answer == NULL || strcmp(answer, "true") != 0)
				outcome->refusal = answer != NULL ? answer : pstrdup("false");
		}
		if (outcome->refusal == NULL)
		{
			old_settings = swap_settings(action->settings);
			if (action->measure != NULL)
				outcome->measured[0] = evaluate(action->measure, NULL);
			begun = true;
			exec_utility(action->command);
			MemoryContextSwitchTo(run_context);
			if (action->measure != NULL)
				outcome->measured[1] = evaluate(action->measure, NULL);
		}
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PG_CATCH();
	{
		note_error(outcome);
		if (strcmp(outcome->sqlstate, "57014") == 0 && GetCurrentTimestamp() >= ends)
			outcome->timeout = limit;
	}
	PG_END_TRY();

	(void) swap_settings(old_settings);
	if (old_lock_timeout != NULL)
		SetConfigOption("lock_timeout", old_lock_timeout, PGC_USERSET, PGC_S_SESSION);
	if (begun && action->verify != NULL)
		outcome->verdict = ask_verdict(action->verify, outcome->measured);
	MemoryContextSwitchTo(run_context);
	debug_query_string = NULL;
	pgstat_report_activity(STATE_IDLE, NULL);
}
