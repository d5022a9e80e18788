/*-------------------------------------------------------------------------
 *
 * tool_options.c
 *	  Where pgBackRest has its repositories.
 *
 * Its info does not say.  But every command of pgBackRest begins its log with
 * the options that it goes by, from wherever it has them, with secrets left
 * out; those that have their defaults are not among them.  So one is asked for
 * a file that is not there, which costs it least, and its log is read.
 *
 * Runs in any backend, as tool.c tells.  No locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "backup/tool.h"

PG_FUNCTION_INFO_V1(maintsched_pgbackrest_options);

#define BEGIN " command begin "

/*
 * A name or value, if it is text here.
 */
static bool
append_text(StringInfo json, const char *data, size_t length)
{
	char	   *text = pnstrdup(data, length);
	bool		good = pg_verifymbstr(text, length, true);

	if (good)
		escape_json(json, text);
	pfree(text);
	return good;
}

/*
 * The options of a line, --name, --name=value or --name="a value", as members
 * of an object that has some already.
 */
static void
append_options(StringInfo json, const char *line)
{
	const char *end = line + strcspn(line, "\n");
	const char *at = strstr(line, " --");

	while (at != NULL && at < end)
	{
		StringInfoData member;
		size_t		length = strcspn(at + 3, "= \n");
		bool		good;

		initStringInfo(&member);
		at += 3;
		good = append_text(&member, at, length);
		at += length;
		if (*at == '=')
		{
			bool		quoted = at[1] == '"';

			at += quoted ? 2 : 1;
			length = strcspn(at, quoted ? "\"\n" : " \n");
			appendStringInfoString(&member, ": ");
			good = append_text(&member, at, length) && good;
			at += length;
		}
		else
			appendStringInfoString(&member, ": true");
		if (good)
			appendStringInfo(json, ", %s", member.data);
		pfree(member.data);
		at = strstr(at, " --");
	}
}

/*
 * pgbackrest_options(stanza text, config text) returns jsonb
 */
Datum
maintsched_pgbackrest_options(PG_FUNCTION_ARGS)
{
	char	   *stanza;
	List	   *arguments;
	ToolAnswer	answer;
	const char *begin;
	StringInfoData json;

	tool_check_caller();
	arguments = tool_stanza_arguments(fcinfo, &stanza);
	arguments = lappend(arguments, "--log-level-stderr=debug");
	arguments = lappend(arguments, "--ignore-missing");
	arguments = lappend(arguments, "repo-get");
	arguments = lappend(arguments, psprintf("backup/%s/maintsched.none", stanza));
	tool_run(TOOL_PGBACKREST, arguments, &answer);

	begin = strstr(answer.whole_error, BEGIN);
	if (begin == NULL)
		PG_RETURN_NULL();
	begin += strlen(BEGIN);
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	/* its version, and a colon */
	appendStringInfoString(&json, "\"version\": ");
	if (!append_text(&json, begin, strcspn(begin, ": \n")))
		PG_RETURN_NULL();
	append_options(&json, begin);
	appendStringInfoChar(&json, '}');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
