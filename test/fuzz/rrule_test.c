/*-------------------------------------------------------------------------
 *
 * rrule_test.c
 *	  Properties of recurrence rules, for rules of a fixed generator.
 *
 * rrule_test [rules [seed]]
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include <time.h>

#include "property.h"

/* xorshift: the same rules on every machine */
static uint64_t state;

static uint8_t
random_byte(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint8_t) (state >> 24);
}

/* Rules that never match, or not for long: none may search for ever. */
static int
check_patience(void)
{
	static const char *const rules[] = {
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
		"FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31",
		"FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31",
		"FREQ=MINUTELY;BYMONTH=4;BYMONTHDAY=31",
		"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
		"FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
		"FREQ=SECONDLY;INTERVAL=7;BYDAY=TU;BYHOUR=0;BYMINUTE=0;BYSECOND=0",
		"FREQ=SECONDLY;INTERVAL=70049;BYDAY=TU;BYHOUR=0;BYMINUTE=0;BYSECOND=0",
		"FREQ=SECONDLY;INTERVAL=604800;BYDAY=TU",
		"FREQ=MINUTELY;INTERVAL=1440;BYHOUR=5",
		"FREQ=MINUTELY;INTERVAL=10080;BYDAY=TU",
		"FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
		"FREQ=HOURLY;INTERVAL=168;BYDAY=TU",
		"FREQ=DAILY;INTERVAL=7;BYDAY=TU",
		"FREQ=DAILY;INTERVAL=21;BYDAY=TU;BYMONTHDAY=1",
		"FREQ=WEEKLY;BYDAY=MO;BYSETPOS=9",
		"FREQ=WEEKLY;INTERVAL=20871;BYMONTH=7",
		"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=40",
		"FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
		"FREQ=YEARLY;BYDAY=53MO;BYMONTH=1",
		"FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
		"FREQ=YEARLY;BYSETPOS=366;BYDAY=MO",
		"FREQ=YEARLY;INTERVAL=100;BYYEARDAY=366",
		"FREQ=SECONDLY;BYSETPOS=2;BYSECOND=1",
		"FREQ=MINUTELY;BYSETPOS=5;BYSECOND=1,2",
		"FREQ=DAILY;BYHOUR=9;BYSETPOS=2"
	};
	static RRuleIter it;
	int			faults = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		RRule		rule;
		RRuleError	error;
		int64_t		local;
		clock_t		begin = clock();
		double		ms;

		if (!rrule_parse(rules[i], strlen(rules[i]), &rule, &error))
		{
			printf("%s: refused at %d: %s\n", rules[i], error.position,
				   error.reason);
			faults++;
			continue;
		}
		/* Monday 2001-01-01 09:00:00 */
		rrule_iter_init(&it, &rule, naive_number(2001, 1, 1) * 86400 + 32400);
		if (rrule_iter_next(&it, &local))
		{
			NaiveDay	d = naive_day(local / 86400);

			printf("%s: has %04d-%02d-%02d\n", rules[i], d.y, d.m, d.d);
			faults++;
		}
		ms = (double) (clock() - begin) * 1000 / CLOCKS_PER_SEC;
		if (ms > 250)
		{
			printf("%s: took %.1f ms\n", rules[i], ms);
			faults++;
		}
		else if (getenv("VERBOSE") != NULL)
			printf("%8.3f ms %s\n", ms, rules[i]);
	}
	return faults;
}

int
main(int argc, char **argv)
{
	int			rules = argc > 1 ? atoi(argv[1]) : 1500;
	int			faults = check_patience();

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : UINT64_C(20260101);
	for (int i = 0; i < rules && faults < 20; i++)
	{
		uint8_t		data[64];

		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = random_byte();
		faults += check_bytes(data, sizeof(data), 1200);
	}
	printf("%d rules, %d faults\n", rules, faults);
	return faults != 0;
}
