/*-------------------------------------------------------------------------
 *
 * property.h
 *	  What must hold of every recurrence rule.
 *
 * Used by the fuzz target (any bytes) and by the deterministic test (bytes
 * of a generator): a rule is made from bytes, expanded by src/calendar and
 * by naive.h, and the two compared; so are expansions from the middle.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef PROPERTY_H
#define PROPERTY_H

#include <stdio.h>

#include "naive.h"

/* bytes to choose by; zeros after their end */
typedef struct Bytes
{
	const uint8_t *at;
	size_t		left;
} Bytes;

static int
choose(Bytes *b, int n)
{
	unsigned int v;

	if (b->left == 0)
		return 0;
	v = *b->at++;
	b->left--;
	if (n > 256 && b->left > 0)
	{
		v = v << 8 | *b->at++;
		b->left--;
	}
	return (int) (v % (unsigned int) n);
}

typedef struct Text
{
	char		s[2048];
	size_t		n;
} Text;

static void
add(Text *t, const char *s)
{
	size_t		n = strlen(s);

	if (t->n + n < sizeof(t->s))
	{
		memcpy(t->s + t->n, s, n + 1);
		t->n += n;
	}
}

static void
add_number(Text *t, long v)
{
	char		s[24];

	snprintf(s, sizeof(s), "%ld", v);
	add(t, s);
}

/* one BY part with a few values between min and max, perhaps negative ones */
static void
add_list(Bytes *b, Text *t, const char *name, int min, int max, int negative)
{
	int			n = 1 + choose(b, 4);

	add(t, name);
	for (int i = 0; i < n; i++)
	{
		int			v = min + choose(b, max - min + 1);

		if (i > 0)
			add(t, ",");
		if (negative && choose(b, 3) == 0)
			v = -v;
		add_number(t, v);
	}
}

static void
add_byday(Bytes *b, Text *t, int ordinals)
{
	static const char *const days[] = {
		"MO", "TU", "WE", "TH", "FR", "SA", "SU"
	};
	int			n = 1 + choose(b, 5);

	add(t, ";BYDAY=");
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			add(t, ",");
		if (ordinals && choose(b, 2) == 0)
		{
			int			v = 1 + choose(b, choose(b, 4) == 0 ? 53 : 5);

			add_number(t, choose(b, 2) == 0 ? v : -v);
		}
		add(t, days[choose(b, 7)]);
	}
}

/* A rule that the standard allows, most of the time. */
static void
make_rule(Bytes *b, Text *t)
{
	static const char *const freqs[] = {
		"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY",
		"SECONDLY"
	};
	static const char *const wkst[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};
	int			freq = choose(b, 7);
	int			week = 0;

	t->n = 0;
	add(t, "FREQ=");
	add(t, freqs[freq]);
	if (choose(b, 3) == 0)
	{
		add(t, ";INTERVAL=");
		add_number(t, 1 + choose(b, choose(b, 6) == 0 ? 60000 : 12));
	}
	if (choose(b, 3) == 0)
		add_list(b, t, ";BYMONTH=", 1, 12, 0);
	if (freq == 0 && choose(b, 3) == 0)
	{
		week = 1;
		add_list(b, t, ";BYWEEKNO=", 1, 53, 1);
	}
	if ((freq == 0 || freq > 3) && choose(b, 5) == 0)
		add_list(b, t, ";BYYEARDAY=", 1, 366, 1);
	if (freq != 2 && choose(b, 3) == 0)
		add_list(b, t, ";BYMONTHDAY=", 1, 31, 1);
	if (choose(b, 2) == 0)
		add_byday(b, t, freq < 2 && !week);
	if (choose(b, 4) == 0)
		add_list(b, t, ";BYHOUR=", 0, 23, 0);
	if (choose(b, 4) == 0)
		add_list(b, t, ";BYMINUTE=", 0, 59, 0);
	if (choose(b, 4) == 0)
		add_list(b, t, ";BYSECOND=", 0, 60, 0);
	if (choose(b, 4) == 0)
		add_list(b, t, ";BYSETPOS=", 1, choose(b, 3) == 0 ? 366 : 5, 1);
	if (choose(b, 3) == 0)
	{
		add(t, ";WKST=");
		add(t, wkst[choose(b, 7)]);
	}
	switch (choose(b, 12))
	{
		case 0:
			add(t, ";COUNT=");
			add_number(t, 1 + choose(b, 30));
			break;
		case 1:
			add(t, ";UNTIL=20");
			add_number(t, 10 + choose(b, 40));
			add(t, choose(b, 2) == 0 ? "0613" : "1231T121314");
			break;
		case 2:
		case 3:
			add(t, ";SKIP=BACKWARD");
			break;
		case 4:
		case 5:
			add(t, ";SKIP=FORWARD;RSCALE=GREGORIAN");
			break;
	}
}

static int64_t
make_start(Bytes *b)
{
	static const int edge[] = {1, 2, 400, 9998, 9999, 1970, 1969, 2000};
	int			y = choose(b, 8) == 0 ? edge[choose(b, 8)] :
	1995 + choose(b, 40);
	int			m = 1 + choose(b, 12);
	int			len = naive_month_len(y, m);
	int			d = choose(b, 4) == 0 ? len - choose(b, 3) : 1 + choose(b, len);
	int			s = choose(b, 3) == 0 ? 0 : choose(b, 24) * 3600 +
	choose(b, 60) * 60 + choose(b, 60);

	return naive_number(y, m, d) * 86400 + s;
}

static int
wrong(const char *what, const char *rule, int64_t start, int i,
	  int64_t wanted, int64_t got)
{
	NaiveDay	w = naive_day(wanted / 86400);
	NaiveDay	g = naive_day(got / 86400);
	NaiveDay	s = naive_day(start / 86400);

	printf("%s: %s from %04d-%02d-%02d (%lld): instance %d is %04d-%02d-%02d %lld, wanted %04d-%02d-%02d %lld\n",
		   what, rule, s.y, s.m, s.d, (long long) start, i,
		   g.y, g.m, g.d, (long long) got % 86400,
		   w.y, w.m, w.d, (long long) wanted % 86400);
	return 1;
}

/* Compare an expansion with the part of the list from "from" on. */
static int
compare(const char *what, const char *text, RRuleIter *it, int64_t start,
		int64_t from, const NaiveList *list)
{
	int			i = 0;
	int64_t		got;
	int			n = 0;

	while (i < list->n && list->at[i] < from)
		i++;
	while (n < 400 && rrule_iter_next(it, &got))
	{
		if (got > list->complete)
			break;
		if (i >= list->n)
			return wrong(what, text, start, n, 0, got);
		if (got != list->at[i])
			return wrong(what, text, start, n, list->at[i], got);
		i++;
		n++;
	}
	if (n < 400 && i < list->n)
		return wrong(what, text, start, n, list->at[i], 0);
	return 0;
}

/* Everything that must hold of one rule; returns the number of faults. */
static int
check_rule(const char *text, size_t len, int64_t start, int days)
{
	static RRuleIter it;
	static NaiveList list;
	static char words[16384];
	RRule		rule;
	RRuleError	error;
	size_t		size;
	int			faults = 0;

	if (!rrule_parse(text, len, &rule, &error))
	{
		if (error.position < 1 || error.position > (int) len + 1 ||
			error.reason[0] == '\0')
		{
			printf("%s: an error without position or reason\n", text);
			return 1;
		}
		return 0;
	}

	size = rrule_describe(&rule, words, sizeof(words));
	if (size == 0 || size >= sizeof(words) || strlen(words) != size ||
		rrule_describe(&rule, NULL, 0) != size)
	{
		printf("%s: description of wrong size\n", text);
		faults++;
	}
	(void) rrule_cadence(&rule, start, &it);
	(void) rrule_notice(&rule, start, words, 100);

	if (naive_expand(&rule, start, days, &list) == NAIVE_TOO_MANY)
		return faults;
	rrule_iter_init(&it, &rule, start);
	faults += compare("from the start", text, &it, start, start, &list);
	for (int i = 0; i < 4 && faults == 0; i++)
	{
		int64_t		from = start + (list.complete - start) * i / 4;

		if (list.n > 0 && i > 0)
			from = list.at[list.n * i / 5] + i - 2;
		rrule_iter_seek(&it, from);
		faults += compare("from the middle", text, &it, start, from, &list);
	}
	return faults;
}

static int
check_bytes(const uint8_t *data, size_t size, int days)
{
	Bytes		b = {data, size};
	Text		t;
	int64_t		start;

	start = make_start(&b);
	make_rule(&b, &t);
	return check_rule(t.s, t.n, start, days);
}

#endif							/* PROPERTY_H */
