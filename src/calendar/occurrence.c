/*-------------------------------------------------------------------------
 *
 * occurrence.c
 *	  Recurrence rules as SQL functions.
 *
 * Runs in any backend.  No locks, no catalog access; the zone is read from
 * PostgreSQL's own time zone database, so results are as current as the
 * server's.  The work is done by plain C (rrule*.c, zone.c, recurrence.c);
 * here arguments are checked and errors raised.  A long walk (COUNT, or many
 * rows) stays interruptible.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "calendar/recurrence.h"
#include "calendar/timezone.h"
#include "core/compat.h"

PG_FUNCTION_INFO_V1(maintsched_valid_rule);
PG_FUNCTION_INFO_V1(maintsched_describe_rule);
PG_FUNCTION_INFO_V1(maintsched_rule_cadence);
PG_FUNCTION_INFO_V1(maintsched_rule_notice);
PG_FUNCTION_INFO_V1(maintsched_occurrences);
PG_FUNCTION_INFO_V1(maintsched_instances);
PG_FUNCTION_INFO_V1(maintsched_next_occurrence);
PG_FUNCTION_INFO_V1(maintsched_to_instant);

/* seconds between our epoch (1970) and PostgreSQL's (2000) */
#define EPOCH_SECONDS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400))

static void
check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* microseconds of PostgreSQL to seconds since 1970, rounded up or down */
static int64
seconds_of(int64 micros, bool up)
{
	int64		seconds = micros / USECS_PER_SEC;

	if (up && micros > seconds * USECS_PER_SEC)
		seconds++;
	if (!up && micros < seconds * USECS_PER_SEC)
		seconds--;
	return seconds + EPOCH_SECONDS;
}

static int64
micros_of(int64 seconds)
{
	return (seconds - EPOCH_SECONDS) * USECS_PER_SEC;
}

static void
read_rule(text *rule_text, RRule *rule)
{
	RRuleError	error;

	if (rrule_parse(VARDATA_ANY(rule_text), VARSIZE_ANY_EXHDR(rule_text),
					rule, &error))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid recurrence rule at position %d: %s",
					error.position, error.reason),
			 error.hint[0] != '\0' ? errhint("%s", error.hint) : 0));
}

/* starts_on as our local seconds */
static int64
read_start(Timestamp starts_on)
{
	int64		start;

	if (TIMESTAMP_NOT_FINITE(starts_on))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("starts_on must be a finite time")));
	start = seconds_of(starts_on, false);
	if (start < RRULE_MIN_LOCAL || start > RRULE_MAX_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("starts_on must be in the years 1 to 9999")));
	if (micros_of(start) != starts_on)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("starts_on must be a whole number of seconds"),
				 errhint("Use date_trunc('second', ...).")));
	return start;
}

static void
check_finite(TimestampTz instant, const char *name, const char *hint)
{
	if (TIMESTAMP_NOT_FINITE(instant))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a finite time", name),
				 errhint("%s", hint)));
}

/* ZoneNext over PostgreSQL's time zones */
static bool
next_boundary(void *arg, int64_t t, int64_t *boundary, int32_t *before,
			  int32_t *after)
{
	pg_time_t	from = t;
	pg_time_t	at;
	long		gmtoff_before,
				gmtoff_after;
	int			dst_before,
				dst_after;
	int			result;

	result = pg_next_dst_boundary(&from, &gmtoff_before, &dst_before,
								  &at, &gmtoff_after, &dst_after,
								  (const pg_tz *) arg);
	if (result < 0)
		elog(ERROR, "could not find the next boundary of the time zone");
	*before = (int32_t) gmtoff_before;
	if (result == 0)
		return false;
	*boundary = at;
	*after = (int32_t) gmtoff_after;
	return true;
}

static Recurrence *
begin_recurrence(const RRule *rule, int64 start, text *zone_name)
{
	Recurrence *rec = palloc(sizeof(Recurrence));

	recurrence_init(rec, rule, start, next_boundary,
					(void *) timezone_by_name(zone_name));
	rec->iter.poll = check_interrupts;
	return rec;
}

static char *
notice_of(const RRule *rule, int64 start)
{
	char		sentence[400];

	if (!rrule_notice(rule, start, sentence, sizeof(sentence)))
		return NULL;
	return pstrdup(sentence);
}

Datum
maintsched_valid_rule(PG_FUNCTION_ARGS)
{
	RRule		rule;

	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	PG_RETURN_BOOL(true);
}

Datum
maintsched_describe_rule(PG_FUNCTION_ARGS)
{
	RRule		rule;
	char	   *words;
	size_t		size;

	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	size = rrule_describe(&rule, NULL, 0) + 1;
	words = palloc(size);
	rrule_describe(&rule, words, size);
	PG_RETURN_TEXT_P(cstring_to_text(words));
}

/* not strict: a task without a rule has the cadence "other" */
Datum
maintsched_rule_cadence(PG_FUNCTION_ARGS)
{
	RRule		rule;
	int64		start;

	if (PG_ARGISNULL(0))
		PG_RETURN_TEXT_P(cstring_to_text("other"));
	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("starts_on must not be null")));
	start = read_start(PG_GETARG_TIMESTAMP(1));
	PG_RETURN_TEXT_P(cstring_to_text(rrule_cadence(&rule, start,
												   palloc(sizeof(RRuleIter)))));
}

Datum
maintsched_rule_notice(PG_FUNCTION_ARGS)
{
	RRule		rule;
	char	   *sentence;

	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	sentence = notice_of(&rule, read_start(PG_GETARG_TIMESTAMP(1)));
	if (sentence == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(sentence));
}

/* since, until and max_count of occurrences(), which may be null */
typedef struct Range
{
	int64		since;
	int64		until;
	int64		max_count;
} Range;

static Range
read_range(FunctionCallInfo fcinfo)
{
	Range		range = {PG_INT64_MIN, PG_INT64_MAX, PG_INT64_MAX};

	if (!PG_ARGISNULL(3))
	{
		check_finite(PG_GETARG_TIMESTAMPTZ(3), "since",
					 "Use NULL for all occurrences from the start.");
		range.since = seconds_of(PG_GETARG_TIMESTAMPTZ(3), true);
	}
	if (!PG_ARGISNULL(4))
	{
		check_finite(PG_GETARG_TIMESTAMPTZ(4), "until",
					 "Use NULL, and max_count, for an open end.");
		range.until = seconds_of(PG_GETARG_TIMESTAMPTZ(4), true);
	}
	if (!PG_ARGISNULL(5))
	{
		range.max_count = PG_GETARG_INT32(5);
		if (range.max_count < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_count must not be negative")));
	}
	else if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_count must not be null when until is null"),
				 errhint("A rule may go on for ever: give a last instant or a number of rows.")));
	return range;
}

/*
 * The instances whose instants are in [since, until), in local order; with a
 * NOTICE of what may surprise in the rule, where somebody asked for it.
 */
static void
return_instances(FunctionCallInfo fcinfo, bool remark)
{
	static const char *const names[] = {"rule", "starts_on", "timezone"};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	RRule		rule;
	Range		range;
	Recurrence *rec;
	int64		start;
	int64_t		local,
				instant;
	char	   *sentence;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i])));
	}
	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	start = read_start(PG_GETARG_TIMESTAMP(1));
	range = read_range(fcinfo);
	rec = begin_recurrence(&rule, start, PG_GETARG_TEXT_PP(2));
	InitMaterializedSRF(fcinfo, 0);

	sentence = remark ? notice_of(&rule, start) : NULL;
	if (sentence != NULL)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%s", sentence)));

	recurrence_between(rec, range.since, range.until);
	for (int64 n = 0; n < range.max_count; n++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		CHECK_FOR_INTERRUPTS();
		if (!recurrence_next(rec, &local, &instant))
			break;
		values[0] = TimestampGetDatum(micros_of(local));
		values[1] = TimestampTzGetDatum(micros_of(instant));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * occurrences(rule, starts_on, timezone, since, until, max_count)
 */
Datum
maintsched_occurrences(PG_FUNCTION_ARGS)
{
	return_instances(fcinfo, true);
	return (Datum) 0;
}

/*
 * instances(), the same for planning and views, without remarks
 */
Datum
maintsched_instances(PG_FUNCTION_ARGS)
{
	return_instances(fcinfo, false);
	return (Datum) 0;
}

Datum
maintsched_next_occurrence(PG_FUNCTION_ARGS)
{
	TimestampTz after = PG_GETARG_TIMESTAMPTZ(3);
	RRule		rule;
	Recurrence *rec;
	int64		start;
	int64_t		local,
				instant;

	read_rule(PG_GETARG_TEXT_PP(0), &rule);
	start = read_start(PG_GETARG_TIMESTAMP(1));
	check_finite(after, "after",
				 "For the first occurrence, use a time long before starts_on.");
	rec = begin_recurrence(&rule, start, PG_GETARG_TEXT_PP(2));
	if (!recurrence_after(rec, seconds_of(after, false), &local, &instant))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(micros_of(instant));
}

/* to_instant(local, timezone): one local time, by the same rule */
Datum
maintsched_to_instant(PG_FUNCTION_ARGS)
{
	Timestamp	local = PG_GETARG_TIMESTAMP(0);
	const pg_tz *tz = timezone_by_name(PG_GETARG_TEXT_PP(1));
	Zone		zone;
	int64		seconds;
	TimestampTz instant;

	if (TIMESTAMP_NOT_FINITE(local))
		PG_RETURN_TIMESTAMPTZ(local);
	zone_init(&zone, next_boundary, (void *) tz);
	seconds = seconds_of(local, false);
	instant = micros_of(zone_to_instant(&zone, seconds)) +
		(local - micros_of(seconds));
	if (!IS_VALID_TIMESTAMP(instant))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	PG_RETURN_TIMESTAMPTZ(instant);
}
