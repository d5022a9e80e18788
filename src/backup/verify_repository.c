/*-------------------------------------------------------------------------
 *
 * verify_repository.c
 *	  The procedure that verifies the backups of repositories.
 *
 * What is asked of whom is SQL (sql/parts/61 to 63): the catalogue is read, the
 * levels 0 to 6 are judged, and it is said what level 7 is about.  This goes from
 * one to the next, does level 7 (level7*.c), and records each check.
 *
 * It commits after each step, so that what was found stays whatever happens
 * then, and so that nothing is held back in the database while files are read:
 * between a commit and the next query this process has no snapshot.  Where it is
 * called in a transaction block it can do neither, and goes on all the same.
 *
 * Whose rights: the caller's decide whether it may be called, and with them the
 * tools are asked.  Tables are read, and checks recorded, as the owner of the
 * extension; no code of a user's runs then.
 *
 * An error in level 7 of a backup is a check that could not be made, and not the
 * end of the procedure; a cancel request, a termination and a lack of resources
 * are.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "backup/level7.h"
#include "core/attempt.h"
#include "core/exec.h"

PG_FUNCTION_INFO_V1(maintsched_verify_repository);

/* so many problems are named in the message at the end */
#define MAX_NAMED	5

typedef struct Work
{
	bool		atomic;
	int			level;
	char	   *backups;

	/* of all repositories */
	int			failed;
	int			unchecked;
	int			passed;
	List	   *failures;		/* char *: the first of each */
	List	   *doubts;
	int			named;			/* how many there are */

	/* of the current one */
	char	   *repository;
	int64		reading_id;
	struct ToolVerdict *said;
} Work;

static void
commit(Work *work)
{
	if (work->atomic)
		return;
	SPI_commit();
	/* clock() goes by it, and hours may have passed */
	SetCurrentStatementStartTimestamp();
}

/*
 * Note what is wrong, or could not be found out, for the message at the end.
 */
static void
name_problem(Work *work, bool failure, const char *where, const char *problem)
{
	List	  **list = failure ? &work->failures : &work->doubts;

	work->named++;
	if (list_length(*list) < MAX_NAMED)
		*list = lappend(*list, psprintf("%s: %s", where, problem));
}

static void
check_caller(List *kinds)
{
	ListCell   *cell;

	if (superuser())
		return;
	foreach(cell, kinds)
	{
		bool		folder = strcmp(lfirst(cell), "basebackup") == 0;

		if (!has_privs_of_role(GetUserId(), folder ? ROLE_PG_READ_SERVER_FILES : ROLE_PG_EXECUTE_SERVER_PROGRAM))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to verify repositories of kind %s", (char *) lfirst(cell)),
					 errdetail("Only superusers and roles with privileges of the role %s may.",
							   folder ? "pg_read_server_files" : "pg_execute_server_program")));
	}
}

static ArrayType *
text_array(List *texts)
{
	Datum	   *values = palloc(Max(list_length(texts), 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, texts)
		values[count++] = CStringGetTextDatum(lfirst(cell));
	return construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * Append a check of level 7, as found.
 */
static void
record(Work *work, const Level7 *l)
{
	static const char *const results[] = {
		[LEVEL7_PASS] = "pass",[LEVEL7_NOT_CHECKED] = "not_checked",[LEVEL7_FAIL] = "fail"
	};
	Oid			types[7] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, FLOAT8OID, INT8OID};
	Datum		values[7];
	List	   *problems = l->problems;

	if (l->more > 0)
		problems = lappend(list_copy(problems), psprintf("and " INT64_FORMAT " more", l->more));
	values[0] = CStringGetTextDatum(work->repository);
	values[1] = CStringGetTextDatum(l->label);
	values[2] = CStringGetTextDatum(results[l->result]);
	values[3] = PointerGetDatum(text_array(problems));
	values[4] = CStringGetTextDatum(psprintf("{%s}", l->facts.data));
	values[5] = Float8GetDatum(l->seconds);
	values[6] = Int64GetDatum(work->reading_id);
	(void) verify_query_as_owner("select maintsched.record_check($1, $2, 7, $3, $4, $5::pg_catalog.jsonb,"
								 " pg_catalog.round($6::pg_catalog.numeric, 3), $7, null, maintsched.own_run())",
								 7, types, values, NULL);
	verify_done_with_result();
}

/*
 * Is an error one that says nothing about the backup, and ends us?
 */
static bool
ends_us(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) || sqlstate == ERRCODE_INTERNAL_ERROR;
}

static void
verify_in(void *arg)
{
	level7_verify(arg);
}

/*
 * Level 7; an error in it becomes what it has to say.
 */
static void
verify_caught(Level7 *l)
{
	ErrorData  *error = attempt(verify_in, l);

	if (error == NULL)
		return;
	if (ends_us(error->sqlerrcode))
		ReThrowError(error);
	level7_unchecked(l, "%s%s%s", error->message, error->detail != NULL ? ": " : "",
					 error->detail != NULL ? error->detail : "");
	FreeErrorData(error);
}

static void
verify_files(Work *work, const char *label)
{
	MemoryContext before = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(before, "maintsched level 7", ALLOCSET_DEFAULT_SIZES);
	Level7		l;

	memset(&l, 0, sizeof(Level7));
	l.said = &work->said;
	level7_describe(&l, work->repository, label);
	commit(work);
	if (l.result == LEVEL7_PASS)
	{
		MemoryContextSwitchTo(context);
		verify_caught(&l);
		MemoryContextSwitchTo(before);
	}
	record(work, &l);
	commit(work);
	if (l.result == LEVEL7_PASS)
		work->passed++;
	else
	{
		ListCell   *cell;
		const char *where = psprintf("%s %s, level 7", work->repository, label);

		if (l.result == LEVEL7_FAIL)
			work->failed++;
		else
			work->unchecked++;
		foreach(cell, l.problems)
			name_problem(work, l.result == LEVEL7_FAIL, where, lfirst(cell));
		work->named += l.more;
	}
	MemoryContextDelete(context);
}

/*
 * Levels 0 to 6, as the ladder judges them by what is known.
 */
static void
judge(Work *work, const char *label)
{
	Oid			types[4] = {TEXTOID, TEXTOID, INT4OID, INT8OID};
	Datum		values[4] = {CStringGetTextDatum(work->repository), CStringGetTextDatum(label),
	Int32GetDatum(work->level), Int64GetDatum(work->reading_id)};
	uint64		rows;

	rows = verify_query_as_owner("select * from maintsched.judge_and_record($1, $2, $3, $4)", 4, types, values, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		const char *result = verify_value_of(i, 2);
		const char *problem = verify_value_of(i, 3);
		bool		failure = strcmp(result, "fail") == 0;

		if (failure)
			work->failed++;
		else if (strcmp(result, "not_checked") == 0)
			work->unchecked++;
		else
		{
			work->passed++;
			continue;
		}
		name_problem(work, failure, psprintf("%s %s, level %s", work->repository, label, verify_value_of(i, 1)),
					 problem == NULL ? result : problem);
	}
	verify_done_with_result();
	commit(work);
}

/*
 * Have the repository read; false: it cannot be judged.
 */
static bool
read_catalogue(Work *work, bool pulled)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(work->repository), Int64GetDatum(0)};
	char		nulls[3] = "  ";
	char	   *problem;
	char	   *partly;
	bool		isnull = true;

	/* with the rights of the caller */
	if (pulled)
	{
		(void) exec_query("select maintsched.read_repository($1)", 1, types, values, NULL);
		values[1] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		values[1] = Int64GetDatum(DatumGetInt64(values[1]));
		verify_done_with_result();
		commit(work);
	}
	if (isnull)
		nulls[1] = 'n';
	(void) verify_query_as_owner("select reading, problem, partly from maintsched.reading_to_verify($1, $2)", 2, types, values, nulls);
	work->reading_id = verify_value_of(0, 1) != NULL ? strtoll(verify_value_of(0, 1), NULL, 10) : 0;
	problem = verify_value_of(0, 2);
	partly = verify_value_of(0, 3);
	verify_done_with_result();
	if (problem == NULL)
	{
		/* of all, or the latest, it is not known which they are */
		if (partly != NULL && (strcmp(work->backups, "latest") == 0 || strcmp(work->backups, "all") == 0))
		{
			work->unchecked++;
			name_problem(work, false, psprintf("repository %s", work->repository), partly);
		}
		return true;
	}
	work->unchecked++;
	name_problem(work, false, psprintf("repository %s", work->repository), problem);
	return false;
}

/*
 * What takes seconds of the other backups, too: a gap in the archive hurts them
 * first, and what failed of them would stay so for ever.  Recorded for
 * backup_status; outcome and evidence are of the ones that were asked for.
 */
static void
judge_others(Work *work)
{
	Oid			types[3] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[3] = {CStringGetTextDatum(work->repository), CStringGetTextDatum(work->backups),
	Int64GetDatum(work->reading_id)};

	(void) verify_query_as_owner("select maintsched.judge_others($1, array(select l from maintsched.backups_to_verify($1, $2) l),"
								 " $3)", 3, types, values, NULL);
	verify_done_with_result();
	commit(work);
}

static void
verify_one(Work *work, const char *repository, bool pulled)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	List	   *labels = NIL;
	ListCell   *cell;
	uint64		rows;

	work->repository = pstrdup(repository);
	work->said = NULL;
	if (!read_catalogue(work, pulled))
		return;
	values[0] = CStringGetTextDatum(repository);
	values[1] = CStringGetTextDatum(work->backups);
	rows = verify_query_as_owner("select * from maintsched.backups_to_verify($1, $2)", 2, types, values, NULL);
	for (uint64 i = 0; i < rows; i++)
		labels = lappend(labels, verify_value_of(i, 1));
	verify_done_with_result();
	if (labels == NIL)
	{
		work->failed++;
		name_problem(work, true, psprintf("repository %s", repository), "it has no backup");
	}
	foreach(cell, labels)
	{
		CHECK_FOR_INTERRUPTS();
		judge(work, lfirst(cell));
		if (work->level >= 7)
			verify_files(work, lfirst(cell));
	}
	if (work->level >= 6 && strcmp(work->backups, "latest") == 0)
		judge_others(work);
}

static void
report_problems(const Work *work)
{
	List	   *problems = list_concat_copy(work->failures, work->doubts);
	StringInfoData words;
	int			named = 0;
	ListCell   *cell;

	initStringInfo(&words);
	foreach(cell, problems)
		if (named++ < MAX_NAMED)
		appendStringInfo(&words, "%s%s", named > 1 ? "; " : "", (char *) lfirst(cell));
	if (work->named > MAX_NAMED)
		appendStringInfo(&words, "; and %d more", work->named - MAX_NAMED);
	ereport(ERROR,
			(errcode(work->failed > 0 ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_NO_DATA_FOUND),
			 errmsg("%s", words.data),
			 errdetail("%d checks passed, %d failed, %d could not be made.", work->passed, work->failed, work->unchecked),
			 errhint("View backup_log has every check.")));
}

/*
 * call verify_repository(repository text, level integer, backups text)
 */
Datum
maintsched_verify_repository(PG_FUNCTION_ARGS)
{
	Work		work = {0};
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {PG_GETARG_DATUM(0)};
	const char *nulls = PG_ARGISNULL(0) ? "n" : " ";
	List	   *names = NIL;
	List	   *kinds = NIL;
	List	   *pulled = NIL;
	uint64		rows;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 0 || PG_GETARG_INT32(1) > 7)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("level must be from 0 to 7"),
				 errhint("Higher ones need a restore: see drill().")));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("backups must be latest, all or a label")));
	work.atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic;
	work.level = PG_GETARG_INT32(1);
	if (SPI_connect_ext(work.atomic ? 0 : SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
	/* arguments do not outlive a commit */
	work.backups = text_to_cstring(PG_GETARG_TEXT_PP(2));

	rows = verify_query_as_owner("select r.name, r.kind, s.pulled from maintsched.repositories_to_verify($1) r"
								 " join maintsched.repository s on s.name operator(pg_catalog.=) r.name", 1, types, values, nulls);
	for (uint64 i = 0; i < rows; i++)
	{
		names = lappend(names, verify_value_of(i, 1));
		kinds = lappend(kinds, verify_value_of(i, 2));
		pulled = lappend_int(pulled, verify_value_of(i, 3)[0] == 't');
	}
	verify_done_with_result();
	check_caller(kinds);
	for (int i = 0; i < list_length(names); i++)
		verify_one(&work, list_nth(names, i), list_nth_int(pulled, i) != 0);
	if (work.failed > 0 || work.unchecked > 0)
		report_problems(&work);
	SPI_finish();
	PG_RETURN_VOID();
}
