/*-------------------------------------------------------------------------
 *
 * rrule_period.c
 *	  Periods of a rule from DAILY up.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * A period's instances are the product of its days, read from the masks of
 * rrule_days.c, and of the rule's times of day, or what BYSETPOS picks from
 * that product.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_iter.h"

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
		if (day == RRULE_NO_DAY || (++*misses == RRULE_PATIENCE && !rrule_reaches(it)))
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
bool
rrule_take(const RRuleIter *it, RRulePeriod *set, int64_t *local)
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

/* Make "set" the next period with an instance from it->first on. */
void
rrule_fill(RRuleIter *it, RRulePeriod *set)
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
		set->live = rrule_take(it, set, &set->head);
	}
}

/*
 * With SKIP, a period's last day may be the next one's first: two periods
 * are merged, so that instances stay in order and come once.
 */
int
rrule_refill_periods(RRuleIter *it)
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
				rrule_fill(it, now);
				if (!next->live)
					break;
			}
			else
			{
				rrule_fill(it, now);
				if (!now->live)
					break;
			}
			continue;
		}
		local = now->head;
		if (it->overlap && next->live && next->head <= local)
		{
			if (next->head == local)
				now->live = rrule_take(it, now, &now->head);
			local = next->head;
			next->live = rrule_take(it, next, &next->head);
		}
		else
			now->live = rrule_take(it, now, &now->head);
		if (local > it->last)
			break;
		if (local >= it->first)
			it->ready[n++] = local;
	}
	it->done = n < it->batch;
	return n;
}
