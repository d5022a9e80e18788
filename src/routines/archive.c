/*-------------------------------------------------------------------------
 *
 * archive.c
 *	  Old rows go to cold storage: never a row lost, never a row twice.
 *
 * One batch is one transaction and makes one file:
 *
 *		step					 a kill here leaves				 on disk
 *	 1	lock table and batch
 *	 2	make ID-RANDOM.copy.gz.tmp
 *	 3	DELETE ... RETURNING,	 rows in the table				 .tmp
 *		each row to the file
 *	 4	fsync; read back: both
 *		sums, the count, every
 *		value (archive_copy.c)	 rows in the table				 .tmp
 *	 5	manifest, the same way	 rows in the table				 2 .tmp
 *	 6	rename, fsync folder	 rows in the table				 2 unrecorded files
 *	 7	row in archive_file
 *	 8	COMMIT					 before it: as after 6
 *								 after it: rows in the file		 an archive
 *
 * The row in archive_file and the deletion commit together, and both name a
 * file that was complete on disk before.  So there are two states and nothing
 * in between: the rows are in the table, or they are in a recorded file.  A
 * file counts if and only if a committed row of archive_file names it.  A
 * batch that was killed is done again from the table; no state of it is kept
 * that could be wrong.
 *
 * Which rows are in a file is decided by the DELETE itself.  A row that
 * somebody changed meanwhile is deleted and written as it is then, if it is
 * still old, and otherwise left (READ COMMITTED); a row that came later with
 * an old time is not seen, and stays for the next batch.  No key is needed.
 * The other way, to copy, compare, and delete what was copied, needs to know
 * each row again by key or by ctid and xmin, and has states in which a row is
 * in a file and in the table.  The price of this one is that a batch's rows
 * are locked while its file is written and read back: batches are small.
 *
 * Left over by a kill: files that end in .tmp, which the next batch of the
 * table removes (they never were anything in any copy of this database), and
 * between 6 and 8 files without a record.  Those are never removed from here:
 * a server that was copied, or set back to an earlier time, has no record of
 * archives that the other one goes by.  archive_leftovers() lists them.
 *
 * Rights.  Who calls has to be a superuser or a member of the table's owner.
 * What touches the rows (triggers, types, constraints, and what those call)
 * runs as the owner, restricted; what is recorded is written as the
 * extension's owner, when no code of the user's runs.  Deferred triggers are
 * made immediate before, for they would run at commit as somebody else.
 *
 * Locks: RowExclusiveLock on the table, its rows, an advisory lock of a kind of
 * our own on (database, table); all until the end of the transaction.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/condition.h"
#include "core/exec.h"
#include "routines/archive.h"

PG_FUNCTION_INFO_V1(maintsched_archive_batch);
PG_FUNCTION_INFO_V1(maintsched_archive_survey);
PG_FUNCTION_INFO_V1(maintsched_archive_has_old);
PG_FUNCTION_INFO_V1(maintsched_drop_archived_partition);
PG_FUNCTION_INFO_V1(maintsched_archive_folder);

/* a batch under way */
typedef struct Batch
{
	ArchiveTable table;
	ArchivePlace place;
	int64		archive_id;
	char		name[ARCHIVE_NAME];
	char		manifest[ARCHIVE_NAME];
	ArchiveWriter *writer;
	ArchiveSpan span;
	const char *before;
	const char *column;
}			Batch;

/*
 * Is there an old row?
 */
static bool
has_old(const ArchiveTable * table, Datum limit)
{
	Oid			types[1] = {archive_limit_type(table)};
	Datum		values[1] = {limit};
	char	   *sql = psprintf("select from only %s where %s limit 1", table->name, archive_condition(table));
	bool		found;

	SPI_connect();
	found = exec_query(sql, 1, types, values, NULL) > 0;
	SPI_finish();
	return found;
}

/*
 * Nothing of the owner's may wait for the commit, when another role acts.
 */
static void
no_deferred_triggers(void)
{
	SPI_connect();
	if (SPI_execute("set constraints all immediate", false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not set constraints");
	SPI_finish();
}

/*
 * The next key, and names that nobody has.
 */
static void
choose_names(Batch * batch)
{
	uint64		chance;
	bool		isnull;

	if (!pg_strong_random(&chance, sizeof(chance)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not get random numbers")));
	SPI_connect();
	exec_query("select pg_catalog.nextval('maintsched.archive_file_archive_id_seq')", 0, NULL, NULL, NULL);
	batch->archive_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	snprintf(batch->name, ARCHIVE_NAME, "%06lld-%016llx.copy.gz", (long long) batch->archive_id, (unsigned long long) chance);
	snprintf(batch->manifest, ARCHIVE_NAME, "%06lld-%016llx.json", (long long) batch->archive_id, (unsigned long long) chance);
}

/*
 * Make a file that goes away again unless the transaction commits.
 */
static int
create_temporary(Batch * batch, int folder, const char *name, char *temporary)
{
	int			fd;

	snprintf(temporary, ARCHIVE_NAME, "%s.tmp", name);
	archive_keep_until_commit(&batch->place, temporary);
	archive_keep_until_commit(&batch->place, name);
	fd = archive_create(folder, temporary);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", archive_path(&batch->place, temporary))));
	return fd;
}

/*
 * The time as text, of a number as ArchiveSpan has it.
 */
static char *
time_text(const ArchiveTable * table, int64 time)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(table->type, &function, &is_varlena);
	return OidOutputFunctionCall(function, table->type == DATEOID || table->type == INT4OID ?
								 Int32GetDatum((int32) time) : Int64GetDatum(time));
}

/*
 * What is to be known about the file, as its manifest has it.
 */
static char *
make_manifest(const Batch * batch, Datum retention)
{
	Oid			types[14] = {INT8OID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID,
	INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID};
	Datum		values[14];
	char	   *text;
	MemoryContext context = CurrentMemoryContext;

	values[0] = Int64GetDatum(batch->archive_id);
	values[1] = ObjectIdGetDatum(RelationGetRelid(batch->table.rel));
	values[2] = CStringGetTextDatum(batch->column);
	values[3] = CStringGetTextDatum(batch->before);
	values[4] = CStringGetTextDatum(time_text(&batch->table, batch->span.oldest));
	values[5] = CStringGetTextDatum(time_text(&batch->table, batch->span.newest));
	values[6] = Int64GetDatum(batch->span.rows);
	values[7] = Int64GetDatum(batch->writer->bytes);
	values[8] = Int64GetDatum(batch->writer->content_bytes);
	values[9] = CStringGetTextDatum(batch->writer->file_sha256);
	values[10] = CStringGetTextDatum(batch->writer->content_sha256);
	values[11] = CStringGetTextDatum(batch->name);
	values[12] = CStringGetTextDatum(archive_column_list(batch->table.columns));
	values[13] = retention;
	SPI_connect();
	exec_query("select maintsched.archive_manifest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
			   14, types, values, NULL);
	text = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));

	SPI_finish();
	return text;
}

/*
 * Step 7: from here on the file counts, if the transaction commits.
 */
static void
record(const Batch * batch, const char *manifest, const char *manifest_sha256)
{
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[5];

	values[0] = CStringGetTextDatum(manifest);
	values[1] = CStringGetTextDatum(manifest_sha256);
	values[2] = CStringGetTextDatum(batch->place.root);
	values[3] = CStringGetTextDatum(batch->place.directory);
	values[4] = CStringGetTextDatum(batch->manifest);
	SPI_connect();
	exec_query("select maintsched.put_archive($1::pg_catalog.jsonb, $2, $3, $4, $5)", 5, types, values, NULL);
	SPI_finish();
}

/*
 * Steps 2 to 4, as the owner of the table.  False: there was nothing.
 */
static bool
write_rows(Batch * batch, int folder, Datum limit, int64 rows)
{
	char		temporary[ARCHIVE_NAME];
	int			fd = create_temporary(batch, folder, batch->name, temporary);

	batch->writer = archive_writer(fd, archive_path(&batch->place, temporary));
	batch->span = archive_delete(&batch->table, limit, rows, batch->writer);
	archive_finish(batch->writer);

	/* fewer than there is room for: all, unless a trigger keeps some */
	if (batch->span.rows < rows && archive_may_keep_rows(&batch->table) && has_old(&batch->table, limit))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("old rows of table %s are not deleted", batch->table.name),
				 errdetail("A trigger of the table keeps them.")));
	if (batch->span.rows == 0)
	{
		(void) unlinkat(folder, temporary, 0);
		return false;
	}
	fd = archive_open(folder, temporary);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", batch->writer->path)));
	archive_compare(&batch->table, batch->writer, batch->span.rows, archive_reader(fd));
	return true;
}

/*
 * Steps 5 to 7, as the owner of the extension.
 */
static void
complete(Batch * batch, int folder, Datum retention)
{
	char		temporary[ARCHIVE_NAME];
	char		temporary_rows[ARCHIVE_NAME];
	char		sha256[ARCHIVE_HASH_TEXT];
	char	   *manifest = make_manifest(batch, retention);
	char	   *path;
	char	   *read_back;
	int			fd = create_temporary(batch, folder, batch->manifest, temporary);

	path = archive_path(&batch->place, temporary);
	archive_write_plain(fd, path, manifest, sha256);
	fd = archive_open(folder, temporary);
	read_back = fd < 0 ? NULL : archive_plain_sha256(fd);
	if (read_back == NULL || strcmp(read_back, sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" was read back, and is not what was written", path)));
	snprintf(temporary_rows, ARCHIVE_NAME, "%s.tmp", batch->name);
	archive_make_final(folder, temporary_rows, batch->name);
	archive_make_final(folder, temporary, batch->manifest);
	if (fsync(folder) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not fsync folder \"%s/%s\": %m", batch->place.root, batch->place.directory)));
	record(batch, manifest, sha256);
}

/*
 * archive_batch(relation text, column_name text, before text, batch bigint,
 *				 directory text, retention interval) returns bigint
 */
Datum
maintsched_archive_batch(PG_FUNCTION_ARGS)
{
	Batch		batch;
	ExecRole	saved;
	Oid			extension_owner = exec_extension_owner();
	Datum		limit;
	int64		rows;
	int			folder;
	bool		any;

	memset(&batch, 0, sizeof(batch));
	archive_check_caller("archive_batch()");
	for (int i = 0; i < 6; i++)
	{
		if (PG_ARGISNULL(i) && i != 4)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("archive_batch() needs a table, a column, a limit, a number of rows and a retention")));
	}
	rows = PG_GETARG_INT64(3);
	if (rows < 1 || rows > 10000000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a batch is of 1 to 10,000,000 rows")));
	batch.column = text_to_cstring(PG_GETARG_TEXT_PP(1));
	batch.before = text_to_cstring(PG_GETARG_TEXT_PP(2));

	archive_open_table(&batch.table, text_to_cstring(PG_GETARG_TEXT_PP(0)), batch.column, RowExclusiveLock);
	batch.place = archive_place(PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4)),
								batch.table.schema, batch.table.relation);
	archive_lock(RelationGetRelid(batch.table.rel), 0);
	no_deferred_triggers();
	folder = archive_open_place(&batch.place, true);
	archive_remove_temporary(folder);

	exec_as(extension_owner, false, &saved);
	choose_names(&batch);
	exec_as_end(&saved);

	exec_as(batch.table.owner, true, &saved);
	limit = archive_limit(&batch.table, batch.before);
	any = write_rows(&batch, folder, limit, rows);
	exec_as_end(&saved);
	if (any)
	{
		exec_as(extension_owner, false, &saved);
		complete(&batch, folder, PG_GETARG_DATUM(5));
		exec_as_end(&saved);
	}
	archive_close();
	relation_close(batch.table.rel, NoLock);
	if (!any)
		PG_RETURN_NULL();
	PG_RETURN_INT64(batch.archive_id);
}

/*
 * archive_survey(relation text, column_name text, before text,
 *				  out old_rows bigint, out timeless bigint, out oldest text, out newest text)
 *
 * How many rows are old, and how many have no time; for the plan.
 */
Datum
maintsched_archive_survey(PG_FUNCTION_ARGS)
{
	ArchiveTable table;
	ExecRole	saved;
	Oid			types[1];
	Datum		values[1];
	TupleDesc	desc;
	HeapTuple	tuple;
	char	   *fields[4];
	MemoryContext context = CurrentMemoryContext;
	char	   *condition;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	archive_open_table(&table, text_to_cstring(PG_GETARG_TEXT_PP(0)),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)), AccessShareLock);
	exec_as(table.owner, true, &saved);
	types[0] = archive_limit_type(&table);
	values[0] = archive_limit(&table, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	condition = archive_condition(&table);
	SPI_connect();
	PG_TRY();
	{
		if (SPI_execute_with_args(psprintf("select count(*) filter (where %s), count(*) filter (where (%s) is not true),"
										   " (min(%s) filter (where %s))::text, (max(%s) filter (where %s))::text"
										   " from only %s where %s operator(pg_catalog.<) $1 or %s is null",
										   condition, condition, table.column, condition, table.column, condition,
										   table.name, table.column, table.column),
								  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not count the rows of table %s", table.name);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/*
		 * the plan keeps what is said: not what code of the owner says, nor a
		 * value
		 */
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("the old rows of table %s could not be counted (%s)", table.name, condition_name(error->sqlerrcode)),
				 errdetail_log("%s", error->message)));
	}
	PG_END_TRY();
	for (int i = 0; i < 4; i++)
	{
		char	   *field = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1);

		fields[i] = field ? MemoryContextStrdup(context, field) : NULL;
	}
	SPI_finish();
	exec_as_end(&saved);
	relation_close(table.rel, NoLock);
	tuple = BuildTupleFromCStrings(TupleDescGetAttInMetadata(desc), fields);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}

/*
 * archive_has_old(relation text, column_name text, before text) returns boolean
 */
Datum
maintsched_archive_has_old(PG_FUNCTION_ARGS)
{
	ArchiveTable table;
	ExecRole	saved;
	bool		found;

	archive_open_table(&table, text_to_cstring(PG_GETARG_TEXT_PP(0)),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)), AccessShareLock);
	exec_as(table.owner, true, &saved);
	found = has_old(&table, archive_limit(&table, text_to_cstring(PG_GETARG_TEXT_PP(2))));
	exec_as_end(&saved);
	relation_close(table.rel, NoLock);
	PG_RETURN_BOOL(found);
}

/*
 * drop_archived_partition(relation text, column_name text) returns boolean
 *
 * Nobody can write into it any more when it is seen to be empty.  Whether its
 * bounds are old is the plan's to know.
 */
Datum
maintsched_drop_archived_partition(PG_FUNCTION_ARGS)
{
	ArchiveTable table;
	ExecRole	saved;
	char	   *sql;

	archive_check_caller("drop_archived_partition()");
	archive_open_table(&table, text_to_cstring(PG_GETARG_TEXT_PP(0)),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)), AccessExclusiveLock);
	if (!table.rel->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s is not a partition", table.name)));
	if (!archive_is_empty(table.rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition %s still holds rows", table.name),
				 errdetail("It is dropped when all of them are archived.")));
	sql = psprintf("drop table %s", table.name);
	relation_close(table.rel, NoLock);
	exec_as(table.owner, true, &saved);
	SPI_connect();
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not drop partition %s", table.name);
	SPI_finish();
	exec_as_end(&saved);
	PG_RETURN_BOOL(true);
}

/*
 * archive_folder(directory text) returns text
 *
 * For the plan: the root that is meant, or an error.
 */
Datum
maintsched_archive_folder(PG_FUNCTION_ARGS)
{
	ArchivePlace place = archive_place(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)), "s", "t");

	archive_check_root(&place);
	PG_RETURN_TEXT_P(cstring_to_text(place.root));
}
