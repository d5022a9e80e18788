/*-------------------------------------------------------------------------
 *
 * verify_progress.c
 *	  How far the verifications of this server are.
 *
 * Each has a slot in shared memory, which its backend alone writes; the function
 * verify_progress() shows those of its database.  Without shared memory (the
 * library is not preloaded), or where more run at once than there are slots,
 * there is nothing to be seen.
 *
 * A slot is given back at the end, also by an error, and when the process ends.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "backup/verify.h"

#define SLOTS 64

typedef struct ProgressSlot
{
	int			pid;			/* 0: free */
	Oid			database;
	VerifyPhase phase;
	uint64		done;			/* bytes */
	uint64		total;
} ProgressSlot;

typedef struct ProgressShared
{
	slock_t		mutex;
	ProgressSlot slots[SLOTS];
} ProgressShared;

static const char *const phase_names[] = {
	[VERIFY_READING_MANIFEST] = "reading the manifest",
	[VERIFY_LOOKING] = "looking for files",
	[VERIFY_SUMMING] = "comparing checksums",
	[VERIFY_ASKING] = "waiting for the tool",
	[VERIFY_READING_WAL] = "reading WAL",
};

static ProgressShared *shared = NULL;
static ProgressSlot *my_slot = NULL;

PG_FUNCTION_INFO_V1(maintsched_verify_progress);

void
verify_request_shmem(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(ProgressShared)));
}

void
verify_create_shmem(void)
{
	bool		found;

	shared = ShmemInitStruct("maintsched verify", sizeof(ProgressShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(ProgressShared));
		SpinLockInit(&shared->mutex);
	}
}

static void
leave_slot(int code, Datum arg)
{
	verify_progress_end();
}

void
verify_progress_begin(void)
{
	static bool registered = false;

	if (shared == NULL || my_slot != NULL)
		return;
	if (!registered)
		before_shmem_exit(leave_slot, (Datum) 0);
	registered = true;
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < SLOTS && my_slot == NULL; i++)
	{
		if (shared->slots[i].pid == 0)
		{
			my_slot = &shared->slots[i];
			memset(my_slot, 0, sizeof(ProgressSlot));
			my_slot->pid = MyProcPid;
			my_slot->database = MyDatabaseId;
		}
	}
	SpinLockRelease(&shared->mutex);
}

/*
 * Say how far this one is.  total 0: as before.
 */
void
verify_progress(VerifyPhase phase, uint64 done, uint64 total)
{
	if (my_slot == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	my_slot->phase = phase;
	my_slot->done = done;
	if (total > 0)
		my_slot->total = total;
	SpinLockRelease(&shared->mutex);
}

void
verify_progress_end(void)
{
	if (my_slot == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	my_slot->pid = 0;
	SpinLockRelease(&shared->mutex);
	my_slot = NULL;
}

/*
 * verify_progress() returns table (pid integer, phase text, bytes_done bigint, bytes_total bigint)
 */
Datum
maintsched_verify_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ProgressShared *now = palloc0(sizeof(ProgressShared));

	InitMaterializedSRF(fcinfo, 0);
	if (shared != NULL)
	{
		SpinLockAcquire(&shared->mutex);
		memcpy(now->slots, shared->slots, sizeof(now->slots));
		SpinLockRelease(&shared->mutex);
	}
	for (int i = 0; i < SLOTS; i++)
	{
		const ProgressSlot *slot = &now->slots[i];
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		if (slot->pid == 0 || slot->database != MyDatabaseId)
			continue;
		values[0] = Int32GetDatum(slot->pid);
		values[1] = CStringGetTextDatum(phase_names[slot->phase]);
		values[2] = Int64GetDatum((int64) slot->done);
		values[3] = Int64GetDatum((int64) slot->total);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
