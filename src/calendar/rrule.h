/*-------------------------------------------------------------------------
 *
 * rrule.h
 *	  Recurrence rules (RFC 5545 section 3.3.10, RFC 7529 SKIP) in plain C.
 *
 * No backend header, no allocation, no global state: the caller provides
 * every struct.  The same files build into the extension, the fuzz target
 * and the benchmark.
 *
 * A "local" is a number of seconds since 1970-01-01 00:00:00 in the
 * proleptic Gregorian calendar without a zone; a "day" is a number of days
 * since 1970-01-01.  Valid years are 1 to 9999.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_RRULE_H
#define MAINTSCHED_RRULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RRULE_MIN_LOCAL		INT64_C(-62135596800)	/* 0001-01-01 00:00:00 */
#define RRULE_MAX_LOCAL		INT64_C(253402300799)	/* 9999-12-31 23:59:59 */
#define RRULE_DAY			INT64_C(86400)
#define RRULE_MAX_LENGTH	8192	/* bytes of a rule's text */

typedef enum RRuleFreq
{
	RRULE_YEARLY,
	RRULE_MONTHLY,
	RRULE_WEEKLY,
	RRULE_DAILY,
	RRULE_HOURLY,
	RRULE_MINUTELY,
	RRULE_SECONDLY
} RRuleFreq;

typedef enum RRuleSkip
{
	RRULE_OMIT,
	RRULE_BACKWARD,
	RRULE_FORWARD
} RRuleSkip;

typedef enum RRuleUntil
{
	RRULE_UNTIL_NONE,
	RRULE_UNTIL_DATE,			/* the whole local day */
	RRULE_UNTIL_LOCAL,
	RRULE_UNTIL_UTC
} RRuleUntil;

/* rule parts, as bits of RRule.parts */
typedef enum RRulePart
{
	RRULE_FREQ = 1 << 0,
	RRULE_UNTIL = 1 << 1,
	RRULE_COUNT = 1 << 2,
	RRULE_INTERVAL = 1 << 3,
	RRULE_BYSECOND = 1 << 4,
	RRULE_BYMINUTE = 1 << 5,
	RRULE_BYHOUR = 1 << 6,
	RRULE_BYDAY = 1 << 7,
	RRULE_BYMONTHDAY = 1 << 8,
	RRULE_BYYEARDAY = 1 << 9,
	RRULE_BYWEEKNO = 1 << 10,
	RRULE_BYMONTH = 1 << 11,
	RRULE_BYSETPOS = 1 << 12,
	RRULE_WKST = 1 << 13,
	RRULE_RSCALE = 1 << 14,
	RRULE_SKIP = 1 << 15
} RRulePart;

#define RRULE_BYDATE (RRULE_BYDAY | RRULE_BYMONTHDAY | RRULE_BYYEARDAY | \
					  RRULE_BYWEEKNO | RRULE_BYMONTH)
#define RRULE_BYTIME (RRULE_BYSECOND | RRULE_BYMINUTE | RRULE_BYHOUR)

/* a set of 1..N and one of -1..-N (as 1..N): bit v stands for v */
typedef struct RRuleSet
{
	uint64_t	pos[6];
	uint64_t	neg[6];
} RRuleSet;

#define RRULE_SET_HAS(words, v) ((int) (((words)[(v) >> 6] >> ((v) & 63)) & 1))

/*
 * A parsed rule.  Lists are sets: order and repetition in the text mean
 * nothing to the standard.
 */
typedef struct RRule
{
	uint32_t	parts;			/* RRulePart bits that the text has */
	RRuleFreq	freq;
	RRuleSkip	skip;
	RRuleUntil	until_kind;
	int			wkst;			/* 0 = Monday .. 6 = Sunday */
	int64_t		interval;		/* 1 .. INT32_MAX */
	int64_t		count;			/* 0 = no limit */
	int64_t		until;			/* last second included; local, or UTC */
	uint64_t	bysecond;		/* bit per second; 60 was read as 59 */
	uint64_t	byminute;
	uint32_t	byhour;
	uint32_t	bymonth;		/* bits 1..12 */
	uint32_t	bymonthday;		/* bits 1..31 */
	uint32_t	bymonthday_neg; /* bit n: n-th from the end */
	uint64_t	byweekno;		/* bits 1..53 */
	uint64_t	byweekno_neg;
	uint32_t	byday;			/* bit per weekday without an ordinal */
	uint64_t	byday_nth[7];	/* per weekday: bits 1..53 */
	uint64_t	byday_nth_neg[7];
	RRuleSet	byyearday;
	RRuleSet	bysetpos;
} RRule;

typedef struct RRuleError
{
	int			position;		/* 1-based, in bytes */
	char		reason[160];	/* lower case, no period */
	char		hint[200];		/* a sentence, or empty */
} RRuleError;

extern bool rrule_parse(const char *text, size_t len, RRule *rule,
						RRuleError *error);

/* ---- days (rrule_date.c, rrule_mask.c, rrule_days.c) ---- */

/* Year kinds: (plain, leap, after a leap year, before one) x weekday of 1 Jan */
#define RRULE_KINDS		28
#define RRULE_BIAS		8		/* bit of 1 January in a year mask */

typedef struct RRuleKind
{
	bool		ready;
	bool		empty;
	union
	{
		uint64_t	year[6];	/* bit RRULE_BIAS + (day - 1 January) */
		uint64_t	month[12];	/* bit = day of month; 0 and 29..32 spill */
	}			days;
} RRuleKind;

/*
 * What decides whether a day belongs to a rule, with what the start implies
 * filled in.
 */
typedef struct RRuleDays
{
	const RRule *rule;
	uint32_t	months;			/* bits 1..12 */
	uint32_t	monthdays;		/* bits 1..31; with _neg 0: any day */
	uint32_t	monthdays_neg;
	uint32_t	weekdays;		/* plain weekdays */
	bool		any_weekday;	/* neither BYDAY nor an implied weekday */
	bool		nth;			/* some BYDAY has an ordinal */
	bool		nth_in_month;	/* ... which counts within the month */
	bool		every;			/* no condition on days at all */
	RRuleKind	kind[RRULE_KINDS];
} RRuleDays;

extern const int16_t rrule_month_starts[2][14];

extern int	rrule_year_of(int32_t day);
extern int32_t rrule_day_of(int year, int month, int monthday);
extern void rrule_date(int32_t day, int *year, int *month, int *monthday);
extern int	rrule_weekday(int32_t day);
extern int32_t rrule_january(int year);
extern int	rrule_month_start(int year, int month);
extern void rrule_days_init(RRuleDays *days, const RRule *rule, int64_t start);
extern void rrule_build_kind(const RRuleDays *days, int index,
							 RRuleKind *kind);
extern const RRuleKind *rrule_days_kind(RRuleDays *days, int year);
extern int32_t rrule_days_next(RRuleDays *days, int32_t day);

#define RRULE_NO_DAY	INT32_MAX

static inline bool
rrule_is_leap(int year)
{
	return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* ---- expansion (rrule.c) ---- */

#define RRULE_BATCH		128		/* instances made at a time */
#define RRULE_TIMES		256		/* times of day kept in a table */

/* one period's instances: the product of days and times, or BYSETPOS of it */
typedef struct RRulePeriod
{
	bool		live;			/* "head" is an instance not yet returned */
	int64_t		head;
	int64_t		base;			/* added to each; 0 from DAILY up */
	int			ndays;
	int			at_day;			/* next instance, without BYSETPOS */
	int			at_time;
	int			at_pos;			/* next of setpos_pos / setpos_neg */
	int			at_neg;
	int32_t		day[RRULE_BIAS + 376];
} RRulePeriod;

/*
 * An expansion under way.  It keeps a pointer to the rule.  Instances come
 * in order, each once.
 */
typedef struct RRuleIter
{
	const RRule *rule;
	int64_t		start;
	int64_t		first;			/* nothing earlier is returned */
	int64_t		last;			/* nor anything later */
	int64_t		left;			/* of COUNT; -1 = no COUNT */
	void		(*poll) (void); /* called now and then, may be NULL */

	/* times of day (of the hour, of the minute) that a period has */
	int			nhours,
				nminutes,
				nseconds;
	int			ntimes;
	uint8_t		hours[24];
	uint8_t		minutes[60];
	uint8_t		seconds[60];
	int32_t		times[RRULE_TIMES];
	int			npos,
				nneg;
	int16_t		setpos_pos[366];	/* ascending */
	int16_t		setpos_neg[366];	/* ascending: -366 .. -1 */

	/* where the expansion is: the next period that may be looked at */
	int64_t		origin;			/* the start's period */
	int64_t		period;
	int64_t		last_period;
	int64_t		per_day;		/* periods a day, below DAILY */
	int64_t		day_begin;		/* periods of a day known to belong */
	int64_t		day_end;
	uint32_t	hour_mask;		/* limits, below DAILY */
	uint64_t	minute_mask;
	uint64_t	second_mask;
	bool		unlimited;		/* below DAILY: nothing to check */
	bool		overlap;		/* SKIP: adjacent periods may share a day */
	bool		never;			/* BYSETPOS asks for more than there is */
	bool		done;
	bool		reachable;		/* interval and limits are known to meet */
	int			cur;			/* which of period_set[] is the earlier */
	RRulePeriod period_set[2];
	RRuleDays	days;

	int			batch;			/* how many to make next time */
	int			nready;
	int			at;
	int64_t		ready[RRULE_BATCH];
} RRuleIter;

extern void rrule_iter_init(RRuleIter *it, const RRule *rule, int64_t start);
extern void rrule_iter_seek(RRuleIter *it, int64_t from);
extern void rrule_iter_refill(RRuleIter *it);

static inline bool
rrule_iter_next(RRuleIter *it, int64_t *local)
{
	if (it->at >= it->nready)
	{
		rrule_iter_refill(it);
		if (it->nready == 0)
			return false;
	}
	*local = it->ready[it->at++];
	return true;
}

/* ---- words (rrule_describe.c) ---- */

extern size_t rrule_describe(const RRule *rule, char *out, size_t size);
extern const char *rrule_cadence(const RRule *rule, int64_t start,
								 RRuleIter *it);
extern bool rrule_notice(const RRule *rule, int64_t start, char *out,
						 size_t size);

#endif							/* MAINTSCHED_RRULE_H */
