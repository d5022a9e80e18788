/*-------------------------------------------------------------------------
 *
 * expect_point.c
 *	  The restore point of capture_expectations(), and its snapshot.
 *
 * The tables are locked in mode SHARE: nobody is in the middle of writing to
 * them, the restore point is written, and a snapshot is taken; then the locks
 * go.  What is read later with that snapshot is what recovery to the restore
 * point brings back, to the row.  For a second the locks are asked for without
 * waiting; for tables that somebody is writing to each time, we then stand in
 * the queue, QUEUE_WAIT ms each.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "backup/expect.h"
#include "core/attempt.h"

/* how often locks are asked for */
#define LOCK_ROUNDS 20
/* how long we stand in the queue for one table, and for all, in ms */
#define QUEUE_WAIT 50
#define QUEUE_WAITS 200

static void
unlock_tables(Capture *capture)
{
	for (int i = 0; i < capture->ntables; i++)
	{
		if (capture->tables[i].locked)
			UnlockRelationOid(capture->tables[i].relation, ShareLock);
		capture->tables[i].locked = false;
	}
}

/*
 * Lock all tables that can be had, without waiting.  Returns whether that is
 * all of them.
 */
static bool
lock_tables(Capture *capture)
{
	bool		all = true;

	for (int i = 0; i < capture->ntables; i++)
	{
		ExpectedTable *table = &capture->tables[i];

		if (table->problem == NULL && !table->locked)
			table->locked = ConditionalLockRelationOid(table->relation, ShareLock);
		all = all && (table->locked || table->problem != NULL);
	}
	return all;
}

static void
queue_in(void *arg)
{
	LockRelationOid(*(Oid *) arg, ShareLock);
}

/*
 * Stand in the queue for a table, for so many milliseconds at most: those that
 * come after us stand behind.
 */
static bool
queue_for(Oid relation, int timeout)
{
	int			nest_level = NewGUCNestLevel();
	ErrorData  *error;

	(void) set_config_option("lock_timeout", psprintf("%d", timeout), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	error = attempt(queue_in, &relation);
	AtEOXact_GUC(true, nest_level);
	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

/*
 * The tables that somebody is always writing to: for once the writers wait for
 * us, QUEUE_WAITS ms at most.  A transaction that has written to two of them
 * and waits for the second, which we have, is not to die of that: we are gone
 * before its server looks for deadlocks.
 */
static void
queue_for_tables(Capture *capture)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(QUEUE_WAITS, DeadlockTimeout / 2));

	for (int i = 0; i < capture->ntables; i++)
	{
		ExpectedTable *table = &capture->tables[i];
		long		left;

		if (table->problem != NULL || table->locked)
			continue;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (left <= 0)
			break;
		table->locked = queue_for(table->relation, (int) Min(left, QUEUE_WAIT));
	}
}

/*
 * The restore point, and the snapshot that sees what it brings back of the
 * tables that are locked.
 */
void
expect_point(Capture *capture)
{
	bool	   *held = palloc0(sizeof(bool) * Max(capture->ntables, 1));

	for (int round = 1; !lock_tables(capture); round++)
	{
		if (round == LOCK_ROUNDS)
		{
			queue_for_tables(capture);
			break;
		}
		/* nobody is to wait for us meanwhile */
		unlock_tables(capture);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, EXPECT_LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	capture->timeline = GetWALInsertionTimeLine();
	capture->lsn = XLogRestorePoint(capture->point);
	capture->snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < capture->ntables; i++)
		held[i] = capture->tables[i].locked;
	unlock_tables(capture);
	for (int i = 0; i < capture->ntables; i++)
		capture->tables[i].locked = held[i];
	pfree(held);
}
