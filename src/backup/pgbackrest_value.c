/*-------------------------------------------------------------------------
 *
 * pgbackrest_value.c
 *	  Values in the manifest of a backup by pgBackRest.
 *
 * The line of a file has a JSON object without spaces, of strings, numbers and,
 * rarely, arrays.  There may be a million of them, so they are read where they
 * stand: a value is a piece of the line.
 *
 * Pure reading of memory.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backup/pgbackrest.h"

/*
 * The end of a JSON value; NULL: it has none.
 */
static const char *
skip_value(const char *at, const char *end)
{
	int			depth = 0;

	while (at < end)
	{
		if (*at == '"')
		{
			for (at++; at < end && *at != '"'; at++)
				if (*at == '\\')
					at++;
			if (at >= end)
				return NULL;
		}
		else if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
		{
			if (depth == 0)
				return at;
			depth--;
		}
		else if (*at == ',' && depth == 0)
			return at;
		at++;
	}
	return depth == 0 ? at : NULL;
}

/*
 * The next member of an object; *at is after "{" or a comma.  False: there is
 * none, or it is not well formed, which sets *broken.
 */
bool
repo_next_member(const char **at, const char *end, RepoValue *key, RepoValue *value, bool *broken)
{
	const char *stop;

	if (*at < end && **at == '}' && *at + 1 == end)
		return false;
	*broken = true;
	if (*at >= end || **at != '"')
		return false;
	key->chars = ++*at;
	while (*at < end && **at != '"')
		(*at)++;
	key->length = *at - key->chars;
	if (*at + 1 >= end || (*at)[1] != ':')
		return false;
	*at += 2;
	stop = skip_value(*at, end);
	if (stop == NULL || stop >= end || stop == *at)
		return false;
	value->quoted = **at == '"' && stop - *at >= 2 && stop[-1] == '"';
	value->chars = *at + (value->quoted ? 1 : 0);
	value->length = stop - *at - (value->quoted ? 2 : 0);
	*at = stop + (*stop == ',' ? 1 : 0);
	*broken = false;
	return true;
}

bool
repo_is_key(const RepoValue *key, const char *name)
{
	return key->length == strlen(name) && memcmp(key->chars, name, key->length) == 0;
}

bool
repo_read_number(const RepoValue *value, uint64 *number)
{
	uint64		sum = 0;

	if (value->quoted || value->length < 1 || value->length > 19)
		return false;
	for (int i = 0; i < value->length; i++)
	{
		if (value->chars[i] < '0' || value->chars[i] > '9')
			return false;
		sum = sum * 10 + (value->chars[i] - '0');
	}
	*number = sum;
	return true;
}

bool
repo_read_sum(const RepoValue *value, uint8 *sum)
{
	if (!value->quoted || value->length != 2 * REPO_SUM)
		return false;
	for (int i = 0; i < REPO_SUM; i++)
	{
		int			byte = 0;

		for (int j = 0; j < 2; j++)
		{
			char		c = value->chars[2 * i + j];

			if (c >= '0' && c <= '9')
				byte = byte * 16 + c - '0';
			else if (c >= 'a' && c <= 'f')
				byte = byte * 16 + c - 'a' + 10;
			else
				return false;
		}
		sum[i] = byte;
	}
	return true;
}
