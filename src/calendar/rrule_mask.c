/*-------------------------------------------------------------------------
 *
 * rrule_mask.c
 *	  Which days of a year, or of its months, belong to a rule.
 *
 * Runs in any process; takes no locks, allocates nothing, reads no clock.
 *
 * Whether a day passes BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY and BYDAY
 * depends only on the kind of its year: leap or not, the weekday of
 * 1 January, and (where a week or SKIP reaches into the neighbouring year)
 * whether the year before or after is a leap year.  That makes 28 kinds.
 * The days of each are worked out once, as a bit mask; expansion is then only
 * reading bits.
 *
 * Three shapes of mask:
 *	YEARLY			the days of the rule's year, as offsets from 1 January.
 *					With BYWEEKNO the year is the year of weeks, so it may
 *					begin in December and end in January.
 *	MONTHLY			the days of each month.
 *	WEEKLY and less	the days of the calendar year that pass the limits.
 *
 * SKIP moves a day that a month (or year) does not have to the last day
 * before it or the first after it; BYDAY is applied after that, BYWEEKNO
 * and the other parts before it, where such a day belongs to no week.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule.h"

#include <string.h>

/* a day with everything a rule may ask about it */
typedef struct Day
{
	int			month;			/* 1..12 */
	int			monthday;
	int			monthlen;
	int			yearday;		/* 1..366 */
	int			yearlen;
	int			weekday;
} Day;

static int
month_length(bool leap, int month)
{
	return rrule_month_starts[leap][month + 1] - rrule_month_starts[leap][month];
}

static bool
passes_weekday(const RRuleDays *days, const Day *d)
{
	const RRule *rule = days->rule;
	int			nth,
				nth_last;

	if (days->any_weekday || ((days->weekdays >> d->weekday) & 1))
		return true;
	if (!days->nth)
		return false;
	if (days->nth_in_month)
	{
		nth = (d->monthday - 1) / 7 + 1;
		nth_last = (d->monthlen - d->monthday) / 7 + 1;
	}
	else
	{
		nth = (d->yearday - 1) / 7 + 1;
		nth_last = (d->yearlen - d->yearday) / 7 + 1;
	}
	return ((rule->byday_nth[d->weekday] >> nth) & 1) ||
		((rule->byday_nth_neg[d->weekday] >> nth_last) & 1);
}

/* BYMONTH, BYMONTHDAY, BYYEARDAY and BYDAY; BYWEEKNO is the caller's */
static bool
passes(const RRuleDays *days, const Day *d)
{
	const RRule *rule = days->rule;

	if (!((days->months >> d->month) & 1))
		return false;
	if ((days->monthdays != 0 || days->monthdays_neg != 0) &&
		!((days->monthdays >> d->monthday) & 1) &&
		!((days->monthdays_neg >> (d->monthlen - d->monthday + 1)) & 1))
		return false;
	if ((rule->parts & RRULE_BYYEARDAY) &&
		!RRULE_SET_HAS(rule->byyearday.pos, d->yearday) &&
		!RRULE_SET_HAS(rule->byyearday.neg, d->yearlen - d->yearday + 1))
		return false;
	return passes_weekday(days, d);
}

/* what there is to know of a year, from its kind */
typedef struct Year
{
	bool		leap;
	bool		leap_before;
	bool		leap_after;
	int			january;		/* weekday of 1 January */
	int			len;
} Year;

static Year
year_of_kind(int kind)
{
	Year		y;

	y.leap = kind / 7 == 1;
	y.leap_before = kind / 7 == 2;
	y.leap_after = kind / 7 == 3;
	y.january = kind % 7;
	y.len = 365 + y.leap;
	return y;
}

/* the day at an offset from 1 January, which may be in a neighbouring year */
static Day
day_at(const Year *y, int offset)
{
	Day			d;
	bool		leap = y->leap;

	d.weekday = (y->january + offset + 7 * 8) % 7;
	if (offset < 0)
	{
		leap = y->leap_before;
		offset += 365 + leap;
	}
	else if (offset >= y->len)
	{
		offset -= y->len;
		leap = y->leap_after;
	}
	d.month = offset / 32 + 1;
	if (offset >= rrule_month_starts[leap][d.month + 1])
		d.month++;
	d.monthday = offset - rrule_month_starts[leap][d.month] + 1;
	d.monthlen = month_length(leap, d.month);
	d.yearday = offset + 1;
	d.yearlen = 365 + leap;
	return d;
}

/* ---- masks of the days that pass ---- */

/* bits 0, 7, 14, ..., 63 */
#define EVERY_SEVENTH	UINT64_C(0x8102040810204081)

static void
add_year_day(RRuleKind *kind, int offset)
{
	int			bit = offset + RRULE_BIAS;

	kind->days.year[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

/* bits of "mask" from bit "at" of a year mask on */
static void
add_year_bits(uint64_t *year, int at, uint64_t mask)
{
	year[at >> 6] |= mask << (at & 63);
	if ((at & 63) != 0 && (at >> 6) < 5)
		year[(at >> 6) + 1] |= mask >> (64 - (at & 63));
}

/* bits 1..len: those n-th from the end, for each bit n of "neg" */
static uint64_t
from_end(uint64_t neg, int len)
{
	uint64_t	mask = 0;

	for (; neg != 0; neg &= neg - 1)
	{
		int			n = __builtin_ctzll(neg);

		if (n <= len)
			mask |= UINT64_C(1) << (len + 1 - n);
	}
	return mask;
}

/*
 * The days 1..len of a month whose first is the given weekday, as bits, that
 * pass BYMONTHDAY and, where it counts within the month, BYDAY.
 */
static uint64_t
month_mask(const RRuleDays *days, int len, int first_weekday)
{
	const RRule *rule = days->rule;
	uint64_t	all = ((UINT64_C(1) << len) - 1) << 1;
	uint64_t	mask = all;

	if (days->monthdays != 0 || days->monthdays_neg != 0)
		mask &= days->monthdays | from_end(days->monthdays_neg, len);
	if (mask != 0 && !days->any_weekday && (!days->nth || days->nth_in_month))
	{
		uint64_t	allowed = 0;

		for (int w = 0; w < 7; w++)
		{
			int			first = 1 + (w - first_weekday + 7) % 7;
			int			n = (len - first) / 7 + 1;
			uint64_t	nth = rule->byday_nth[w] |
			from_end(rule->byday_nth_neg[w], n);

			if ((days->weekdays >> w) & 1)
				allowed |= EVERY_SEVENTH << first;
			for (; nth != 0 && __builtin_ctzll(nth) <= n; nth &= nth - 1)
				allowed |= UINT64_C(1) << (first + 7 * (__builtin_ctzll(nth) - 1));
		}
		mask &= allowed;
	}
	return mask & all;
}

/* BYDAY with ordinals that count within the year */
static void
limit_to_nth_of_year(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	RRuleKind	allowed = {0};

	for (int w = 0; w < 7; w++)
	{
		int			first = (w - y->january + 7) % 7;
		int			n = (y->len - 1 - first) / 7 + 1;
		uint64_t	nth = days->rule->byday_nth[w] |
		from_end(days->rule->byday_nth_neg[w], n);

		if ((days->weekdays >> w) & 1)
			nth = ~UINT64_C(1);
		for (; nth != 0 && __builtin_ctzll(nth) <= n; nth &= nth - 1)
			add_year_day(&allowed, first + 7 * (__builtin_ctzll(nth) - 1));
	}
	for (int i = 0; i < 6; i++)
		kind->days.year[i] &= allowed.days.year[i];
}

static void
limit_to_year_days(const RRule *rule, int len, RRuleKind *kind)
{
	RRuleKind	allowed = {0};

	for (int v = 1; v <= len; v++)
	{
		if (RRULE_SET_HAS(rule->byyearday.pos, v) ||
			RRULE_SET_HAS(rule->byyearday.neg, len + 1 - v))
			add_year_day(&allowed, v - 1);
	}
	for (int i = 0; i < 6; i++)
		kind->days.year[i] &= allowed.days.year[i];
}

/* the days of the calendar year that pass, BYWEEKNO aside */
static void
build_calendar_year(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	for (int month = 1; month <= 12; month++)
	{
		int			first = rrule_month_starts[y->leap][month];
		int			len = month_length(y->leap, month);

		if ((days->months >> month) & 1)
			add_year_bits(kind->days.year, RRULE_BIAS + first,
						  month_mask(days, len, (y->january + first) % 7) >> 1);
	}
	if (days->nth && !days->nth_in_month)
		limit_to_nth_of_year(days, y, kind);
	if (days->rule->parts & RRULE_BYYEARDAY)
		limit_to_year_days(days->rule, y->len, kind);
}

/*
 * Offset of the first day of week 1: the week, by WKST, that has at least
 * four days in the year.
 */
static int
week_one(int january, int wkst)
{
	int			back = (january - wkst + 7) % 7;

	return back <= 3 ? -back : 7 - back;
}

static void
build_weeks(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	const RRule *rule = days->rule;
	int			begin = week_one(y->january, rule->wkst);
	int			end = y->len + week_one((y->january + y->len) % 7, rule->wkst);
	int			nweeks = (end - begin) / 7;
	RRuleKind	year = {0};

	build_calendar_year(days, y, &year);
	for (int week = 1; week <= nweeks; week++)
	{
		if (!((rule->byweekno >> week) & 1) &&
			!((rule->byweekno_neg >> (nweeks + 1 - week)) & 1))
			continue;
		for (int i = 0; i < 7; i++)
		{
			int			offset = begin + (week - 1) * 7 + i;
			int			bit = offset + RRULE_BIAS;
			Day			d;

			if (offset >= 0 && offset < y->len)
			{
				if ((year.days.year[bit >> 6] >> (bit & 63)) & 1)
					add_year_day(kind, offset);
				continue;
			}
			d = day_at(y, offset);
			if (passes(days, &d))
				add_year_day(kind, offset);
		}
	}
}

/*
 * Days that a month does not have, for SKIP: bit 0 where some fall before
 * its first day, bit 1 where some fall after its last.
 */
static int
missing_in_month(const RRuleDays *days, int monthlen)
{
	uint32_t	beyond = ~((UINT32_C(2) << monthlen) - 1);

	if (monthlen == 31)
		return 0;
	return ((days->monthdays_neg & beyond) != 0 ? 1 : 0) |
		((days->monthdays & beyond) != 0 ? 2 : 0);
}

/* the same for BYYEARDAY=366 and -366 in a year of 365 days */
static int
missing_in_year(const RRule *rule, int len)
{
	if (len == 366)
		return 0;
	return (RRULE_SET_HAS(rule->byyearday.neg, 366) ? 1 : 0) |
		(RRULE_SET_HAS(rule->byyearday.pos, 366) ? 2 : 0);
}

/* Add the day that SKIP puts in place of a missing one. */
static void
add_skipped(const RRuleDays *days, const Year *y, RRuleKind *kind,
			int first, int after, int missing)
{
	bool		forward = days->rule->skip == RRULE_FORWARD;

	for (int side = 0; side < 2; side++)
	{
		int			offset = (side == 0 ? first : after) - (forward ? 0 : 1);
		Day			d;

		if (!((missing >> side) & 1))
			continue;
		d = day_at(y, offset);
		if (passes_weekday(days, &d))
			add_year_day(kind, offset);
	}
}

static void
build_year(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	const RRule *rule = days->rule;

	build_calendar_year(days, y, kind);
	if (rule->freq != RRULE_YEARLY || rule->skip == RRULE_OMIT)
		return;

	/* a missing day of the month has no day of the year, and vice versa */
	if (rule->parts & RRULE_BYYEARDAY)
	{
		if (!(rule->parts & (RRULE_BYMONTHDAY | RRULE_BYMONTH)))
			add_skipped(days, y, kind, 0, y->len,
						missing_in_year(rule, y->len));
		return;
	}
	for (int month = 1; month <= 12; month++)
	{
		if ((days->months >> month) & 1)
			add_skipped(days, y, kind, rrule_month_starts[y->leap][month],
						rrule_month_starts[y->leap][month + 1],
						missing_in_month(days, month_length(y->leap, month)));
	}
}

static void
build_months(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	for (int month = 1; month <= 12; month++)
	{
		int			first = rrule_month_starts[y->leap][month];
		int			len = month_length(y->leap, month);
		int			missing = days->rule->skip == RRULE_OMIT ? 0 :
		missing_in_month(days, len);
		uint64_t	mask;

		kind->days.month[month - 1] = 0;
		if (!((days->months >> month) & 1))
			continue;
		mask = month_mask(days, len, (y->january + first) % 7);
		for (int side = 0; side < 2; side++)
		{
			/* as day of this month: 0 is the last of the month before */
			int			day = (side == 0 ? 1 : len + 1) -
			(days->rule->skip == RRULE_FORWARD ? 0 : 1);
			Day			d;

			if (!((missing >> side) & 1))
				continue;
			d = day_at(y, first + day - 1);
			if (passes_weekday(days, &d))
				mask |= UINT64_C(1) << day;
		}
		kind->days.month[month - 1] = mask;
	}
}

/* Work out the days of one kind of year. */
void
rrule_build_kind(const RRuleDays *days, int index, RRuleKind *kind)
{
	Year		y = year_of_kind(index);

	memset(kind, 0, sizeof(*kind));
	if (days->rule->freq == RRULE_MONTHLY)
		build_months(days, &y, kind);
	else if (days->rule->parts & RRULE_BYWEEKNO)
		build_weeks(days, &y, kind);
	else
		build_year(days, &y, kind);
}
