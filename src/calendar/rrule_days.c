/*-------------------------------------------------------------------------
 *
 * rrule_days.c
 *	  Which days belong to a rule: what the start implies, and looking up.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Whether a day passes depends only on the kind of its year.  The masks of
 * rrule_mask.c are kept by kind, and made when the first such year comes up.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule.h"

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
	/* BYDAY of WEEKLY is read with the week itself */
	days->any_weekday = (has & RRULE_BYDAY) == 0 || rule->freq == RRULE_WEEKLY;
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

/* The days of a year's kind, worked out when first asked for. */
const RRuleKind *
rrule_days_kind(RRuleDays *days, int year)
{
	bool		leap = rrule_is_leap(year);
	int			index = 7 * (leap ? 1 : rrule_is_leap(year - 1) ? 2 :
							 rrule_is_leap(year + 1) ? 3 : 0) +
	rrule_weekday(rrule_january(year));
	RRuleKind  *kind = &days->kind[index];
	uint64_t	any = 0;

	if (kind->ready)
		return kind;
	rrule_build_kind(days, index, kind);
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
