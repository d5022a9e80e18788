/*-------------------------------------------------------------------------
 *
 * pgbackrest_list.c
 *	  What a repository of pgBackRest has, as "pgbackrest repo-ls" prints it.
 *
 * An object, in which each name below the folder is an object with its type and
 * size.  It is read as a stream: a repository has many files.
 *
 * Pure reading of memory.  Errors: what is no such JSON.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "backup/pgbackrest.h"
#include "core/compat.h"

typedef struct ListReader
{
	RepoListing *listing;
	const char *prefix;
	int			depth;
	char	   *name;			/* of the object that is read */
	char	   *field;
	RepoName	now;
	bool		has_size;
} ListReader;

static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("pgBackRest printed a list of files that is not of the form that is known"),
			 errdetail("%s", what)));
}

static compat_json_result
on_object_start(void *state)
{
	ListReader *reader = state;

	if (++reader->depth > 2)
		refuse("It has objects in objects in objects.");
	if (reader->depth == 2)
	{
		memset(&reader->now, 0, sizeof(RepoName));
		reader->has_size = false;
	}
	return compat_json_success;
}

static compat_json_result
on_object_end(void *state)
{
	ListReader *reader = state;
	RepoListing *listing = reader->listing;

	if (reader->depth-- != 2)
		return compat_json_success;
	if (reader->now.type == 0 || (reader->now.type == 'f' && !reader->has_size))
		refuse("A name has no type, or a file no size.");
	if (strcmp(reader->name, ".") == 0)
		return compat_json_success;
	if (listing->count >= listing->max)
	{
		listing->max = Max(1024, listing->max * 2);
		listing->names = listing->names == NULL ?
			MemoryContextAllocHuge(CurrentMemoryContext, listing->max * sizeof(RepoName)) :
			repalloc_huge(listing->names, listing->max * sizeof(RepoName));
	}
	reader->now.path = psprintf("%s/%s", reader->prefix, reader->name);
	listing->names[listing->count++] = reader->now;
	return compat_json_success;
}

static compat_json_result
on_array_start(void *state)
{
	refuse("It has an array.");
	return compat_json_success;
}

static compat_json_result
on_field(void *state, char *name, bool isnull)
{
	ListReader *reader = state;

	if (reader->depth == 1)
		reader->name = name;
	else
		reader->field = name;
	return compat_json_success;
}

static compat_json_result
on_scalar(void *state, char *token, JsonTokenType type)
{
	ListReader *reader = state;

	if (reader->depth != 2)
		refuse("A name is no object.");
	if (strcmp(reader->field, "type") == 0)
	{
		if (strcmp(token, "file") == 0)
			reader->now.type = 'f';
		else if (strcmp(token, "path") == 0)
			reader->now.type = 'd';
		else if (strcmp(token, "link") == 0)
			reader->now.type = 'l';
		else
			reader->now.type = 's';
	}
	else if (strcmp(reader->field, "size") == 0)
	{
		char	   *end;

		reader->now.size = strtoull(token, &end, 10);
		if (type != JSON_TOKEN_NUMBER || *end != '\0')
			refuse("A size is no whole number.");
		reader->has_size = true;
	}
	return compat_json_success;
}

/*
 * Read a list, and append it to another.  prefix: the folder that was listed.
 */
RepoListing *
repo_list_parse(const char *prefix, const char *json, size_t length, RepoListing *into)
{
	JsonSemAction actions = {0};
	JsonLexContext *lex;
	ListReader	reader = {0};
	JsonParseErrorType problem;

	if (pg_encoding_verifymbstr(PG_UTF8, json, length) != length)
		refuse("It is no text in UTF-8.");
	if (into == NULL)
		into = palloc0(sizeof(RepoListing));
	reader.listing = into;
	reader.prefix = prefix;
	actions.semstate = &reader;
	actions.object_start = on_object_start;
	actions.object_end = on_object_end;
	actions.array_start = on_array_start;
	actions.object_field_start = on_field;
	actions.scalar = on_scalar;
	lex = compat_make_json_lex(json, length, PG_UTF8);
	problem = pg_parse_json(lex, &actions);
	if (problem != JSON_SUCCESS)
		refuse(length == 0 ? "It printed nothing." : json_errdetail(problem, lex));
	return into;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const RepoName *) a)->path, ((const RepoName *) b)->path);
}

void
repo_list_sort(RepoListing *listing)
{
	qsort(listing->names, listing->count, sizeof(RepoName), compare_names);
}

RepoName   *
repo_list_find(RepoListing *listing, const char *path)
{
	RepoName	key = {0};

	key.path = unconstify(char *, path);
	return listing->count == 0 ? NULL :
		bsearch(&key, listing->names, listing->count, sizeof(RepoName), compare_names);
}
