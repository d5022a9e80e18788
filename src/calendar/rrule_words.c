/*-------------------------------------------------------------------------
 *
 * rrule_words.c
 *	  Lists of numbers, days and months in English.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const rrule_day_names[7] = {
	"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
	"Sunday"
};

const char *const rrule_month_names[13] = {
	"", "January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December"
};

void
rrule_put(RRuleWords *w, const char *format,...)
{
	size_t		room = w->n < w->size ? w->size - w->n : 0;
	va_list		args;
	int			written;

	va_start(args, format);
	written = vsnprintf(room > 0 ? w->out + w->n : NULL, room, format, args);
	va_end(args);
	w->n += (size_t) written;
}

static const char *
suffix(int n)
{
	if (n % 100 >= 11 && n % 100 <= 13)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* first .. tenth, then 11th; negative: last, second-to-last .. */
void
rrule_put_nth(RRuleWords *w, int n)
{
	static const char *const names[] = {
		"", "first", "second", "third", "fourth", "fifth", "sixth",
		"seventh", "eighth", "ninth", "tenth"
	};

	if (n == -1)
		rrule_put(w, "last");
	else if (n >= -10 && n <= 10)
		rrule_put(w, "%s%s", names[n < 0 ? -n : n], n < 0 ? "-to-last" : "");
	else
		rrule_put(w, "%d%s%s", n < 0 ? -n : n, suffix(n < 0 ? -n : n),
				  n < 0 ? "-to-last" : "");
}

/* before the i-th of n items: a comma, or the last word, or nothing */
static void
put_between(RRuleWords *w, int i, int n, const char *last)
{
	if (i > 0)
		rrule_put(w, i == n - 1 ? " %s " : "%.0s, ", last);
}

static void
put_number(RRuleWords *w, int v, RRuleStyle style, bool first_from_end)
{
	if (style == RRULE_PLAIN && v > 0)
		rrule_put(w, "%d", v);
	else if (style == RRULE_PLAIN)
		rrule_put_nth(w, v);
	else if (style == RRULE_NTH)
		rrule_put_nth(w, v);
	else if (v > 0)
		rrule_put(w, "%d%s", v, suffix(v));
	else
	{
		rrule_put(w, first_from_end ? "the " : "");
		rrule_put_nth(w, v);
	}
}

/*
 * All numbers of a set: those from the front (min to max) first, three or
 * more in a row, of the plain style, as "1 to 5"; then those from the end, if
 * neg is not null.
 */
void
rrule_put_numbers(RRuleWords *w, const uint64_t *pos, const uint64_t *neg,
				  int min, int max, RRuleStyle style, const char *last)
{
	int			from[800];
	int			to[800];
	int			n = 0;
	int			npos;

	for (int v = min; v <= max; v++)
	{
		if (!RRULE_SET_HAS(pos, v))
			continue;
		from[n] = to[n] = v;
		while (style == RRULE_PLAIN && to[n] < max &&
			   RRULE_SET_HAS(pos, to[n] + 1))
			to[n]++;
		if (to[n] == from[n] + 1)
			to[n]--;			/* two are no range */
		v = to[n++];
	}
	npos = n;
	for (int v = max; neg != NULL && v >= 1; v--)
	{
		if (RRULE_SET_HAS(neg, v))
		{
			from[n] = to[n] = -v;
			n++;
		}
	}
	for (int i = 0; i < n; i++)
	{
		put_between(w, i, n, last);
		if (from[i] == 0)
			rrule_put(w, "0");
		else
			put_number(w, from[i], style, i == npos && npos > 0);
		if (to[i] != from[i])
			rrule_put(w, " to %d", to[i]);
	}
}

/* names of a set's members, each with a word before it */
void
rrule_put_names(RRuleWords *w, uint32_t set, const char *const *names,
				const char *before, const char *last)
{
	int			n = __builtin_popcount(set);
	int			i = 0;

	for (; set != 0; set &= set - 1)
	{
		put_between(w, i++, n, last);
		rrule_put(w, "%s%s", before, names[__builtin_ctz(set)]);
	}
}
