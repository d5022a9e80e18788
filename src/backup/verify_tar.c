/*-------------------------------------------------------------------------
 *
 * verify_tar.c
 *	  A base backup in tar format beside its manifest.
 *
 * base.tar has the files of the data directory, and each OID.tar those of a
 * tablespace, which the manifest has below pg_tblspc/OID; they may be compressed
 * with gzip.  An archive is read once, from the beginning to the end, and each
 * member is summed up as it goes by; nothing is unpacked.  pg_wal.tar is not
 * looked at, as pg_wal is not.  Members that are folders or links are passed
 * over, as pg_verifybackup does since 18; older ones know plain backups only.
 *
 * Stricter than pg_verifybackup in one thing: the checksum of each header must be
 * right, for no tar unpacks a member of which it is not.  Archives of lz4 and zstd
 * cannot be read here: that is a problem of kind "unsupported".
 *
 * Runs in the backend that verifies, alone: one stream cannot be divided.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"

#include "backup/verify_tar.h"

#define RECORD 512

/* where things are in the header of a member */
#define NAME_AT 0
#define NAME_LENGTH 100
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define CHECKSUM_AT 148
#define CHECKSUM_LENGTH 8
#define KIND_AT 156

static const char *const suffixes[] = {".tar", ".tar.gz", ".tgz", ".tar.lz4", ".tar.zst"};

typedef struct Tar
{
	VerifyPlace *place;
	VerifyStore *store;
	VerifySummary *summary;
	VerifyReport *report;
	VerifyTotals *totals;
	bool		checksums;
	DIR		   *dir;
	Oid			tablespace;		/* of the archive; InvalidOid: data directory */
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

/*
 * Is the backup one in tar format?  Then it has a base.tar, and no PG_VERSION.
 */
bool
verify_is_tar(const VerifyPlace *place)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;

	if (find_in_backup(place, "PG_VERSION", &root, below, &st) == VERIFY_FOUND)
		return false;
	for (int i = 0; i < lengthof(suffixes); i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "base%s", suffixes[i]);
		if (find_in_backup(place, name, &root, below, &st) == VERIFY_FOUND)
			return true;
	}
	return false;
}

/*
 * A number in a header: octal, or as bytes where it would not fit.
 */
static uint64
number(const char *field, int length)
{
	uint64		value = 0;

	if (field[0] == (char) 0x80)
	{
		for (int i = 1; i < length; i++)
			value = value << 8 | (unsigned char) field[i];
		return value;
	}
	for (int i = 0; i < length && field[i] != '\0'; i++)
		if (field[i] >= '0' && field[i] <= '7')
			value = value << 3 | (uint64) (field[i] - '0');
	return value;
}

/*
 * The sum of its bytes, where its own field counts as spaces.
 */
static bool
header_is_right(const char *header)
{
	uint64		sum = CHECKSUM_LENGTH * ' ';

	for (int i = 0; i < RECORD; i++)
		if (i < CHECKSUM_AT || i >= CHECKSUM_AT + CHECKSUM_LENGTH)
			sum += (unsigned char) header[i];
	return sum == number(header + CHECKSUM_AT, CHECKSUM_LENGTH);
}

/*
 * The entry of a member that is a file; NULL: there is nothing to compare it
 * with.
 */
static VerifyEntry *
entry_of(Tar *tar, const char *header, uint64 size)
{
	char		path[MAXPGPATH];
	VerifyEntry *entry;

	if (OidIsValid(tar->tablespace))
		snprintf(path, sizeof(path), "pg_tblspc/%u/%.*s", tar->tablespace, NAME_LENGTH, header + NAME_AT);
	else
		snprintf(path, sizeof(path), "./%.*s", NAME_LENGTH, header + NAME_AT);
	canonicalize_path(path);
	if (verify_ignored(tar->place, path))
		return NULL;
	entry = verify_store_find(tar->store, path, strlen(path));
	if (entry == NULL)
	{
		verify_problem(tar->report, "extra", path, strlen(path), "it is in %s, but not in the manifest", tar->stream.name);
		return NULL;
	}
	entry->base = 0;
	if (entry->size == size)
		return entry;
	entry->bad = true;
	verify_problem(tar->report, "size", path, strlen(path),
				   "it has " UINT64_FORMAT " bytes, in the manifest " UINT64_FORMAT, size, entry->size);
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
	bool		is_control = strcmp(entry->path, VERIFY_CONTROL_FILE) == 0;
	char		control[VERIFY_CONTROL_SIZE];
	size_t		control_length = 0;
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
		if (is_control && control_length < sizeof(control))
		{
			size_t		part = Min(got, sizeof(control) - control_length);

			memcpy(control + control_length, data, part);
			control_length += part;
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
	if (is_control)
		verify_control_data(control, (ssize_t) control_length, tar->summary, tar->report);
	return true;
}

/*
 * Read a header; false: there is none any more.
 */
static bool
read_header(Tar *tar, char *header)
{
	static const char zeros[RECORD] = {0};
	size_t		used = 0;

	while (used < RECORD)
	{
		size_t		got;
		const char *data = verify_stream_some(&tar->stream, RECORD - used, &got);

		if (data == NULL)
			return used > 0 ? verify_stream_broken(&tar->stream, "it is cut off") : false;
		memcpy(header + used, data, got);
		used += got;
	}
	if (memcmp(header, zeros, RECORD) == 0)
	{
		/* the end; what is compressed has a checksum of its own after it */
		while (verify_stream_some(&tar->stream, VERIFY_BLOCK, &used) != NULL)
			;
		return false;
	}
	if (!header_is_right(header))
		return verify_stream_broken(&tar->stream, "a header is damaged, or it is no tar archive");
	return true;
}

static void
read_archive(Tar *tar)
{
	char		header[RECORD];

	while (read_header(tar, header))
	{
		uint64		size = number(header + SIZE_AT, SIZE_LENGTH);
		char		kind = header[KIND_AT];
		VerifyEntry *entry = NULL;
		bool		going;

		if (kind == '0' || kind == '\0')
			entry = entry_of(tar, header, size);
		else if (kind != '2' && kind != '5')
			verify_problem(tar->report, "type", header + NAME_AT, strnlen(header + NAME_AT, NAME_LENGTH),
						   "it is neither a file nor a folder nor a symbolic link in %s", tar->stream.name);
		going = entry == NULL ? verify_stream_skip(&tar->stream, size) : read_file(tar, entry);
		if (!going || !verify_stream_skip(&tar->stream, (RECORD - size % RECORD) % RECORD))
			break;
	}
}

/*
 * Read an archive; suffix: how its name ends.
 */
static void
open_archive(Tar *tar, const char *name, const char *suffix)
{
	VerifyReader *reader = tar->stream.reader;
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
	if (strcmp(suffix, ".tar.lz4") == 0 || strcmp(suffix, ".tar.zst") == 0)
	{
		verify_problem(tar->report, "unsupported", name, strlen(name), "archives of lz4 and zstd cannot be read here");
		return;
	}
	reader->fd = verify_open_file(&reader->opener, reader->roots, root, below);
	if (reader->fd < 0)
	{
		verify_problem(tar->report, "unreadable", name, strlen(name), "%s", strerror(errno));
		return;
	}
	tar->tablespace = strncmp(name, "base", 4) == 0 ? InvalidOid : (Oid) strtoul(name, NULL, 10);
	verify_stream_begin(&tar->stream, name, strcmp(suffix, ".tar") != 0);
	read_archive(tar);
	verify_stream_end(&tar->stream);
	(void) close(reader->fd);
	reader->fd = -1;
}

/*
 * How the name of an archive ends; NULL: it is none.
 */
static const char *
suffix_of(const char *name)
{
	const char *suffix = name + strspn(name, "0123456789");

	if (strncmp(name, "base", 4) == 0)
		suffix = name + 4;
	else if (strncmp(name, "pg_wal", 6) == 0)
		suffix = name + 6;
	/* an OID has ten digits at most, and is not 0 */
	else if (name[0] == '0' || suffix == name || suffix > name + 10)
		return NULL;
	for (int i = 0; i < lengthof(suffixes); i++)
		if (strcmp(suffix, suffixes[i]) == 0)
			return suffixes[i];
	return NULL;
}

/*
 * The names of all files in the folder of the backup.
 */
static List *
list_folder(Tar *tar)
{
	const VerifyBase *base = &tar->place->bases[0];
	int			fd = verify_open_directory(tar->place->roots.paths[base->root], base->below);
	List	   *names = NIL;
	struct dirent *entry;

	if (fd >= 0)
		tar->dir = fdopendir(fd);
	if (tar->dir == NULL)
	{
		verify_problem(tar->report, "folder", NULL, 0, "it cannot be read: %s", strerror(errno));
		if (fd >= 0)
			(void) close(fd);
		return NIL;
	}
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		errno = 0;
		entry = readdir(tar->dir);
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			!verify_ignored(tar->place, entry->d_name))
			names = lappend(names, pstrdup(entry->d_name));
	}
	if (errno != 0)
		verify_problem(tar->report, "folder", NULL, 0, "it cannot be read: %s", strerror(errno));
	(void) closedir(tar->dir);
	tar->dir = NULL;
	return names;
}

static void
read_archives(Tar *tar)
{
	List	   *names = list_folder(tar);
	uint64		total = 0;
	ListCell   *cell;

	foreach(cell, names)
	{
		char		below[MANIFEST_MAX_PATH + 1];
		int			root;
		struct stat st;

		if (find_in_backup(tar->place, lfirst(cell), &root, below, &st) == VERIFY_FOUND)
			total += st.st_size;
	}
	verify_progress(VERIFY_SUMMING, 0, total);
	foreach(cell, names)
	{
		const char *name = lfirst(cell);
		const char *suffix = suffix_of(name);

		if (suffix == NULL)
			verify_problem(tar->report, "extra", name, strlen(name), "it is not expected in a backup in tar format");
		else if (strncmp(name, "pg_wal", 6) != 0)
			open_archive(tar, name, suffix);
	}
}

/*
 * Compare what is in the archives.  What they do not have is left unmatched in
 * the store.
 */
void
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
	tar.stream.out = palloc(VERIFY_BLOCK);
	totals->processes = 1;
	PG_TRY();
	{
		read_archives(&tar);
	}
	PG_FINALLY();
	{
		verify_reader_close(&reader);
		if (tar.dir != NULL)
			(void) closedir(tar.dir);
	}
	PG_END_TRY();
	pfree(tar.stream.out);
	pfree(reader.memory);
	verify_team_end(team);
}
