/*-------------------------------------------------------------------------
 *
 * rrule_describe_time.c
 *	  A recurrence rule in English: at which times, and how long.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_words.h"

/*
 * A part of the time of day: "at minutes 0 and 30", "during hours 9 to 17";
 * with "of" where a smaller part came before.
 */
static void
put_time_part(RRuleWords *w, const RRule *rule, RRulePart part,
			  const char *name, RRuleFreq level, uint64_t set, bool *more)
{
	if (!rrule_has(rule, part))
		return;
	rrule_put(w, " %s %s%s ", *more ? "of" :
			  rule->freq >= level ? "during" : "at", name,
			  (set & (set - 1)) != 0 ? "s" : "");
	rrule_put_numbers(w, &set, NULL, 0, 59, RRULE_PLAIN,
					  "and");
	*more = true;
}

void
rrule_put_times(RRuleWords *w, const RRule *rule)
{
	int			n = __builtin_popcount(rule->byhour) *
	__builtin_popcountll(rule->byminute) *
	(rrule_has(rule, RRULE_BYSECOND) ? __builtin_popcountll(rule->bysecond) : 1);
	int			i = 0;
	bool		more = false;

	if (rule->freq > RRULE_DAILY || n == 0 || n > 12)
	{
		put_time_part(w, rule, RRULE_BYSECOND, "second", RRULE_SECONDLY,
					  rule->bysecond, &more);
		put_time_part(w, rule, RRULE_BYMINUTE, "minute", RRULE_MINUTELY,
					  rule->byminute, &more);
		put_time_part(w, rule, RRULE_BYHOUR, "hour", RRULE_HOURLY,
					  rule->byhour, &more);
		return;
	}
	rrule_put(w, " at ");
	for (int h = 0; h < 24; h++)
	{
		for (int m = 0; m < 60; m++)
		{
			if (!((rule->byhour >> h) & 1) || !((rule->byminute >> m) & 1))
				continue;
			for (int s = 0; s < 60; s++)
			{
				if (rrule_has(rule, RRULE_BYSECOND) ?
					!((rule->bysecond >> s) & 1) : s > 0)
					continue;
				if (i > 0)
					rrule_put(w, i == n - 1 ? " and " : ", ");
				i++;
				rrule_put(w, "%02d:%02d", h, m);
				if (rrule_has(rule, RRULE_BYSECOND))
					rrule_put(w, ":%02d", s);
			}
		}
	}
}

void
rrule_put_end(RRuleWords *w, const RRule *rule)
{
	int			year,
				month,
				monthday;
	int32_t		day = (int32_t) ((rule->until - RRULE_MIN_LOCAL) / RRULE_DAY -
								 719162);
	int			second = (int) (rule->until - day * RRULE_DAY);

	if (rule->count == 1)
		rrule_put(w, ", once");
	else if (rule->count == 2)
		rrule_put(w, ", twice");
	else if (rule->count > 0)
		rrule_put(w, ", %lld times", (long long) rule->count);
	if (rule->until_kind == RRULE_UNTIL_NONE)
		return;
	rrule_date(day, &year, &month, &monthday);
	rrule_put(w, ", until %d %s %d", monthday, rrule_month_names[month], year);
	if (rule->until_kind == RRULE_UNTIL_DATE)
		return;
	rrule_put(w, " at %02d:%02d", second / 3600, second / 60 % 60);
	if (second % 60 != 0)
		rrule_put(w, ":%02d", second % 60);
	if (rule->until_kind == RRULE_UNTIL_UTC)
		rrule_put(w, " UTC");
}
