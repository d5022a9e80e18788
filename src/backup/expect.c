/*-------------------------------------------------------------------------
 *
 * expect.c
 *	  What a restored backup is to hold: figures as of a restore point.
 *
 * capture_expectations() reads each table twice.  Between both readings it
 * makes a restore point, to which a drill recovers.  That what was read both
 * times was the same does not say what was there in between: rows come and go,
 * and a transaction whose commit is in the WAL already may not be seen yet (it
 * waits for a synchronous standby).  So the tables are locked for that instant,
 * in mode SHARE: nobody is in the middle of writing to them, the restore point
 * is written, and a snapshot is taken; then the locks go.  What the second
 * reading sees with that snapshot is what recovery to the restore point brings
 * back, to the row.  For a second the locks are asked for without waiting; for
 * tables that somebody is writing to each time, we then stand in the queue,
 * QUEUE_WAIT ms each.  A table that could not be had even so, because of a
 * writer that is in no hurry or of VACUUM, is kept only if both readings are
 * the same and its statistics know of no write in between (capture_outcome() in
 * SQL).
 *
 * Which tables are read, by which statements, and what follows is SQL
 * (65_expectation.sql).  A table is read as its owner, in a security-restricted
 * operation, whoever asks; who asks must have the privileges of the owner.  An
 * error in that is noted, and the next table is read: a subtransaction each.
 *
 * Runs in any backend of a primary, in a transaction that has written nothing:
 * its own rows would be seen here and not in the copy.  Locks: AccessShareLock
 * on a table while it is read, ShareLock on all of them for the instant of the
 * restore point.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "core/attempt.h"
#include "core/condition.h"
#include "core/exec.h"

/* how often, and how far apart in ms, locks are asked for */
#define LOCK_ROUNDS 20
#define LOCK_PAUSE 50
/* how long we stand in the queue for one table, and for all, in ms */
#define QUEUE_WAIT 50
#define QUEUE_WAITS 200
/* so long in all is waited for tables that others have for themselves */
#define READ_ROUNDS 100

/* as long as the name of a restore point may be */
#define POINT_NAME 64

PG_FUNCTION_INFO_V1(maintsched_capture_expectations);

/* a table that is read */
typedef struct ExpectedTable
{
	Oid			relation;
	char	   *name;			/* quoted, with its schema, as in the query */
	char	   *query;
	Datum		item;
	Datum		writes;
	bool		no_writes;
	char	   *first;			/* what was read: number of rows, digest */
	char	   *second;
	bool		locked;
	char	   *problem;		/* why it is not read */
} ExpectedTable;

typedef struct Capture
{
	Oid			caller;
	Oid			owner;			/* of the extension */
	int64		expectation_id;
	Datum		repository;
	char		point[POINT_NAME];
	XLogRecPtr	lsn;
	TimeLineID	timeline;
	Snapshot	snapshot;
	Datum		lists;
	int			ntables;
	ExpectedTable *tables;
	int			waited;
	MemoryContext context;
} Capture;

typedef struct Reading
{
	Capture    *capture;
	ExpectedTable *table;
	char	   *answer;
} Reading;

static char *
keep_text(Capture *capture, int row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value == NULL ? NULL : MemoryContextStrdup(capture->context, value);
}

static Datum
keep_datum(Capture *capture, int row, int column, bool by_value, bool *isnull)
{
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
	MemoryContext old;

	if (by_value || *isnull)
		return value;
	old = MemoryContextSwitchTo(capture->context);
	value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	MemoryContextSwitchTo(old);
	return value;
}

/*
 * What is to be read, and the lists before the restore point; as the owner of
 * the extension.
 */
static void
find_tables(Capture *capture)
{
	Oid			types[1] = {TEXTOID};
	bool		isnull;
	uint64		chance;

	SPI_connect();
	capture->ntables = exec_query("select t.relation, t.item operator(pg_catalog.->>) 'name', t.query, t.item, t.writes, t.problem"
								  " from maintsched.capture_targets($1) t", 1, types, &capture->repository, NULL);
	capture->tables = MemoryContextAllocZero(capture->context, sizeof(ExpectedTable) * Max(capture->ntables, 1));
	for (int i = 0; i < capture->ntables; i++)
	{
		ExpectedTable *table = &capture->tables[i];

		table->relation = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		table->name = keep_text(capture, i, 2);
		table->query = keep_text(capture, i, 3);
		table->item = keep_datum(capture, i, 4, false, &isnull);
		table->writes = keep_datum(capture, i, 5, true, &table->no_writes);
		table->problem = keep_text(capture, i, 6);
	}
	exec_query("select maintsched.capture_lists(),"
			   " pg_catalog.nextval('maintsched.expectation_expectation_id_seq')", 0, NULL, NULL, NULL);
	capture->lists = keep_datum(capture, 0, 1, false, &isnull);
	capture->expectation_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_finish();

	/* recovery stops at the first point of a name: nobody has had this one */
	if (!pg_strong_random(&chance, sizeof(chance)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not get random numbers")));
	snprintf(capture->point, POINT_NAME, "maintsched-%06lld-%016llx",
			 (long long) capture->expectation_id, (unsigned long long) chance);
}

/*
 * Why a table that is open is not read; NULL: it is.
 */
static const char *
obstacle(const Capture *capture, const ExpectedTable *table, Relation rel)
{
	Form_pg_class form = rel->rd_rel;
	const char *name = get_namespace_name(form->relnamespace);
	bool		quoted = quote_all_identifiers;

	quote_all_identifiers = false;
	name = quote_qualified_identifier(name, NameStr(form->relname));
	quote_all_identifiers = quoted;
	if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW) ||
		form->relpersistence != RELPERSISTENCE_PERMANENT || strcmp(table->name, name) != 0)
		return "is another one now";
	if (!has_privs_of_role(capture->caller, form->relowner))
		return psprintf("role \"%s\" has not the privileges of its owner", GetUserNameFromId(capture->caller, false));
	if (check_enable_rls(RelationGetRelid(rel), form->relowner, true) == RLS_ENABLED)
		return "row-level security is forced upon its owner";
	return NULL;
}

/*
 * Open a table for reading; NULL: *problem says why not.  Whoever rebuilds or
 * drops one may take hours: it is not waited for.
 */
static Relation
open_table(Capture *capture, const ExpectedTable *table, const char **problem)
{
	Relation	rel;

	while (!ConditionalLockRelationOid(table->relation, AccessShareLock))
	{
		if (++capture->waited > READ_ROUNDS)
		{
			*problem = "is locked";
			return NULL;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	rel = try_relation_open(table->relation, NoLock);
	if (rel == NULL)
		UnlockRelationOid(table->relation, AccessShareLock);
	*problem = rel == NULL ? "was dropped" : obstacle(capture, table, rel);
	return rel;
}

/*
 * Read a table, as its owner, with the snapshot of the restore point, if it was
 * locked for that.
 */
static char *
read_table(Capture *capture, ExpectedTable *table)
{
	const char *problem;
	Relation	rel = open_table(capture, table, &problem);
	ExecRole	saved;
	char	   *rows;
	char	   *digest;
	char	   *answer;

	if (problem != NULL)
	{
		table->problem = MemoryContextStrdup(capture->context, problem);
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		return NULL;
	}
	exec_as(rel->rd_rel->relowner, true, &saved);
	SPI_connect();

	/*
	 * of one that was not locked, the later the better: what was in the
	 * middle of its commit is seen by now
	 */
	if (table->locked)
		PushActiveSnapshot(capture->snapshot);
	if (SPI_execute(table->query, table->locked, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read table %s", table->name);
	if (table->locked)
		PopActiveSnapshot();
	rows = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	digest = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	answer = MemoryContextAlloc(capture->context, strlen(rows) + (digest ? strlen(digest) : 0) + 2);
	sprintf(answer, "%s%s%s", rows, digest ? " " : "", digest ? digest : "");
	SPI_finish();
	exec_as_end(&saved);
	relation_close(rel, AccessShareLock);
	return answer;
}

static void
read_in(void *arg)
{
	Reading    *reading = arg;

	reading->answer = read_table(reading->capture, reading->table);
}

/*
 * The same; an error becomes the table's problem.
 */
static char *
try_table(Capture *capture, ExpectedTable *table)
{
	Reading		reading = {capture, table, NULL};
	ErrorData  *error;

	if (table->problem != NULL)
		return NULL;
	CHECK_FOR_INTERRUPTS();
	error = attempt(read_in, &reading);
	if (error == NULL)
		return reading.answer;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		ReThrowError(error);
	/* what it says may hold values */
	table->problem = MemoryContextStrdup(capture->context,
										 psprintf("could not be read: %s", condition_name(error->sqlerrcode)));
	FreeErrorData(error);
	return NULL;
}

static void
unlock_tables(Capture *capture)
{
	for (int i = 0; i < capture->ntables; i++)
	{
		if (capture->tables[i].locked)
			UnlockRelationOid(capture->tables[i].relation, ShareLock);
		capture->tables[i].locked = false;
	}
}

/*
 * Lock all tables that can be had, without waiting.  Returns whether that is
 * all of them.
 */
static bool
lock_tables(Capture *capture)
{
	bool		all = true;

	for (int i = 0; i < capture->ntables; i++)
	{
		ExpectedTable *table = &capture->tables[i];

		if (table->problem == NULL && !table->locked)
			table->locked = ConditionalLockRelationOid(table->relation, ShareLock);
		all = all && (table->locked || table->problem != NULL);
	}
	return all;
}

static void
queue_in(void *arg)
{
	LockRelationOid(*(Oid *) arg, ShareLock);
}

/*
 * Stand in the queue for a table, for so many milliseconds at most: those that
 * come after us stand behind.
 */
static bool
queue_for(Oid relation, int timeout)
{
	int			nest_level = NewGUCNestLevel();
	ErrorData  *error;

	(void) set_config_option("lock_timeout", psprintf("%d", timeout), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	error = attempt(queue_in, &relation);
	AtEOXact_GUC(true, nest_level);
	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

/*
 * The tables that somebody is always writing to: for once the writers wait for
 * us, QUEUE_WAITS ms at most.  A transaction that has written to two of them
 * and waits for the second, which we have, is not to die of that: we are gone
 * before its server looks for deadlocks.
 */
static void
queue_for_tables(Capture *capture)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(QUEUE_WAITS, DeadlockTimeout / 2));

	for (int i = 0; i < capture->ntables; i++)
	{
		ExpectedTable *table = &capture->tables[i];
		long		left;

		if (table->problem != NULL || table->locked)
			continue;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (left <= 0)
			break;
		table->locked = queue_for(table->relation, (int) Min(left, QUEUE_WAIT));
	}
}

/*
 * The restore point, and the snapshot that sees what it brings back of the
 * tables that are locked.
 */
static void
make_point(Capture *capture)
{
	bool	   *held = palloc0(sizeof(bool) * Max(capture->ntables, 1));

	for (int round = 1; !lock_tables(capture); round++)
	{
		if (round == LOCK_ROUNDS)
		{
			queue_for_tables(capture);
			break;
		}
		/* nobody is to wait for us meanwhile */
		unlock_tables(capture);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	capture->timeline = GetWALInsertionTimeLine();
	capture->lsn = XLogRestorePoint(capture->point);
	capture->snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < capture->ntables; i++)
		held[i] = capture->tables[i].locked;
	unlock_tables(capture);
	for (int i = 0; i < capture->ntables; i++)
		capture->tables[i].locked = held[i];
	pfree(held);
}

static Datum
make_array(Datum *values, bool *nulls, int count, Oid type, int length, bool by_value, char align)
{
	int			dims[1] = {count};
	int			lower[1] = {1};

	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower, type, length, by_value, align));
}

static Datum
text_array(Capture *capture, size_t offset)
{
	Datum	   *values = palloc0(sizeof(Datum) * Max(capture->ntables, 1));
	bool	   *nulls = palloc0(sizeof(bool) * Max(capture->ntables, 1));

	for (int i = 0; i < capture->ntables; i++)
	{
		char	   *text = *(char **) ((char *) &capture->tables[i] + offset);

		nulls[i] = text == NULL;
		values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
	}
	return make_array(values, nulls, capture->ntables, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * Record it, as the owner of the extension.  Returns what there is to say.
 */
static char *
record(Capture *capture)
{
	int			n = capture->ntables;
	Datum	   *relations = palloc(sizeof(Datum) * Max(n, 1));
	Datum	   *items = palloc(sizeof(Datum) * Max(n, 1));
	Datum	   *writes = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *no_writes = palloc(sizeof(bool) * Max(n, 1));
	Datum	   *locked = palloc(sizeof(Datum) * Max(n, 1));
	Oid			types[13] = {INT8OID, TEXTOID, TEXTOID, PG_LSNOID, INT8OID, JSONBOID, OIDARRAYOID, JSONBARRAYOID,
	INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, BOOLARRAYOID, TEXTARRAYOID};
	Datum		values[13];
	char	   *words;

	for (int i = 0; i < n; i++)
	{
		ExpectedTable *table = &capture->tables[i];

		relations[i] = ObjectIdGetDatum(table->relation);
		items[i] = table->item;
		writes[i] = table->writes;
		no_writes[i] = table->no_writes;
		locked[i] = BoolGetDatum(table->locked);
	}
	values[0] = Int64GetDatum(capture->expectation_id);
	values[1] = capture->repository;
	values[2] = CStringGetTextDatum(capture->point);
	values[3] = LSNGetDatum(capture->lsn);
	values[4] = Int64GetDatum(capture->timeline);
	values[5] = capture->lists;
	values[6] = make_array(relations, NULL, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	values[7] = make_array(items, NULL, n, JSONBOID, -1, false, TYPALIGN_INT);
	values[8] = make_array(writes, no_writes, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	values[9] = text_array(capture, offsetof(ExpectedTable, first));
	values[10] = text_array(capture, offsetof(ExpectedTable, second));
	values[11] = make_array(locked, NULL, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR);
	values[12] = text_array(capture, offsetof(ExpectedTable, problem));
	SPI_connect();
	exec_query("select maintsched.record_expectation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
			   13, types, values, NULL);
	words = keep_text(capture, 0, 1);
	SPI_finish();
	return words;
}

/*
 * Refuse what would make the figures wrong, or their reading dangerous.
 */
static void
check_call(void)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call %s within a security-restricted operation", "capture_expectations()")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("expectations are captured on the primary server"),
				 errdetail("This one is a standby, which cannot make restore points.")));
	PreventCommandIfReadOnly("capture_expectations()");
	PreventCommandIfParallelMode("capture_expectations()");
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("expectations cannot be captured in a transaction that has changed something"),
				 errdetail("Its changes are seen here, and would be missing in a restored backup."),
				 errhint("Commit it before.")));
}

/*
 * capture_expectations(repository text) returns bigint
 */
Datum
maintsched_capture_expectations(PG_FUNCTION_ARGS)
{
	Capture		capture = {0};
	ExecRole	saved;
	char	   *words;

	check_call();
	capture.caller = GetUserId();
	capture.owner = exec_extension_owner();
	capture.context = CurrentMemoryContext;
	capture.repository = PG_ARGISNULL(0) ? CStringGetTextDatum("") : PG_GETARG_DATUM(0);

	exec_as(capture.owner, false, &saved);
	find_tables(&capture);
	exec_as_end(&saved);

	for (int i = 0; i < capture.ntables; i++)
		capture.tables[i].first = try_table(&capture, &capture.tables[i]);
	make_point(&capture);
	for (int i = 0; i < capture.ntables; i++)
		capture.tables[i].second = try_table(&capture, &capture.tables[i]);
	UnregisterSnapshot(capture.snapshot);

	exec_as(capture.owner, false, &saved);
	words = record(&capture);
	exec_as_end(&saved);
	if (words != NULL)
		ereport(NOTICE,
				(errmsg("expectations %lld: %s", (long long) capture.expectation_id, words)));
	PG_RETURN_INT64(capture.expectation_id);
}
