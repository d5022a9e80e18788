/*-------------------------------------------------------------------------
 *
 * rrule_describe.c
 *	  A recurrence rule in English.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * The sentence says what the rule says: how often, on which days, at which
 * times, how long.  What the rule leaves to its start is left unsaid.  Parts
 * that choose days are told as "on the first Monday"; parts that then only
 * narrow them as "when that is a Friday" or "only in March", so that every
 * combination the standard allows has a reading, if not always a short one.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_words.h"

static const char *const unit_names[] = {
	"year", "month", "week", "day", "hour", "minute", "second"
};

static bool
has_ordinals(const RRule *rule)
{
	for (int i = 0; i < 7; i++)
	{
		if (rule->byday_nth[i] != 0 || rule->byday_nth_neg[i] != 0)
			return true;
	}
	return false;
}

static void
put_every(RRuleWords *w, const RRule *rule)
{
	if (rule->interval == 1)
		rrule_put(w, "every %s", unit_names[rule->freq]);
	else
		rrule_put(w, "every %lld %ss", (long long) rule->interval,
				  unit_names[rule->freq]);
}

static void
put_months(RRuleWords *w, const RRule *rule, const char *last)
{
	rrule_put_names(w, rule->bymonth, rrule_month_names, "", last);
}

static void
put_weeks(RRuleWords *w, const RRule *rule, const char *last)
{
	rrule_put(w, __builtin_popcountll(rule->byweekno) +
			  __builtin_popcountll(rule->byweekno_neg) > 1 &&
			  rule->byweekno_neg == 0 ? "weeks " :
			  rule->byweekno_neg == 0 ? "week " : "");
	if (rule->byweekno_neg == 0)
		rrule_put_numbers(w, &rule->byweekno, NULL, 1, 53,
						  RRULE_PLAIN, last);
	else
	{
		rrule_put(w, "the ");
		rrule_put_numbers(w, &rule->byweekno, &rule->byweekno_neg, 1, 53,
						  RRULE_NTH, last);
		rrule_put(w, " week");
	}
	rrule_put(w, " of the year");
}

static void
put_monthdays(RRuleWords *w, const RRule *rule, const char *last)
{
	uint64_t	pos = rule->bymonthday;
	uint64_t	neg = rule->bymonthday_neg;

	rrule_put(w, "the ");
	rrule_put_numbers(w, &pos, &neg, 1, 31, RRULE_MONTHDAY,
					  last);
	if (neg != 0)
		rrule_put(w, " day");
}

static void
put_yeardays(RRuleWords *w, const RRule *rule, const char *last)
{
	rrule_put(w, "the ");
	rrule_put_numbers(w, rule->byyearday.pos, rule->byyearday.neg, 1, 366,
					  RRULE_MONTHDAY, last);
	rrule_put(w, " day of the year");
}

/* what an ordinal of BYDAY counts within */
static void
put_frame(RRuleWords *w, const RRule *rule)
{
	if (rule->freq == RRULE_YEARLY && !rrule_has(rule, RRULE_BYMONTH))
		rrule_put(w, " of the year");
	else if (rrule_has(rule, RRULE_BYMONTH) &&
			 (rule->freq == RRULE_YEARLY || rule->interval == 1))
	{
		rrule_put(w, " of ");
		put_months(w, rule, "and");
	}
	else
		rrule_put(w, " of the month");
}

/* the first and last Monday, the second Friday and every Sunday */
static void
put_ordinal_days(RRuleWords *w, const RRule *rule, const char *last,
				 const char *plain)
{
	int			n = 0;
	int			i = 0;

	for (int day = 0; day < 7; day++)
		n += (rule->byday_nth[day] | rule->byday_nth_neg[day]) != 0;
	n += rule->byday != 0;
	for (int day = 0; day < 7; day++)
	{
		if ((rule->byday_nth[day] | rule->byday_nth_neg[day]) == 0)
			continue;
		if (i > 0)
			rrule_put(w, i == n - 1 ? " %s " : "%.0s, ", last);
		i++;
		rrule_put(w, "the ");
		rrule_put_numbers(w, &rule->byday_nth[day], &rule->byday_nth_neg[day], 1, 53,
						  RRULE_NTH, last);
		rrule_put(w, " %s", rrule_day_names[day]);
	}
	put_frame(w, rule);
	if (rule->byday != 0)
	{
		rrule_put(w, " %s ", last);
		rrule_put_names(w, rule->byday, rrule_day_names, plain, last);
	}
}

/* BYDAY where other parts choose the day: "when that is a Friday" */
static void
put_when_day(RRuleWords *w, const RRule *rule)
{
	if (!rrule_has(rule, RRULE_BYDAY))
		return;
	rrule_put(w, " when that is ");
	if (has_ordinals(rule))
		put_ordinal_days(w, rule, "or", "a ");
	else if (rule->byday == RRULE_WEEKDAYS)
		rrule_put(w, "a weekday");
	else
		rrule_put_names(w, rule->byday, rrule_day_names, "a ", "or");
}

/* BYMONTHDAY chooses; the rest narrows */
static void
put_by_monthday(RRuleWords *w, const RRule *rule)
{
	bool		choose_month = rule->freq == RRULE_YEARLY || rule->interval == 1;

	rrule_put(w, "on ");
	put_monthdays(w, rule, "and");
	if (rrule_has(rule, RRULE_BYMONTH) && choose_month)
	{
		rrule_put(w, " of ");
		put_months(w, rule, "and");
	}
	else if (rule->freq == RRULE_YEARLY)
		rrule_put(w, " of every month");
	else
		rrule_put(w, " of the month");
	put_when_day(w, rule);
	if (rrule_has(rule, RRULE_BYYEARDAY))
	{
		rrule_put(w, rrule_has(rule, RRULE_BYDAY) ? " and " : " when that is ");
		put_yeardays(w, rule, "or");
	}
	if (rrule_has(rule, RRULE_BYWEEKNO))
	{
		rrule_put(w, ", only in ");
		put_weeks(w, rule, "or");
	}
	if (rrule_has(rule, RRULE_BYMONTH) && !choose_month)
	{
		rrule_put(w, ", only in ");
		put_months(w, rule, "and");
	}
}

static void
put_by_yearday(RRuleWords *w, const RRule *rule)
{
	rrule_put(w, "on ");
	put_yeardays(w, rule, "and");
	put_when_day(w, rule);
	if (rrule_has(rule, RRULE_BYWEEKNO))
	{
		rrule_put(w, ", only in ");
		put_weeks(w, rule, "or");
	}
	if (rrule_has(rule, RRULE_BYMONTH))
	{
		rrule_put(w, ", only in ");
		put_months(w, rule, "and");
	}
}

static void
put_by_weekno(RRuleWords *w, const RRule *rule)
{
	if (rrule_has(rule, RRULE_BYDAY))
	{
		rrule_put(w, "on ");
		if (rule->byday == 0x7f)
			rrule_put(w, "every day");
		else if (rule->byday == RRULE_WEEKDAYS)
			rrule_put(w, "every weekday");
		else
			rrule_put_names(w, rule->byday, rrule_day_names, "", "and");
		rrule_put(w, " of ");
	}
	else
		rrule_put(w, "in ");
	put_weeks(w, rule, "and");
	if (rrule_has(rule, RRULE_BYMONTH))
	{
		rrule_put(w, ", only in ");
		put_months(w, rule, "and");
	}
}

/* plain weekdays, after "every" or "on" */
static void
put_weekdays(RRuleWords *w, const RRule *rule, const char *word)
{
	bool		every = word[0] == 'e';

	if (rule->byday == 0x7f)
		rrule_put(w, every ? "every day" : "on all days");
	else if (rule->byday == RRULE_WEEKDAYS)
		rrule_put(w, every ? "every weekday" : "on weekdays");
	else
	{
		rrule_put(w, "%s ", word);
		rrule_put_names(w, rule->byday, rrule_day_names, "", "and");
	}
}

/* BYDAY chooses, of a month or a year */
static void
put_by_day(RRuleWords *w, const RRule *rule)
{
	bool		choose_month = rule->freq == RRULE_YEARLY || rule->interval == 1;
	bool		in_months = rrule_has(rule, RRULE_BYMONTH) && choose_month;

	if (!has_ordinals(rule))
	{
		put_weekdays(w, rule, rule->interval == 1 ? "every" : "on every");
		if (in_months)
		{
			rrule_put(w, " in ");
			put_months(w, rule, "and");
		}
		else if (rule->freq == RRULE_MONTHLY && rule->interval > 1)
			rrule_put(w, " of the month");
	}
	else if (rule->freq == RRULE_MONTHLY && rule->interval == 1 &&
			 !in_months && rule->byday == 0)
	{
		int			day = 0;
		int			ordinals = 0;

		/* one weekday, one ordinal: "every first Monday of the month" */
		for (int i = 0; i < 7; i++)
		{
			int			n = __builtin_popcountll(rule->byday_nth[i]) +
			__builtin_popcountll(rule->byday_nth_neg[i]);

			if (n > 0)
				day = i;
			ordinals += n;
		}
		if (ordinals == 1)
		{
			rrule_put(w, "every ");
			rrule_put_nth(w, rule->byday_nth[day] != 0 ?
						  __builtin_ctzll(rule->byday_nth[day]) :
						  -__builtin_ctzll(rule->byday_nth_neg[day]));
			rrule_put(w, " %s of the month", rrule_day_names[day]);
		}
		else
		{
			rrule_put(w, "on ");
			put_ordinal_days(w, rule, "and", "every ");
		}
	}
	else
	{
		rrule_put(w, "on ");
		put_ordinal_days(w, rule, "and", "every ");
		if (in_months && rule->byday != 0)
			rrule_put(w, " in these months");
	}
	if (rrule_has(rule, RRULE_BYMONTH) && !choose_month)
	{
		rrule_put(w, ", only in ");
		put_months(w, rule, "and");
	}
}

/* MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1: the last weekday of the month */
static bool
put_nth_weekday(RRuleWords *w, const RRule *rule)
{
	int			n = 0;

	if (rule->freq != RRULE_MONTHLY || has_ordinals(rule) ||
		rrule_has(rule, RRULE_BYMONTHDAY | RRULE_BYTIME) ||
		!rrule_has(rule, RRULE_BYDAY) || !rrule_has(rule, RRULE_BYSETPOS) ||
		(rule->interval > 1 && rrule_has(rule, RRULE_BYMONTH)) ||
		(rule->byday != RRULE_WEEKDAYS && rule->byday != 0x7f &&
		 (rule->byday & (rule->byday - 1)) != 0))
		return false;
	if (rule->interval > 1)
	{
		put_every(w, rule);
		rrule_put(w, " ");
	}
	rrule_put(w, "on the ");
	rrule_put_numbers(w, rule->bysetpos.pos, rule->bysetpos.neg, 1, 366,
					  RRULE_NTH, "and");
	for (int i = 0; i < 7; i++)
		n += (rule->byday >> i) & 1;
	rrule_put(w, " %s", n == 1 ? rrule_day_names[__builtin_ctz(rule->byday)] :
			  n == 7 ? "day" : "weekday");
	put_frame(w, rule);
	return true;
}

/* "how often" and "on which days", from WEEKLY down */
static void
put_short_freq(RRuleWords *w, const RRule *rule)
{
	bool		days_alone = rule->interval == 1 &&
	(rule->freq == RRULE_WEEKLY || rule->freq == RRULE_DAILY);

	if (rrule_has(rule, RRULE_BYMONTHDAY))
	{
		if (!days_alone)
		{
			put_every(w, rule);
			rrule_put(w, ", only ");
		}
		rrule_put(w, "on ");
		put_monthdays(w, rule, "and");
		rrule_put(w, " of ");
		if (rrule_has(rule, RRULE_BYMONTH))
			put_months(w, rule, "and");
		else
			rrule_put(w, "the month");
		put_when_day(w, rule);
		if (rrule_has(rule, RRULE_BYYEARDAY))
		{
			rrule_put(w, rrule_has(rule, RRULE_BYDAY) ? " and " : " when that is ");
			put_yeardays(w, rule, "or");
		}
		return;
	}
	if (rrule_has(rule, RRULE_BYYEARDAY))
	{
		put_every(w, rule);
		rrule_put(w, ", only ");
		put_by_yearday(w, rule);
		return;
	}
	if (!rrule_has(rule, RRULE_BYDAY))
		put_every(w, rule);
	else if (days_alone)
		put_weekdays(w, rule, "every");
	else
	{
		put_every(w, rule);
		rrule_put(w, rule->freq == RRULE_WEEKLY ? " " : ", only ");
		put_weekdays(w, rule, "on");
	}
	if (rrule_has(rule, RRULE_BYMONTH))
	{
		rrule_put(w, rule->interval > 1 ? ", only in " : " in ");
		put_months(w, rule, "and");
	}
}

static void
put_days(RRuleWords *w, const RRule *rule)
{
	if (rule->freq >= RRULE_WEEKLY)
	{
		put_short_freq(w, rule);
		return;
	}
	if (rrule_has(rule, RRULE_BYDATE & ~RRULE_BYMONTH))
	{
		if (rule->interval > 1)
		{
			put_every(w, rule);
			rrule_put(w, " ");
		}
		if (rrule_has(rule, RRULE_BYMONTHDAY))
			put_by_monthday(w, rule);
		else if (rrule_has(rule, RRULE_BYYEARDAY))
			put_by_yearday(w, rule);
		else if (rrule_has(rule, RRULE_BYWEEKNO))
			put_by_weekno(w, rule);
		else
			put_by_day(w, rule);
		return;
	}
	if (rrule_has(rule, RRULE_BYMONTH) && rule->interval == 1)
	{
		rrule_put(w, "every ");
		put_months(w, rule, "and");
		return;
	}
	put_every(w, rule);
	if (rrule_has(rule, RRULE_BYMONTH))
	{
		rrule_put(w, rule->freq == RRULE_YEARLY ? " in " : ", only in ");
		put_months(w, rule, "and");
	}
}

static void
put_setpos(RRuleWords *w, const RRule *rule)
{
	rrule_put(w, ", of these only the ");
	rrule_put_numbers(w, rule->bysetpos.pos, rule->bysetpos.neg, 1, 366,
					  RRULE_NTH, "and");
	rrule_put(w, rule->interval == 1 ? " in each %s" : " in each such %s",
			  unit_names[rule->freq]);
}

/*
 * Write the sentence to "out", as much as there is room for; returns its
 * length without the terminating null byte, as snprintf() does.
 */
size_t
rrule_describe(const RRule *rule, char *out, size_t size)
{
	RRuleWords	w = {out, size, 0};
	bool		week_matters = rrule_has(rule, RRULE_BYWEEKNO) ||
	(rule->freq == RRULE_WEEKLY &&
	 (rule->interval > 1 || rrule_has(rule, RRULE_BYSETPOS)));

	if (!put_nth_weekday(&w, rule))
	{
		put_days(&w, rule);
		rrule_put_times(&w, rule);
		if (rrule_has(rule, RRULE_BYSETPOS))
			put_setpos(&w, rule);
	}
	if (rule->skip != RRULE_OMIT && rule->freq <= RRULE_MONTHLY)
		rrule_put(&w, rule->skip == RRULE_BACKWARD ?
				  " (where there is no such day, on the last one before it)" :
				  " (where there is no such day, on the first one after it)");
	if (week_matters && rule->wkst != 0)
		rrule_put(&w, ", weeks starting on %s", rrule_day_names[rule->wkst]);
	rrule_put_end(&w, rule);
	return w.n;
}
