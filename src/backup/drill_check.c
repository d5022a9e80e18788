/*-------------------------------------------------------------------------
 *
 * drill_check.c
 *	  What is in a restored server.
 *
 * Which server it is and how far it was recovered, it says itself.  Whether it
 * is whole, is asked of pg_amcheck, with a heapallindexed check of each btree
 * index in each database, where the copy has no extension amcheck it is made
 * there; and of pg_checksums, of every page of every file, which wants the server
 * stopped for that.  What is to be found in it is asked by the questions of
 * sql/parts/65, as a role that may only read.  What all that means is judged in
 * SQL.
 *
 * Runs in the backend that drills.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "backup/drill.h"

#define MAX_FINDINGS	(64 * 1024)
#define MAX_SHOWN		1500
#define ASK_MS			(10 * 60 * 1000)

/* what is asked of the restored server */
#define IDENTITY_QUERY \
	"select json_build_object(" \
	"'system_identifier', (select ((s.system_identifier::numeric + 18446744073709551616) % 18446744073709551616)::text from pg_control_system() s), " \
	"'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int, " \
	"'replayed', pg_last_wal_replay_lsn(), " \
	"'last_commit', pg_last_xact_replay_timestamp(), " \
	"'version', current_setting('server_version'), " \
	"'data_checksums', current_setting('data_checksums'), " \
	"'databases', (select count(*) from pg_database where datallowconn), " \
	"'bytes', (select sum(pg_database_size(oid)) from pg_database))"

static char *
ask(Drill *drill, const char *sql)
{
	char	   *answer;
	char	   *problem;

	if (drill_ask(drill, drill->superuser, "template1", sql, drill_time_left(drill, ASK_MS), &answer, &problem))
		return answer;
	drill_check_time(drill);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the restored server does not answer: %s", problem)));
}

/*
 * The promoted server is ours to change: no libraries for sessions, which may be
 * missing here, no database that is closed to pg_amcheck (but those that are only
 * half dropped), and a role that asks.
 */
void
drill_prepare(Drill *drill)
{
	(void) ask(drill,
			   psprintf("update pg_catalog.pg_db_role_setting set setconfig = array(select s from unnest(setconfig) s "
						"where s !~* '^(session|local)_preload_libraries=') "
						"where exists (select from unnest(setconfig) s where s ~* '^(session|local)_preload_libraries='); "
						"update pg_catalog.pg_database set datallowconn = true where not datallowconn and datconnlimit <> -2; "
						"create role %s login bypassrls; grant pg_read_all_data to %s", drill->reader, drill->reader));
}

void
drill_step_identity(Drill *drill)
{
	const char *args[3];
	char	  **row;

	args[0] = psprintf(INT64_FORMAT, drill->id);
	args[1] = ask(drill, IDENTITY_QUERY);
	args[2] = psprintf("%.3f", (drill->usable - drill->started) / 1000000.0);
	row = linitial(drill_query(drill, "select * from maintsched.judge_drill_identity($1::bigint, $2::jsonb, $3::numeric)", 3, args));
	resetStringInfo(&drill->facts);
	/* without the last brace, which comes when it is recorded */
	appendBinaryStringInfo(&drill->facts, row[2], strlen(row[2]) - 1);
	if (strcmp(row[0], "pass") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", row[1])));
	drill_say(drill, "pass", "%s", row[1]);
}

/*
 * Some of what a program printed.
 */
static char *
first_lines(const ProcessResult *result)
{
	ProcessResult copy = *result;

	copy.error = result->output.length > 0 ? result->output : result->error;
	if (copy.error.length > MAX_SHOWN)
		copy.error.data[MAX_SHOWN] = '\0';
	copy.error.length = strlen(copy.error.data);
	return drill_said(&copy);
}

/*
 * Check tables and btree indexes of all databases; false: *words says why that
 * was not possible.  What is found is an error.
 */
static bool
run_amcheck(Drill *drill, char **words)
{
	ProcessSpec spec = {0};
	ProcessResult result;

	if (!drill->amcheck)
	{
		*words = "amcheck was left out, as was wanted";
		return false;
	}
	if (ask(drill, "select count(*) from pg_available_extensions where name = 'amcheck'")[0] == '0')
	{
		*words = "extension amcheck is not installed on this machine";
		return false;
	}
	spec.program = process_server_program("pg_amcheck");
	spec.arguments = list_make4("--all", "--install-missing", "--heapallindexed", "--no-password");
	spec.arguments = lappend(spec.arguments, psprintf("--host=%s", drill->socket));
	spec.arguments = lappend(spec.arguments, "--port=5432");
	spec.arguments = lappend(spec.arguments, psprintf("--username=%s", drill->superuser));
	spec.arguments = lappend(spec.arguments, "--maintenance-db=template1");
	spec.arguments = lappend(spec.arguments, "--jobs=2");
	spec.environment = list_make2(drill_session_options(true, 0), "PGSSLMODE=disable");
	spec.output_limit = spec.error_limit = MAX_FINDINGS;
	spec.timeout_ms = drill_time_left(drill, 0);
	process_run(&spec, &result);
	drill_fact_number(drill, "amcheck_seconds", "%.3f", result.seconds);
	if (result.timed_out)
		drill_check_time(drill);
	if (result.exit_code == 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("pg_amcheck found damage: %s", first_lines(&result))));
	if (result.exit_code != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_amcheck %s: %s", process_end_text(&result), first_lines(&result))));
	return true;
}

/*
 * Check every page, with the server stopped, and start it again; false: there
 * are no checksums.
 */
static bool
run_checksums(Drill *drill)
{
	ProcessSpec spec = {0};
	ProcessResult result;
	bool		sound;
	ControlFileData *control = get_controlfile(drill->data, &sound);

	if (control->data_checksum_version == 0)
		return false;
	process_stop(drill->server);
	process_result(drill->server, &result);
	if (result.exit_code != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the restored server did not shut down: it %s", process_end_text(&result))));
	drill_stop_server(drill);
	spec.program = process_server_program("pg_checksums");
	spec.arguments = list_make3("--check", "-D", drill->data);
	spec.output_limit = spec.error_limit = MAX_FINDINGS;
	spec.timeout_ms = drill_time_left(drill, 0);
	process_run(&spec, &result);
	drill_fact_number(drill, "checksums_seconds", "%.3f", result.seconds);
	if (result.timed_out)
		drill_check_time(drill);
	if (result.exit_code != 0)
	{
		result.output.length = 0;
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("pg_checksums %s: %s", process_end_text(&result), first_lines(&result))));
	}
	drill_restart_server(drill);
	return true;
}

void
drill_step_integrity(Drill *drill)
{
	char	   *words = NULL;
	bool		checked = run_amcheck(drill, &words);
	char	   *failures = ask(drill, "select coalesce(sum(checksum_failures), 0) from pg_stat_database");
	bool		summed = false;

	if (strcmp(failures, "0") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s pages of the restored server failed their checksum", failures)));
	summed = run_checksums(drill);
	if (!checked)
		drill_say(drill, "not_checked", "%s; %s", words, summed ? "every page matches its checksum" : "it has no data checksums");
	else
		drill_say(drill, "pass", "pg_amcheck found nothing; %s", summed ? "every page matches its checksum" : "data checksums are off, so pages were not compared");
	drill_fact_text(drill, "data_checksums", summed ? "on" : "off");
	drill_fact_text(drill, "amcheck", checked ? "done" : words);
}

/*
 * Ask the questions of a step, and have the answers judged.
 */
void
drill_step_questions(Drill *drill)
{
	const char *args[3];
	List	   *questions;
	ListCell   *cell;
	StringInfoData answers;
	char	  **row;

	args[0] = psprintf(INT64_FORMAT, drill->id);
	args[1] = drill->step;
	questions = drill_query(drill, "select q.seq, q.database, q.query, ceil(extract(epoch from coalesce(q.timeout, '1 minute')) * 1000)::bigint "
							"from maintsched.drill_questions($1::bigint) q where q.step = $2 order by q.seq", 2, args);
	initStringInfo(&answers);
	appendStringInfoChar(&answers, '[');
	foreach(cell, questions)
	{
		char	  **question = lfirst(cell);
		char	   *answer;
		char	   *problem;
		TimestampTz began = GetCurrentTimestamp();
		int			timeout = (int) Max(1, Min(strtoi64(question[3], NULL, 10), INT_MAX / 4));
		bool		answered;

		drill_check_time(drill);
		answered = drill_ask(drill, drill->reader, question[1],
							 psprintf("select coalesce(jsonb_agg(to_jsonb(q)), '[]') from (%s\n) q", question[2]),
							 timeout, &answer, &problem);
		appendStringInfo(&answers, "%s{\"seq\":%s,\"seconds\":%.3f,\"%s\":", answers.len > 1 ? "," : "", question[0],
						 (GetCurrentTimestamp() - began) / 1000000.0, answered ? "answer" : "error");
		if (answered && answer[0] != '\0')
			appendStringInfoString(&answers, answer);
		else
			escape_json(&answers, answered ? "it printed nothing" : problem);
		appendStringInfoChar(&answers, '}');
	}
	appendStringInfoChar(&answers, ']');

	/*
	 * a server that has gone has answered nothing: that is not the data's
	 * fault
	 */
	drill_check_server(drill);

	args[2] = answers.data;
	row = linitial(drill_query(drill, "select x.result, x.message, x.facts from maintsched.judge_answers($1::bigint, $2, $3::jsonb) x", 3, args));
	if (row[2] != NULL && row[2][0] == '{' && strlen(row[2]) > 2)
	{
		resetStringInfo(&drill->facts);
		appendBinaryStringInfo(&drill->facts, row[2], strlen(row[2]) - 1);
	}
	drill_say(drill, row[0], "%s", row[1] ? row[1] : row[0]);
}
