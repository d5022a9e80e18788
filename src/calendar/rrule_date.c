/*-------------------------------------------------------------------------
 *
 * rrule_date.c
 *	  The proleptic Gregorian calendar: days, months, years, weekdays.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/rrule.h"

/* by leap year: days of the year before each month, 1 to 13 */
const int16_t rrule_month_starts[2][14] = {
	{0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
	{0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366}
};

/* the day of 1 January, for years from -398 on */
int32_t
rrule_january(int year)
{
	int			y = year + 399;

	return 365 * y + y / 4 - y / 100 + y / 400 - 146097 - 719162;
}

int
rrule_year_of(int32_t day)
{
	/* days since 1 January -399; 146097 days make 400 years */
	int64_t		n = (int64_t) day + 719162 + 146097;
	int			year = (int) (n * 400 / 146097) - 399;

	while (rrule_january(year) > day)
		year--;
	while (rrule_january(year + 1) <= day)
		year++;
	return year;
}

int
rrule_month_start(int year, int month)
{
	return rrule_month_starts[rrule_is_leap(year)][month];
}

int32_t
rrule_day_of(int year, int month, int monthday)
{
	return rrule_january(year) + rrule_month_start(year, month) + monthday - 1;
}

void
rrule_date(int32_t day, int *year, int *month, int *monthday)
{
	int			y = rrule_year_of(day);
	int			yearday = day - rrule_january(y);
	const int16_t *starts = rrule_month_starts[rrule_is_leap(y)];
	int			m = yearday / 32 + 1;

	if (yearday >= starts[m + 1])
		m++;
	*year = y;
	*month = m;
	*monthday = yearday - starts[m] + 1;
}

int
rrule_weekday(int32_t day)
{
	/* 1970-01-01 was a Thursday; 840000 keeps the operand positive */
	return (int) ((uint32_t) (day + 3 + 840000) % 7);
}
