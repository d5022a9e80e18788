/*-------------------------------------------------------------------------
 *
 * naive.h
 *	  A second reading of RFC 5545, slow and obvious, to test the first by.
 *
 * Walks the calendar day by day and asks of each day, hour, minute and
 * second whether the text of section 3.3.10 lets it pass.  Shares nothing
 * with src/calendar but the parsed rule: its calendar is a counter, its week
 * numbers are counted, its ordinals are looked up by walking the month.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef NAIVE_H
#define NAIVE_H

#include <stdlib.h>
#include <string.h>

#include "calendar/rrule.h"

typedef struct NaiveDay
{
	int			y,
				m,
				d;
	int64_t		number;			/* days since 1970-01-01 */
} NaiveDay;

static int
naive_leap(int y)
{
	if (y % 400 == 0)
		return 1;
	if (y % 100 == 0)
		return 0;
	return y % 4 == 0;
}

static int
naive_month_len(int y, int m)
{
	if (m == 2)
		return naive_leap(y) ? 29 : 28;
	return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

static int
naive_year_len(int y)
{
	return naive_leap(y) ? 366 : 365;
}

/* counted from 1970 on, year by year; slow, and cached for the last year */
static int64_t
naive_number(int y, int m, int d)
{
	static int	cached_year = 1970;
	static int64_t cached = 0;
	int64_t		n;

	while (cached_year < y)
		cached += naive_year_len(cached_year++);
	while (cached_year > y)
		cached -= naive_year_len(--cached_year);
	n = cached;
	for (int i = 1; i < m; i++)
		n += naive_month_len(y, i);
	return n + d - 1;
}

static NaiveDay
naive_day(int64_t number)
{
	static int	y = 1970;
	NaiveDay	day;

	while (naive_number(y, 1, 1) > number)
		y--;
	while (naive_number(y + 1, 1, 1) <= number)
		y++;
	day.y = y;
	day.m = 1;
	while (day.m < 12 && naive_number(y, day.m + 1, 1) <= number)
		day.m++;
	day.d = (int) (number - naive_number(y, day.m, 1)) + 1;
	day.number = number;
	return day;
}

/* Thursday 1970-01-01 was day 0; 0 = Monday */
static int
naive_weekday(int64_t number)
{
	int64_t		w = (number + 3) % 7;

	return (int) (w < 0 ? w + 7 : w);
}

static int64_t
naive_week_start(int64_t number, int wkst)
{
	while (naive_weekday(number) != wkst)
		number--;
	return number;
}

/* the year that owns a day's week: the one with four of its days */
static int
naive_week_year(int64_t number, int wkst)
{
	/* the fourth day of the week decides */
	return naive_day(naive_week_start(number, wkst) + 3).y;
}

static int
naive_week_no(int64_t number, int wkst)
{
	int			year = naive_week_year(number, wkst);
	int64_t		week = naive_week_start(number, wkst);
	int			n = 1;

	while (naive_week_year(week - 7, wkst) == year)
	{
		week -= 7;
		n++;
	}
	return n;
}

static int
naive_weeks_in(int year, int wkst)
{
	/* 28 December plus three days at most: step back to this year's last */
	int64_t		day = naive_number(year, 12, 31);

	while (naive_week_year(day, wkst) != year)
		day--;
	return naive_week_no(day, wkst);
}

/* which one of its weekday a day is within from..to, from either end */
static int
naive_nth(int64_t number, int64_t from, int64_t to, int from_end)
{
	int			n = 0;

	if (from_end)
	{
		for (int64_t i = number; i <= to; i += 7)
			n++;
	}
	else
	{
		for (int64_t i = number; i >= from; i -= 7)
			n++;
	}
	return n;
}

static int
naive_byday(const RRule *r, const NaiveDay *day)
{
	int			w = naive_weekday(day->number);
	int64_t		from,
				to;

	if (r->byday >> w & 1)
		return 1;
	if (r->freq == RRULE_MONTHLY || (r->parts & RRULE_BYMONTH))
	{
		from = naive_number(day->y, day->m, 1);
		to = from + naive_month_len(day->y, day->m) - 1;
	}
	else
	{
		from = naive_number(day->y, 1, 1);
		to = naive_number(day->y, 12, 31);
	}
	return (r->byday_nth[w] >> naive_nth(day->number, from, to, 0) & 1) ||
		(r->byday_nth_neg[w] >> naive_nth(day->number, from, to, 1) & 1);
}

/* an expansion under way */
typedef struct Naive
{
	const RRule *r;
	int64_t		start;
	NaiveDay	start_day;
	int			month_from_start;
	int			monthday_from_start;
	int			weekday_from_start;
} Naive;

static void
naive_init(Naive *n, const RRule *r, int64_t start)
{
	uint32_t	p = r->parts;
	int64_t		number = start / 86400;

	if (number * 86400 > start)
		number--;
	n->r = r;
	n->start = start;
	n->start_day = naive_day(number);
	n->month_from_start = r->freq == RRULE_YEARLY &&
		!(p & (RRULE_BYMONTH | RRULE_BYWEEKNO | RRULE_BYYEARDAY |
			   RRULE_BYMONTHDAY | RRULE_BYDAY));
	n->monthday_from_start = (r->freq == RRULE_YEARLY &&
							  !(p & (RRULE_BYWEEKNO | RRULE_BYYEARDAY |
									 RRULE_BYMONTHDAY | RRULE_BYDAY))) ||
		(r->freq == RRULE_MONTHLY && !(p & (RRULE_BYMONTHDAY | RRULE_BYDAY)));
	n->weekday_from_start = (r->freq == RRULE_WEEKLY && !(p & RRULE_BYDAY)) ||
		(r->freq == RRULE_YEARLY && (p & RRULE_BYWEEKNO) &&
		 !(p & (RRULE_BYYEARDAY | RRULE_BYMONTHDAY | RRULE_BYDAY)));
}

static int
naive_month_passes(const Naive *n, int m)
{
	if (n->month_from_start)
		return m == n->start_day.m;
	return !(n->r->parts & RRULE_BYMONTH) || (n->r->bymonth >> m & 1);
}

static int
naive_weekday_passes(const Naive *n, const NaiveDay *day)
{
	if (n->weekday_from_start)
		return naive_weekday(day->number) ==
			naive_weekday(n->start_day.number);
	return !(n->r->parts & RRULE_BYDAY) || naive_byday(n->r, day);
}

/* does a day of the calendar pass? */
static int
naive_day_passes(const Naive *n, const NaiveDay *day)
{
	const RRule *r = n->r;

	if (!naive_month_passes(n, day->m) || !naive_weekday_passes(n, day))
		return 0;
	if (n->monthday_from_start && day->d != n->start_day.d)
		return 0;
	if (r->parts & RRULE_BYMONTHDAY)
	{
		int			from_end = naive_month_len(day->y, day->m) - day->d + 1;

		if (!(r->bymonthday >> day->d & 1) &&
			!(r->bymonthday_neg >> from_end & 1))
			return 0;
	}
	if (r->parts & RRULE_BYYEARDAY)
	{
		int			yd = (int) (day->number - naive_number(day->y, 1, 1)) + 1;

		if (!RRULE_SET_HAS(r->byyearday.pos, yd) &&
			!RRULE_SET_HAS(r->byyearday.neg, naive_year_len(day->y) - yd + 1))
			return 0;
	}
	if (r->parts & RRULE_BYWEEKNO)
	{
		int			no = naive_week_no(day->number, r->wkst);
		int			of = naive_weeks_in(naive_week_year(day->number, r->wkst),
										r->wkst);

		if (!(r->byweekno >> no & 1) && !(r->byweekno_neg >> (of - no + 1) & 1))
			return 0;
	}
	return 1;
}

/*
 * The days that SKIP puts in place of days that month m of year y (or, with
 * m = 0, year y) does not have.  Returns how many.
 */
static int
naive_skipped(const Naive *n, int y, int m, int64_t *out)
{
	const RRule *r = n->r;
	int			count = 0;
	int			len = m == 0 ? naive_year_len(y) : naive_month_len(y, m);
	int64_t		first = naive_number(y, m == 0 ? 1 : m, 1);

	if (m > 0 && !naive_month_passes(n, m))
		return 0;
	for (int v = -366; v <= 366; v++)
	{
		int			wanted;
		NaiveDay	to;

		if (v >= -len && v <= len)
			continue;			/* exists */
		if (m == 0)
			wanted = v > 0 ? RRULE_SET_HAS(r->byyearday.pos, v) :
				RRULE_SET_HAS(r->byyearday.neg, -v);
		else if (v < -31 || v > 31)
			wanted = 0;
		else if (n->monthday_from_start)
			wanted = v == n->start_day.d;
		else
			wanted = v > 0 ? r->bymonthday >> v & 1 :
				r->bymonthday_neg >> -v & 1;
		if (!wanted)
			continue;
		if (v > 0)
			to = naive_day(r->skip == RRULE_FORWARD ? first + len :
						   first + len - 1);
		else
			to = naive_day(r->skip == RRULE_FORWARD ? first : first - 1);
		if (!(r->parts & RRULE_BYDAY) || naive_byday(r, &to))
			out[count++] = to.number;
	}
	return count;
}

/* the number of the period of FREQ that a day (from DAILY up) lies in */
static int64_t
naive_period(const Naive *n, const NaiveDay *day)
{
	switch (n->r->freq)
	{
		case RRULE_YEARLY:
			if (n->r->parts & RRULE_BYWEEKNO)
				return naive_week_year(day->number, n->r->wkst);
			return day->y;
		case RRULE_MONTHLY:
			return day->y * 12 + day->m - 1;
		case RRULE_WEEKLY:
			return (naive_week_start(day->number, n->r->wkst) + 700000 * 7) / 7;
		default:
			return day->number;
	}
}

static int
naive_compare(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return x < y ? -1 : x > y;
}

static int
naive_unique(int64_t *list, int n)
{
	int			kept = 0;

	qsort(list, (size_t) n, sizeof(*list), naive_compare);
	for (int i = 0; i < n; i++)
	{
		if (kept == 0 || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	return kept;
}

/* what BYSETPOS leaves of a sorted list */
static int
naive_setpos(const RRule *r, int64_t *list, int n)
{
	int			kept = 0;

	if (!(r->parts & RRULE_BYSETPOS))
		return n;
	for (int i = 0; i < n; i++)
	{
		if ((i < 366 && RRULE_SET_HAS(r->bysetpos.pos, i + 1)) ||
			(n - i <= 366 && RRULE_SET_HAS(r->bysetpos.neg, n - i)))
			list[kept++] = list[i];
	}
	return kept;
}

/* instances found, in order; they are complete up to "complete" */
typedef struct NaiveList
{
	int			n;
	int64_t		complete;
	int64_t		at[4096];
} NaiveList;

#define NAIVE_TOO_MANY (-1)

/*
 * Every time of a day that passes, as seconds from "base"; hours, minutes or
 * seconds at or above FREQ run through all values and are limits.
 */
static int
naive_times(const Naive *n, int64_t base, int64_t *out, int max)
{
	const RRule *r = n->r;
	int64_t		s = ((n->start % 86400) + 86400) % 86400;
	int			count = 0;

	for (int h = 0; h < 24; h++)
	{
		if (r->parts & RRULE_BYHOUR ? !(r->byhour >> h & 1) :
			r->freq <= RRULE_DAILY && h != s / 3600)
			continue;
		for (int m = 0; m < 60; m++)
		{
			if (r->parts & RRULE_BYMINUTE ? !(r->byminute >> m & 1) :
				r->freq <= RRULE_HOURLY && m != s / 60 % 60)
				continue;
			for (int sec = 0; sec < 60; sec++)
			{
				if (r->parts & RRULE_BYSECOND ? !(r->bysecond >> sec & 1) :
					r->freq <= RRULE_MINUTELY && sec != s % 60)
					continue;
				if (count >= max)
					return NAIVE_TOO_MANY;
				out[count++] = base + h * 3600 + m * 60 + sec;
			}
		}
	}
	return count;
}

static void
naive_keep(const Naive *n, NaiveList *list, const int64_t *from, int count)
{
	for (int i = 0; i < count && list->n < 4096; i++)
	{
		if (from[i] >= n->start)
			list->at[list->n++] = from[i];
	}
}

/* below DAILY: a period is one hour, minute or second */
static void
naive_short_periods(const Naive *n, int days, NaiveList *list)
{
	static int64_t times[86400];
	const RRule *r = n->r;
	int64_t		unit = r->freq == RRULE_HOURLY ? 3600 :
	r->freq == RRULE_MINUTELY ? 60 : 1;
	int64_t		zero = -86400 * INT64_C(800000);	/* keeps operands positive */
	int64_t		origin = (n->start - zero) / unit;

	for (int i = 0; i < days; i++)
	{
		NaiveDay	day = naive_day(n->start_day.number + i);
		int			count;

		if (day.y > 9999)
			break;
		list->complete = day.number * 86400 - 1;
		if (list->n > 200)
			return;
		if (!naive_day_passes(n, &day))
			continue;
		count = naive_times(n, day.number * 86400, times, 86400);
		for (int from = 0, to; from < count; from = to)
		{
			int64_t		period = (times[from] - zero) / unit;
			int			kept;

			for (to = from; to < count && (times[to] - zero) / unit == period;)
				to++;
			if (period < origin || (period - origin) % r->interval != 0)
				continue;
			kept = naive_setpos(r, times + from, to - from);
			naive_keep(n, list, times + from, kept);
		}
	}
	list->complete = (n->start_day.number + days) * 86400 - 1;
}

/* one period of days, with what SKIP adds */
static int
naive_flush(const Naive *n, int64_t *days, int ndays, int y, int m,
			NaiveList *list)
{
	static int64_t all[300000];
	const RRule *r = n->r;
	int			count = 0;

	if (r->skip != RRULE_OMIT && !(r->parts & RRULE_BYWEEKNO))
	{
		if (r->freq == RRULE_MONTHLY)
			ndays += naive_skipped(n, y, m, days + ndays);
		else if (r->freq == RRULE_YEARLY && !(r->parts & RRULE_BYYEARDAY))
		{
			for (int i = 1; i <= 12; i++)
				ndays += naive_skipped(n, y, i, days + ndays);
		}
		else if (r->freq == RRULE_YEARLY &&
				 !(r->parts & (RRULE_BYMONTH | RRULE_BYMONTHDAY)))
			ndays += naive_skipped(n, y, 0, days + ndays);
	}
	ndays = naive_unique(days, ndays);
	for (int i = 0; i < ndays; i++)
	{
		int			more = naive_times(n, days[i] * 86400, all + count,
									   300000 - count);

		if (more == NAIVE_TOO_MANY)
			return NAIVE_TOO_MANY;
		count += more;
	}
	count = naive_setpos(r, all, count);
	naive_keep(n, list, all, count);
	return 0;
}

static int
naive_long_periods(const Naive *n, int days, NaiveList *list)
{
	const RRule *r = n->r;
	int64_t		found[1024];
	int			nfound = 0;
	int64_t		origin = r->freq == RRULE_YEARLY ? n->start_day.y :
	naive_period(n, &n->start_day);
	int			from = r->freq <= RRULE_MONTHLY ? 800 : 15;
	NaiveDay	first = naive_day(n->start_day.number - from);
	int64_t		current = naive_period(n, &first);

	for (int i = -from; i < days; i++)
	{
		NaiveDay	day = naive_day(n->start_day.number + i);
		int64_t		period = naive_period(n, &day);

		if (period != current)
		{
			/* the first period seen may be cut off, and is long past */
			if (i > -from &&
				(current - origin) % r->interval == 0)
			{
				if (naive_flush(n, found, nfound, first.y, first.m, list) < 0)
					return NAIVE_TOO_MANY;
				if (list->n > 400)
				{
					list->complete = (first.number - 3) * 86400 - 1;
					list->n = naive_unique(list->at, list->n);
					return 0;
				}
			}
			first = day;
			current = period;
			nfound = 0;
		}
		if ((period - origin) % r->interval == 0 && naive_day_passes(n, &day))
			found[nfound++] = day.number;
	}
	list->complete = (first.number - 3) * 86400 - 1;
	list->n = naive_unique(list->at, list->n);
	return 0;
}

/*
 * The instances of a rule within so many days of its start.  UNTIL with Z
 * is not applied.  NAIVE_TOO_MANY where a period has too many to list.
 */
static int
naive_expand(const RRule *r, int64_t start, int days, NaiveList *list)
{
	Naive		n;
	int			kept = 0;

	naive_init(&n, r, start);
	list->n = 0;
	list->complete = start - 1;
	if (r->freq >= RRULE_HOURLY)
		naive_short_periods(&n, days, list);
	else if (naive_long_periods(&n, days, list) < 0)
		return NAIVE_TOO_MANY;
	if (list->n == 4096)
		list->complete = list->at[4000];
	for (int i = 0; i < list->n; i++)
	{
		if (list->at[i] <= list->complete && list->at[i] <= RRULE_MAX_LOCAL &&
			(r->count == 0 || kept < r->count) &&
			(r->until_kind == RRULE_UNTIL_NONE ||
			 r->until_kind == RRULE_UNTIL_UTC || list->at[i] <= r->until))
			list->at[kept++] = list->at[i];
	}
	list->n = kept;
	return 0;
}

#endif							/* NAIVE_H */
