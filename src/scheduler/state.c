/*-------------------------------------------------------------------------
 *
 * state.c
 *	  The states of a run: one table, from which everything else follows.
 *
 * The trigger on table run holds every writer to it; run_state_machine() shows
 * it; a test checks that every state can be reached and every one but the
 * final ones be left.  README.md tells the story.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "core/compat.h"

typedef struct Transition
{
	const char *from;			/* NULL: the beginning */
	const char *event;
	const char *to;
	const char *writer;
} Transition;

static const Transition transitions[] = {
	{NULL, "its time has come, or somebody asks for it", "queued", "tick() or scheduler, run_task(), run_routine()"},
	{"queued", "a runner begins it", "running", "runner"},
	{"queued", "cancel_run(), its task or window changed, its occurrence closed", "cancelled", "caller, runner"},
	{"queued", "its role or plan function is not usable", "failed", "tick(), scheduler, runner"},
	{"queued", "it belonged to another database, of which this one is a copy", "cancelled", "resume()"},
	{"running", "every action was done or not needed", "succeeded", "runner"},
	{"running", "some actions were left over or failed", "partial", "runner, scheduler"},
	{"running", "an action failed and none was done, or planning failed", "failed", "runner"},
	{"running", "cancel_run() or pg_cancel_backend()", "cancelled", "runner, scheduler"},
	{"running", "the process of its runner is gone", "interrupted", "scheduler, resume()"},
};

PG_FUNCTION_INFO_V1(maintsched_run_state_machine);
PG_FUNCTION_INFO_V1(maintsched_run_may_become);
PG_FUNCTION_INFO_V1(maintsched_backend_alive);

/*
 * run_state_machine() returns table (from_state, event, to_state, written_by)
 */
Datum
maintsched_run_state_machine(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(transitions); i++)
	{
		const Transition *t = &transitions[i];
		Datum		values[4] = {0};
		bool		nulls[4] = {t->from == NULL, false, false, false};

		if (t->from != NULL)
			values[0] = CStringGetTextDatum(t->from);
		values[1] = CStringGetTextDatum(t->event);
		values[2] = CStringGetTextDatum(t->to);
		values[3] = CStringGetTextDatum(t->writer);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * run_may_become(from_state text, to_state text) returns boolean
 */
Datum
maintsched_run_may_become(PG_FUNCTION_ARGS)
{
	char	   *from = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *to = text_to_cstring(PG_GETARG_TEXT_PP(1));

	for (int i = 0; i < lengthof(transitions); i++)
		if (transitions[i].from != NULL &&
			strcmp(transitions[i].from, from) == 0 &&
			strcmp(transitions[i].to, to) == 0)
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

/*
 * backend_alive(pid integer, backend_start timestamptz) returns boolean
 *
 * A pid alone may be another process's by now.
 */
Datum
maintsched_backend_alive(PG_FUNCTION_ARGS)
{
	int32		pid = PG_GETARG_INT32(0);
	TimestampTz start = PG_GETARG_TIMESTAMPTZ(1);
	int			n;

	/* not what this transaction saw before */
	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *entry = compat_backend_status(i);

		if (entry != NULL && entry->backendStatus.st_procpid == pid &&
			entry->backendStatus.st_proc_start_timestamp == start)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}
