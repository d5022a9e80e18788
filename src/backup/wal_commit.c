/*-------------------------------------------------------------------------
 *
 * wal_commit.c
 *	  When the first work was done that is not in the archive.
 *
 * What would be lost with the server is what was committed after the last
 * archived position.  How long ago that was is told by the first commit after
 * it, in the server's own WAL; an idle server has none, and would lose nothing.
 *
 * Runs in any backend.  Reads WAL files of the server, as pg_walinspect does;
 * no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogreader.h"
#include "access/xlogrecovery.h"
#include "access/xlogutils.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "core/compat.h"

PG_FUNCTION_INFO_V1(maintsched_first_commit);

static XLogRecPtr
flushed_so_far(void)
{
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetFlushRecPtr(NULL);
}

/*
 * The time in the record of a commit; 0: it is none.
 */
static TimestampTz
commit_time(XLogReaderState *reader)
{
	uint8		kind = XLogRecGetInfo(reader) & XLOG_XACT_OPMASK;

	if (XLogRecGetRmid(reader) != RM_XACT_ID ||
		(kind != XLOG_XACT_COMMIT && kind != XLOG_XACT_COMMIT_PREPARED))
		return 0;
	return ((xl_xact_commit *) XLogRecGetData(reader))->xact_time;
}

static void
scan(XLogReaderState *reader, XLogRecPtr since, XLogRecPtr limit, XLogRecPtr end, Datum *values, bool *nulls)
{
	XLogRecPtr	until = end;
	TimestampTz at = 0;
	char	   *error;

	if (since < end)
	{
		if (XLogRecPtrIsInvalid(compat_find_next_record(reader, since, &error)))
			return;
		while (at == 0 && reader->EndRecPtr < Min(end, limit) && XLogReadRecord(reader, &error) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			at = commit_time(reader);
		}
		until = reader->EndRecPtr;
	}
	nulls[0] = at == 0;
	values[0] = TimestampTzGetDatum(at);
	nulls[1] = false;
	values[1] = LSNGetDatum(until);
}

/*
 * first_commit(since pg_lsn, bytes bigint, out at timestamptz, out until pg_lsn)
 *
 * at NULL: none up to until.  Where the WAL is not there any more, both are.
 */
Datum
maintsched_first_commit(PG_FUNCTION_ARGS)
{
	XLogRecPtr	since = Max(PG_GETARG_LSN(0), (XLogRecPtr) wal_segment_size);
	XLogRecPtr	limit = since + Max(PG_GETARG_INT64(1), 0);
	XLogRecPtr	end = flushed_so_far();
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};
	XLogReaderState *reader;
	XLogReaderRoutine routine = {
		.page_read = read_local_xlog_page_no_wait,
		.segment_open = wal_segment_open,
		.segment_close = wal_segment_close
	};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	reader = XLogReaderAllocate(wal_segment_size, NULL, &routine,
								palloc0(sizeof(ReadLocalXLogPageNoWaitPrivate)));
	if (reader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	PG_TRY();
	{
		scan(reader, since, limit, end, values, nulls);
	}
	PG_FINALLY();
	{
		XLogReaderFree(reader);
	}
	PG_END_TRY();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
