/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The one place that reads the clock.
 *
 * Everything that depends on the time asks clock_now(): real time, or, in a
 * session of a superuser that set it, maintsched.now.  Everything else gets
 * time as an argument.  Runs in any backend; no locks, no shared state.
 *
 * Real time is the start of the current statement, so that one query sees
 * one instant in all its rows and a long transaction does not stand still.
 *
 * maintsched.now lives in a session only.  A simulated clock in
 * postgresql.conf or in ALTER DATABASE / ALTER ROLE ... SET would silently
 * move the calendar of a whole server, so those sources are refused, and
 * what is written under it is marked as simulated.
 *
 * A run that was queued in such a session is carried out by a background
 * process whose clock begins there and goes on as fast as real time.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/compat.h"

PG_FUNCTION_INFO_V1(maintsched_clock);
PG_FUNCTION_INFO_V1(maintsched_clock_simulated);
PG_FUNCTION_INFO_V1(maintsched_set_clock_offset);

static char *simulated_now = NULL;

/* NULL while the clock is real; owned by the GUC machinery */
static TimestampTz *simulated_instant = NULL;

/* microseconds that the clock of a background process is ahead */
static int64 offset;
static bool offset_set = false;

/*
 * Parse an absolute timestamp; without a zone it is in the session's.  No word
 * that means the current time ("now", "tomorrow") is taken: the value may be
 * read outside a transaction, and would move.
 */
static bool
parse_instant(const char *text, TimestampTz *instant)
{
	char		workbuf[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf;
	int			dtype;
	int			tz;
	struct pg_tm tm;
	fsec_t		fsec;

	if (ParseDateTime(text, workbuf, sizeof(workbuf),
					  field, ftype, MAXDATEFIELDS, &nf) != 0)
		return false;

	/* a relative word would read the transaction's clock: refuse it unread */
	for (int i = 0; i < nf; i++)
	{
		int			value;

		if (ftype[i] == DTK_SPECIAL ||
			(ftype[i] == DTK_STRING &&
			 DecodeSpecial(i, field[i], &value) == RESERV))
			return false;
	}

	if (compat_decode_datetime(field, ftype, nf, &dtype, &tm, &fsec, &tz) != 0 ||
		dtype != DTK_DATE)
		return false;

	return tm2timestamp(&tm, fsec, &tz, instant) == 0;
}

/*
 * The instant in ISO 8601 and UTC; text has room for MAXDATELEN.
 */
static void
write_instant(TimestampTz instant, char *text)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(instant, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	tm.tm_isdst = 0;			/* the zone is known, and UTC */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, text);
}

static bool
check_now(char **newval, void **extra, GucSource source)
{
	TimestampTz instant;
	TimestampTz *copy;
	char	   *canonical;

	if (*newval == NULL || **newval == '\0')
	{
		*extra = NULL;
		return true;
	}

	if (source != PGC_S_SESSION && source != PGC_S_CLIENT)
	{
		GUC_check_errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM);
		GUC_check_errmsg("parameter \"maintsched.now\" can be set in a session only");
		GUC_check_errhint("Use SET maintsched.now = '...' in the session that shall see another time.");
		return false;
	}

	if (!parse_instant(*newval, &instant))
	{
		GUC_check_errdetail("An absolute timestamp is needed, such as \"2026-04-06 12:00+00\".");
		GUC_check_errhint("An empty string, or RESET maintsched.now, returns to real time.");
		return false;
	}

	/*
	 * Keep the instant, not the words: they would mean another one under
	 * another TimeZone or DateStyle, such as a parallel worker's while it
	 * starts.
	 */
	canonical = compat_guc_alloc(MAXDATELEN + 1);
	copy = compat_guc_alloc(sizeof(TimestampTz));
	if (canonical == NULL || copy == NULL)
		return false;
	write_instant(instant, canonical);
	compat_guc_free(*newval);
	*newval = canonical;
	*copy = instant;
	*extra = copy;
	return true;
}

static void
assign_now(const char *newval, void *extra)
{
	simulated_instant = (TimestampTz *) extra;
}

/*
 * Define maintsched.now.
 */
void
clock_define_settings(void)
{
	DefineCustomStringVariable("maintsched.now",
							   "The instant that clock() returns instead of real time, for tests and demonstrations.",
							   "Superusers only, in a session only. What is recorded under it is marked as simulated.",
							   &simulated_now,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_now, assign_now, NULL);
}

bool
clock_is_simulated(void)
{
	return simulated_instant != NULL || offset_set;
}

/*
 * In a background process: put the clock ahead of real time, for a run that
 * was queued under maintsched.now.
 */
void
clock_set_offset(int64 microseconds)
{
	offset = microseconds;
	offset_set = true;
}

void
clock_reset_offset(void)
{
	offset_set = false;
}

TimestampTz
clock_now(void)
{
	if (simulated_instant != NULL)
		return *simulated_instant;
	if (offset_set)
		return GetCurrentStatementStartTimestamp() + offset;
	return GetCurrentStatementStartTimestamp();
}

/*
 * clock() returns timestamptz
 */
Datum
maintsched_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(clock_now());
}

/*
 * clock_simulated() returns boolean
 */
Datum
maintsched_clock_simulated(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(clock_is_simulated());
}

/*
 * set_clock_offset(microseconds bigint) returns void
 */
Datum
maintsched_set_clock_offset(PG_FUNCTION_ARGS)
{
	if (MyBackendType != B_BG_WORKER)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("only a background worker's clock can be put ahead"),
				 errhint("Use SET maintsched.now = '...' in a session.")));
	if (PG_ARGISNULL(0))
		clock_reset_offset();
	else
		clock_set_offset(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}
