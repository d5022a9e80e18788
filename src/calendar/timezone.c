/*-------------------------------------------------------------------------
 *
 * timezone.c
 *	  Time zones by their names in the IANA database.
 *
 * Runs in any backend; no locks, no catalog access.
 *
 * PostgreSQL takes POSIX specifications as well ("EST5", "FOO-3", even a
 * misspelt name with a digit in it), which have no history and are rarely
 * meant.  A calendar that lasts for years gets none of them: a zone is a
 * name of the database.  A name without a digit that PostgreSQL accepts is
 * one, because a POSIX specification needs an offset; of the names with
 * digits the database has few, and they are listed here.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"

#include "calendar/timezone.h"
#include "core/compat.h"
#include "core/nearest.h"

PG_FUNCTION_INFO_V1(maintsched_check_timezone);

/* names of the database with a digit, besides Etc/GMT-14 .. Etc/GMT+12 */
static const char *const digit_names[] = {
	"CST6CDT", "EST5EDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0",
	"Etc/GMT0"
};

/* local settings, and copies that are not names of their own */
static const char *const not_zones[] = {
	"localtime", "posixrules", "Factory", "leapseconds", "tzdata"
};

static bool
is_zone_name(const char *name)
{
	if (pg_strncasecmp(name, "posix/", 6) == 0 ||
		pg_strncasecmp(name, "right/", 6) == 0)
		return false;
	for (int i = 0; i < lengthof(not_zones); i++)
	{
		if (pg_strcasecmp(name, not_zones[i]) == 0)
			return false;
	}
	if (strpbrk(name, "0123456789<,") == NULL)
		return true;
	for (int i = 0; i < lengthof(digit_names); i++)
	{
		if (pg_strcasecmp(name, digit_names[i]) == 0)
			return true;
	}
	if (pg_strncasecmp(name, "Etc/GMT", 7) == 0 &&
		(name[7] == '+' || name[7] == '-'))
	{
		const char *digits = name + 8;
		int			hours = atoi(digits);

		/* one form only: no sign, no leading zero but the one of 0 */
		return strlen(digits) <= 2 && strspn(digits, "0123456789") == strlen(digits) &&
			digits[0] != '\0' && (digits[0] != '0' || digits[1] == '\0') &&
			hours <= (name[7] == '-' ? 14 : 12);
	}
	return false;
}

/* The nearest zone name, by the whole name or by the part after a slash. */
static const char *
nearest_zone(const char *word)
{
	pg_tzenum  *dir = pg_tzenumerate_start();
	int			size = 1024;
	int			n = 0;
	const char **names = palloc(size * sizeof(char *));
	const char *found = NULL;
	pg_tz	   *tz;

	while ((tz = pg_tzenumerate_next(dir)) != NULL)
	{
		const char *name = pg_get_timezone_name(tz);
		const char *city = strrchr(name, '/');

		CHECK_FOR_INTERRUPTS();
		if (!is_zone_name(name))
			continue;
		if (n == size)
		{
			size *= 2;
			names = repalloc(names, size * sizeof(char *));
		}
		names[n++] = pstrdup(name);
		if (city != NULL && pg_strcasecmp(city + 1, word) == 0)
			found = names[n - 1];
	}
	pg_tzenumerate_end(dir);
	return found != NULL ? found : nearest_name(word, names, n);
}

/* The zone of a name, NULL where the database has none of this name. */
const pg_tz *
timezone_find(const char *name)
{
	pg_tz	   *tz = is_zone_name(name) ? pg_tzset(name) : NULL;

	return tz != NULL && pg_tz_acceptable(tz) ? tz : NULL;
}

/* A hint for a name that timezone_find() does not know. */
const char *
timezone_hint(const char *name)
{
	char	   *word = pstrdup(name);
	const char *near;

	/* spaces are the usual mistake in New York */
	for (char *c = word; *c != '\0'; c++)
	{
		if (*c == ' ')
			*c = '_';
	}
	near = nearest_zone(word);
	return near != NULL ? psprintf("Perhaps you meant \"%s\".", near) :
		"The names are in the view pg_timezone_names.";
}

/* The zone of a name; an error where the database has none of this name. */
const pg_tz *
timezone_by_name(text *name_text)
{
	char	   *name = text_to_cstring(name_text);
	const pg_tz *tz = timezone_find(name);

	if (tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", name),
				 errdetail("A time zone is a name of the IANA database, like Europe/Dublin or UTC."),
				 errhint("%s", timezone_hint(name))));
	pfree(name);
	return tz;
}

Datum
maintsched_check_timezone(PG_FUNCTION_ARGS)
{
	const pg_tz *tz = timezone_by_name(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(pg_get_timezone_name((pg_tz *) tz)));
}
