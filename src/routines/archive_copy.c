/*-------------------------------------------------------------------------
 *
 * archive_copy.c
 *	  Rows of a table into a file, and from a file into a table.
 *
 * archive_delete() runs DELETE ... RETURNING, and writes each row to the file
 * as the executor hands it over: what is in the file is exactly what the
 * transaction deletes, with the values that the rows had when they were locked
 * for that.  It stops after so many rows.  archive_compare() reads the file
 * back as COPY FROM would, makes the text of every value again, and compares
 * the sum of that with the sum of what was written: what COPY FROM will make
 * of the file is what was deleted.  archive_load() is COPY FROM.
 *
 * All of them are called as the owner of the table, restricted (exec_as()):
 * triggers, types and constraints are the owner's code.  Memory: one row, as
 * COPY has it; a row whose text is longer than 1 GB is an error, as in COPY.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/exec.h"
#include "routines/archive.h"

/* what receives the deleted rows: the archived columns, then the time */
typedef struct RowWriter
{
	DestReceiver receiver;
	ArchiveWriter *file;
	ArchiveSpan span;
	Oid			type;			/* of the time */
	int			ncolumns;
	FmgrInfo   *output;
	MemoryContext row_context;
}			RowWriter;

/* COPY's callback has no argument */
static ArchiveReader * load_reader;

static int64
time_as_number(Oid type, Datum value)
{
	switch (type)
	{
		case DATEOID:
			return DatumGetDateADT(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:				/* timestamps and int8 are 64 bits */
			return DatumGetInt64(value);
	}
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	RowWriter  *writer = (RowWriter *) self;

	writer->ncolumns = desc->natts - 1;
	writer->output = palloc0(sizeof(FmgrInfo) * desc->natts);
	for (int i = 0; i < writer->ncolumns; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &function, &is_varlena);
		fmgr_info(function, &writer->output[i]);
	}
}

static bool
write_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowWriter  *writer = (RowWriter *) self;
	ArchiveSpan *span = &writer->span;
	MemoryContext context = MemoryContextSwitchTo(writer->row_context);
	int64		time;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	for (int i = 0; i < writer->ncolumns; i++)
	{
		if (i > 0)
			archive_put(writer->file, "\t", 1);
		if (slot->tts_isnull[i])
			archive_put(writer->file, "\\N", 2);
		else
			archive_put_field(writer->file, OutputFunctionCall(&writer->output[i], slot->tts_values[i]));
	}
	archive_put(writer->file, "\n", 1);

	time = time_as_number(writer->type, slot->tts_values[writer->ncolumns]);
	span->oldest = span->rows == 0 ? time : Min(span->oldest, time);
	span->newest = span->rows == 0 ? time : Max(span->newest, time);
	span->rows++;
	MemoryContextSwitchTo(context);
	MemoryContextReset(writer->row_context);
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

/*
 * Delete up to batch old rows, and write them.
 */
ArchiveSpan
archive_delete(const ArchiveTable * table, Datum limit, int64 batch, ArchiveWriter * file)
{
	RowWriter	writer = {0};
	SPIExecuteOptions options = {0};
	ParamListInfo params = makeParamList(1);
	char	   *sql;
	int			result;

	sql = psprintf("delete from only %s where %s returning %s, %s",
				   table->name, archive_condition(table), archive_column_list(table->columns), table->column);
	writer.receiver.receiveSlot = write_row;
	writer.receiver.rStartup = start_rows;
	writer.receiver.rShutdown = end_rows;
	writer.receiver.rDestroy = end_rows;
	writer.receiver.mydest = DestNone;
	writer.file = file;
	writer.type = table->type;
	writer.row_context = AllocSetContextCreate(CurrentMemoryContext, "archived row", ALLOCSET_DEFAULT_SIZES);

	/* few of many rows are taken, which the planner does not know */
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	params->params[0].value = limit;
	params->params[0].isnull = false;
	params->params[0].pflags = PARAM_FLAG_CONST;
	params->params[0].ptype = archive_limit_type(table);
	options.params = params;
	options.tcount = batch;
	options.dest = &writer.receiver;
	result = SPI_execute_extended(sql, &options);
	if (result != SPI_OK_DELETE_RETURNING)
		elog(ERROR, "SPI_execute_extended returned %s", SPI_result_code_string(result));
	SPI_finish();
	MemoryContextDelete(writer.row_context);
	return writer.span;
}

static int
load_some(void *buffer, int least, int most)
{
	int			got = 0;

	while (got < least)
	{
		int			more = archive_get(load_reader, (char *) buffer + got, most - got);

		if (more == 0)
			break;
		got += more;
	}
	if (load_reader->problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the archive is damaged: %s", load_reader->problem)));
	return got;
}

/*
 * Begin to read rows of the columns from a file.  Its encoding is always said:
 * else COPY goes by client_encoding, which a database or a role may have set.
 */
static CopyFromState
begin_load(Relation rel, List *columns, const char *encoding, ArchiveReader * reader)
{
	ParseState *pstate = make_parsestate(NULL);
	List	   *options = list_make1(makeDefElem("encoding", (Node *) makeString(pstrdup(encoding)), -1));

	(void) addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, NULL, false, false);
	load_reader = reader;
	return BeginCopyFrom(pstate, rel, NULL, NULL, false, load_some, columns, options);
}

/*
 * Read a file as COPY FROM would, and make its text again, for its sum.
 * Returns how many rows.
 */
uint64
archive_remake(Relation rel, List *columns, const char *encoding, ArchiveReader * reader, ArchiveWriter * again)
{
	TupleDesc	desc = RelationGetDescr(rel);
	CopyFromState state = begin_load(rel, columns, encoding, reader);
	EState	   *estate = CreateExecutorState();
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * desc->natts);
	int			ncolumns = list_length(columns);
	int		   *places = palloc(sizeof(int) * Max(ncolumns, 1));
	FmgrInfo   *output = palloc0(sizeof(FmgrInfo) * Max(ncolumns, 1));
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "archived row", ALLOCSET_DEFAULT_SIZES);
	uint64		count = 0;

	for (int i = 0; i < ncolumns; i++)
	{
		Oid			function;
		bool		is_varlena;

		places[i] = get_attnum(RelationGetRelid(rel), strVal(list_nth(columns, i))) - 1;
		getTypeOutputInfo(TupleDescAttr(desc, places[i])->atttypid, &function, &is_varlena);
		fmgr_info(function, &output[i]);
	}
	for (;;)
	{
		MemoryContext context = MemoryContextSwitchTo(row_context);

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(row_context);
		ResetPerTupleExprContext(estate);
		if (!NextCopyFrom(state, GetPerTupleExprContext(estate), values, nulls))
		{
			MemoryContextSwitchTo(context);
			break;
		}
		for (int i = 0; i < ncolumns; i++)
		{
			if (i > 0)
				archive_put(again, "\t", 1);
			if (nulls[places[i]])
				archive_put(again, "\\N", 2);
			else
				archive_put_field(again, OutputFunctionCall(&output[i], values[places[i]]));
		}
		archive_put(again, "\n", 1);
		count++;
		MemoryContextSwitchTo(context);
	}
	EndCopyFrom(state);
	FreeExecutorState(estate);
	MemoryContextDelete(row_context);
	archive_read_end(reader);
	archive_finish(again);
	return count;
}

/*
 * Read a file back and make its text again, which has to have the sum of what
 * was written.
 */
void
archive_compare(const ArchiveTable * table, const ArchiveWriter * written, uint64 rows, ArchiveReader * reader)
{
	ArchiveWriter *again = archive_writer(-1, NULL);
	uint64		count = archive_remake(table->rel, table->columns, GetDatabaseEncodingName(), reader, again);

	if (reader->problem != NULL || count != rows || reader->lines != rows ||
		reader->bytes != written->bytes || strcmp(reader->file_sha256, written->file_sha256) != 0 ||
		strcmp(reader->content_sha256, written->content_sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" was read back, and is not what was written", written->path),
				 errdetail("Nothing is deleted.")));
	if (strcmp(again->content_sha256, written->content_sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("rows of table %s do not come back from text as they are", table->name),
				 errdetail("A type's input function does not read what its output function writes. Nothing is deleted.")));
}

/*
 * Load a file into a table; returns how many rows.
 */
uint64
archive_load(Relation rel, List *columns, const char *encoding, ArchiveReader * reader)
{
	CopyFromState state = begin_load(rel, columns, encoding, reader);
	uint64		rows = CopyFrom(state);

	EndCopyFrom(state);
	CommandCounterIncrement();
	archive_read_end(reader);
	return rows;
}
