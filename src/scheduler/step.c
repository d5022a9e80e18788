/*-------------------------------------------------------------------------
 *
 * step.c
 *	  One transaction of the scheduler.
 *
 * A step is one SQL function of 52_step, run as the owner of the extension in
 * a transaction of its own.  What fails is logged and ends that step alone.
 * Where the extension has gone, the process ends.  Locks: those of the
 * function, for which it waits half a second at the most (scheduler.c).
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "core/clock.h"
#include "core/exec.h"
#include "scheduler/step.h"

/*
 * Run one step as the owner of the extension.  An error is logged, and false
 * returned: the other steps go on.  The rows of the query are handed to
 * receive.
 */
bool
run_step(const char *sql, void (*receive) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;
	volatile uint32 held = QueryCancelHoldoffCount;

	pgstat_report_activity(STATE_RUNNING, sql);
	PG_TRY();
	{
		if (!exec_begin())
			proc_exit(0);		/* the extension was dropped */
		exec_query(sql, 0, NULL, NULL, NULL);
		if (receive != NULL)
			receive(arg);
		exec_commit();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		QueryCancelHoldoffCount = held;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	clock_reset_offset();
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	return done;
}

/*
 * The value that a step returned; the SQL may be another than this library
 * was written for.
 */
Datum
single_value(Oid type, bool *isnull)
{
	if (SPI_processed != 1 || SPI_tuptable == NULL || SPI_tuptable->tupdesc->natts != 1 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != type)
		elog(ERROR, "a step of the scheduler returned something else than one value of type %u", type);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}
