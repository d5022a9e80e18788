/*-------------------------------------------------------------------------
 *
 * wal_records.c
 *	  Reading WAL record by record, as a recovery would.
 *
 * A WAL file has no checksum, but each of its records has: a byte that is another
 * is found by nothing else than reading them.  So this is what "pg_waldump --quiet"
 * does with the range of a backup, and with it pg_verifybackup, by the server's
 * own reader of WAL, but from wherever the files are and however they are
 * compressed.  What is in a record is not looked at, but for the one that a primary
 * writes at the end of a backup: it says where that began.
 *
 * Only WAL of this server's major version can be read so; that of another is told
 * by the mark on its first page.
 *
 * Memory: a page, what the longest record needs, and a few kB for the file that is
 * open.  Runs in any backend; files are closed by an error, too, and it can be
 * cancelled.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "catalog/pg_control.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "backup/wal_read.h"

/* a range that is read */
typedef struct Cursor
{
	WalReading *reading;
	const ManifestRange *range;
	List	   *later;			/* ManifestRange *: of the timelines after it */
	XLogSegNo	segno;			/* of the file that is open */
	TimeLineID	timeline;
	WalFile		file;
	MemoryContext context;		/* for what is needed of that file */
	WalPlace   *place;			/* where that is */
	bool		going_on;		/* past what the backup needs */
	bool		ended;			/* nothing more is needed */
} Cursor;

static void
found(Cursor *cursor, WalOpened result, char *problem)
{
	WalReading *reading = cursor->reading;

	if (reading->problem != NULL)
		return;
	reading->result = result;
	reading->problem = problem;
}

/*
 * The file that is open, or could not be opened, is no good.
 */
static void
found_damage(Cursor *cursor, const char *why)
{
	const char *path = cursor->file.path == NULL ? "" : cursor->file.path;

	if (cursor->going_on)
		found(cursor, WAL_BROKEN, psprintf("WAL file %s is damaged after what the backup needs, so a recovery ends there: %s", path, why));
	else if (cursor->file.arriving)
		found(cursor, WAL_NOT_READ, psprintf("WAL file %s may still be arriving: %s", path, why));
	else
		found(cursor, WAL_BROKEN, psprintf("WAL file %s is damaged, and the backup needs it: %s", path, why));
}

/*
 * Look for a file at all places.  The last one of a timeline may have been left
 * to the next, which begins with the same pages.
 */
static WalOpened
open_anywhere(Cursor *cursor, XLogSegNo segno)
{
	ListCell   *cell;
	ListCell   *place;
	List	   *timelines = list_make1_int(cursor->range->timeline);

	foreach(cell, cursor->later)
		timelines = lappend_int(timelines, ((const ManifestRange *) lfirst(cell))->timeline);
	foreach(cell, timelines)
	{
		foreach(place, cursor->reading->places)
		{
			WalOpened	result = wal_place_open(lfirst(place), &cursor->file, lfirst_int(cell), segno);

			cursor->timeline = lfirst_int(cell);
			cursor->place = lfirst(place);
			if (result != WAL_NOT_THERE)
			{
				((WalPlace *) lfirst(place))->used = true;
				return result;
			}
		}
	}
	return WAL_NOT_THERE;
}

static bool
open_file(Cursor *cursor, XLogSegNo segno)
{
	WalReading *reading = cursor->reading;
	XLogSegNo	last;
	WalOpened	result;
	MemoryContext before;

	wal_file_close(&cursor->file);
	MemoryContextReset(cursor->context);
	cursor->segno = segno;
	before = MemoryContextSwitchTo(cursor->context);
	result = open_anywhere(cursor, segno);
	MemoryContextSwitchTo(before);
	CHECK_FOR_INTERRUPTS();
	if (result == WAL_OPENED)
	{
		reading->files++;
		return true;
	}
	XLByteToPrevSeg(cursor->range->end, last, wal_segment_size);
	/* a position of a catalogue may lie within a record */
	if (result == WAL_NOT_THERE && !reading->exact && segno > last)
		cursor->ended = true;
	else if (result == WAL_NOT_THERE)
		found(cursor, result, psprintf("WAL %s is missing, and the backup needs it",
									   wal_segment_name(cursor->range->timeline, segno, wal_segment_size)));
	else if (result == WAL_NOT_READ)
		found(cursor, result, psprintf("WAL file %s is not read: %s", cursor->file.path, cursor->file.problem));
	else
		found_damage(cursor, cursor->file.problem);
	return false;
}

/*
 * Of another version, as the first page of a file says.
 */
static bool
is_of_another_version(const char *page)
{
	uint16		magic = ((const XLogPageHeaderData *) page)->xlp_magic;
	uint64		system = ((const XLogLongPageHeaderData *) page)->xlp_sysid;

	/* 0xD0 and 0xD1 so far */
	return magic != XLOG_PAGE_MAGIC && system != 0 && ((magic >> 8) == (XLOG_PAGE_MAGIC >> 8) || (magic >> 8) == 0xD0);
}

/*
 * XLogPageReadCB
 */
static int
read_page(XLogReaderState *state, XLogRecPtr page, int needed, XLogRecPtr record, char *buffer)
{
	Cursor	   *cursor = state->private_data;
	WalReading *reading = cursor->reading;
	XLogSegNo	segno;
	char	   *problem;

	CHECK_FOR_INTERRUPTS();
	XLByteToSeg(page, segno, wal_segment_size);
	if (cursor->going_on && cursor->segno != segno)
	{
		cursor->ended = true;
		return -1;
	}
	if ((cursor->file.stream == NULL || cursor->segno != segno) && !open_file(cursor, segno))
		return -1;
	problem = wal_file_page(&cursor->file, XLogSegmentOffset(page, wal_segment_size), buffer);
	if (problem != NULL)
	{
		found_damage(cursor, problem);
		return -1;
	}
	if (!reading->same_version && reading->records == 0 &&
		XLogSegmentOffset(page, wal_segment_size) == 0 && is_of_another_version(buffer))
	{
		found(cursor, WAL_NOT_READ, psprintf("WAL file %s is not read: " WAL_OTHER_VERSION, cursor->file.path));
		return -1;
	}
	state->seg.ws_tli = cursor->timeline;
	reading->bytes += XLOG_BLCKSZ;
	if (reading->pace != NULL)
		reading->pace(reading->arg, XLOG_BLCKSZ);
	return XLOG_BLCKSZ;
}

/*
 * Is the last file that was read one of an archive that goes on after it?
 */
static bool
goes_on(Cursor *cursor)
{
	char	   *next = wal_segment_name(cursor->timeline, cursor->segno + 1, wal_segment_size);

	return cursor->file.stream == &cursor->file.own && !cursor->place->own && wal_place_has(cursor->place, next);
}

/*
 * Is the record that was read that of the end of a backup that began there?
 */
static bool
is_end_of(XLogReaderState *state, XLogRecPtr backup)
{
	XLogRecPtr	start;

	if (XLogRecPtrIsInvalid(backup) || XLogRecGetRmid(state) != RM_XLOG_ID ||
		(XLogRecGetInfo(state) & ~XLR_INFO_MASK) != XLOG_BACKUP_END || XLogRecGetDataLen(state) != sizeof(start))
		return false;
	memcpy(&start, XLogRecGetData(state), sizeof(start));
	return start == backup;
}

static void
read_range(Cursor *cursor, XLogReaderState *state)
{
	WalReading *reading = cursor->reading;
	const ManifestRange *range = cursor->range;

	XLogBeginRead(state, range->start);
	while (!cursor->ended)
	{
		char	   *error = NULL;

		if (state->EndRecPtr >= range->end && !cursor->going_on)
		{
			/* a later range goes on by itself */
			if (cursor->later != NIL || !goes_on(cursor))
				return;
			cursor->going_on = true;
		}
		if (XLogReadRecord(state, &error) != NULL)
		{
			reading->records++;
			reading->ends |= !cursor->going_on && is_end_of(state, reading->backup);
			continue;
		}
		if (!cursor->ended)
			found_damage(cursor, error != NULL ? error :
						 psprintf("there is no record at %X/%X", LSN_FORMAT_ARGS(state->EndRecPtr)));
		return;
	}
}

static void
close_reader(Cursor *cursor, XLogReaderState *state)
{
	wal_file_close(&cursor->file);
	XLogReaderFree(state);
	MemoryContextDelete(cursor->context);
}

static void
read_and_close(Cursor *cursor, XLogReaderState *state)
{
	PG_TRY();
	{
		read_range(cursor, state);
	}
	PG_CATCH();
	{
		close_reader(cursor, state);
		PG_RE_THROW();
	}
	PG_END_TRY();
	close_reader(cursor, state);
}

/*
 * Read all ranges, up to the first problem.  Errors: interrupts, and lack of
 * memory.
 */
void
wal_read_records(WalReading *reading)
{
	XLogReaderRoutine routine = {.page_read = read_page};

	reading->result = WAL_OPENED;
	for (int i = 0; i < list_length(reading->ranges) && reading->problem == NULL; i++)
	{
		Cursor		cursor = {.reading = reading,.range = list_nth(reading->ranges, i)};
		XLogReaderState *state;

		for (int j = i + 1; j < list_length(reading->ranges); j++)
			cursor.later = lappend(cursor.later, list_nth(reading->ranges, j));
		state = XLogReaderAllocate(wal_segment_size, NULL, &routine, &cursor);
		if (state == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		else
			state->system_identifier = reading->system;
		cursor.context = AllocSetContextCreate(CurrentMemoryContext, "maintsched WAL file", ALLOCSET_DEFAULT_SIZES);
		read_and_close(&cursor, state);
	}
}
