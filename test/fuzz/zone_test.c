/*-------------------------------------------------------------------------
 *
 * zone_test.c
 *	  Properties of zones and of rules in them, for made-up zones.
 *
 * zone_test [zones [seed]]
 *
 * A zone is a few changes of offset, some of them close together, with gaps
 * and repetitions of up to 25 hours.  What RFC 5545 section 3.3.5 says of a
 * local time is looked up instant by instant; what is the next occurrence,
 * in a list of all.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar/recurrence.h"

#define CHANGES		6
#define STEP		900			/* all times are multiples of this */

typedef struct Made
{
	int			n;
	int64_t		at[CHANGES];
	int32_t		offset[CHANGES + 1];
} Made;

static uint64_t state;
static int	faults = 0;

static int
choose(int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (int) ((state >> 20) % (unsigned int) n);
}

static bool
next_change(void *arg, int64_t t, int64_t *boundary, int32_t *before,
			int32_t *after)
{
	const Made *zone = arg;
	int			i = 0;

	while (i < zone->n && zone->at[i] <= t)
		i++;
	*before = zone->offset[i];
	if (i == zone->n)
		return false;
	*boundary = zone->at[i];
	*after = zone->offset[i + 1];
	return true;
}

static int32_t
offset_at(const Made *zone, int64_t t)
{
	int			i = 0;

	while (i < zone->n && zone->at[i] <= t)
		i++;
	return zone->offset[i];
}

/*
 * The standard, word by word: the first instant at which clocks show the
 * local time; where there is none, the offset before the gap, which is the
 * one just before the first instant at which they show a later time.
 */
static int64_t
look_up(const Made *zone, int64_t local)
{
	int64_t		from = local - 30 * 3600;
	int64_t		to = local + 30 * 3600;

	for (int64_t t = from; t <= to; t += STEP)
	{
		if (t + offset_at(zone, t) == local)
			return t;
		if (t + offset_at(zone, t) > local)
			return local - offset_at(zone, t - 1);
	}
	abort();
}

static void
make_zone(Made *zone)
{
	int64_t		t = choose(40) * INT64_C(21600);

	zone->n = choose(CHANGES + 1);
	zone->offset[0] = (choose(100) - 50) * STEP;
	for (int i = 0; i < zone->n; i++)
	{
		int			change = choose(4) == 0 ? choose(200) - 100 : choose(9) - 4;

		/* mostly weeks apart, at times so close that gaps overlap */
		t += choose(5) == 0 ? (1 + choose(400)) * STEP : (300 + choose(3000)) * STEP;
		zone->at[i] = t;
		zone->offset[i + 1] = zone->offset[i] + change * STEP;
		if (zone->offset[i + 1] > 50 * STEP || zone->offset[i + 1] < -50 * STEP)
			zone->offset[i + 1] = zone->offset[i];
	}
}

static void
check_lookups(Made *made)
{
	Zone		zone;

	zone_init(&zone, next_change, made);
	for (int i = 0; i < 400; i++)
	{
		int			near = choose(made->n + 1);
		int64_t		about = near < made->n ? made->at[near] : 0;
		int64_t		local = about + (choose(400) - 200) * STEP;

		/* now and then in order, as an expansion goes */
		for (int k = 0; k < (i % 5 == 0 ? 50 : 1); k++, local += STEP)
		{
			int64_t		wanted = look_up(made, local);
			int64_t		got = zone_to_instant(&zone, local);

			if (got != wanted)
			{
				printf("local %lld: %lld, wanted %lld\n", (long long) local,
					   (long long) got, (long long) wanted);
				faults++;
				return;
			}
		}
	}
}

static void
check_rules(Made *made)
{
	static const char *const rules[] = {
		"FREQ=MINUTELY;INTERVAL=15", "FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=7",
		"FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,30", "FREQ=DAILY",
		"FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=HOURLY;COUNT=300",
		"FREQ=HOURLY;UNTIL=19700120T000000Z"
	};
	static Recurrence rec;
	static int64_t locals[30000];
	static int64_t instants[30000];
	int			n = 0;
	RRule		rule;
	RRuleError	error;
	const char *text = rules[choose(8)];
	int64_t		local,
				instant;
	RRuleIter	it;

	if (!rrule_parse(text, strlen(text), &rule, &error))
		abort();
	rrule_iter_init(&it, &rule, 0);
	while (n < 30000 && rrule_iter_next(&it, &local) &&
		   local < INT64_C(260) * 86400)
	{
		locals[n] = local;
		instants[n] = look_up(made, local);
		if (rule.until_kind != RRULE_UNTIL_UTC || instants[n] <= rule.until)
			n++;
	}
	recurrence_init(&rec, &rule, 0, next_change, made);
	for (int i = 0; i < 60; i++)
	{
		int			near = choose(made->n + 1);
		int64_t		since = (near < made->n ? made->at[near] : 0) +
		(choose(300) - 150) * STEP + choose(3) - 1;
		int64_t		until = since + choose(200) * STEP;
		int64_t		best = INT64_MAX;

		/* a range, in local order */
		recurrence_between(&rec, since, until);
		for (int k = 0; k < n; k++)
		{
			if (instants[k] > since && instants[k] < best)
				best = instants[k];
			if (instants[k] < since || instants[k] >= until)
				continue;
			if (!recurrence_next(&rec, &local, &instant) ||
				local != locals[k] || instant != instants[k])
			{
				printf("%s in [%lld, %lld): wanted %lld\n", text,
					   (long long) since, (long long) until,
					   (long long) instants[k]);
				faults++;
				return;
			}
		}
		if (recurrence_next(&rec, &local, &instant))
		{
			printf("%s in [%lld, %lld): one too many, %lld\n", text,
				   (long long) since, (long long) until, (long long) instant);
			faults++;
			return;
		}

		/* the next one; the list must reach that far */
		if (best == INT64_MAX)
			continue;
		if (!recurrence_after(&rec, since, &local, &instant) || instant != best)
		{
			printf("%s after %lld: %lld, wanted %lld\n", text,
				   (long long) since, (long long) instant, (long long) best);
			faults++;
			return;
		}
	}
}

int
main(int argc, char **argv)
{
	int			zones = argc > 1 ? atoi(argv[1]) : 300;

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : UINT64_C(20260101);
	for (int i = 0; i < zones && faults < 10; i++)
	{
		Made		made;

		make_zone(&made);
		check_lookups(&made);
		check_rules(&made);
	}
	printf("%d zones, %d faults\n", zones, faults);
	return faults != 0;
}
