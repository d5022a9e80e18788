/*-------------------------------------------------------------------------
 *
 * drill_tool.c
 *	  Restoring with pgBackRest and Barman.
 *
 * The tools read their own repositories, with the configuration that they have
 * for that; what they write, lock and log is sent below the drill's folder.  They
 * write a configuration for recovery, too, which is replaced like the rest of
 * it (drill_configure.c); the command that fetches WAL is made here.
 *
 * Runs in the backend that drills.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "backup/drill.h"
#include "backup/tool.h"

#define MAX_OUTPUT	65536
#define MAX_SHOWN	1500

/*
 * What a program said, fit for a message.
 */
char	   *
drill_said(const ProcessResult *result)
{
	const ProcessOutput *output = result->error.length > 0 ? &result->error : &result->output;
	char	   *text = tool_said(output->data, output->length, MAX_SHOWN);

	return text[0] != '\0' ? text : "it said nothing";
}

/*
 * Run a program of a step to its end; how it ended is an error, unless well.
 */
void
drill_run(Drill *drill, const ProcessSpec *spec, const char *name, ProcessResult *result)
{
	process_run(spec, result);
	if (result->timed_out)
		drill_check_time(drill);
	if (result->exit_code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION),
				 errmsg("%s %s", name, process_end_text(result)),
				 errdetail("It said: %s", drill_said(result))));
	if (result->exit_code != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("%s exited with code %d", name, result->exit_code),
				 errdetail("It said: %s", drill_said(result))));
}

/*
 * Before anything is made: is there what restores and what checks?
 */
void
drill_check_tool(Drill *drill)
{
	process_check_program(process_server_program("postgres"), NULL);
	process_check_program(process_server_program("psql"), NULL);
	process_check_program(process_server_program("pg_amcheck"), NULL);
	process_check_program(process_server_program("pg_checksums"), NULL);
	if (strcmp(drill->kind, "pgbackrest") == 0)
		process_check_program(tool_command(TOOL_PGBACKREST), "maintsched.pgbackrest_command");
	else if (strcmp(drill->kind, "barman") == 0)
		process_check_program(tool_command(TOOL_BARMAN), "maintsched.barman_command");
}

/*
 * A word for a shell, in a restore_command, in which % means something.
 */
static void
append_word(StringInfo text, const char *word)
{
	appendStringInfo(text, "%s'", text->len > 0 ? " " : "");
	for (; *word != '\0'; word++)
		if (*word == '\'')
			appendStringInfoString(text, "'\\''");
		else if (*word == '%')
			appendStringInfoString(text, "%%");
		else
			appendStringInfoChar(text, *word);
	appendStringInfoChar(text, '\'');
}

static void
keep_command(Drill *drill, StringInfo text)
{
	drill->restore_command = MemoryContextStrdup(drill->context, text->data);
}

static List *
add(List *list, const char *option, const char *value)
{
	return lappend(list, psprintf("%s%s", option, value));
}

void
drill_restore_pgbackrest(Drill *drill)
{
	ProcessSpec spec = {0};
	ProcessResult result;
	List	   *common = NIL;
	ListCell   *cell;
	StringInfoData command;
	static const char *const folders[] = {"lock", "log"};
	char	   *spool = psprintf("%s/spool", drill->scratch);

	for (int i = 0; i < lengthof(folders); i++)
	{
		char	   *folder = psprintf("%s/%s", drill->scratch, folders[i]);

		drill_make_folder(folder);
		common = lappend(common, psprintf("--%s-path=%s", folders[i], folder));
	}
	drill_make_folder(spool);
	drill_make_folder(drill->data);
	common = add(common, "--stanza=", drill->location);
	common = add(common, "--pg1-path=", drill->data);
	if (drill->config != NULL)
		common = add(common, "--config=", drill->config);
	common = lappend(common, "--log-level-console=off");
	common = lappend(common, "--log-level-file=off");
	common = lappend(common, "--log-level-stderr=warn");

	initStringInfo(&command);
	append_word(&command, tool_command(TOOL_PGBACKREST));
	foreach(cell, common)
		append_word(&command, lfirst(cell));
	appendStringInfoString(&command, " --no-archive-async archive-get %f \"%p\"");
	keep_command(drill, &command);

	spec.program = tool_command(TOOL_PGBACKREST);
	spec.setting = "maintsched.pgbackrest_command";
	spec.arguments = list_copy(common);
	spec.arguments = add(spec.arguments, "--spool-path=", spool);
	spec.arguments = add(spec.arguments, "--set=", drill->label);
	spec.arguments = add(spec.arguments, "--tablespace-map-all=", drill->tablespaces);
	spec.arguments = lappend(spec.arguments, "--archive-mode=off");
	spec.arguments = lappend(spec.arguments, "--no-delta");
	spec.arguments = lappend(spec.arguments, "restore");
	spec.output_limit = spec.error_limit = MAX_OUTPUT;
	spec.timeout_ms = drill_time_left(drill, 0);
	drill_run(drill, &spec, "pgBackRest", &result);
	drill_say(drill, "pass", "pgBackRest restored it in %.1f s", result.seconds);
}

/*
 * Barman leaves the WAL in its own folder (--get-wal), from where it is fetched
 * as recovery asks for it.
 */
void
drill_restore_barman(Drill *drill)
{
	ProcessSpec spec = {0};
	ProcessResult result;
	StringInfoData command;
	const char *args[] = {drill->repository, drill->label};
	List	   *spaces = drill_query(drill, "select t ->> 'name', coalesce(t ->> 'oid', t ->> 'name') from maintsched.current_backups($1) b "
									 "cross join lateral jsonb_array_elements(coalesce(b.details -> 'tablespaces', '[]')) t where b.label = $2", 2,
									 args);
	ListCell   *cell;

	initStringInfo(&command);
	append_word(&command, tool_command(TOOL_BARMAN));
	if (drill->config != NULL)
	{
		append_word(&command, "--config");
		append_word(&command, drill->config);
	}
	append_word(&command, "get-wal");
	append_word(&command, drill->location);
	appendStringInfoString(&command, " %f > \"%p\"");
	keep_command(drill, &command);

	spec.program = tool_command(TOOL_BARMAN);
	spec.setting = "maintsched.barman_command";
	if (drill->config != NULL)
		spec.arguments = list_make2("--config", drill->config);
	spec.arguments = lappend(spec.arguments, "recover");
	spec.arguments = lappend(spec.arguments, "--get-wal");
	foreach(cell, spaces)
	{
		char	  **space = lfirst(cell);

		spec.arguments = lappend(spec.arguments, "--tablespace");
		spec.arguments = lappend(spec.arguments, psprintf("%s:%s/%s", space[0], drill->tablespaces, space[1]));
	}
	spec.arguments = lappend(spec.arguments, drill->location);
	spec.arguments = lappend(spec.arguments, drill->label);
	spec.arguments = lappend(spec.arguments, drill->data);
	spec.output_limit = spec.error_limit = MAX_OUTPUT;
	spec.timeout_ms = drill_time_left(drill, 0);
	drill_run(drill, &spec, "Barman", &result);
	drill_say(drill, "pass", "Barman restored it in %.1f s", result.seconds);
}
