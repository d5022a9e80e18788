/*-------------------------------------------------------------------------
 *
 * drill.c
 *	  Restore drills: the steps, one after another.
 *
 * A drill restores a backup into a folder of its own below
 * maintsched.drill_root (drill_place.c), with the tool of its kind (drill_copy.c,
 * drill_tar.c, drill_tool.c), replaces all configuration (drill_configure.c),
 * starts a server on it as a child of this process (drill_server.c), looks at
 * what is in it (drill_check.c), and removes it all.
 *
 * It is a procedure, called at top level, by a client or a runner.  What a step
 * has shown is recorded and committed when it ends, so that a death in between
 * shows, too; while a step is at it, no snapshot is held.  A step that fails, or
 * is cancelled, or for which there is no time left, ends in a record of why; the
 * steps after it are left out, but for the last one, which stops the server and
 * removes the folder.  Cancel requests are taken within steps alone.  Only when
 * it was looked whether all is gone, the verdict is recorded, and that it is no
 * pass is an error.
 *
 * A step runs in a subtransaction: an error in it gives back what it took.  The
 * server lives longer than that, and is closed by hand.  Where this process is
 * killed, the kernel stops the server, and the folder stays until drill_place.c
 * finds that nobody holds its lock any more.
 *
 * Locks: none for long.  Bookkeeping is written as the extension's owner.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "backup/drill.h"
#include "core/exec.h"

PG_FUNCTION_INFO_V1(maintsched_drill);

typedef struct DrillStep
{
	const char *name;
	void		(*run) (Drill *drill);
} DrillStep;

static void step_space(Drill *drill);
static void step_create(Drill *drill);
static void step_restore(Drill *drill);
static void step_configure(Drill *drill);
static void step_promote(Drill *drill);
static void step_report(Drill *drill);

static const DrillStep steps[] = {
	{"space", step_space},
	{"create", step_create},
	{"restore", step_restore},
	{"configure", step_configure},
	{"start", drill_start_server},
	{"promote", step_promote},
	{"identity", drill_step_identity},
	{"integrity", drill_step_integrity},
	{"expectations", drill_step_questions},
	{"queries", drill_step_questions},
	{"report", step_report},
};

/*
 * Add to the facts of the step.
 */
static void
fact_key(Drill *drill, const char *key)
{
	appendStringInfoChar(&drill->facts, drill->facts.len == 0 ? '{' : ',');
	escape_json(&drill->facts, key);
	appendStringInfoChar(&drill->facts, ':');
}

void
drill_fact_text(Drill *drill, const char *key, const char *value)
{
	if (value == NULL)
		return;
	fact_key(drill, key);
	escape_json(&drill->facts, value);
}

void
drill_fact_number(Drill *drill, const char *key, const char *format,...)
{
	va_list		args;
	char		number[64];

	va_start(args, format);
	vsnprintf(number, sizeof(number), format, args);
	va_end(args);
	fact_key(drill, key);
	appendStringInfoString(&drill->facts, number);
}

/*
 * What the step has shown, in words.
 */
void
drill_say(Drill *drill, const char *result, const char *format,...)
{
	StringInfoData text;
	MemoryContext context = MemoryContextSwitchTo(drill->context);

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	MemoryContextSwitchTo(context);
	drill->result = result;
	drill->message = text.data;
}

/*
 * Raise an error when the time of the drill is up.
 */
void
drill_check_time(Drill *drill)
{
	CHECK_FOR_INTERRUPTS();
	if (GetCurrentTimestamp() < drill->deadline)
		return;
	drill->timed_out = true;
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("the drill did not end in time"),
			 errhint("maintsched.drill_timeout and the option timeout say how long it may take.")));
}

/*
 * So many milliseconds are left, at least 1, and limit_ms at the most; 0: any.
 */
int
drill_time_left(Drill *drill, int limit_ms)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), drill->deadline);

	if (limit_ms > 0)
		left = Min(left, limit_ms);
	return (int) Max(1, Min(left, INT_MAX / 2));
}

static void
step_space(Drill *drill)
{
	uint64		wanted = (uint64) ((drill->size_bytes + drill->parts_bytes) * drill->space_factor) + (uint64) 8 * wal_segment_size;
	uint64		unused;

	if (!drill_free_bytes(drill->root, &unused))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not look at folder \"%s\": %m", drill->root)));
	if (drill->size_bytes > 0)
		drill_fact_number(drill, "size_bytes", UINT64_FORMAT, drill->size_bytes);
	if (drill->parts_bytes > 0)
		drill_fact_number(drill, "parts_bytes", UINT64_FORMAT, drill->parts_bytes);
	drill_fact_number(drill, "wanted_bytes", UINT64_FORMAT, wanted);
	drill_fact_number(drill, "free_bytes", UINT64_FORMAT, unused);
	if (unused < wanted)
		ereport(ERROR,
				(errcode(ERRCODE_DISK_FULL),
				 errmsg("there is not enough room in \"%s\": " UINT64_FORMAT " MB are free, " UINT64_FORMAT " MB are wanted",
						drill->root, unused >> 20, (wanted >> 20) + 1)));
	drill_say(drill, "pass", UINT64_FORMAT " MB are free, " UINT64_FORMAT " MB are wanted%s", unused >> 20, (wanted >> 20) + 1,
			  drill->size_bytes == 0 ? ", not knowing how large the backup is" : "");
}

static void
step_create(Drill *drill)
{
	if (drill->pg_version != NULL)
		drill_check_version(drill, drill->pg_version);
	drill_check_tool(drill);
	drill_make_scratch(drill);
	drill_say(drill, "pass", "folder \"%s\"", drill->scratch);
}

static void
step_restore(Drill *drill)
{
	if (drill->problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", drill->problem)));
	if (strcmp(drill->kind, "pgbackrest") == 0)
		drill_restore_pgbackrest(drill);
	else if (strcmp(drill->kind, "barman") == 0)
		drill_restore_barman(drill);
	else if (drill->chain != NIL)
		drill_combine_backups(drill);
	else if (drill_is_tar(drill->path))
		drill_extract_backup(drill);
	else
		drill_copy_backup(drill);
}

static void
step_configure(Drill *drill)
{
	drill_check_links(drill);
	drill_configure(drill);
}

static void
step_promote(Drill *drill)
{
	drill_wait_usable(drill, true);
	drill->usable = GetCurrentTimestamp();
	drill_prepare(drill);
	drill_fact_number(drill, "rto_seconds", "%.3f", (drill->usable - drill->started) / 1000000.0);
	if (drill->message == NULL)
		drill_say(drill, "pass", "usable %.1f s after the drill began", (drill->usable - drill->started) / 1000000.0);
}

/*
 * Steps end here with what they have taken; what follows is the removal.
 */
static void
step_report(Drill *drill)
{
	const char *id = psprintf(INT64_FORMAT, drill->id);
	List	   *rows = drill_query(drill, "select result, array_to_string(problems, '; ') from maintsched.judge_drill_objectives($1::bigint)", 1, &id);
	char	  **row = linitial(rows);

	if (strcmp(row[0], "fail") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", row[1])));
	drill_say(drill, strcmp(row[0], "pass") == 0 || strcmp(row[0], "not_applicable") == 0 ? "pass" : "not_checked",
			  "drill_report(" INT64_FORMAT ")%s%s", drill->id, row[1][0] != '\0' ? "; " : "", row[1]);
}

/*
 * Stop the server, remove the folder, look whether they are gone.
 */
static void
step_destroy(Drill *drill)
{
	drill_stop_server(drill);
	if (!drill_remove_scratch(drill))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove folder \"%s\": %m", drill->scratch)));
	drill_say(drill, "pass", "no process is left, and the folder is gone");
}

/*
 * The error of a step becomes its message.
 */
static void
take_error(Drill *drill)
{
	ErrorData  *error;
	uint64		unused;

	MemoryContextSwitchTo(drill->context);
	error = CopyErrorData();
	FlushErrorState();
	drill->sqlstate = error->sqlerrcode;

	/* what a tool or server says of that is its own */
	if (drill->made && error->sqlerrcode != ERRCODE_QUERY_CANCELED &&
		drill_free_bytes(drill->scratch, &unused) && unused < (uint64) wal_segment_size)
	{
		drill->sqlstate = ERRCODE_DISK_FULL;
		drill_say(drill, "fail", "there is no room left in \"%s\": %s%s%s", drill->root, error->message,
				  error->detail ? ": " : "", error->detail ? error->detail : "");
	}
	else
		drill_say(drill, "fail", "%s%s%s", error->message, error->detail ? ": " : "", error->detail ? error->detail : "");
	drill_fact_text(drill, "sqlstate", unpack_sql_state(drill->sqlstate));
	FreeErrorData(error);
}

static void
record_step(Drill *drill, TimestampTz began)
{
	const char *args[7];

	if (drill->facts.len > 0)
		appendStringInfoChar(&drill->facts, '}');
	args[0] = psprintf(INT64_FORMAT, drill->id);
	args[1] = drill->step;
	args[2] = drill->result;
	args[3] = psprintf("%.6f", began / 1000000.0);
	args[4] = psprintf("%.6f", (GetCurrentTimestamp() - began) / 1000000.0);
	args[5] = drill->message;
	args[6] = drill->facts.len > 0 ? drill->facts.data : NULL;
	(void) drill_query(drill, "select maintsched.note_drill_step($1::bigint, $2, $3, timestamptz '2000-01-01 00:00:00+00' + make_interval(secs => $4::float8), $5::numeric, $6, $7::jsonb)", 7, args);
	SPI_commit();
}

/*
 * Do a step, and record it; false: it failed.  Without interrupts: destroying
 * goes on whatever comes.
 */
static bool
do_step(Drill *drill, const char *name, void (*run) (Drill *drill), bool interruptible)
{
	TimestampTz began = GetCurrentTimestamp();
	ResourceOwner owner = CurrentResourceOwner;

	drill->step = name;
	drill->result = "pass";
	drill->message = NULL;
	resetStringInfo(&drill->facts);
	MemoryContextSwitchTo(drill->context);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(drill->context);
	PG_TRY();
	{
		if (interruptible)
		{
			RESUME_CANCEL_INTERRUPTS();
			drill_check_time(drill);
		}
		run(drill);
		if (interruptible)
			HOLD_CANCEL_INTERRUPTS();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		take_error(drill);
		RollbackAndReleaseCurrentSubTransaction();
		/* an error gives them free */
		QueryCancelHoldoffCount = 1;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drill->context);
	CurrentResourceOwner = owner;
	if (strcmp(drill->result, "fail") == 0 && drill->failed == NULL)
		drill->failed = psprintf("%s: %s", name, drill->message);
	record_step(drill, began);
	return strcmp(drill->result, "fail") != 0;
}

/*
 * All the steps; then the verdict, which is returned in words.
 */
static char *
do_steps(Drill *drill, char **message)
{
	const char *args[2];
	char	  **row;
	bool		removed;

	drill->started = GetCurrentTimestamp();
	for (int i = 0; i < lengthof(steps); i++)
		if (!do_step(drill, steps[i].name, steps[i].run, true))
			break;
	removed = do_step(drill, "destroy", step_destroy, false);

	args[0] = psprintf(INT64_FORMAT, drill->id);
	args[1] = removed ? "true" : "false";
	row = linitial(drill_query(drill, "select * from maintsched.end_drill($1::bigint, $2::boolean)", 2, args));
	*message = row[2];
	SPI_commit();
	return row[0];
}

static void
check_caller(void)
{
	if (superuser())
		return;
	if (!has_privs_of_role(GetUserId(), ROLE_PG_EXECUTE_SERVER_PROGRAM) ||
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES) ||
		!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to restore a backup"),
				 errdetail("Only superusers and roles with privileges of the roles pg_execute_server_program, pg_read_server_files and pg_write_server_files may.")));
}

static char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static void
report_failure(Drill *drill, const char *verdict, const char *message)
{
	if (drill->sqlstate == ERRCODE_QUERY_CANCELED && !drill->timed_out)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("drill " INT64_FORMAT " was cancelled", drill->id),
				 errdetail("%s", message)));
	if (strcmp(verdict, "inconclusive") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("drill " INT64_FORMAT " of backup \"%s\" of repository \"%s\" is inconclusive", drill->id, drill->label, drill->repository),
				 errdetail("%s", message),
				 errhint("See maintsched.drill_steps.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("drill " INT64_FORMAT " of backup \"%s\" of repository \"%s\" failed", drill->id, drill->label, drill->repository),
			 errdetail("%s", message),
			 errhint("See maintsched.drill_steps.")));
}

/*
 * drill(repository text, backup text, within interval, options jsonb)
 */
Datum
maintsched_drill(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemoryContext context;
	Drill	   *drill;
	char	   *message;
	char	   *verdict = NULL;
	uint32		holdoff = QueryCancelHoldoffCount;
	const char *backup;
	const char *within;
	const char *options;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a restore drill cannot run inside a transaction block or a function"),
				 errdetail("Each of its steps is committed.")));
	check_caller();
	for (int i = 0; i < 4; i++)
		if (PG_ARGISNULL(i) && i != 2)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("drill(): only within may be NULL")));

	context = AllocSetContextCreate(PortalContext, "maintsched drill", ALLOCSET_DEFAULT_SIZES);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	MemoryContextSwitchTo(context);
	drill = palloc0(sizeof(Drill));
	drill->context = context;
	drill->lock = -1;
	initStringInfo(&drill->facts);
	drill->repository = text_argument(fcinfo, 0);
	backup = text_argument(fcinfo, 1);
	within = PG_ARGISNULL(2) ? NULL :
		DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(2)));
	options = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(3)));

	drill->root = drill_check_root();
	(void) drill_remove_dead(drill->root);
	(void) drill_query(drill, "select maintsched.close_dead_drills()", 0, NULL);
	SPI_commit();
	HOLD_CANCEL_INTERRUPTS();
	PG_TRY();
	{
		(void) drill_begin(drill, backup, within, options);
		verdict = do_steps(drill, &message);
	}
	PG_CATCH();
	{
		if (drill->server != NULL)
			process_close(drill->server);
		if (drill->lock >= 0)
			(void) close(drill->lock);
		PG_RE_THROW();
	}
	PG_END_TRY();
	QueryCancelHoldoffCount = holdoff;
	if (drill->lock >= 0)
		(void) close(drill->lock);
	SPI_finish();
	if (strcmp(verdict, "pass") != 0)
		report_failure(drill, verdict, message);
	ereport(NOTICE,
			(errmsg("drill " INT64_FORMAT ": %s", drill->id, message)));
	PG_RETURN_VOID();
}
