/*-------------------------------------------------------------------------
 *
 * await.c
 *	  Waiting until the archive has the WAL up to a restore point.
 *
 * A procedure that commits between looks, so that no snapshot is held while it
 * waits, which may be minutes.  What it looks at, and when its patience is
 * over, is SQL (65_drill_plan.sql).
 *
 * Runs in any backend of a primary, with the rights of the caller.  Holds no
 * locks while it waits.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "core/exec.h"

/* how long, in ms, from look to look */
#define AWAIT_PAUSE 200

PG_FUNCTION_INFO_V1(maintsched_await_archive);

/*
 * Ask one of our functions something, in a transaction of its own.  Returns the
 * columns of its only row.
 */
static void
ask(const char *sql, int nargs, Oid *types, Datum *values, int ncolumns, Datum *columns, bool *nulls)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	exec_query(sql, nargs, types, values, NULL);
	/* all of them are passed by value */
	for (int i = 0; i < ncolumns; i++)
		columns[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &nulls[i]);
	SPI_freetuptable(SPI_tuptable);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * await_archive(repository text, patience interval)
 */
Datum
maintsched_await_archive(PG_FUNCTION_ARGS)
{
	Oid			types[5] = {TEXTOID, INT8OID, PG_LSNOID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[5];
	Oid			look_types[2] = {TEXTOID, TIMESTAMPTZOID};
	Datum		look_values[2];
	Datum		columns[2];
	bool		nulls[2];
	MemoryContext old;

	if (!IsA(fcinfo->context, CallContext) || castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", "CALL maintsched.await_archive()")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("await_archive() needs a repository and a length of time")));
	/* what was handed over does not outlive the transaction */
	old = MemoryContextSwitchTo(PortalContext);
	values[0] = CStringGetTextDatum(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[4] = PointerGetDatum(memcpy(palloc(sizeof(Interval)), PG_GETARG_INTERVAL_P(1), sizeof(Interval)));
	MemoryContextSwitchTo(old);
	look_values[0] = values[0];
	look_values[1] = values[3];

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	ask("select b.timeline, b.lsn from maintsched.begin_await($1) b", 1, types, values, 2, columns, nulls);
	if (!nulls[1])
	{
		values[1] = columns[0];
		values[2] = columns[1];
		for (;;)
		{
			ask("select maintsched.is_awaited($1, $2, $3, $4, $5)", 5, types, values, 1, columns, nulls);
			if (!DatumGetBool(columns[0]))
				break;
			ask("select maintsched.look_for_archive($1, $2)", 2, look_types, look_values, 0, NULL, NULL);
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, AWAIT_PAUSE, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	SPI_finish();
	PG_RETURN_VOID();
}
