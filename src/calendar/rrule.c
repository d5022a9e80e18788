/*-------------------------------------------------------------------------
 *
 * rrule.c
 *	  Expansion of a recurrence rule into local times.
 *
 * Runs in any process; takes no locks, allocates nothing, reads no clock.
 *
 * A rule is a sequence of periods (years, months, ... seconds), every
 * INTERVAL-th counted from the start's own.  From DAILY up, a period's
 * instances are the product of its days (rrule_days.c) and of the rule's
 * times of day; below, of one time and of the rule's minutes and seconds.
 * BYSETPOS then picks from the whole period, what lies before the start
 * included.  Instances are made in batches, so that the caller's loop is a
 * read from an array.
 *
 * Every loop is bounded: periods end with the year 9999; a search through
 * days ends after 400 years (rrule_days_next); and where an interval and the
 * limits could miss each other for ever, that is decided within one cycle of
 * the calendar (reaches()).
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule.h"

#include <string.h>

#define CYCLE_DAYS	146097		/* days of 400 years */
#define PATIENCE	2048		/* misses before reaches() is asked */

static int64_t
floor_div(int64_t a, int64_t b)
{
	int64_t		q = a / b;

	return q * b > a ? q - 1 : q;
}

static int64_t
gcd(int64_t a, int64_t b)
{
	while (b != 0)
	{
		int64_t		t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* the first period from "period" on that the interval selects */
static int64_t
align(const RRuleIter *it, int64_t period)
{
	int64_t		step = it->rule->interval;

	if (step == 1)
		return period;
	return it->origin - floor_div(it->origin - period, step) * step;
}

/* the period that a local time lies in */
static int64_t
period_of(const RRuleIter *it, int64_t local)
{
	int32_t		day = (int32_t) floor_div(local, RRULE_DAY);
	int			year,
				month,
				monthday;

	switch (it->rule->freq)
	{
		case RRULE_YEARLY:
			return rrule_year_of(day);
		case RRULE_MONTHLY:
			rrule_date(day, &year, &month, &monthday);
			return year * 12 + month - 1;
		case RRULE_WEEKLY:
			return floor_div(day + 3 - it->rule->wkst, 7);
		case RRULE_DAILY:
			return day;
		default:
			return floor_div(local, RRULE_DAY / it->per_day);
	}
}

static int
list_bits(uint64_t bits, uint8_t *out)
{
	int			n = 0;

	for (; bits != 0; bits &= bits - 1)
		out[n++] = (uint8_t) __builtin_ctzll(bits);
	return n;
}

static int32_t
time_at(const RRuleIter *it, int i)
{
	if (i < RRULE_TIMES)
		return it->times[i];
	return it->hours[i / (it->nminutes * it->nseconds)] * 3600 +
		it->minutes[i / it->nseconds % it->nminutes] * 60 +
		it->seconds[i % it->nseconds];
}

/* The times of day that each period has, and the limits below DAILY. */
static void
init_times(RRuleIter *it)
{
	const RRule *rule = it->rule;
	int64_t		second = it->start - floor_div(it->start, RRULE_DAY) * RRULE_DAY;
	uint64_t	hours = rule->byhour;
	uint64_t	minutes = rule->byminute;
	uint64_t	seconds = rule->bysecond;

	if (!(rule->parts & RRULE_BYHOUR))
		hours = UINT64_C(1) << (second / 3600);
	if (!(rule->parts & RRULE_BYMINUTE))
		minutes = UINT64_C(1) << (second / 60 % 60);
	if (!(rule->parts & RRULE_BYSECOND))
		seconds = UINT64_C(1) << (second % 60);

	/* what is not below the frequency limits instead */
	it->hour_mask = (rule->parts & RRULE_BYHOUR) ? rule->byhour : 0xffffff;
	it->minute_mask = (rule->parts & RRULE_BYMINUTE) ? minutes :
		(UINT64_C(1) << 60) - 1;
	it->second_mask = (rule->parts & RRULE_BYSECOND) ? seconds :
		(UINT64_C(1) << 60) - 1;
	it->nhours = list_bits(rule->freq >= RRULE_HOURLY ? 1 : hours, it->hours);
	it->nminutes = list_bits(rule->freq >= RRULE_MINUTELY ? 1 : minutes,
							 it->minutes);
	it->nseconds = list_bits(rule->freq >= RRULE_SECONDLY ? 1 : seconds,
							 it->seconds);
	it->ntimes = it->nhours * it->nminutes * it->nseconds;
	for (int i = 0; i < it->ntimes && i < RRULE_TIMES; i++)
		it->times[i] = it->hours[i / (it->nminutes * it->nseconds)] * 3600 +
			it->minutes[i / it->nseconds % it->nminutes] * 60 +
			it->seconds[i % it->nseconds];

	it->npos = it->nneg = 0;
	for (int v = 1; v <= 366; v++)
	{
		if (RRULE_SET_HAS(rule->bysetpos.pos, v))
			it->setpos_pos[it->npos++] = (int16_t) v;
	}
	for (int v = 366; v >= 1; v--)
	{
		if (RRULE_SET_HAS(rule->bysetpos.neg, v))
			it->setpos_neg[it->nneg++] = (int16_t) -v;
	}
}

void
rrule_iter_init(RRuleIter *it, const RRule *rule, int64_t start)
{
	static const int per_day[] = {0, 0, 0, 1, 24, 1440, 86400};

	it->rule = rule;
	it->start = start;
	it->last = RRULE_MAX_LOCAL;
	if ((rule->until_kind == RRULE_UNTIL_DATE ||
		 rule->until_kind == RRULE_UNTIL_LOCAL) && rule->until < it->last)
		it->last = rule->until;
	it->poll = NULL;
	it->per_day = per_day[rule->freq];
	it->origin = period_of(it, start);
	it->overlap = rule->skip != RRULE_OMIT && rule->freq <= RRULE_MONTHLY &&
		rule->interval == 1;
	it->reachable = false;
	rrule_days_init(&it->days, rule, start);
	init_times(it);
	it->unlimited = it->days.every && (rule->parts & RRULE_BYTIME) == 0;
	rrule_iter_seek(it, start);
}

/* ---- one period from DAILY up ---- */

static int
bits_to_days(uint64_t bits, int32_t base, int32_t *day)
{
	int			n = 0;

	for (; bits != 0; bits &= bits - 1)
		day[n++] = base + __builtin_ctzll(bits);
	return n;
}

static int
load_year(RRuleIter *it, int64_t year, int32_t *day)
{
	const RRuleKind *kind = rrule_days_kind(&it->days, (int) year);
	int32_t		base = rrule_january((int) year) - RRULE_BIAS;
	int			n = 0;

	for (int word = 0; word < 6 && !kind->empty; word++)
		n += bits_to_days(kind->days.year[word], base + word * 64, day + n);
	return n;
}

static int
load_month(RRuleIter *it, int64_t period, int32_t *day)
{
	int			year = (int) (period / 12);
	int			month = (int) (period % 12);
	const RRuleKind *kind = rrule_days_kind(&it->days, year);

	if (kind->days.month[month] == 0)
		return 0;
	return bits_to_days(kind->days.month[month],
						rrule_day_of(year, month + 1, 0), day);
}

static int
load_week(RRuleIter *it, int64_t *period, int32_t *day)
{
	int			wkst = it->rule->wkst;
	uint32_t	mask = it->rule->byday;
	int32_t		first = (int32_t) (*period * 7 - 3 + wkst);
	int			n = 0;

	if (!(it->rule->parts & RRULE_BYDAY))
		mask = UINT32_C(1) << rrule_weekday((int32_t) floor_div(it->start,
															  RRULE_DAY));
	/* weekdays as days of the rule's own week */
	mask = ((mask >> wkst) | (mask << (7 - wkst))) & 0x7f;
	if (!(it->rule->parts & RRULE_BYMONTH))
		return bits_to_days(mask, first, day);

	for (int i = 0; i < 7; i++)
	{
		int32_t		next;

		if (!((mask >> i) & 1))
			continue;
		next = rrule_days_next(&it->days, first + i);
		if (next == first + i)
			day[n++] = next;
		else if (n == 0 && next >= first + 7)
		{
			/* nothing until the week of the next day in these months */
			*period = next == RRULE_NO_DAY ? it->last_period + 1 :
				align(it, floor_div(next + 3 - wkst, 7)) - it->rule->interval;
			break;
		}
	}
	return n;
}

/*
 * Can an interval of "step" periods meet the days and times at all?  The
 * days repeat after 400 years, so it is enough to look at that many with the
 * greatest common divisor of the step and the cycle (Chinese remainders).
 */
static bool sub_daily_next(RRuleIter *it, int64_t *period, int64_t last,
						   int64_t step, int *misses);
static bool daily_next(RRuleIter *it, int64_t *period, int64_t last,
					   int64_t step, int *misses);

static bool
reaches(RRuleIter *it)
{
	int64_t		per_day = it->per_day;
	int64_t		step = gcd(it->rule->interval, CYCLE_DAYS * per_day);
	int64_t		period = it->origin - floor_div(it->origin, step) * step;
	int64_t		last = period + CYCLE_DAYS * per_day;
	bool		found;

	if (it->reachable)
		return true;
	if (per_day == 1)
		found = daily_next(it, &period, last, step, NULL);
	else
	{
		it->day_begin = it->day_end = 0;
		found = sub_daily_next(it, &period, last, step, NULL);
		it->day_begin = it->day_end = 0;
	}
	it->reachable = found;
	return found;
}

/* the first aligned day from *period on that passes */
static bool
daily_next(RRuleIter *it, int64_t *period, int64_t last, int64_t step,
		   int *misses)
{
	for (;;)
	{
		int32_t		day;

		if (*period > last)
			return false;
		day = rrule_days_next(&it->days, (int32_t) *period);
		if (day == *period)
			return true;
		if (day == RRULE_NO_DAY ||
			(misses != NULL && ++*misses == PATIENCE && !reaches(it)))
			return false;
		*period += (day - *period + step - 1) / step * step;
	}
}

/* Fill "set" with the next period that has instances; false at the end. */
static bool
load(RRuleIter *it, RRulePeriod *set)
{
	int64_t		step = it->rule->interval;
	int			misses = 0;

	for (; it->period <= it->last_period; it->period += step)
	{
		switch (it->rule->freq)
		{
			case RRULE_YEARLY:
				set->ndays = load_year(it, it->period, set->day);
				break;
			case RRULE_MONTHLY:
				set->ndays = load_month(it, it->period, set->day);
				break;
			case RRULE_WEEKLY:
				set->ndays = load_week(it, &it->period, set->day);
				break;
			default:
				if (!daily_next(it, &it->period, it->last_period, step,
								&misses))
					return false;
				set->day[0] = (int32_t) it->period;
				set->ndays = 1;
		}
		if (set->ndays == 0)
			continue;
		set->at_day = set->at_time = set->at_pos = set->at_neg = 0;
		it->period += step;
		return true;
	}
	return false;
}

/* Leave out what lies before it->first, without walking through it. */
static void
skip_to_first(const RRuleIter *it, RRulePeriod *set)
{
	int32_t		day = (int32_t) floor_div(it->first, RRULE_DAY);
	int32_t		second = (int32_t) (it->first - day * RRULE_DAY);
	int			low = 0,
				high = it->ntimes;

	if (it->npos + it->nneg != 0)
		return;
	while (set->at_day < set->ndays && set->day[set->at_day] < day)
		set->at_day++;
	if (set->at_day == set->ndays || set->day[set->at_day] > day)
		return;
	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (time_at(it, mid) < second)
			low = mid + 1;
		else
			high = mid;
	}
	set->at_time = low;
	if (low == it->ntimes)
	{
		set->at_time = 0;
		set->at_day++;
	}
}

/* The next instance of a period; false when it has no more. */
static bool
take(const RRuleIter *it, RRulePeriod *set, int64_t *local)
{
	int64_t		n = (int64_t) set->ndays * it->ntimes;
	int64_t		pos,
				neg,
				index;

	if (it->npos + it->nneg == 0)
	{
		if (set->at_day >= set->ndays)
			return false;
		*local = set->base + set->day[set->at_day] * RRULE_DAY +
			time_at(it, set->at_time);
		if (++set->at_time == it->ntimes)
		{
			set->at_time = 0;
			set->at_day++;
		}
		return true;
	}

	/* BYSETPOS: merge what counts from the front with what does from behind */
	while (set->at_neg < it->nneg && n + it->setpos_neg[set->at_neg] < 0)
		set->at_neg++;
	pos = set->at_pos < it->npos ? it->setpos_pos[set->at_pos] - 1 : n;
	neg = set->at_neg < it->nneg ? n + it->setpos_neg[set->at_neg] : n;
	index = pos < neg ? pos : neg;
	if (index >= n)
		return false;
	if (pos == index)
		set->at_pos++;
	if (neg == index)
		set->at_neg++;
	*local = set->base + set->day[index / it->ntimes] * RRULE_DAY +
		time_at(it, (int) (index % it->ntimes));
	return true;
}

/* ---- periods below DAILY ---- */

/* the first bit of a mask after "bit", or -1 */
static int
bit_after(uint64_t mask, int bit)
{
	mask &= ~UINT64_C(0) << bit << 1;
	return mask == 0 ? -1 : __builtin_ctzll(mask);
}

/*
 * The first period of the day from "tod" on (hours, minutes or seconds since
 * midnight) that BYHOUR, BYMINUTE and BYSECOND let pass, disregarding the
 * interval; it->per_day when the day has none.
 */
static int64_t
limit_time(const RRuleIter *it, int64_t tod)
{
	int			per_hour = (int) (it->per_day / 24);
	int			hour = (int) tod / per_hour;
	int			rest = (int) tod % per_hour;
	int			per_minute = per_hour / 60;
	int			next;

	if ((it->hour_mask >> hour) & 1)
	{
		int			minute;

		if (per_hour == 1)
			return tod;
		minute = per_minute == 0 ? rest : rest / per_minute;
		if ((it->minute_mask >> minute) & 1)
		{
			if (per_minute == 0)
				return tod;
			if ((it->second_mask >> (rest % per_minute)) & 1)
				return tod;
			next = bit_after(it->second_mask, rest % per_minute);
			if (next >= 0)
				return tod - rest % per_minute + next;
		}
		next = bit_after(it->minute_mask, minute);
		if (next >= 0)
			return tod - rest + (per_minute == 0 ? next : next * per_minute);
	}
	next = bit_after(it->hour_mask, hour);
	return next < 0 ? it->per_day : (int64_t) next * per_hour;
}

/* the first aligned period from *period on that passes all limits */
static bool
sub_daily_next(RRuleIter *it, int64_t *period, int64_t last, int64_t step,
			   int *misses)
{
	for (;;)
	{
		int64_t		target;

		if (*period > last)
			return false;
		if (it->unlimited)
			return true;
		if (*period < it->day_begin || *period >= it->day_end)
		{
			int32_t		today = (int32_t) floor_div(*period, it->per_day);
			int32_t		day = rrule_days_next(&it->days, today);

			if (day == RRULE_NO_DAY ||
				(misses != NULL && ++*misses == PATIENCE && !reaches(it)))
				return false;
			it->day_begin = day * it->per_day;
			it->day_end = it->day_begin + it->per_day;
		}
		target = *period;
		if (target < it->day_begin)
			target = it->day_begin;
		target = it->day_begin + limit_time(it, target - it->day_begin);
		if (target == *period)
			return true;
		*period += (target - *period + step - 1) / step * step;
	}
}

static int
refill_sub_daily(RRuleIter *it)
{
	int64_t		unit = RRULE_DAY / it->per_day;
	bool		simple = it->ntimes == 1 && it->npos + it->nneg == 0;
	RRulePeriod *set = &it->period_set[0];
	int			n = 0;

	while (n < it->batch)
	{
		int			misses = 0;
		int64_t		local;

		if (!simple && take(it, set, &local))
		{
			if (local > it->last)
				break;
			if (local >= it->first)
				it->ready[n++] = local;
			continue;
		}
		if (!sub_daily_next(it, &it->period, it->last_period,
							it->rule->interval, &misses))
			break;
		set->base = it->period * unit;
		it->period += it->rule->interval;
		if (simple)
		{
			local = set->base + it->times[0];
			if (local > it->last)
				break;
			if (local >= it->first)
				it->ready[n++] = local;
			continue;
		}
		set->ndays = 1;
		set->day[0] = 0;
		set->at_day = set->at_time = set->at_pos = set->at_neg = 0;
	}
	it->done = n < it->batch;
	return n;
}

/* ---- all of them ---- */

/* Make "set" the next period with an instance from it->first on. */
static void
fill(RRuleIter *it, RRulePeriod *set)
{
	set->live = false;
	while (!set->live && load(it, set))
	{
		if (it->poll != NULL)
			it->poll();
		set->base = 0;
		if (set->day[0] * RRULE_DAY > it->last)
			return;
		if (set->day[0] * RRULE_DAY < it->first)
			skip_to_first(it, set);
		set->live = take(it, set, &set->head);
	}
}

/*
 * With SKIP, a period's last day may be the next one's first: two periods
 * are merged, so that instances stay in order and come once.
 */
static int
refill_periods(RRuleIter *it)
{
	int			n = 0;

	while (n < it->batch)
	{
		RRulePeriod *now = &it->period_set[it->cur];
		RRulePeriod *next = &it->period_set[!it->cur];
		int64_t		local;

		if (!now->live)
		{
			if (it->overlap)
			{
				it->cur = !it->cur;
				fill(it, now);
				if (!next->live)
					break;
			}
			else
			{
				fill(it, now);
				if (!now->live)
					break;
			}
			continue;
		}
		local = now->head;
		if (it->overlap && next->live && next->head <= local)
		{
			if (next->head == local)
				now->live = take(it, now, &now->head);
			local = next->head;
			next->live = take(it, next, &next->head);
		}
		else
			now->live = take(it, now, &now->head);
		if (local > it->last)
			break;
		if (local >= it->first)
			it->ready[n++] = local;
	}
	it->done = n < it->batch;
	return n;
}

void
rrule_iter_refill(RRuleIter *it)
{
	int			n = 0;

	if (it->poll != NULL)
		it->poll();
	it->at = it->nready = 0;
	if (!it->done)
		n = it->per_day > 1 ? refill_sub_daily(it) : refill_periods(it);
	if (it->left >= 0)
	{
		if (n >= it->left)
		{
			n = (int) it->left;
			it->done = true;
		}
		it->left -= n;
	}
	it->nready = n;
	if (it->batch < RRULE_BATCH)
		it->batch *= 2;
}

/* Put the expansion before the first instance from "from" on. */
static void
position(RRuleIter *it, int64_t from)
{
	bool		reach_back = it->rule->skip != RRULE_OMIT ||
		(it->rule->parts & RRULE_BYWEEKNO);
	int64_t		period = period_of(it, from);

	it->first = from;
	it->last_period = period_of(it, RRULE_MAX_LOCAL);
	if (it->rule->freq <= RRULE_MONTHLY)
		it->last_period += it->rule->freq == RRULE_YEARLY ? 1 : 12;
	it->period = align(it, reach_back ? period - 1 : period);
	it->day_begin = it->day_end = 0;
	it->at = it->nready = 0;
	it->batch = 4;
	it->cur = 0;
	it->done = from > it->last;
	memset(&it->period_set[0], 0, offsetof(RRulePeriod, day));
	memset(&it->period_set[1], 0, offsetof(RRulePeriod, day));
	if (it->overlap && !it->done)
		fill(it, &it->period_set[1]);
}

/*
 * Let the expansion go on with the first instance from "from" on.  Without
 * COUNT that is independent of how far "from" is from the start; with it,
 * the instances before have to be counted.
 */
void
rrule_iter_seek(RRuleIter *it, int64_t from)
{
	int64_t		local;

	if (from < it->start)
		from = it->start;
	it->left = it->rule->count > 0 ? it->rule->count : -1;
	if (it->left < 0)
	{
		position(it, from);
		return;
	}
	position(it, it->start);
	while (from > it->start && rrule_iter_next(it, &local))
	{
		if (local >= from)
		{
			it->at--;
			return;
		}
	}
}
