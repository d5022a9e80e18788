/*-------------------------------------------------------------------------
 *
 * rrule_parse.c
 *	  Reading a recurrence rule, strictly.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Accepted is what RFC 5545 section 3.3.10 allows, with SKIP of RFC 7529:
 * names in any case, parts in any order, FREQ among them once.  Everything
 * else is refused with the position and the reason; nothing is ignored.  The
 * one reading that changes a value: a second of 60 (a leap second) is 59, as
 * section 3.3.12 asks of those who do not keep leap seconds.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_read.h"

#include <stdio.h>
#include <string.h>

/* after an item of a list: true at the end of the list or before another */
static bool
list_goes_on(RRuleParser *p, bool *more)
{
	*more = false;
	if (at_end_of_value(p))
		return true;
	if (peek(p) != ',')
		return rrule_unexpected(p, "a comma or semicolon");
	p->at++;
	if (at_end_of_value(p))
		return rrule_fail(p, p->at - 1, "nothing follows the comma", "");
	*more = true;
	return true;
}

static bool
parse_list(RRuleParser *p, RRulePart part, const char *name)
{
	static const struct
	{
		RRulePart	part;
		bool		is_signed;
		int			min;
		int			max;
	}			range[] = {
		{RRULE_BYSECOND, false, 0, 60},
		{RRULE_BYMINUTE, false, 0, 59},
		{RRULE_BYHOUR, false, 0, 23},
		{RRULE_BYMONTHDAY, true, 1, 31},
		{RRULE_BYYEARDAY, true, 1, 366},
		{RRULE_BYWEEKNO, true, 1, 53},
		{RRULE_BYMONTH, false, 1, 12},
		{RRULE_BYSETPOS, true, 1, 366}
	};
	RRule	   *rule = p->rule;
	int			i = 0;
	bool		more;

	while (range[i].part != part)
		i++;
	do
	{
		long		v;
		int			n;
		bool		back;

		if (!rrule_read_number(p, name, range[i].is_signed, range[i].min,
							   range[i].max, &v))
			return false;
		if (part == RRULE_BYMONTH && upper(peek(p)) == 'L')
			return rrule_fail(p, p->at, "the Gregorian calendar has no leap months",
							  "");
		back = v < 0;
		n = (int) (back ? -v : v);
		switch (part)
		{
			case RRULE_BYSECOND:
				rule->bysecond |= UINT64_C(1) << (n == 60 ? 59 : n);
				break;
			case RRULE_BYMINUTE:
				rule->byminute |= UINT64_C(1) << n;
				break;
			case RRULE_BYHOUR:
				rule->byhour |= UINT32_C(1) << n;
				break;
			case RRULE_BYMONTH:
				rule->bymonth |= UINT32_C(1) << n;
				break;
			case RRULE_BYMONTHDAY:
				*(back ? &rule->bymonthday_neg : &rule->bymonthday) |=
					UINT32_C(1) << n;
				break;
			case RRULE_BYWEEKNO:
				*(back ? &rule->byweekno_neg : &rule->byweekno) |=
					UINT64_C(1) << n;
				break;
			default:
				{
					RRuleSet   *set = part == RRULE_BYYEARDAY ?
					&rule->byyearday : &rule->bysetpos;

					(back ? set->neg : set->pos)[n >> 6] |=
						UINT64_C(1) << (n & 63);
				}
		}
		if (!list_goes_on(p, &more))
			return false;
	} while (more);
	return true;
}

static bool
parse_byday(RRuleParser *p)
{
	RRule	   *rule = p->rule;
	bool		more;

	do
	{
		int			c = peek(p);
		long		nth = 0;
		int			weekday;

		if (c == '+' || c == '-' || is_digit(c))
		{
			if (p->ordinal_at == 0)
				p->ordinal_at = p->at;
			if (!rrule_read_number(p, "an ordinal in BYDAY", true, 1, 53, &nth))
				return false;
		}
		if (!rrule_read_weekday(p, &weekday))
			return false;
		if (nth == 0)
			rule->byday |= UINT32_C(1) << weekday;
		else if (nth > 0)
			rule->byday_nth[weekday] |= UINT64_C(1) << nth;
		else
			rule->byday_nth_neg[weekday] |= UINT64_C(1) << -nth;
		if (!list_goes_on(p, &more))
			return false;
	} while (more);
	return true;
}

static bool
parse_until(RRuleParser *p)
{
	static const char *const form =
	"Write it as 20261231, 20261231T235959 or 20261231T235959Z.";
	RRule	   *rule = p->rule;
	size_t		begin = p->at;
	int			year,
				month,
				day,
				hour = 23,
				minute = 59,
				second = 59;

	if (at_end_of_value(p))
		return rrule_unexpected(p, "a date or time in UNTIL");
	if (!rrule_read_digits(p, 4, &year) || !rrule_read_digits(p, 2, &month) ||
		!rrule_read_digits(p, 2, &day))
		return rrule_fail(p, p->at, "UNTIL is not a date or time", form);
	rule->until_kind = RRULE_UNTIL_DATE;
	if (upper(peek(p)) == 'T')
	{
		p->at++;
		if (!rrule_read_digits(p, 2, &hour) || !rrule_read_digits(p, 2, &minute) ||
			!rrule_read_digits(p, 2, &second))
			return rrule_fail(p, p->at, "UNTIL is not a date or time", form);
		rule->until_kind = RRULE_UNTIL_LOCAL;
		if (upper(peek(p)) == 'Z')
		{
			p->at++;
			rule->until_kind = RRULE_UNTIL_UTC;
		}
	}
	if (!at_end_of_value(p))
		return rrule_fail(p, p->at, "UNTIL is not a date or time", form);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > rrule_month_start(year, month + 1) -
		rrule_month_start(year, month))
		return rrule_fail(p, begin, "UNTIL is not a date of the calendar", "");
	if (hour > 23 || minute > 59 || second > 60)
		return rrule_fail(p, begin, "UNTIL is not a time of day", "");
	rule->until = rrule_day_of(year, month, day) * RRULE_DAY +
		hour * 3600 + minute * 60 + (second == 60 ? 59 : second);
	return true;
}

/* FREQ, WKST, SKIP and RSCALE: one word of a few */
static bool
parse_word(RRuleParser *p, RRulePart part)
{
	static const char *const freqs[] = {
		"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY",
		"SECONDLY"
	};
	static const char *const skips[] = {"OMIT", "BACKWARD", "FORWARD"};
	char		word[24];
	size_t		begin = p->at;

	if (part == RRULE_WKST)
		return rrule_read_weekday(p, &p->rule->wkst);
	if (rrule_read_word(p, word, sizeof(word)) == 0)
		return rrule_unexpected(p, part == RRULE_FREQ ? "a frequency" :
								part == RRULE_SKIP ? "a value of SKIP" :
								"a calendar");
	if (part == RRULE_FREQ)
	{
		for (int i = 0; i < 7; i++)
		{
			if (strcmp(word, freqs[i]) == 0)
			{
				p->rule->freq = (RRuleFreq) i;
				return true;
			}
		}
		return rrule_fail(p, begin, "unknown frequency",
						  "The frequencies are YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY and SECONDLY.");
	}
	if (part == RRULE_SKIP)
	{
		for (int i = 0; i < 3; i++)
		{
			if (strcmp(word, skips[i]) == 0)
			{
				p->rule->skip = (RRuleSkip) i;
				return true;
			}
		}
		return rrule_fail(p, begin, "unknown value of SKIP",
						  "SKIP is OMIT, BACKWARD or FORWARD.");
	}
	if (strcmp(word, "GREGORIAN") != 0)
		return rrule_fail(p, begin, "only the Gregorian calendar is supported", "");
	return true;
}

static const struct
{
	const char *name;
	RRulePart	part;
}			part_names[] = {
	{"FREQ", RRULE_FREQ},
	{"UNTIL", RRULE_UNTIL},
	{"COUNT", RRULE_COUNT},
	{"INTERVAL", RRULE_INTERVAL},
	{"BYSECOND", RRULE_BYSECOND},
	{"BYMINUTE", RRULE_BYMINUTE},
	{"BYHOUR", RRULE_BYHOUR},
	{"BYDAY", RRULE_BYDAY},
	{"BYMONTHDAY", RRULE_BYMONTHDAY},
	{"BYYEARDAY", RRULE_BYYEARDAY},
	{"BYWEEKNO", RRULE_BYWEEKNO},
	{"BYMONTH", RRULE_BYMONTH},
	{"BYSETPOS", RRULE_BYSETPOS},
	{"WKST", RRULE_WKST},
	{"RSCALE", RRULE_RSCALE},
	{"SKIP", RRULE_SKIP}
};

static size_t
where(const RRuleParser *p, RRulePart part)
{
	return p->where[__builtin_ctz((unsigned int) part)];
}

static bool
parse_value(RRuleParser *p, RRulePart part, const char *name)
{
	long		v;

	switch (part)
	{
		case RRULE_FREQ:
		case RRULE_WKST:
		case RRULE_SKIP:
		case RRULE_RSCALE:
			return parse_word(p, part);
		case RRULE_UNTIL:
			return parse_until(p);
		case RRULE_COUNT:
		case RRULE_INTERVAL:
			if (!rrule_read_number(p, name, false, 1, INT32_MAX, &v))
				return false;
			*(part == RRULE_COUNT ? &p->rule->count : &p->rule->interval) = v;
			return true;
		case RRULE_BYDAY:
			return parse_byday(p);
		default:
			return parse_list(p, part, name);
	}
}

/* one NAME=value */
static bool
parse_part(RRuleParser *p)
{
	char		word[16];
	char		reason[80];
	size_t		begin = p->at;
	size_t		i = 0;
	size_t		n = rrule_read_word(p, word, sizeof(word));

	if (n == 0)
		return rrule_unexpected(p, "the name of a rule part");
	if (strcmp(word, "RRULE") == 0 && peek(p) == ':')
		return rrule_fail(p, begin, "a rule does not begin with its property name",
						  "Leave out \"RRULE:\".");
	while (i < sizeof(part_names) / sizeof(part_names[0]) &&
		   strcmp(word, part_names[i].name) != 0)
		i++;
	if (i == sizeof(part_names) / sizeof(part_names[0]))
	{
		p->at = begin + n;
		return rrule_fail(p, begin, "unknown rule part",
						  strcmp(word, "DTSTART") == 0 || strcmp(word, "TZID") == 0 ?
						  "The start and the time zone are given beside the rule." :
						  strncmp(word, "X-", 2) == 0 ?
						  "Experimental parts are not part of RFC 5545." :
						  "The parts are FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY, BYDAY, BYHOUR, BYMINUTE, BYSECOND, BYSETPOS, WKST and SKIP.");
	}
	if (peek(p) != '=')
	{
		snprintf(reason, sizeof(reason), "\"=\" after %s", word);
		return rrule_unexpected(p, reason);
	}
	p->at++;
	if (p->rule->parts & part_names[i].part)
	{
		snprintf(reason, sizeof(reason), "%s is given twice", word);
		return rrule_fail(p, begin, reason, strncmp(word, "BY", 2) == 0 ?
						  "Write one list, like BYDAY=MO,WE." : "");
	}
	p->rule->parts |= part_names[i].part;
	p->where[i] = begin;
	if (at_end_of_value(p))
	{
		snprintf(reason, sizeof(reason), "%s has no value", word);
		return rrule_fail(p, begin, reason, "");
	}
	if (!parse_value(p, part_names[i].part, part_names[i].name))
		return false;
	if (!at_end_of_value(p))
		return rrule_unexpected(p, "a semicolon");
	return true;
}

/* what the standard forbids of combinations */
static bool
check_combination(RRuleParser *p)
{
	const RRule *rule = p->rule;
	uint32_t	has = rule->parts;
	bool		nth = false;

	for (int i = 0; i < 7; i++)
	{
		if (rule->byday_nth[i] != 0 || rule->byday_nth_neg[i] != 0)
			nth = true;
	}
	if (!(has & RRULE_FREQ))
		return rrule_fail(p, 0, "FREQ is missing",
						  "Every rule has a frequency, like FREQ=MONTHLY.");
	if ((has & RRULE_COUNT) && (has & RRULE_UNTIL))
		return rrule_fail(p, where(p, RRULE_COUNT) > where(p, RRULE_UNTIL) ?
						  where(p, RRULE_COUNT) : where(p, RRULE_UNTIL),
						  "COUNT and UNTIL exclude each other", "");
	if (nth && rule->freq != RRULE_MONTHLY && rule->freq != RRULE_YEARLY)
		return rrule_fail(p, p->ordinal_at,
						  "an ordinal in BYDAY needs FREQ=MONTHLY or FREQ=YEARLY",
						  "Write the weekday alone, like BYDAY=MO.");
	if (nth && (has & RRULE_BYWEEKNO))
		return rrule_fail(p, p->ordinal_at,
						  "an ordinal in BYDAY and BYWEEKNO exclude each other",
						  "Write the weekday alone, like BYDAY=MO.");
	if ((has & RRULE_BYWEEKNO) && rule->freq != RRULE_YEARLY)
		return rrule_fail(p, where(p, RRULE_BYWEEKNO),
						  "BYWEEKNO needs FREQ=YEARLY", "");
	if ((has & RRULE_BYYEARDAY) &&
		(rule->freq == RRULE_DAILY || rule->freq == RRULE_WEEKLY ||
		 rule->freq == RRULE_MONTHLY))
		return rrule_fail(p, where(p, RRULE_BYYEARDAY),
						  "BYYEARDAY cannot be used with FREQ=DAILY, WEEKLY or MONTHLY",
						  "");
	if ((has & RRULE_BYMONTHDAY) && rule->freq == RRULE_WEEKLY)
		return rrule_fail(p, where(p, RRULE_BYMONTHDAY),
						  "BYMONTHDAY cannot be used with FREQ=WEEKLY",
						  "FREQ=DAILY takes both BYMONTHDAY and BYDAY.");
	if ((has & RRULE_BYSETPOS) && !(has & (RRULE_BYDATE | RRULE_BYTIME)))
		return rrule_fail(p, where(p, RRULE_BYSETPOS),
						  "BYSETPOS needs another BY part to choose from", "");
	return true;
}

/*
 * Parse "text" (it need not end with a null byte) into "rule".  On failure
 * "error" has the position and the reason; "rule" is then of no use.
 */
bool
rrule_parse(const char *text, size_t len, RRule *rule, RRuleError *error)
{
	RRuleParser p = {text,
		len,
		0,
		rule,
		error,
	{0}, 0};

	memset(rule, 0, sizeof(*rule));
	memset(error, 0, sizeof(*error));
	rule->interval = 1;
	if (len == 0)
		return rrule_fail(&p, 0, "the rule is empty",
						  "Every rule has a frequency, like FREQ=MONTHLY.");
	if (len > RRULE_MAX_LENGTH)
		return rrule_fail(&p, RRULE_MAX_LENGTH, "the rule is too long", "");
	for (;;)
	{
		if (!parse_part(&p))
			return false;
		if (p.at >= len)
			break;
		p.at++;
		if (p.at >= len)
			return rrule_fail(&p, p.at - 1, "nothing follows the semicolon", "");
	}
	return check_combination(&p);
}
