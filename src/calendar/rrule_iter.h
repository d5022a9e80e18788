/*-------------------------------------------------------------------------
 *
 * rrule_iter.h
 *	  What the files of the expansion share; for them alone.
 *
 * The public interface is rrule.h.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_RRULE_ITER_H
#define MAINTSCHED_RRULE_ITER_H

#include "calendar/rrule.h"

#define RRULE_CYCLE_DAYS	146097	/* 400 years: the calendar repeats */
#define RRULE_PATIENCE		2048	/* misses before rrule_reaches() is asked */

/* rrule_period.c: periods from DAILY up */
extern bool rrule_take(const RRuleIter *it, RRulePeriod *set, int64_t *local);
extern void rrule_fill(RRuleIter *it, RRulePeriod *set);
extern int	rrule_refill_periods(RRuleIter *it);

/* rrule_time.c: periods below DAILY */
extern bool rrule_reaches(RRuleIter *it);
extern int	rrule_refill_times(RRuleIter *it);

/* division that rounds down, also before 1970 */
static inline int64_t
floor_div(int64_t a, int64_t b)
{
	int64_t		q = a / b;

	return q * b > a ? q - 1 : q;
}

/* the first period from "period" on that the interval selects */
static inline int64_t
align(const RRuleIter *it, int64_t period)
{
	int64_t		step = it->rule->interval;

	if (step == 1)
		return period;
	return it->origin - floor_div(it->origin - period, step) * step;
}

/* the i-th time of day (or of the hour, or the minute) of a period */
static inline int32_t
time_at(const RRuleIter *it, int i)
{
	if (i < RRULE_TIMES)
		return it->times[i];
	return it->hours[i / (it->nminutes * it->nseconds)] * 3600 +
		it->minutes[i / it->nseconds % it->nminutes] * 60 +
		it->seconds[i % it->nseconds];
}

#endif							/* MAINTSCHED_RRULE_ITER_H */
