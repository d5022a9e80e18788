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
 * and the second reading is with a snapshot of it (expect_point.c).  A table that
 * could not be had, because of a writer that is in no hurry or of VACUUM, is kept
 * only if both readings are the same and its statistics know of no write in
 * between (capture_outcome() in SQL).
 *
 * Which tables are read, by which statements, and what follows is SQL
 * (65_expectation.sql); how, expect_read.c.
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

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

#include "backup/expect.h"
#include "core/exec.h"

PG_FUNCTION_INFO_V1(maintsched_capture_expectations);

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
	snprintf(capture->point, EXPECT_POINT_NAME, "maintsched-%06lld-%016llx",
			 (long long) capture->expectation_id, (unsigned long long) chance);
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
		capture.tables[i].first = expect_read(&capture, &capture.tables[i]);
	expect_point(&capture);
	for (int i = 0; i < capture.ntables; i++)
		capture.tables[i].second = expect_read(&capture, &capture.tables[i]);
	UnregisterSnapshot(capture.snapshot);

	exec_as(capture.owner, false, &saved);
	words = record(&capture);
	exec_as_end(&saved);
	if (words != NULL)
		ereport(NOTICE,
				(errmsg("expectations %lld: %s", (long long) capture.expectation_id, words)));
	PG_RETURN_INT64(capture.expectation_id);
}
