/*-------------------------------------------------------------------------
 *
 * tool.c
 *	  Asking the tools that make backups.
 *
 * pgBackRest and Barman are asked for what they know in JSON, by an argument
 * vector, through core/process.c.  Which programs they are is set in the
 * server's configuration file alone.  What they say is taken with care: only
 * UTF-8, only JSON that is whole, not more than 16 MB, and only in time;
 * anything else is an error, and never an empty catalogue.
 *
 * An exit code is not taken for an answer, nor an answer for an exit code:
 * "barman check" exits with 1 where it found something, and says what in JSON;
 * errors of its own it reports under the key "_ERROR".
 *
 * Runs in any backend, as the server's user; therefore only for superusers and
 * members of pg_execute_server_program.  (A configuration file of these tools
 * can name commands.)  No locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_authid.h"
#include "common/jsonapi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"

#include "backup/tool.h"
#include "core/compat.h"
#include "core/process.h"

PG_FUNCTION_INFO_V1(maintsched_read_pgbackrest);
PG_FUNCTION_INFO_V1(maintsched_read_barman);

#define MAX_OUTPUT	(16 * 1024 * 1024)
#define MAX_ERROR	8192
#define MAX_SHOWN	1000

typedef struct ToolKind
{
	const char *name;
	const char *setting;
	const char *start;			/* where it is installed as a rule */
	char	   *command;
} ToolKind;

static ToolKind tools[] = {
	[TOOL_PGBACKREST] = {"pgBackRest", "maintsched.pgbackrest_command", "/usr/bin/pgbackrest", NULL},
	[TOOL_BARMAN] = {"Barman", "maintsched.barman_command", "/usr/bin/barman", NULL},
};

/* maintsched.backup_tool_timeout */
static int	timeout_ms;

static bool
check_command(char **newval, void **extra, GucSource source)
{
	if (**newval != '\0' && **newval != '/')
	{
		GUC_check_errdetail("\"%s\" is not an absolute path.", *newval);
		GUC_check_errhint("Name one program. For arguments of your own, write a script that belongs to root and runs it.");
		return false;
	}
	return true;
}

void
tool_define_settings(void)
{
	DefineCustomStringVariable("maintsched.pgbackrest_command",
							   "The program pgBackRest, by its absolute path.",
							   "Only root and the server's user may be able to replace it. Set in the configuration file alone.",
							   &tools[TOOL_PGBACKREST].command,
							   tools[TOOL_PGBACKREST].start,
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_DISALLOW_IN_AUTO_FILE,
							   check_command, NULL, NULL);
	DefineCustomStringVariable("maintsched.barman_command",
							   "The program Barman, by its absolute path.",
							   "Only root and the server's user may be able to replace it. Set in the configuration file alone.",
							   &tools[TOOL_BARMAN].command,
							   tools[TOOL_BARMAN].start,
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_DISALLOW_IN_AUTO_FILE,
							   check_command, NULL, NULL);
	DefineCustomIntVariable("maintsched.backup_tool_timeout",
							"How long a backup tool may take to tell what it knows.",
							"It is ended then, and that is an error.",
							&timeout_ms,
							120000,
							100,
							3600 * 1000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
}

const char *
tool_command(BackupTool tool)
{
	if (tools[tool].command[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not asked: %s is empty", tools[tool].name, tools[tool].setting),
				 errhint("Set it to the path of the program in postgresql.conf, and reload.")));
	return tools[tool].command;
}

/*
 * What a tool said, for a message: so many bytes of it, without control
 * characters, and without anything that is no text here.
 */
char	   *
tool_said(const char *said, size_t length, size_t limit)
{
	char	   *text = pnstrdup(said, Min(length, limit));
	char	   *trace = strstr(text, "\nTraceback (most recent call last):");
	bool		valid;

	/* where in its own code Barman was is of no use to its users */
	if (trace != NULL && trace > text)
		*trace = '\0';
	text[		pg_encoding_mbcliplen(PG_UTF8, text, strlen(text), limit)] = '\0';

	valid = GetDatabaseEncoding() == PG_UTF8 && pg_verify_mbstr(PG_UTF8, text, strlen(text), true);
	for (char *at = text; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' && *at != '\n')
			*at = ' ';
		else if (IS_HIGHBIT_SET(*at) && !valid)
			*at = '?';
	for (size_t end = strlen(text); end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '); end--)
		text[		end - 1] = '\0';
	return text;
}

static int
detail_said(const char *error, const char *output)
{
	const char *said = error[0] != '\0' ? error : output;

	return said[0] != '\0' ? errdetail("It said: %s", said) : 0;
}

/*
 * pgBackRest repeats in its messages what it read, even bytes that are no text
 * and control characters that JSON has to escape: so it does with what the
 * wrong key made of a file.  In place of these there is an escaped character,
 * SUBSTITUTE, which is good in messages and nowhere else.
 */
static char *
with_substitutes(const char *data, size_t length)
{
	StringInfoData text;
	const char *end = data + length;
	bool		substituted = false;

	initStringInfo(&text);
	while (data < end)
	{
		int			taken = pg_encoding_verifymbchar(PG_UTF8, data, end - data);
		bool		good = taken > 1 ||
		(taken == 1 && ((unsigned char) *data >= ' ' || *data == '\n' || *data == '\r' || *data == '\t'));

		taken = Max(taken, 1);
		if (good)
			appendBinaryStringInfo(&text, data, taken);
		else if (!substituted)
			appendStringInfoString(&text, "\\u001a");
		substituted = !good;
		data += taken;
	}
	return text.data;
}

/*
 * Run a tool to its end.  Its exit code is the caller's to judge; that it did
 * not end by itself, or in time, or printed too much or no text, is an error.
 */
void
tool_run(BackupTool tool, List *arguments, ToolAnswer *answer)
{
	static const ToolLimits short_question = {0};

	tool_work(tool, arguments, &short_question, answer);
}

/*
 * The same, for one that may print much, or little.
 */
void
tool_run_limited(BackupTool tool, List *arguments, size_t limit, ToolAnswer *answer)
{
	ToolLimits	limits = {.output = limit};

	tool_work(tool, arguments, &limits, answer);
}

/*
 * The same, for what may take long or print no text.
 */
void
tool_work(BackupTool tool, List *arguments, const ToolLimits *limits, ToolAnswer *answer)
{
	size_t		output_limit = limits->output > 0 ? limits->output : MAX_OUTPUT;
	const ToolKind *kind = &tools[tool];
	ProcessSpec spec = {0};
	ProcessResult result;

	spec.program = tool_command(tool);
	spec.setting = kind->setting;
	spec.arguments = arguments;
	spec.output_limit = output_limit;
	spec.error_limit = Max(limits->error, MAX_ERROR);
	spec.timeout_ms = limits->long_work ? 0 : timeout_ms;
	process_run(&spec, &result);

	answer->exit_code = result.exit_code;
	answer->seconds = result.seconds;
	answer->error = tool_said(result.error.data, result.error.length, MAX_SHOWN);
	answer->whole_error = result.error.data;
	if (result.exit_code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION),
				 errmsg("%s %s", kind->name, process_end_text(&result)),
				 detail_said(answer->error, ""),
				 result.timed_out ? errhint("maintsched.backup_tool_timeout says how long it may take.") : 0));
	if (result.output.truncated)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s printed more than is read of it", kind->name),
				 errdetail("It printed " UINT64_FORMAT " bytes; the limit is %zu.", result.output.total, output_limit)));
	answer->raw = result.output.data;
	answer->raw_length = result.output.length;
	answer->output = NULL;
	if (limits->bytes)
		return;
	answer->output = result.output.data;
	if (tool == TOOL_PGBACKREST)
		answer->output = with_substitutes(result.output.data, result.output.length);
	else if (!pg_verify_mbstr(PG_UTF8, result.output.data, result.output.length, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("%s printed what is no text in UTF-8", kind->name),
				 detail_said(answer->error, "")));
	answer->output = pg_any_to_server(answer->output, strlen(answer->output), PG_UTF8);
}

/*
 * An answer as jsonb, after looking whether it is JSON at all.
 */
static Jsonb *
parse_answer(BackupTool tool, const ToolAnswer *answer)
{
	const char *text = answer->output;
	JsonLexContext *lex;
	JsonParseErrorType problem;

	lex = compat_make_json_lex(text, strlen(text), GetDatabaseEncoding());
	problem = pg_parse_json(lex, &nullSemAction);
	if (problem != JSON_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("%s printed no valid JSON", tools[tool].name),
				 answer->output[0] == '\0' ? errdetail("It printed nothing.") :
				 errdetail("%s", json_errdetail(problem, lex)),
				 answer->error[0] != '\0' ? errhint("It said besides: %s", answer->error) : 0));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(answer->output)));
}

static void
report_exit(BackupTool tool, const ToolAnswer *answer)
{
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("%s exited with code %d", tools[tool].name, answer->exit_code),
			 detail_said(answer->error, tool_said(answer->output, strlen(answer->output), MAX_SHOWN))));
}

void
tool_check_caller(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_EXECUTE_SERVER_PROGRAM))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to ask backup tools"),
				 errdetail("Only superusers and roles with privileges of the role pg_execute_server_program may run programs on the server.")));
}

/*
 * An argument as the tools take it, in UTF-8; NULL: it is null.
 */
static char *
argument(FunctionCallInfo fcinfo, int number)
{
	char	   *value;

	if (PG_ARGISNULL(number))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(number));
	return pg_server_to_any(value, strlen(value), PG_UTF8);
}

/*
 * One that is a word: never an option, nor empty.
 */
char	   *
tool_word(FunctionCallInfo fcinfo, int number, const char *what)
{
	char	   *value = argument(fcinfo, number);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of the %s is null", what)));
	if (value[0] == '\0' || value[0] == '-' || strpbrk(value, "\n\r\t ") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the name of a %s",
						text_to_cstring(PG_GETARG_TEXT_PP(number)), what)));
	return value;
}

/*
 * The path of a configuration file; NULL: the tool's own.
 */
char	   *
tool_config(FunctionCallInfo fcinfo, int number)
{
	char	   *value = argument(fcinfo, number);

	if (value != NULL && value[0] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("configuration file \"%s\" is not named by an absolute path",
						text_to_cstring(PG_GETARG_TEXT_PP(number)))));
	return value;
}

/*
 * Since 2.55 or so, warnings about its configuration are printed by pgBackRest
 * before the answer, whatever it was told of its log: "P00   WARN: ...", and
 * lines that are indented.  Pass over them.
 */
static char *
after_log(char *output)
{
	bool		in_log = false;

	for (;;)
	{
		size_t		length = strcspn(output, "\n");

		if (output[0] == 'P' && isdigit((unsigned char) output[1]) && isdigit((unsigned char) output[2]) &&
			output[3] == ' ' && strncmp(output + 3 + strspn(output + 3, " "), "WARN: ", strlen("WARN: ")) == 0)
			in_log = true;
		else if (!in_log || output[0] != ' ')
			return output;
		output += length;
		output += *output == '\n' ? 1 : 0;
	}
}

/*
 * The arguments with which pgBackRest is asked for a stanza; of a function, the
 * first is that one, and the second its configuration.
 */
List	   *
tool_stanza_arguments(FunctionCallInfo fcinfo, char **stanza)
{
	char	   *config;
	List	   *arguments;

	*stanza = tool_word(fcinfo, 0, "stanza");
	config = tool_config(fcinfo, 1);
	arguments = list_make1(psprintf("--stanza=%s", *stanza));
	if (config != NULL)
		arguments = lappend(arguments, psprintf("--config=%s", config));
	/* its console is the standard output */
	arguments = lappend(arguments, "--log-level-console=off");
	return lappend(arguments, "--log-level-file=off");
}

/*
 * read_pgbackrest(stanza text, config text) returns jsonb
 */
Datum
maintsched_read_pgbackrest(PG_FUNCTION_ARGS)
{
	char	   *stanza;
	List	   *arguments;
	ToolAnswer	answer;

	tool_check_caller();
	arguments = tool_stanza_arguments(fcinfo, &stanza);
	arguments = lappend(arguments, "--log-level-stderr=warn");
	arguments = lappend(arguments, "--output=json");
	arguments = lappend(arguments, "info");
	tool_run(TOOL_PGBACKREST, arguments, &answer);
	if (answer.exit_code != 0)
		report_exit(TOOL_PGBACKREST, &answer);
	answer.output = after_log(answer.output);
	PG_RETURN_JSONB_P(parse_answer(TOOL_PGBACKREST, &answer));
}

/*
 * read_barman(command text, server text, backup text, config text) returns
 * jsonb
 */
Datum
maintsched_read_barman(PG_FUNCTION_ARGS)
{
	char	   *command;
	bool		of_backup;
	bool		is_check;
	char	   *config;
	List	   *arguments = NIL;
	ToolAnswer	answer;
	Jsonb	   *json;

	tool_check_caller();
	command = tool_word(fcinfo, 0, "command");
	of_backup = strcmp(command, "show-backup") == 0;
	is_check = strcmp(command, "check") == 0;
	if (!of_backup && !is_check && strcmp(command, "list-backups") != 0 && strcmp(command, "show-servers") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("Barman is not asked for \"%s\"", command),
				 errhint("Commands are list-backups, show-backup, show-servers and check.")));
	config = tool_config(fcinfo, 3);
	if (config != NULL)
		arguments = list_make2("--config", config);
	arguments = lappend(arguments, "--format");
	arguments = lappend(arguments, "json");
	arguments = lappend(arguments, command);
	arguments = lappend(arguments, tool_word(fcinfo, 1, "server"));
	if (of_backup)
		arguments = lappend(arguments, tool_word(fcinfo, 2, "backup"));
	tool_run(TOOL_BARMAN, arguments, &answer);
	if (answer.exit_code > (is_check ? 1 : 0))
		report_exit(TOOL_BARMAN, &answer);

	json = parse_answer(TOOL_BARMAN, &answer);
	if (!JB_ROOT_IS_OBJECT(json) ||
		getKeyJsonValueFromContainer(&json->root, "_ERROR", strlen("_ERROR"), NULL) != NULL)
		report_exit(TOOL_BARMAN, &answer);
	PG_RETURN_JSONB_P(json);
}
