/*-------------------------------------------------------------------------
 *
 * recurrence_bench.c
 *	  Speed of the recurrence rules, as ratios to libical in the same run.
 *
 * gcc -O2 -g -Isrc test/bench/recurrence_bench.c
 *	   src/calendar/{rrule*,zone,recurrence}.c -lical -lm -o recurrence_bench
 *
 * Expands each rule from 2000 to 2100 in America/New_York: local starts
 * only, and with conversion to instants; then looks for the next occurrence
 * after now of rules that started long ago.  The zone is read from a TZif
 * file of the machine; libical is asked for local starts (it has no cheaper
 * way) and then for icaltime_as_timet_with_zone() of each.
 *
 * Medians of CPU time, of rounds in which the two take turns.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calendar/recurrence.h"

#define ROUNDS	5
#define ZONE	"America/New_York"

/* ---- a zone from a TZif file: 64-bit transitions, then a rule in words ---- */

typedef struct File
{
	int			n;
	int64_t		at[4000];
	int32_t		offset[4000];
	int32_t		first;
} File;

static int64_t
big_endian(const unsigned char *p, int n)
{
	int64_t		v = (p[0] & 0x80) ? -1 : 0;

	while (n-- > 0)
		v = (int64_t) ((uint64_t) v << 8) | *p++;
	return v;
}

/* the n-th Sunday of a month */
static int64_t
sunday(int year, int month, int nth)
{
	int32_t		first = rrule_day_of(year, month, 1);

	return first + (6 - rrule_weekday(first)) + 7 * (nth - 1);
}

static void
read_zone(File *zone)
{
	static unsigned char data[100000];
	FILE	   *f = fopen("/usr/share/zoneinfo/" ZONE, "rb");
	size_t		size = f == NULL ? 0 : fread(data, 1, sizeof(data), f);
	const unsigned char *p = data;
	int64_t		count[6];
	const unsigned char *times,
			   *kinds,
			   *types;

	if (size < 88 || memcmp(p, "TZif", 4) != 0)
	{
		fprintf(stderr, "no time zone file for %s\n", ZONE);
		exit(1);
	}
	fclose(f);

	/* skip the 32-bit block: isutcnt isstdcnt leapcnt timecnt typecnt charcnt */
	for (int i = 0; i < 6; i++)
		count[i] = big_endian(p + 20 + 4 * i, 4);
	p += 44 + count[3] * 5 + count[4] * 6 + count[5] + count[2] * 8 +
		count[1] + count[0];
	for (int i = 0; i < 6; i++)
		count[i] = big_endian(p + 20 + 4 * i, 4);
	times = p + 44;
	kinds = times + 8 * count[3];
	types = kinds + count[3];
	zone->first = (int32_t) big_endian(types, 4);
	zone->n = (int) count[3];
	for (int i = 0; i < zone->n; i++)
	{
		zone->at[i] = big_endian(times + 8 * i, 8);
		zone->offset[i] = (int32_t) big_endian(types + 6 * kinds[i], 4);
	}
	/* the words after it say EST5EDT,M3.2.0,M11.1.0: as PostgreSQL expands */
	for (int year = 2008; year < 2500 && zone->n + 2 < 4000; year++)
	{
		int64_t		spring = sunday(year, 3, 2) * 86400 + 7200 + 18000;
		int64_t		autumn = sunday(year, 11, 1) * 86400 + 7200 + 14400;

		if (spring <= zone->at[zone->n - 1])
			continue;
		zone->at[zone->n] = spring;
		zone->offset[zone->n++] = -14400;
		zone->at[zone->n] = autumn;
		zone->offset[zone->n++] = -18000;
	}
}

static bool
next_boundary(void *arg, int64_t t, int64_t *boundary, int32_t *before,
			  int32_t *after)
{
	const File *zone = arg;
	int			low = 0,
				high = zone->n;

	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (zone->at[mid] <= t)
			low = mid + 1;
		else
			high = mid;
	}
	*before = low == 0 ? zone->first : zone->offset[low - 1];
	if (low == zone->n)
		return false;
	*boundary = zone->at[low];
	*after = zone->offset[low];
	return true;
}

/* ---- the contenders ---- */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void
parse(const char *text, RRule *rule)
{
	RRuleError	error;

	if (!rrule_parse(text, strlen(text), rule, &error))
	{
		fprintf(stderr, "%s: %s\n", text, error.reason);
		exit(1);
	}
}

static int64_t sum;

static long
our_locals(const char *text, int64_t start, int64_t end)
{
	static RRuleIter it;
	RRule		rule;
	int64_t		local;
	long		n = 0;

	parse(text, &rule);
	rrule_iter_init(&it, &rule, start);
	while (rrule_iter_next(&it, &local) && local < end)
	{
		sum += local;
		n++;
	}
	return n;
}

static long
our_instants(const char *text, int64_t start, int64_t end, File *zone)
{
	static Recurrence rec;
	RRule		rule;
	int64_t		local,
				instant;
	long		n = 0;

	parse(text, &rule);
	recurrence_init(&rec, &rule, start, next_boundary, zone);
	recurrence_between(&rec, INT64_MIN, end + 18000);
	while (recurrence_next(&rec, &local, &instant))
	{
		sum += instant;
		n++;
	}
	return n;
}

static long
their_instants(const char *text, icaltimetype start, int end_year,
			   icaltimezone *zone)
{
	struct icalrecurrencetype rule = icalrecurrencetype_from_string(text);
	icalrecur_iterator *it = icalrecur_iterator_new(rule, start);
	icaltimetype t;
	long		n = 0;

	while (!icaltime_is_null_time(t = icalrecur_iterator_next(it)) &&
		   t.year < end_year)
	{
		sum += zone == NULL ? t.year + t.day + t.hour :
			icaltime_as_timet_with_zone(t, zone);
		n++;
	}
	icalrecur_iterator_free(it);
	return n;
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static double
median(double *v, int n)
{
	qsort(v, (size_t) n, sizeof(*v), compare);
	return v[n / 2];
}

static void
expansions(File *file, icaltimezone *zone)
{
	static const char *const rules[] = {
		"FREQ=WEEKLY;BYDAY=MO",
		"FREQ=MONTHLY;BYDAY=1MO",
		"FREQ=YEARLY;BYMONTH=3,6,9,12;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
		"FREQ=DAILY",
		"FREQ=HOURLY"
	};
	int64_t		start = rrule_day_of(2000, 1, 3) * RRULE_DAY + 9 * 3600;
	int64_t		end = rrule_day_of(2100, 1, 1) * RRULE_DAY;
	icaltimetype from = icaltime_from_string("20000103T090000");

	printf("%-62s %8s %10s %10s %7s %10s %10s %7s\n", "2000-2099", "n",
		   "libical us", "ours us", "ratio", "instants", "ours us", "ratio");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		double		t[4][ROUNDS];
		long		n[4] = {0};

		for (int round = 0; round < ROUNDS; round++)
		{
			for (int who = 0; who < 4; who++)
			{
				int			times = who == 0 || who == 2 ? 1 :
				i == 4 ? 2 : 50;
				double		begin = now();

				for (int k = 0; k < times; k++)
				{
					switch (who)
					{
						case 0:
							n[0] = their_instants(rules[i], from, 2100, NULL);
							break;
						case 1:
							n[1] = our_locals(rules[i], start, end);
							break;
						case 2:
							n[2] = their_instants(rules[i], from, 2100, zone);
							break;
						default:
							n[3] = our_instants(rules[i], start, end, file);
					}
				}
				t[who][round] = (now() - begin) / times;
			}
		}
		for (int who = 0; who < 4; who++)
			t[who][0] = median(t[who], ROUNDS);
		printf("%-62s %8ld %10.0f %10.1f %6.0fx %10.0f %10.1f %6.0fx%s\n",
			   rules[i], n[1], t[0][0], t[1][0], t[0][0] / t[1][0],
			   t[2][0], t[3][0], t[2][0] / t[3][0],
			   n[0] == n[1] && n[2] == n[3] && n[1] == n[3] ? "" :
			   " counts differ");
	}
}

static void
next_ones(File *file)
{
	static const char *const rules[] = {
		"FREQ=WEEKLY;BYDAY=MO",
		"FREQ=MONTHLY;BYDAY=1MO",
		"FREQ=YEARLY;BYMONTH=3,6,9,12;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
		"FREQ=DAILY",
		"FREQ=HOURLY",
		"FREQ=SECONDLY;INTERVAL=7",
		"FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
		"FREQ=YEARLY;SKIP=FORWARD;BYMONTHDAY=31;BYDAY=MO",
		"FREQ=YEARLY;BYHOUR=1,2,3;BYMINUTE=1,2,3;BYDAY=MO,TU,WE,TH,FR,SA,SU",
		"FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;BYMINUTE=5"
	};
	static const int years[] = {1, 1970, 2000, 2025};
	static Recurrence rec;
	int64_t		after = rrule_day_of(2026, 11, 21) * RRULE_DAY + 12345;

	printf("\n%-62s %10s %10s %10s %10s\n", "next after 2026-11-21, us, from",
		   "0001", "1970", "2000", "2025");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		printf("%-62s", rules[i]);
		for (int k = 0; k < 4; k++)
		{
			double		t[ROUNDS];
			int64_t		local,
						instant = 0;

			for (int round = 0; round < ROUNDS; round++)
			{
				double		begin = now();

				for (int j = 0; j < 200; j++)
				{
					RRule		rule;

					parse(rules[i], &rule);
					recurrence_init(&rec, &rule, rrule_day_of(years[k], 1, 3) *
									RRULE_DAY, next_boundary, file);
					recurrence_after(&rec, after, &local, &instant);
					sum += instant;
				}
				t[round] = (now() - begin) / 200;
			}
			printf(" %10.2f", median(t, ROUNDS));
		}
		printf("\n");
	}
}

int
main(void)
{
	static File file;
	icaltimezone *zone;

	icaltimezone_set_tzid_prefix("");
	zone = icaltimezone_get_builtin_timezone(ZONE);
	read_zone(&file);
	if (zone == NULL)
	{
		fprintf(stderr, "libical has no %s\n", ZONE);
		return 1;
	}
	expansions(&file, zone);
	next_ones(&file);
	return sum == 42;
}
