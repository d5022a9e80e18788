/*-------------------------------------------------------------------------
 *
 * wal_stanza.c
 *	  WAL files as pgBackRest lists them.
 *
 * Where the files of its archive cannot be read here - in an object store, on
 * another host, of another user - pgBackRest lists what its repository has
 * ("repo-ls", names and sizes), and prints history files ("repo-get").  Segments
 * are not looked into then.  A million of them are 130 MB of JSON, which is read
 * with the server's parser as it is, without a tree.
 *
 * Runs in any backend; the caller has looked whether programs may be run.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "backup/tool.h"
#include "backup/wal.h"
#include "core/compat.h"

/* two million segments */
#define LIST_LIMIT (256 * 1024 * 1024)

/* where the parser is: {"path":{"type":..,"size":..,"time":..},...} */
typedef struct Listing
{
	WalList    *list;
	int			depth;
	char	   *path;
	bool		is_file;
	uint64		size;
	pg_time_t	modified;
	char	   *field;
	List	   *histories;		/* of char *, paths */
} Listing;

static compat_json_result
begin_object(void *state)
{
	((Listing *) state)->depth++;
	return compat_json_success;
}

static compat_json_result
end_object(void *state)
{
	Listing    *listing = state;
	WalName		name;
	const char *last;

	if (--listing->depth != 1 || listing->path == NULL)
		return compat_json_success;
	last = strrchr(listing->path, '/');
	name = wal_parse_name(last == NULL ? listing->path : last + 1, listing->list->segment_size);
	if (!listing->is_file)
		return compat_json_success;
	if (name.kind == WAL_OTHER)
		listing->list->others++;
	else if (name.kind == WAL_HISTORY)
	{
		listing->histories = lappend(listing->histories, listing->path);
		return compat_json_success;
	}
	else
		wal_list_add(listing->list, &name, listing->size, listing->modified);
	pfree(listing->path);
	return compat_json_success;
}

static compat_json_result
begin_field(void *state, char *name, bool isnull)
{
	Listing    *listing = state;

	if (listing->depth == 1)
	{
		listing->path = name;
		listing->is_file = false;
		listing->size = 0;
		listing->modified = 0;
	}
	else
		listing->field = name;
	return compat_json_success;
}

static compat_json_result
take_scalar(void *state, char *token, JsonTokenType type)
{
	Listing    *listing = state;

	if (listing->depth == 2 && listing->field != NULL)
	{
		if (strcmp(listing->field, "type") == 0)
			listing->is_file = type == JSON_TOKEN_STRING && strcmp(token, "file") == 0;
		else if (strcmp(listing->field, "size") == 0 && type == JSON_TOKEN_NUMBER)
			listing->size = strtoull(token, NULL, 10);
		else if (strcmp(listing->field, "time") == 0 && type == JSON_TOKEN_NUMBER)
			listing->modified = strtoll(token, NULL, 10);
		pfree(listing->field);
		listing->field = NULL;
	}
	pfree(token);
	return compat_json_success;
}

static List *
common_arguments(const char *stanza, const char *config, int repository)
{
	List	   *arguments = list_make1(psprintf("--stanza=%s", stanza));

	if (config != NULL)
		arguments = lappend(arguments, psprintf("--config=%s", config));
	if (repository > 0)
		arguments = lappend(arguments, psprintf("--repo=%d", repository));
	arguments = lappend(arguments, "--log-level-console=off");
	arguments = lappend(arguments, "--log-level-file=off");
	arguments = lappend(arguments, "--log-level-stderr=warn");
	return arguments;
}

static void
need_success(const ToolAnswer *answer, const char *command)
{
	if (answer->exit_code != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("pgBackRest exited with code %d from %s", answer->exit_code, command),
				 answer->error[0] != '\0' ? errdetail("It said: %s", answer->error) : 0));
}

static WalHistory *
read_history(const char *path, const char *stanza, const char *config, const char *archive, int repository)
{
	List	   *arguments = common_arguments(stanza, config, repository);
	const char *last = strrchr(path, '/');
	WalHistory *history = palloc0(sizeof(WalHistory));
	ToolLimits	limits = {.output = WAL_HISTORY_LIMIT};
	ToolAnswer	answer;

	arguments = lappend(arguments, "repo-get");
	arguments = lappend(arguments, psprintf("archive/%s/%s/%s", stanza, archive, path));
	tool_work(TOOL_PGBACKREST, arguments, &limits, &answer);
	need_success(&answer, "repo-get");
	history->timeline = strtoul(pnstrdup(last == NULL ? path : last + 1, 8), NULL, 16);
	history->contents = answer.output;
	return history;
}

/*
 * Add what is in an archive of a stanza, such as 15-1, to an empty list.
 * repository: which of its repositories; 0: the first.
 */
void
wal_read_stanza(WalList *list, const char *stanza, const char *config, const char *archive, int repository)
{
	List	   *arguments = common_arguments(stanza, config, repository);
	Listing		listing = {.list = list};
	ToolLimits	limits = {.output = LIST_LIMIT};
	JsonSemAction actions = {0};
	JsonLexContext *lex;
	JsonParseErrorType problem;
	ToolAnswer	answer;
	const char *json;
	ListCell   *cell;

	arguments = lappend(arguments, "--recurse");
	arguments = lappend(arguments, "--output=json");
	arguments = lappend(arguments, "repo-ls");
	arguments = lappend(arguments, psprintf("archive/%s/%s", stanza, archive));
	tool_work(TOOL_PGBACKREST, arguments, &limits, &answer);
	need_success(&answer, "repo-ls");

	actions.semstate = &listing;
	actions.object_start = begin_object;
	actions.object_end = end_object;
	actions.object_field_start = begin_field;
	actions.scalar = take_scalar;
	json = answer.output;
	lex = compat_make_json_lex(json, strlen(json), GetDatabaseEncoding());
	problem = pg_parse_json(lex, &actions);
	if (problem != JSON_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("pgBackRest printed no valid JSON from repo-ls"),
				 errdetail("%s", json_errdetail(problem, lex))));
	pfree(answer.output);
	foreach(cell, listing.histories)
		list->histories = lappend(list->histories, read_history(lfirst(cell), stanza, config, archive, repository));
	wal_list_sort(list);
	wal_list_settle(list);
}
