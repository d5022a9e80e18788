/*-------------------------------------------------------------------------
 *
 * document_value.c
 *	  The types of values in calendar and framework documents.
 *
 * document_check_value() decides whether one JSON value is of the type that its field
 * demands.  Values are only looked at, never converted: the importer reads
 * them again from jsonb, so what passes here must be acceptable to the
 * types that it casts to.  Strings are UTF-8 whatever the server's encoding.
 * Runs in any backend; takes no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/datetime.h"

#include "calendar/document.h"
#include "calendar/rrule.h"
#include "calendar/timezone.h"
#include "core/nearest.h"

/* the longest strings, in bytes; kept names are like the server's own */
#define MAX_NAME	63
#define MAX_LABEL	500
#define MAX_LINE	4000
#define MAX_TEXT	40000

#define SECONDS_PER_YEAR	(365.2425 * 86400)
#define MAX_YEARS	100

static void
fail_type(DocumentReader *reader, const char *wanted)
{
	document_error(reader, NULL, "must be %s", wanted);
}

/*
 * Characters that would let a text look like another one, or break a line of
 * a terminal: control characters, line separators, changes of direction.
 */
static bool
is_unprintable(pg_wchar c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E ||
		c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
		(c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

static void
check_characters(DocumentReader *reader, const char *string, const char *allowed)
{
	const unsigned char *s = (const unsigned char *) string;

	while (*s != '\0')
	{
		pg_wchar	c = utf8_to_unicode(s);

		if (is_unprintable(c) && (c >= 0x80 || strchr(allowed, (int) c) == NULL))
			document_error(reader, NULL,
						   "contains the character U+%04X, which is not allowed here",
						   (unsigned int) c);
		s += pg_utf_mblen(s);
	}
}

static void
check_length(DocumentReader *reader, const char *string, int limit)
{
	if (strlen(string) > limit)
		document_error(reader, NULL, "has %zu bytes, more than %d",
					   strlen(string), limit);
}

static bool
is_blank(const char *string)
{
	return string[strspn(string, " \t\n")] == '\0';
}

static void
check_label(DocumentReader *reader, const char *string)
{
	check_length(reader, string, MAX_LABEL);
	if (is_blank(string))
		document_error(reader, NULL, "must not be empty");
	check_characters(reader, string, "");
	if (string[0] == ' ' || string[strlen(string) - 1] == ' ')
		document_error(reader, NULL, "must not begin or end with a blank");
}

static void
check_text(DocumentReader *reader, const char *string)
{
	check_length(reader, string, MAX_TEXT);
	if (is_blank(string))
		document_error(reader, NULL, "must not be empty");
	check_characters(reader, string, "\t\n");
}

/*
 * Words of lower-case letters and digits, joined by single hyphens; capitals
 * too for frameworks ("HIPAA").  Returns how many bytes are such a name.
 */
static int
name_length(const char *string, bool capitals)
{
	const char *s = string;

	for (;;)
	{
		const char *word = s;

		while ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ||
			   (capitals && *s >= 'A' && *s <= 'Z'))
			s++;
		if (s == word)
			return 0;
		if (*s != '-')
			return s - string;
		s++;
	}
}

static void
check_name(DocumentReader *reader, const char *string, bool capitals)
{
	int			length = name_length(string, capitals);

	if (length == 0 || string[length] != '\0')
		document_error(reader,
					   capitals ?
					   "A name is made of letters and digits, with single hyphens between words." :
					   "A name is made of lower-case letters and digits, with single hyphens between words.",
					   "\"%s\" is not a name", json_shown(string));
	check_length(reader, string, MAX_NAME);
}

static void
check_control(DocumentReader *reader, const char *string)
{
	int			length = name_length(string, true);

	check_label(reader, string);
	if (length == 0 || string[length] != ' ' || string[length + 1] == ' ')
		document_error(reader,
					   "Write a framework, one blank and a citation, like \"HIPAA 164.312(b)\".",
					   "\"%s\" is not a control", json_shown(string));
}

static void
check_word(DocumentReader *reader, const Field *field, const char *string)
{
	StringInfoData all;
	const char *near;
	int			n = 0;

	initStringInfo(&all);
	for (; field->words[n] != NULL; n++)
	{
		if (strcmp(field->words[n], string) == 0)
			return;
		appendStringInfo(&all, "%s\"%s\"", n > 0 ? ", " : "", field->words[n]);
	}
	near = strlen(string) < 3 ? NULL :
		nearest_name(json_shown(string), field->words, n);
	document_error(reader,
				   near != NULL ? psprintf("Perhaps you meant \"%s\".", near) :
				   psprintf("Valid are %s.", all.data),
				   "\"%s\" is not valid", json_shown(string));
}

static void
check_rule(DocumentReader *reader, const char *string)
{
	RRule		rule;
	RRuleError	error = {0};

	if (!rrule_parse(string, strlen(string), &rule, &error))
		document_error(reader, error.hint[0] != '\0' ? pstrdup(error.hint) : NULL,
					   "\"%s\" is not a recurrence rule: %s, at character %d",
					   json_shown(string), json_shown(error.reason), error.position);
}

static void
check_timezone(DocumentReader *reader, const char *string)
{
	check_label(reader, string);
	if (timezone_find(json_shown(string)) == NULL)
		document_error(reader, timezone_hint(json_shown(string)),
					   "\"%s\" is not a time zone of the IANA database",
					   json_shown(string));
}

/*
 * Two digits at s, not above high; -1 for anything else.
 */
static int
two_digits(const char *s, int low, int high)
{
	int			value;

	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	value = (s[0] - '0') * 10 + (s[1] - '0');
	return value >= low && value <= high ? value : -1;
}

/*
 * YYYY-MM-DDTHH:MM:SS, a moment that exists in the Gregorian calendar.
 */
static bool
is_timestamp(const char *s)
{
	int			year;
	int			month;

	if (strlen(s) != strlen("YYYY-MM-DDTHH:MM:SS") ||
		s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':')
		return false;
	if (two_digits(s, 0, 99) < 0 || two_digits(s + 2, 0, 99) < 0)
		return false;
	year = two_digits(s, 0, 99) * 100 + two_digits(s + 2, 0, 99);
	month = two_digits(s + 5, 1, 12);
	return year >= 1 && month >= 1 &&
		two_digits(s + 8, 1, day_tab[isleap(year)][month - 1]) >= 1 &&
		two_digits(s + 11, 0, 23) >= 0 &&
		two_digits(s + 14, 0, 59) >= 0 &&
		two_digits(s + 17, 0, 59) >= 0;
}

/*
 * One component of a duration, a number and its letter, which must come
 * later in letters than the one before.  A fraction is for seconds only.
 */
static bool
duration_component(const char **s, const char **letters, double *number)
{
	char	   *end;
	const char *p = *s;
	const char *letter;
	bool		fraction = false;

	while (*p >= '0' && *p <= '9')
		p++;
	if (p == *s || p - *s > 9)
		return false;
	if (*p == '.')
	{
		int			digits = strspn(p + 1, "0123456789");

		if (digits < 1 || digits > 6)
			return false;
		fraction = true;
		p += 1 + digits;
	}
	if (*p == '\0' || (letter = strchr(*letters, *p)) == NULL ||
		(fraction && *p != 'S'))
		return false;

	*number = strtod(*s, &end);
	*letters = letter + 1;
	*s = p + 1;
	return end == p;
}

/*
 * An ISO 8601 duration: PnYnMnDTnHnMnS, or weeks alone, PnW.  Returns its
 * length in seconds, taking a month for a twelfth of a year; -1 when it is
 * none.
 */
static double
duration_seconds(const char *s)
{
	const char *date = "YMD";
	const char *time = "HMS";
	double		total = 0;
	double		number;

	if (*s++ != 'P' || *s == '\0')
		return -1;
	if (s[strspn(s, "0123456789")] == 'W')
	{
		const char *week = "W";

		return duration_component(&s, &week, &number) && *s == '\0' ?
			number * 7 * 86400 : -1;
	}
	while (*s != 'T' && *s != '\0')
	{
		if (!duration_component(&s, &date, &number))
			return -1;
		total += number * (s[-1] == 'Y' ? SECONDS_PER_YEAR :
						   s[-1] == 'M' ? SECONDS_PER_YEAR / 12 : 86400);
	}
	if (*s == '\0')
		return total;
	if (*++s == '\0')
		return -1;
	while (*s != '\0')
	{
		if (!duration_component(&s, &time, &number))
			return -1;
		total += number * (s[-1] == 'H' ? 3600 : s[-1] == 'M' ? 60 : 1);
	}
	return total;
}

static void
check_duration(DocumentReader *reader, const char *string, bool may_be_zero)
{
	double		seconds = duration_seconds(string);

	if (seconds < 0)
		document_error(reader,
					   "Write it like \"P7D\", \"P1M\" or \"PT1H30M\"; weeks stand alone, like \"P2W\".",
					   "\"%s\" is not an ISO 8601 duration", json_shown(string));
	if (seconds == 0 && !may_be_zero)
		document_error(reader, NULL, "\"%s\" is no time at all", json_shown(string));
	if (seconds > MAX_YEARS * SECONDS_PER_YEAR)
		document_error(reader, NULL, "\"%s\" is longer than %d years",
					   json_shown(string), MAX_YEARS);
}

static void
check_integer(DocumentReader *reader, const Field *field, const cJSON *value)
{
	const char *token = json_number(&reader->json, value);
	const char *digits = token + (token[0] == '-');

	if (digits[strspn(digits, "0123456789")] != '\0')
		document_error(reader, NULL, "%s is not a whole number", token);
	if (strlen(digits) > 9 || atoi(token) < field->low || atoi(token) > field->high)
		document_error(reader, NULL, "%s is not between %d and %d",
					   token, field->low, field->high);
}

static void
check_string(DocumentReader *reader, const Field *field, const char *string)
{
	switch (field->type)
	{
		case FIELD_NAME:
		case FIELD_FRAMEWORK:
			check_name(reader, string, field->type == FIELD_FRAMEWORK);
			break;
		case FIELD_LABEL:
			check_label(reader, string);
			break;
		case FIELD_TEXT:
			check_text(reader, string);
			break;
		case FIELD_LINE:
			check_length(reader, string, MAX_LINE);
			check_characters(reader, string, "\t");
			break;
		case FIELD_WORD:
			check_word(reader, field, string);
			break;
		case FIELD_CONTROL:
			check_control(reader, string);
			break;
		case FIELD_RULE:
			check_rule(reader, string);
			break;
		case FIELD_TIMESTAMP:
			if (!is_timestamp(string))
				document_error(reader,
							   "Write a local time without zone, like \"2026-01-01T09:00:00\".",
							   "\"%s\" is not a date and time", json_shown(string));
			break;
		case FIELD_DURATION:
		case FIELD_SPAN:
			check_duration(reader, string, field->type == FIELD_SPAN);
			break;
		case FIELD_TIMEZONE:
			check_timezone(reader, string);
			break;
		case FIELD_BOOLEAN:
		case FIELD_INTEGER:
		case FIELD_NUMBER:
		case FIELD_OBJECT:
		case FIELD_ENTRY:
			Assert(false);
			break;
	}
}

/*
 * Raise an error unless value, which is no array, is what field demands.
 * Entries are document.c's business.
 */
void
document_check_value(DocumentReader *reader, const Field *field, const cJSON *value)
{
	switch (field->type)
	{
		case FIELD_BOOLEAN:
			if (!cJSON_IsBool(value))
				fail_type(reader, "true or false");
			break;
		case FIELD_INTEGER:
		case FIELD_NUMBER:
			if (!cJSON_IsNumber(value))
				fail_type(reader, "a number");
			if (field->type == FIELD_INTEGER)
				check_integer(reader, field, value);
			break;
		case FIELD_OBJECT:
			if (!cJSON_IsObject(value))
				fail_type(reader, "an object");
			break;
		default:
			if (!cJSON_IsString(value))
				fail_type(reader, "a string");
			check_string(reader, field, value->valuestring);
	}
}
