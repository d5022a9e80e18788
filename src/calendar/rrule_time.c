/*-------------------------------------------------------------------------
 *
 * rrule_time.c
 *	  Periods of a rule below DAILY: hours, minutes and seconds.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * A period is one hour, minute or second.  It belongs to the rule where the
 * interval selects it and its day and its time of day pass the limits.  The
 * search for the next leaps from limit to limit; it never steps through the
 * seconds of a day, hour or minute that does not pass.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_iter.h"

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
	int			hour_len = (int) (it->per_day / 24);
	int			minute_len = hour_len < 60 ? 1 : hour_len / 60;
	int			hour = (int) tod / hour_len;
	int			minute = (int) tod % hour_len / minute_len;
	int			second = (int) tod % hour_len % minute_len;
	int			first_second = __builtin_ctzll(it->second_mask);
	int			next;

	if ((it->hour_mask >> hour) & 1)
	{
		if ((it->minute_mask >> minute) & 1)
		{
			if ((it->second_mask >> second) & 1)
				return tod;
			next = bit_after(it->second_mask, second);
			if (next >= 0)
				return tod - second + next;
		}
		next = bit_after(it->minute_mask, minute);
		if (next >= 0)
			return hour * hour_len + next * minute_len + first_second;
	}
	next = bit_after(it->hour_mask, hour);
	if (next < 0)
		return it->per_day;
	return next * hour_len +
		__builtin_ctzll(it->minute_mask) * minute_len + first_second;
}

/*
 * Can the interval meet the days and times at all?  Asked after many misses.
 *
 * Days repeat after 400 years, so by the Chinese remainder theorem only the
 * greatest common divisor of the interval and that cycle matters: some day
 * that passes must have an allowed time in the residue class of the start.
 */
bool
rrule_reaches(RRuleIter *it)
{
	uint64_t	seen[(86400 + 63) / 64] = {0};
	int64_t		per_day = it->per_day;
	int64_t		step = gcd(it->rule->interval, RRULE_CYCLE_DAYS * per_day);
	int64_t		origin = it->origin - floor_div(it->origin, step) * step;

	if (it->reachable)
		return true;
	for (int64_t tod = 0; tod < per_day; tod++)
	{
		if (per_day > 1)
			tod = limit_time(it, tod);
		if (tod < per_day)
			seen[(tod % step) >> 6] |= UINT64_C(1) << (tod % step & 63);
	}
	for (int32_t day = rrule_days_next(&it->days, 0); day < RRULE_CYCLE_DAYS;
		 day = rrule_days_next(&it->days, day + 1))
	{
		int64_t		wanted = (origin - day * per_day) % step;

		if (wanted < 0)
			wanted += step;
		if (wanted < per_day && ((seen[wanted >> 6] >> (wanted & 63)) & 1))
		{
			it->reachable = true;
			return true;
		}
		/* all days are alike to an interval that divides the day */
		if (per_day % step == 0)
			return false;
	}
	return false;
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

			if (day == RRULE_NO_DAY)
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
		if (++*misses == RRULE_PATIENCE && !rrule_reaches(it))
			return false;
		*period += (target - *period + step - 1) / step * step;
	}
}

int
rrule_refill_times(RRuleIter *it)
{
	int64_t		unit = RRULE_DAY / it->per_day;
	bool		simple = it->ntimes == 1 && it->npos + it->nneg == 0;
	RRulePeriod *set = &it->period_set[0];
	int			n = 0;

	while (n < it->batch)
	{
		int			misses = 0;
		int64_t		local;

		if (!simple && rrule_take(it, set, &local))
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
