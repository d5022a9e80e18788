/*-------------------------------------------------------------------------
 *
 * rrule_days.c
 *	  Which days belong to a rule.
 *
 * Runs in any process; takes no locks, allocates nothing, reads no clock.
 *
 * Whether a day passes BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY and BYDAY
 * depends only on the kind of its year: leap or not, the weekday of
 * 1 January, and (where a week or SKIP reaches into the neighbouring year)
 * whether the year before or after is a leap year.  That makes 28 kinds.
 * The days of each are worked out once, when the first such year comes up,
 * as a bit mask; expansion is then only reading bits.
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

static const short month_start[2][14] = {
	{0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
	{0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366}
};

/* the day of 1 January, for years from -398 on */
int32_t
rrule_january(int year)
{
	int			y = year + 399;

	return 365 * y + y / 4 - y / 100 + y / 400 - 146097 - 719162;
}

int
rrule_year_of(int32_t day)
{
	/* days since 1 January -399; 146097 days make 400 years */
	int64_t		n = (int64_t) day + 719162 + 146097;
	int			year = (int) (n * 400 / 146097) - 399;

	while (rrule_january(year) > day)
		year--;
	while (rrule_january(year + 1) <= day)
		year++;
	return year;
}

int
rrule_month_start(int year, int month)
{
	return month_start[rrule_is_leap(year)][month];
}

int32_t
rrule_day_of(int year, int month, int monthday)
{
	return rrule_january(year) + rrule_month_start(year, month) + monthday - 1;
}

void
rrule_date(int32_t day, int *year, int *month, int *monthday)
{
	int			y = rrule_year_of(day);
	int			yearday = day - rrule_january(y);
	const short *starts = month_start[rrule_is_leap(y)];
	int			m = yearday / 32 + 1;

	if (yearday >= starts[m + 1])
		m++;
	*year = y;
	*month = m;
	*monthday = yearday - starts[m] + 1;
}

int
rrule_weekday(int32_t day)
{
	/* 1970-01-01 was a Thursday; 840000 keeps the operand positive */
	return (int) ((uint32_t) (day + 3 + 840000) % 7);
}

static int
month_length(bool leap, int month)
{
	return month_start[leap][month + 1] - month_start[leap][month];
}

/* Fill in what the rule leaves to its start (RFC 5545 section 3.3.10). */
void
rrule_days_init(RRuleDays *days, const RRule *rule, int64_t start)
{
	int32_t		start_day = (int32_t) ((start - RRULE_MIN_LOCAL) / RRULE_DAY +
									   RRULE_MIN_LOCAL / RRULE_DAY);
	uint32_t	has = rule->parts & RRULE_BYDATE;
	int			year,
				month,
				monthday;

	rrule_date(start_day, &year, &month, &monthday);
	days->rule = rule;
	days->months = (has & RRULE_BYMONTH) ? rule->bymonth : 0x1ffe;
	days->monthdays = rule->bymonthday;
	days->monthdays_neg = rule->bymonthday_neg;
	days->weekdays = rule->byday;
	days->any_weekday = (has & RRULE_BYDAY) == 0;
	days->nth = false;
	for (int i = 0; i < 7; i++)
	{
		if (rule->byday_nth[i] != 0 || rule->byday_nth_neg[i] != 0)
			days->nth = true;
	}
	days->nth_in_month = rule->freq == RRULE_MONTHLY || (has & RRULE_BYMONTH);

	if (rule->freq == RRULE_YEARLY)
	{
		if (has == 0)
			days->months = UINT32_C(1) << month;
		if ((has & ~RRULE_BYMONTH) == 0)
			days->monthdays = UINT32_C(1) << monthday;
		/* a week number leaves the weekday open, as a month does the day */
		if ((has & ~RRULE_BYMONTH) == RRULE_BYWEEKNO)
		{
			days->any_weekday = false;
			days->weekdays = UINT32_C(1) << rrule_weekday(start_day);
		}
	}
	else if (rule->freq == RRULE_MONTHLY)
	{
		if ((has & (RRULE_BYMONTHDAY | RRULE_BYDAY)) == 0)
			days->monthdays = UINT32_C(1) << monthday;
	}
	days->every = rule->freq >= RRULE_DAILY && has == 0;
	for (int i = 0; i < RRULE_KINDS; i++)
		days->kind[i].ready = false;
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
	return rule->freq == RRULE_WEEKLY || passes_weekday(days, d);
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
	if (offset >= month_start[leap][d.month + 1])
		d.month++;
	d.monthday = offset - month_start[leap][d.month] + 1;
	d.monthlen = month_length(leap, d.month);
	d.yearday = offset + 1;
	d.yearlen = 365 + leap;
	return d;
}

static void
add_year_day(RRuleKind *kind, int offset)
{
	int			bit = offset + RRULE_BIAS;

	kind->days.year[bit >> 6] |= UINT64_C(1) << (bit & 63);
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

	for (int week = 1; week <= nweeks; week++)
	{
		if (!((rule->byweekno >> week) & 1) &&
			!((rule->byweekno_neg >> (nweeks + 1 - week)) & 1))
			continue;
		for (int i = 0; i < 7; i++)
		{
			int			offset = begin + (week - 1) * 7 + i;
			Day			d = day_at(y, offset);

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

	for (int offset = 0; offset < y->len; offset++)
	{
		Day			d = day_at(y, offset);

		if (passes(days, &d))
			add_year_day(kind, offset);
	}
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
			add_skipped(days, y, kind, month_start[y->leap][month],
						month_start[y->leap][month + 1],
						missing_in_month(days, month_length(y->leap, month)));
	}
}

static void
build_months(const RRuleDays *days, const Year *y, RRuleKind *kind)
{
	for (int month = 1; month <= 12; month++)
	{
		int			first = month_start[y->leap][month];
		int			len = month_length(y->leap, month);
		int			missing = days->rule->skip == RRULE_OMIT ? 0 :
			missing_in_month(days, len);
		uint64_t	mask = 0;

		kind->days.month[month - 1] = 0;
		if (!((days->months >> month) & 1))
			continue;
		for (int i = 0; i < len; i++)
		{
			Day			d = day_at(y, first + i);

			if (passes(days, &d))
				mask |= UINT64_C(1) << (i + 1);
		}
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

/* The days of a year's kind, worked out when first asked for. */
const RRuleKind *
rrule_days_kind(RRuleDays *days, int year)
{
	bool		leap = rrule_is_leap(year);
	int			index = 7 * (leap ? 1 : rrule_is_leap(year - 1) ? 2 :
							 rrule_is_leap(year + 1) ? 3 : 0) +
		rrule_weekday(rrule_january(year));
	RRuleKind  *kind = &days->kind[index];
	Year		y;
	uint64_t	any = 0;

	if (kind->ready)
		return kind;
	memset(kind, 0, sizeof(*kind));
	y = year_of_kind(index);
	if (days->rule->freq == RRULE_MONTHLY)
		build_months(days, &y, kind);
	else if (days->rule->parts & RRULE_BYWEEKNO)
		build_weeks(days, &y, kind);
	else
		build_year(days, &y, kind);
	if (days->rule->freq == RRULE_MONTHLY)
	{
		for (int i = 0; i < 12; i++)
			any |= kind->days.month[i];
	}
	else
	{
		for (int i = 0; i < 6; i++)
			any |= kind->days.year[i];
	}
	kind->empty = any == 0;
	kind->ready = true;
	return kind;
}

/*
 * The first day from "day" on that passes, for WEEKLY and less; RRULE_NO_DAY
 * when there is none before the year 10001.  The calendar repeats after 400
 * years, which bounds the search for a rule that no day passes.
 */
int32_t
rrule_days_next(RRuleDays *days, int32_t day)
{
	int			year;
	int			bit;

	if (days->every)
		return day;
	year = rrule_year_of(day);
	bit = day - rrule_january(year) + RRULE_BIAS;
	for (int i = 0; i <= 400 && year <= 10000; i++)
	{
		const RRuleKind *kind = rrule_days_kind(days, year);

		for (int word = bit >> 6; word < 6 && !kind->empty; word++)
		{
			uint64_t	bits = kind->days.year[word];

			if (word == bit >> 6)
				bits &= ~UINT64_C(0) << (bit & 63);
			if (bits != 0)
				return rrule_january(year) - RRULE_BIAS +
					word * 64 + __builtin_ctzll(bits);
		}
		year++;
		bit = RRULE_BIAS;
	}
	return RRULE_NO_DAY;
}
