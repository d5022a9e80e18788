/*-------------------------------------------------------------------------
 *
 * drill_server.c
 *	  The server of a restored copy, and asking it.
 *
 * It is a child of this process, without a pg_ctl in between: it is stopped
 * with us, whatever happens, and what it writes to its log is read here.  All
 * that makes it harmless is said to it once more on its command line.  Whether
 * it is ready is in its postmaster.pid, as for pg_ctl; that it was promoted, it
 * says itself.
 *
 * It is asked through psql, another child.  Questions of users are put by a
 * role made for that in the copy, which may read everything, and nothing else: a
 * superuser could be made to run programs by what is in the data.
 *
 * Runs in the backend that drills.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "backup/drill.h"

#define MAX_LOG		(64 * 1024)
#define MAX_ANSWER	(16 * 1024 * 1024)
#define MAX_SHOWN	2000

/* an argument of a program may not be longer */
#define MAX_QUERY	(120 * 1024)

/* how often to look, at first and later */
#define POLL_MS		50
#define MAX_POLL_MS	1000

/* a server that is ready does not refuse for long */
#define MAX_REFUSED	5

/*
 * What is written down of a log: the lines that tell of errors, or the last.
 */
static char *
log_words(const ProcessOutput *log)
{
	StringInfoData told;
	char	   *copy = pstrdup(log->data);
	char	   *last = "";
	char	   *rest;

	initStringInfo(&told);
	for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
	{
		char	   *at = strstr(line, "FATAL:");

		if (at == NULL)
			at = strstr(line, "PANIC:");
		if (at == NULL)
			at = strstr(line, "ERROR:");
		if (at == NULL)
			at = strstr(line, "DETAIL:");
		if (at != NULL && told.len < MAX_SHOWN)
			appendStringInfo(&told, "%s%s", told.len > 0 ? "; " : "", at);
		last = line;
	}
	if (told.len == 0)
		appendStringInfoString(&told, last);
	if (!pg_verifymbstr(told.data, told.len, true))
		for (char *at = told.data; *at != '\0'; at++)
			if (IS_HIGHBIT_SET(*at))
				*at = '?';
	return told.data;
}

/*
 * It has ended by itself: that is an error.
 */
compat_noreturn static void
report_end(Drill *drill)
{
	ProcessResult result;
	char	   *words;

	if (drill->server == NULL)
		elog(ERROR, "there is no restored server");
	process_result(drill->server, &result);
	words = log_words(&result.error);
	ereport(ERROR,
			(errcode(strstr(words, DRILL_NO_PROGRAM) != NULL ? ERRCODE_FEATURE_NOT_SUPPORTED : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the restored server %s", process_end_text(&result)),
			 errdetail("%s%s", words,
					   strstr(words, "could not create symbolic link \"pg_tblspc/") == NULL ? "" :
					   "; a tablespace was created after this backup, and is not made anew at its own place")));
}

/*
 * Does postmaster.pid say that it is ready?
 */
static bool
is_ready(Drill *drill)
{
	char	   *text = drill_read_file(drill->data, "postmaster.pid", 4096);
	int			line = 1;

	if (text == NULL)
		return false;
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\n' && ++line == 8)
			return strncmp(at + 1, "ready", 5) == 0;
	return false;
}

static void
launch(Drill *drill)
{
	ProcessSpec spec = {0};
	List	   *list = drill_server_settings(drill);
	MemoryContext context = MemoryContextSwitchTo(drill->context);

	spec.program = process_server_program("postgres");
	spec.arguments = list_make2("-D", drill->data);
	for (int i = 0; i < list_length(list); i += 2)
	{
		spec.arguments = lappend(spec.arguments, "-c");
		spec.arguments = lappend(spec.arguments, psprintf("%s=%s", (char *) list_nth(list, i), (char *) list_nth(list, i + 1)));
	}
	spec.directory = drill->data;
	spec.output_limit = spec.error_limit = MAX_LOG;
	spec.keep_last = true;
	spec.stops = process_stop_server;
	spec.death_signal = SIGQUIT;
	spec.for_session = true;
	/* its processes have sessions of their own, and so has what fetches WAL */
	spec.with_offspring = true;
	drill->server = process_start(&spec);
	MemoryContextSwitchTo(context);
}

/*
 * An error where it has ended by itself.
 */
void
drill_check_server(Drill *drill)
{
	if (drill->server == NULL || process_poll(drill->server, 0))
		report_end(drill);
}

/*
 * Wait until it can be asked; promoted: and until recovery has ended.
 */
void
drill_wait_usable(Drill *drill, bool promoted)
{
	int			wait = POLL_MS;
	int			refused = 0;

	for (;;)
	{
		char	   *answer;
		char	   *problem;

		drill_check_time(drill);
		drill_check_server(drill);
		if (is_ready(drill))
		{
			if (!promoted)
				return;
			if (drill_ask(drill, drill->superuser, "template1", "select pg_is_in_recovery()", 60000, &answer, &problem))
			{
				if (answer[0] == 'f')
					return;
			}
			else if (process_poll(drill->server, 0))
				report_end(drill);
			else if (strstr(problem, "FATAL:") != NULL && ++refused >= MAX_REFUSED)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						 errmsg("the restored server cannot be asked: %s", problem),
						 errhint("The option superuser of a drill names a superuser in the backup.")));
		}
		if (process_poll(drill->server, drill_time_left(drill, wait)))
			report_end(drill);
		wait = Min(wait * 2, promoted ? MAX_POLL_MS / 4 : MAX_POLL_MS);
	}
}

void
drill_start_server(Drill *drill)
{
	launch(drill);
	drill_fact_number(drill, "pid", "%d", (int) process_pid(drill->server));
	drill_wait_usable(drill, false);
	if (drill->message == NULL)
		drill_say(drill, "pass", "consistent, and can be asked");
}

/*
 * Start it once more, after its files were looked at.
 */
void
drill_restart_server(Drill *drill)
{
	launch(drill);
	drill_wait_usable(drill, true);
}

/*
 * Stop it: fast, then immediate, then by force; and look that it is gone, with
 * what it had started.
 */
void
drill_stop_server(Drill *drill)
{
	ProcessResult result;

	if (drill->server == NULL)
		return;
	process_stop(drill->server);
	process_result(drill->server, &result);
	process_close(drill->server);
	drill->server = NULL;
	if (result.running || result.lost)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("the restored server %s", process_end_text(&result))));
}

/*
 * The options of a session: what roles and databases of the copy have set is not
 * to get into its way.  A superuser makes an extension and checks pages; before
 * PostgreSQL 17 there is no setting against event triggers, and most do not fire
 * in a session that replicates.
 */
char	   *
drill_session_options(bool is_super, int timeout_ms)
{
	return psprintf("PGOPTIONS=-c statement_timeout=%d -c lock_timeout=0 -c idle_in_transaction_session_timeout=0%s "
					"-c role=none -c search_path=pg_catalog,pg_temp -c local_preload_libraries= -c jit=off -c client_min_messages=error%s",
					timeout_ms,
					GetConfigOption("transaction_timeout", true, false) != NULL ? " -c transaction_timeout=0" : "",
					is_super ? " -c session_preload_libraries= -c default_transaction_read_only=off -c session_replication_role=replica"
					" -c zero_damaged_pages=off -c ignore_checksum_failure=off" :
					" -c default_transaction_read_only=on");
}

/*
 * A value of a connection string.
 */
static char *
connection_value(const char *value)
{
	StringInfoData text;

	initStringInfo(&text);
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			appendStringInfoChar(&text, '\\');
		appendStringInfoChar(&text, *value);
	}
	return text.data;
}

/*
 * Ask; false: *problem says why there is no answer.
 */
bool
drill_ask(Drill *drill, const char *user, const char *database, const char *sql, int timeout_ms,
		  char **answer, char **problem)
{
	ProcessSpec spec = {0};
	ProcessResult result;
	bool		is_super = strcmp(user, drill->superuser) == 0;
	char	   *query = pg_server_to_any(sql, strlen(sql), PG_UTF8);

	*answer = *problem = NULL;
	if (strlen(query) > MAX_QUERY)
	{
		*problem = psprintf("the query is longer than %d bytes", MAX_QUERY);
		return false;
	}
	spec.program = process_server_program("psql");
	spec.arguments = list_make3("-XAtqw", "-v", "ON_ERROR_STOP=1");
	/* of what goes wrong with a question the condition is of use, too */
	if (!is_super)
	{
		spec.arguments = lappend(spec.arguments, "-v");
		spec.arguments = lappend(spec.arguments, "VERBOSITY=verbose");
	}
	spec.arguments = lappend(spec.arguments, "-d");
	spec.arguments = lappend(spec.arguments,
							 psprintf("host='%s' port=5432 dbname='%s' user='%s' connect_timeout=30 application_name=maintsched",
									  connection_value(drill->socket), connection_value(database), connection_value(user)));
	spec.arguments = lappend(spec.arguments, "-c");
	spec.arguments = lappend(spec.arguments, query);
	spec.environment = list_make3(drill_session_options(is_super, timeout_ms), "PGCLIENTENCODING=UTF8", "PGSSLMODE=disable");
	spec.output_limit = MAX_ANSWER;
	spec.error_limit = MAX_SHOWN;
	/* the server ends the query; this is for the case that it does not */
	spec.timeout_ms = drill_time_left(drill, timeout_ms + 30000);
	process_run(&spec, &result);
	if (result.exit_code == 0 && !result.output.truncated && pg_verify_mbstr(PG_UTF8, result.output.data, result.output.length, true))
	{
		result.output.data[result.output.length - (result.output.length > 0 && result.output.data[result.output.length - 1] == '\n')] = '\0';
		*answer = pg_any_to_server(result.output.data, strlen(result.output.data), PG_UTF8);
		return true;
	}
	if (result.output.truncated)
		*problem = psprintf("the answer is longer than %d bytes", MAX_ANSWER);
	else if (result.exit_code < 0)
		*problem = psprintf("the question %s", process_end_text(&result));
	else
		*problem = drill_said(&result);
	return false;
}
