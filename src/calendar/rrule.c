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
 * days ends after 400 years (rrule_days_next()); and where an interval and
 * the limits could miss each other for ever, one cycle of the calendar
 * decides it (rrule_reaches()).
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_iter.h"

#include <string.h>

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

	/* what is not below the frequency limits instead; 1 stands for "none" */
	it->hour_mask = (rule->parts & RRULE_BYHOUR) ? rule->byhour : 0xffffff;
	it->minute_mask = rule->freq < RRULE_MINUTELY ? 1 :
		(rule->parts & RRULE_BYMINUTE) ? minutes : (UINT64_C(1) << 60) - 1;
	it->second_mask = rule->freq < RRULE_SECONDLY ? 1 :
		(rule->parts & RRULE_BYSECOND) ? seconds : (UINT64_C(1) << 60) - 1;
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

/* BYSETPOS beyond what any period has */
static bool
no_position(const RRuleIter *it)
{
	static const int days[] = {384, 33, 7, 1, 1, 1, 1};
	int64_t		most = (int64_t) days[it->rule->freq] * it->ntimes;

	return it->npos + it->nneg != 0 &&
		(it->npos == 0 || it->setpos_pos[0] > most) &&
		(it->nneg == 0 || -it->setpos_neg[it->nneg - 1] > most);
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
	it->never = no_position(it);
	it->unlimited = it->days.every && (rule->parts & RRULE_BYTIME) == 0;
	rrule_iter_seek(it, start);
}

void
rrule_iter_refill(RRuleIter *it)
{
	int			n = 0;

	if (it->poll != NULL)
		it->poll();
	it->at = it->nready = 0;
	if (!it->done)
		n = it->per_day > 1 ? rrule_refill_times(it) : rrule_refill_periods(it);
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
	it->done = it->never || from > it->last;
	memset(&it->period_set[0], 0, offsetof(RRulePeriod, day));
	memset(&it->period_set[1], 0, offsetof(RRulePeriod, day));
	if (it->overlap && !it->done)
		rrule_fill(it, &it->period_set[1]);
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
