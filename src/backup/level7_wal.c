/*-------------------------------------------------------------------------
 *
 * level7_wal.c
 *	  Level 7 of the WAL that a backup needs.
 *
 * Without the WAL from its start to its end a backup is not consistent, and no
 * manifest has a checksum of it.  So it is read record by record (wal_records.c):
 * what the backup brings with it, and what the archive has.  A recovery takes from
 * the other place what one has not, and so it is read; but each has to be good.
 * The last file of the archive is read to its end, where another one follows: so it
 * is complete, and a recovery goes on through it.
 *
 * The range is that of the manifest, which has one for each timeline; where that
 * was made later, and says nothing, that of the catalogue.  That it is as long as it
 * has to be is told by others: the backup_label has the begin of the backup, and a
 * primary writes a record of its end, which names that begin.  From a standby there is
 * none, and recovery goes on to where the control file says.  A manifest that was
 * forged to end early is found so.
 *
 * WAL of pgBackRest is not read here: it has a checksum (pgbackrest_wal.c).
 *
 * Runs in the backend that verifies; no snapshot is held.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "backup/level7.h"
#include "backup/wal_read.h"

typedef struct Progress
{
	uint64		bytes;			/* read so far, of all places */
	TimestampTz since;
} Progress;

static void
keep_pace(void *arg, size_t bytes)
{
	Progress   *progress = arg;

	progress->bytes += bytes;
	/* a look at the clock for each page would be too much */
	if (progress->bytes % (1024 * 1024) != 0)
		return;
	verify_progress(VERIFY_READING_WAL, progress->bytes, 0);
	level7_pace(progress->bytes, progress->since);
}

/*
 * What it needs, by the catalogue.
 */
static List *
range_of_catalogue(const Level7 *l)
{
	const Level7Member *self = llast(l->chain);
	ManifestRange *range = palloc0(sizeof(ManifestRange));

	if (XLogRecPtrIsInvalid(self->start) || XLogRecPtrIsInvalid(self->end) || l->start_wal == NULL)
		return NIL;
	range->timeline = strtoul(pnstrdup(l->start_wal, 8), NULL, 16);
	range->start = self->start;
	range->end = self->end;
	return list_make1(range);
}

static WalPlace *
new_place(void)
{
	WalPlace   *place = palloc(sizeof(WalPlace));

	wal_place_init(place);
	return place;
}

/*
 * Where the backup has WAL of its own; NULL: nowhere, or where it is not read, which
 * is told.  A base.tar that is compressed has to be uncompressed for it, so only
 * where it is known to have some.
 */
static WalPlace *
own_place(Level7 *l, const char *directory, const VerifySummary *summary)
{
	WalPlace   *place = new_place();

	place->own = true;
	if (wal_place_folder(place, &l->roots, psprintf("%s/pg_wal", directory)) ||
		wal_place_tar(place, &l->roots, directory, "pg_wal", "") ||
		(summary != NULL && summary->wal_in_base && wal_place_tar(place, &l->roots, directory, "base", "pg_wal/")))
		return place;
	if (place->unread != NULL)
		level7_unchecked(l, "%s", place->unread);
	return NULL;
}

/*
 * The archive; NULL: there is none, or, with why, it cannot be looked into.
 */
static WalPlace *
archive_place(const Level7 *l, char **why)
{
	WalPlace   *place = new_place();
	ListCell   *cell;

	foreach(cell, l->archives)
	{
		if (wal_place_folder(place, &l->roots, lfirst(cell)))
			return place;
		if (*why == NULL)
			*why = psprintf("archive \"%s\" cannot be looked into: %s", (char *) lfirst(cell),
							verify_is_below(&l->roots, lfirst(cell)) ? strerror(errno) : "it is not below one of maintsched.backup_roots");
	}
	return NULL;
}

/*
 * Read it, each file from the first of the places that has it.
 */
static void
read_wal(Level7 *l, WalReading *reading, const char *unseen)
{
	wal_read_records(reading);
	switch (reading->result)
	{
		case WAL_OPENED:
			if (reading->records == 0)
				level7_unchecked(l, "there is no record in the WAL that the backup is to need");
			break;
		case WAL_BROKEN:
			level7_fail(l, "%s", reading->problem);
			break;
		case WAL_NOT_READ:
			level7_unchecked(l, "%s", reading->problem);
			break;
		case WAL_NOT_THERE:
			if (unseen != NULL)
				level7_unchecked(l, "%s, and %s", reading->problem, unseen);
			else
				(l->waiting ? level7_unchecked : level7_fail) (l, "%s", reading->problem);
			break;
	}
}

static void
read_places(Level7 *l, WalReading *reading, WalPlace *own, WalPlace *archive, const char *unseen)
{
	uint64		files;
	uint64		records;

	if (own != NULL && wal_place_is_torn(own))
		level7_fail(l, "%s cannot be unpacked to its end", own->path);
	reading->places = list_make1(own != NULL ? own : archive);
	if (own != NULL && archive != NULL)
		reading->places = lappend(reading->places, archive);
	read_wal(l, reading, unseen);
	files = reading->files;
	records = reading->records;
	/* what is nowhere is told once */
	if (own != NULL && archive != NULL && own->used && reading->result != WAL_NOT_THERE)
	{
		reading->problem = NULL;
		reading->files = reading->records = 0;
		reading->places = list_make2(archive, own);
		archive->used = false;
		read_wal(l, reading, unseen);
		if (archive->used)
			files += reading->files;
		records = Max(records, reading->records);
	}
	level7_number(l, "wal_files_read", files);
	level7_number(l, "wal_records_read", records);
}

/*
 * Does the range that was read begin and end where the backup does?
 */
static void
check_range(Level7 *l, const WalReading *reading, const VerifySummary *summary)
{
	const ManifestRange *first = linitial(reading->ranges);
	const ManifestRange *last = llast(reading->ranges);
	const char *who = reading->exact ? "manifest" : "catalogue";
	char	   *problem = NULL;

	if (summary == NULL || XLogRecPtrIsInvalid(summary->label_start) || reading->result != WAL_OPENED)
		return;
	if (first->start != summary->label_start)
		problem = psprintf("the backup begins at %X/%X by its backup_label, and at %X/%X by the %s",
						   LSN_FORMAT_ARGS(summary->label_start), LSN_FORMAT_ARGS(first->start), who);
	else if (!summary->label_standby && !reading->ends)
		problem = psprintf("the WAL that the backup needs goes on after %X/%X, where it ends by the %s: the record of the end of the backup is not in it",
						   LSN_FORMAT_ARGS(last->end), who);
	else if (summary->label_standby && (summary->control_minimum > last->end || summary->control_timeline > last->timeline))
		problem = psprintf("the WAL that the backup needs goes on after %X/%X, where it ends by the %s: its control file is to be recovered up to %X/%X on timeline %u",
						   LSN_FORMAT_ARGS(last->end), who, LSN_FORMAT_ARGS(summary->control_minimum), summary->control_timeline);
	if (problem != NULL)
		(reading->exact ? level7_fail : level7_unchecked) (l, "%s", problem);
}

/*
 * The same, and whatever happens the places are closed then.
 */
static void
read_and_close(Level7 *l, WalReading *reading, WalPlace *own, WalPlace *archive, const char *unseen)
{
	verify_progress_begin();
	verify_progress(VERIFY_READING_WAL, 0, 0);
	PG_TRY();
	{
		read_places(l, reading, own, archive, unseen);
	}
	PG_FINALLY();
	{
		if (own != NULL)
			wal_place_close(own);
		if (archive != NULL)
			wal_place_close(archive);
		verify_progress_end();
	}
	PG_END_TRY();
}

/*
 * Read the WAL that a backup needs.  summary: what its manifest says; NULL: it
 * has none.
 */
void
level7_wal(Level7 *l, const char *directory, const VerifySummary *summary)
{
	Progress	progress = {.since = GetCurrentTimestamp()};
	WalReading	reading = {.pace = keep_pace,.arg = &progress};
	WalPlace   *own;
	WalPlace   *archive;
	char	   *unseen = NULL;

	reading.exact = summary != NULL && summary->head.ranges > 0;
	reading.ranges = reading.exact ? summary->wal : range_of_catalogue(l);
	reading.same_version = summary != NULL && summary->major == PG_VERSION_NUM / 10000;
	if (summary != NULL)
		reading.backup = summary->label_start;
	if (l->system != NULL)
		reading.system = strtoull(l->system, NULL, 10);
	if (reading.ranges == NIL)
	{
		level7_unchecked(l, "it is not known which WAL the backup needs");
		return;
	}
	if (summary != NULL && summary->major != 0 && !reading.same_version)
	{
		level7_unchecked(l, "the WAL that the backup needs is not read: " WAL_OTHER_VERSION);
		return;
	}
	own = own_place(l, directory, summary);
	archive = archive_place(l, &unseen);
	if (own != NULL || archive != NULL)
	{
		read_and_close(l, &reading, own, archive, unseen);
		check_range(l, &reading, summary);
	}
	else
		level7_unchecked(l, "the WAL that the backup needs is not read: %s",
						 unseen != NULL ? unseen : "there is none with it that can be looked into, and no archive");
}
