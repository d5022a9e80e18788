/*-------------------------------------------------------------------------
 *
 * verify_tar.c
 *	  A base backup in tar format beside its manifest.
 *
 * base.tar has the files of the data directory, and each OID.tar those of a
 * tablespace, which the manifest has below pg_tblspc/OID; they may be compressed
 * with gzip, lz4 or zstd.  An archive is read once, from the beginning to the end,
 * and each member is summed up as it goes by; nothing is written.  pg_wal.tar is
 * not looked at, as pg_wal is not.  Members that are folders or links are passed
 * over, as pg_verifybackup does since 18; older ones know plain backups only.
 *
 * Stricter than pg_verifybackup in two things: the checksum of each header must be
 * right, for no tar unpacks a member of which it is not; and what is compressed
 * has to end as its format does, where pg_verifybackup may never end.  An archive
 * whose library is not on this machine is a problem of kind "unsupported", and
 * what is in it is not missed.
 *
 * Runs in the backend that verifies, alone: one stream cannot be divided.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "backup/folder.h"
#include "backup/verify_tar.h"

typedef struct Tar
{
	VerifyPlace *place;
	VerifyStore *store;
	VerifySummary *summary;
	VerifyReport *report;
	VerifyTotals *totals;
	bool		checksums;
	Oid			tablespace;		/* of the archive; InvalidOid: data directory */
	bool		left_out;		/* one cannot be read here */
	VerifyStream stream;
} Tar;

/*
 * Where a file in the folder of the backup is.
 */
static VerifyFound
find_in_backup(const VerifyPlace *place, const char *name, int *root, char *below, struct stat *st)
{
	const VerifyBase *base = &place->bases[0];
	char		path[2 * MANIFEST_MAX_PATH];

	if (snprintf(path, sizeof(path), "%s/%s/%s", place->roots.paths[base->root], base->below, name) >= sizeof(path))
	{
		errno = ENAMETOOLONG;
		return VERIFY_ERROR;
	}
	return verify_resolve(&place->roots, path, root, below, st);
}

static bool
list_backup(const VerifyPlace *place, List **items)
{
	const VerifyBase *base = &place->bases[0];

	return folder_list(&place->roots, base->root, base->below, items);
}

/*
 * Is the backup one in tar format?  Then it has a base.tar, and no PG_VERSION.
 */
bool
verify_is_tar(const VerifyPlace *place)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	List	   *items = NIL;
	ListCell   *cell;

	if (find_in_backup(place, "PG_VERSION", &root, below, &st) == VERIFY_FOUND || !list_backup(place, &items))
		return false;
	foreach(cell, items)
	{
		if (tar_suffix(((FolderItem *) lfirst(cell))->name, "base") != NULL)
			return true;
	}
	return false;
}

/*
 * The entry of a member that is a file; NULL: there is nothing to compare it
 * with.
 */
static VerifyEntry *
entry_of(Tar *tar, const TarMember *member)
{
	char		path[MAXPGPATH];
	VerifyEntry *entry;

	if (OidIsValid(tar->tablespace))
		snprintf(path, sizeof(path), "pg_tblspc/%u/%s", tar->tablespace, member->name);
	else
		snprintf(path, sizeof(path), "./%s", member->name);
	canonicalize_path(path);
	if (verify_ignored(tar->place, path))
	{
		if (strncmp(path, "pg_wal/", 7) == 0)
			tar->summary->wal_in_base = true;
		return NULL;
	}
	entry = verify_store_find(tar->store, path, strlen(path));
	if (entry == NULL)
	{
		verify_problem(tar->report, "extra", path, strlen(path), "it is in %s, but not in the manifest", tar->stream.name);
		return NULL;
	}
	entry->base = 0;
	if (entry->size == member->size)
		return entry;
	entry->bad = true;
	verify_problem(tar->report, "size", path, strlen(path),
				   "it has " UINT64_FORMAT " bytes, in the manifest " UINT64_FORMAT, member->size, entry->size);
	return NULL;
}

/*
 * Read a member that is a file, and compare it.
 */
static bool
read_file(Tar *tar, VerifyEntry *entry)
{
	VerifySum	sum;
	bool		summed = tar->checksums && entry->algorithm != CHECKSUM_TYPE_NONE;
	VerifyResult result = VERIFY_GOOD;
	bool		is_small = verify_is_small(entry->path);
	char		small[VERIFY_SMALL_SIZE];
	size_t		small_length = 0;
	uint64		left = entry->size;

	tar->totals->algorithms |= 1U << entry->algorithm;
	if (!summed)
		tar->totals->unsummed++;
	else if (!verify_sum_begin(tar->stream.reader, &sum, entry->algorithm))
		result = VERIFY_NO_SUM;
	while (left > 0)
	{
		size_t		got;
		const char *data = verify_stream_some(&tar->stream, Min(left, VERIFY_BLOCK), &got);

		if (data == NULL)
			return verify_stream_broken(&tar->stream, "it is cut off");
		if (summed && result == VERIFY_GOOD && !verify_sum_add(&sum, data, got))
			result = VERIFY_NO_SUM;
		if (is_small && small_length < sizeof(small))
		{
			size_t		part = Min(got, sizeof(small) - small_length);

			memcpy(small + small_length, data, part);
			small_length += part;
		}
		left -= got;
	}
	if (summed)
	{
		tar->totals->files++;
		tar->totals->bytes += entry->size;
		if (result == VERIFY_GOOD)
			result = verify_sum_compare(&sum, verify_entry_sum(entry), entry->sum_length);
		verify_report_result(tar->report, entry, result, entry->size, 0);
	}
	if (is_small)
		verify_small_data(entry->path, small, (ssize_t) small_length, tar->summary, tar->report);
	return true;
}

static void
read_archive(Tar *tar)
{
	TarMember	member;

	while (tar_next(&tar->stream, &member) == TAR_MEMBER)
	{
		VerifyEntry *entry = NULL;
		bool		going;

		if (TAR_IS_FILE(&member))
			entry = entry_of(tar, &member);
		else if (!TAR_IS_LINK(&member) && !TAR_IS_FOLDER(&member))
			verify_problem(tar->report, "type", member.name, strlen(member.name),
						   "it is neither a file nor a folder nor a symbolic link in %s", tar->stream.name);
		going = entry == NULL ? verify_stream_skip(&tar->stream, member.size) : read_file(tar, entry);
		if (!going || !verify_stream_skip(&tar->stream, TAR_PADDING(member.size)))
			break;
	}
}

static void
open_archive(Tar *tar, const char *name)
{
	VerifyReader *reader = tar->stream.reader;
	UnpackFormat format = unpack_format_of(name);
	const char *lacking = unpack_lacks(format);
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;

	switch (find_in_backup(tar->place, name, &root, below, &st))
	{
		case VERIFY_OUTSIDE:
			verify_problem(tar->report, "link", name, strlen(name), VERIFY_LEADS_OUT);
			return;
		case VERIFY_ERROR:
			verify_problem(tar->report, "unreadable", name, strlen(name), "%s", strerror(errno));
			return;
		case VERIFY_FOUND:
			break;
	}
	if (!S_ISREG(st.st_mode))
	{
		verify_problem(tar->report, "type", name, strlen(name), "it is not a file");
		return;
	}
	if (lacking != NULL)
	{
		verify_problem(tar->report, "unsupported", name, strlen(name), "it cannot be uncompressed: %s is not on this machine", lacking);
		tar->left_out = true;
		return;
	}
	reader->fd = verify_open_file(&reader->opener, reader->roots, root, below);
	if (reader->fd < 0)
	{
		verify_problem(tar->report, "unreadable", name, strlen(name), "%s", strerror(errno));
		return;
	}
	tar->tablespace = strncmp(name, "base", 4) == 0 ? InvalidOid : (Oid) strtoul(name, NULL, 10);
	verify_stream_begin(&tar->stream, name, format);
	read_archive(tar);
	verify_stream_end(&tar->stream);
	(void) close(reader->fd);
	reader->fd = -1;
}

static void
read_archives(Tar *tar)
{
	List	   *items = NIL;
	uint64		total = 0;
	ListCell   *cell;

	if (!list_backup(tar->place, &items))
	{
		verify_problem(tar->report, "folder", NULL, 0, "it cannot be read: %s", strerror(errno));
		return;
	}
	foreach(cell, items)
	{
		char		below[MANIFEST_MAX_PATH + 1];
		int			root;
		struct stat st;

		if (find_in_backup(tar->place, ((FolderItem *) lfirst(cell))->name, &root, below, &st) == VERIFY_FOUND)
			total += st.st_size;
	}
	verify_progress(VERIFY_SUMMING, 0, total);
	foreach(cell, items)
	{
		const char *name = ((FolderItem *) lfirst(cell))->name;

		if (verify_ignored(tar->place, name) || tar_suffix(name, "pg_wal") != NULL)
			continue;
		if (tar_suffix(name, "base") == NULL && !tar_is_tablespace(name))
			verify_problem(tar->report, "extra", name, strlen(name), "it is not expected in a backup in tar format");
		else
			open_archive(tar, name);
	}
}

/*
 * Compare what is in the archives.  What they do not have is left unmatched in
 * the store; true: all of them could be read here, so that it is missing.
 */
bool
verify_tars(VerifyPlace *place, VerifyStore *store, VerifySummary *summary, bool checksums,
			VerifyReport *report, VerifyTotals *totals)
{
	VerifyTeam *team = verify_team(&place->roots, 1, (uint64) verify_rate_kb * 1024);
	VerifyReader reader;
	Tar			tar = {
		.place = place,.store = store,.summary = summary,.report = report,.totals = totals,.checksums = checksums
	};

	verify_reader_init(&reader, &place->roots);
	reader.pace = verify_pace;
	reader.arg = verify_team_shared(team);
	tar.stream.reader = &reader;
	tar.stream.report = report;
	totals->processes = 1;
	PG_TRY();
	{
		read_archives(&tar);
	}
	PG_FINALLY();
	{
		verify_stream_end(&tar.stream);
		verify_reader_close(&reader);
	}
	PG_END_TRY();
	if (tar.stream.out != NULL)
		pfree(tar.stream.out);
	pfree(reader.memory);
	verify_team_end(team);
	return !tar.left_out;
}
