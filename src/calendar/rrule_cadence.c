/*-------------------------------------------------------------------------
 *
 * rrule_cadence.c
 *	  How often a rule comes, in one word; and what may surprise in it.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * The cadence is what the rule does, not how it is written: DAILY;BYDAY=MO
 * is weekly, MONTHLY;INTERVAL=3 quarterly.  Four full years are expanded,
 * COUNT and UNTIL left out.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule.h"

#include <stdio.h>
#include <string.h>

#define YEARS 4

/* units of which a cadence has exactly one instance each */
enum
{
	BY_DAY, BY_WEEKDAY, BY_WEEK, BY_MONTH, BY_QUARTER, BY_YEAR, NUNITS
};

/* the number of the unit that a day lies in; a weekend counts as its Friday */
static int64_t
unit_of(int unit, int wkst, int32_t day)
{
	int			year,
				month,
				monthday,
				weekday = rrule_weekday(day);

	rrule_date(day, &year, &month, &monthday);
	switch (unit)
	{
		case BY_DAY:
			return day;
		case BY_WEEKDAY:
			return (day - weekday + 3 + 840000) / 7 * 5 +
				(weekday < 5 ? weekday : 4);
		case BY_WEEK:
			return (day + 3 + 840000 - wkst) / 7;
		case BY_MONTH:
			return year * 12 + month;
		case BY_QUARTER:
			return year * 4 + (month - 1) / 3;
		default:
			return year;
	}
}

/*
 * daily, weekly, monthly, quarterly, annual or other.  "it" is room to work
 * in.
 */
const char *
rrule_cadence(const RRule *rule, int64_t start, RRuleIter *it)
{
	static const char *const names[NUNITS] = {
		"daily", "daily", "weekly", "monthly", "quarterly", "annual"
	};
	static const char *const by_freq[] = {
		"other", "monthly", "weekly", "daily", "other", "other", "other"
	};
	RRule		plain = *rule;
	int			year = rrule_year_of((int32_t) ((start - RRULE_MIN_LOCAL) /
												RRULE_DAY - 719162)) + 1;
	int32_t		begin,
				end;
	int64_t		first[NUNITS] = {0};
	int64_t		last[NUNITS] = {0};
	bool		fits[NUNITS];
	int64_t		local;
	int			n = 0;

	plain.until_kind = RRULE_UNTIL_NONE;
	plain.count = 0;
	if (year + YEARS > 9999)
		return rule->interval == 1 ? by_freq[rule->freq] : "other";
	begin = rrule_january(year);
	end = rrule_january(year + YEARS);
	memset(fits, true, sizeof(fits));
	rrule_iter_init(it, &plain, start);
	rrule_iter_seek(it, begin * RRULE_DAY);
	while (n <= 366 * YEARS && rrule_iter_next(it, &local) &&
		   local < end * RRULE_DAY)
	{
		int32_t		day = (int32_t) ((local - RRULE_MIN_LOCAL) / RRULE_DAY -
									 719162);

		for (int unit = 0; unit < NUNITS; unit++)
		{
			int64_t		now = unit_of(unit, rule->wkst, day);

			if (n == 0)
				first[unit] = now;
			else if (now != last[unit] + 1)
				fits[unit] = false;
			last[unit] = now;
		}
		if (rrule_weekday(day) >= 5)
			fits[BY_WEEKDAY] = false;
		n++;
	}

	/* one in each unit from the first to the last; weeks may be cut off */
	for (int unit = 0; unit < NUNITS && n > 0 && n <= 366 * YEARS; unit++)
	{
		int			cut = unit == BY_WEEK ? 1 : 0;

		if (fits[unit] &&
			first[unit] <= unit_of(unit, rule->wkst, begin) + cut +
			(unit == BY_WEEKDAY && rrule_weekday(begin) >= 5 ? 1 : 0) &&
			last[unit] >= unit_of(unit, rule->wkst, end - 1) - cut)
			return names[unit];
	}
	return rule->interval == 1 ? by_freq[rule->freq] : "other";
}

/*
 * A sentence (without a period) on days that the start implies and that many
 * months or years do not have; false where there is nothing to say.
 */
bool
rrule_notice(const RRule *rule, int64_t start, char *out, size_t size)
{
	uint32_t	has = rule->parts & RRULE_BYDATE;
	int			year,
				month,
				monthday;

	rrule_date((int32_t) ((start - RRULE_MIN_LOCAL) / RRULE_DAY - 719162),
			   &year, &month, &monthday);
	if (rule->skip != RRULE_OMIT || monthday < 29)
		return false;
	if (rule->freq == RRULE_YEARLY && has == 0 && month == 2)
		snprintf(out, size,
				 "this yearly rule starts on 29 February, so it has occurrences in leap years only; with SKIP=BACKWARD other years have 28 February, with SKIP=FORWARD 1 March");
	else if (rule->freq <= RRULE_MONTHLY && (has & ~RRULE_BYMONTH) == 0 &&
			 (rule->freq == RRULE_MONTHLY || has != 0) &&
			 (has == 0 ||
			  (rule->bymonth & (monthday == 31 ? 0xa54 : 0x4)) != 0))
		snprintf(out, size,
				 "this rule starts on day %d of the month, so months without such a day are skipped; with SKIP=BACKWARD they have their last day, with SKIP=FORWARD the first of the next month",
				 monthday);
	else
		return false;
	return true;
}
