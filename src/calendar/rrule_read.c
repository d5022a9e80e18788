/*-------------------------------------------------------------------------
 *
 * rrule_read.c
 *	  Reading the text of a recurrence rule: characters, words, numbers.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_read.h"

#include <stdio.h>
#include <string.h>

static const char *const weekday_names[7] = {
	"MO", "TU", "WE", "TH", "FR", "SA", "SU"
};

bool
rrule_fail(RRuleParser *p, size_t at, const char *reason, const char *hint)
{
	p->error->position = (int) at + 1;
	snprintf(p->error->reason, sizeof(p->error->reason), "%s", reason);
	snprintf(p->error->hint, sizeof(p->error->hint), "%s", hint);
	return false;
}

/* What to say of a character that cannot stand here. */
bool
rrule_unexpected(RRuleParser *p, const char *wanted)
{
	char		reason[120];
	int			c = peek(p);

	if (c < 0 || (c == ';' && p->at + 1 >= p->len))
		snprintf(reason, sizeof(reason), "%s is missing", wanted);
	else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		return rrule_fail(p, p->at, "white space is not allowed",
						  "Write the rule without spaces, like FREQ=WEEKLY;BYDAY=MO.");
	else if (c < ' ' || c > '~')
		return rrule_fail(p, p->at, "unexpected character outside printable ASCII",
						  "");
	else
		snprintf(reason, sizeof(reason), "%s expected instead of \"%c\"",
				 wanted, c);
	return rrule_fail(p, p->at, reason, "");
}

/* Read a word of letters (and hyphens) in upper case; its length, 0 if none. */
size_t
rrule_read_word(RRuleParser *p, char *word, size_t size)
{
	size_t		n = 0;

	while (p->at < p->len)
	{
		int			c = upper(peek(p));

		if (!(c >= 'A' && c <= 'Z') && !(n > 0 && (c == '-' || is_digit(c))))
			break;
		if (n + 1 < size)
			word[n] = (char) c;
		n++;
		p->at++;
	}
	word[n < size ? n : size - 1] = '\0';
	return n;
}

/*
 * Read a number of min..max, or -max..-min with a sign where allowed.  Zero
 * is refused unless min is 0.
 */
bool
rrule_read_number(RRuleParser *p, const char *part, bool is_signed, long min, long max,
				  long *value)
{
	size_t		begin = p->at;
	bool		negative = false;
	long		n = 0;
	char		reason[120];

	if (is_signed && (peek(p) == '+' || peek(p) == '-'))
	{
		negative = peek(p) == '-';
		p->at++;
	}
	if (!is_digit(peek(p)))
	{
		snprintf(reason, sizeof(reason), "%s%s",
				 part[0] == 'a' ? "" : "a number in ", part);
		return rrule_unexpected(p, reason);
	}
	while (is_digit(peek(p)))
	{
		if (n <= max)
			n = n * 10 + (peek(p) - '0');
		p->at++;
	}
	if (n < min || n > max)
	{
		if (is_signed)
			snprintf(reason, sizeof(reason),
					 "%s must be from %ld to %ld or from -%ld to -%ld",
					 part, min, max, max, min);
		else
			snprintf(reason, sizeof(reason), "%s must be from %ld to %ld",
					 part, min, max);
		return rrule_fail(p, begin, reason, "");
	}
	*value = negative ? -n : n;
	return true;
}

bool
rrule_read_digits(RRuleParser *p, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++)
	{
		if (!is_digit(peek(p)))
			return false;
		*value = *value * 10 + (peek(p) - '0');
		p->at++;
	}
	return true;
}

bool
rrule_read_weekday(RRuleParser *p, int *weekday)
{
	char		word[4];
	size_t		begin = p->at;
	size_t		n = rrule_read_word(p, word, sizeof(word));

	for (int i = 0; i < 7 && n == 2; i++)
	{
		if (strcmp(word, weekday_names[i]) == 0)
		{
			*weekday = i;
			return true;
		}
	}
	p->at = begin;
	if (n == 0)
		return rrule_unexpected(p, "a weekday");
	return rrule_fail(p, begin, "unknown weekday",
					  "The weekdays are MO, TU, WE, TH, FR, SA and SU.");
}
