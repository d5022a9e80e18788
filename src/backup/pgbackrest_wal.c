/*-------------------------------------------------------------------------
 *
 * pgbackrest_wal.c
 *	  WAL in a repository of pgBackRest.
 *
 * A WAL file has the SHA-1 of its contents in its name:
 *
 *		archive/STANZA/15-1/0000000100000000/000000010000000000000003-SHA1.gz
 *
 * so that it can be compared without asking anybody, where it is not compressed,
 * or by gzip, lz4 or zstd.  What is compressed otherwise, and what is encrypted,
 * which its first bytes say, is left to the tool.  A backup needs those from its begin to its end;
 * whether there are all is the matter of level 6.
 *
 * Runs in the backend that verifies, with a RepoReader that is open.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "backup/pgbackrest_files.h"

#define WAL_NAME 24
/* how OpenSSL's format begins, which pgBackRest encrypts in */
#define SALTED "Salted__"

static bool
is_hex(const char *chars, int length, const char *digits)
{
	return strspn(chars, digits) >= length;
}

/*
 * Is this the name of a WAL file with its checksum?
 */
static bool
parse_name(const char *name, RepoWal *wal)
{
	const char *rest = name + WAL_NAME + 1 + 2 * REPO_SUM;

	if (!is_hex(name, WAL_NAME, "0123456789ABCDEF") || name[WAL_NAME] != '-' ||
		!is_hex(name + WAL_NAME + 1, 2 * REPO_SUM, "0123456789abcdef"))
		return false;
	for (int i = 0; i < REPO_SUM; i++)
	{
		unsigned int byte;

		if (sscanf(name + WAL_NAME + 1 + 2 * i, "%2x", &byte) != 1)
			return false;
		wal->sum[i] = byte;
	}
	wal->format = unpack_format_of(rest);
	wal->readable = *rest == '\0' || (wal->format != UNPACK_NONE && unpack_lacks(wal->format) == NULL);
	return *rest == '\0' || *rest == '.';
}

/*
 * Those of a listing that the backup needs to be consistent.
 */
List	   *
repo_wal_list(const Level7 *l, const RepoListing *listing)
{
	List	   *wals = NIL;

	for (int64 i = 0; i < listing->count; i++)
	{
		const RepoName *file = &listing->names[i];
		const char *name = strrchr(file->path, '/');
		RepoWal		wal = {0};
		RepoWal    *copy;

		if (file->type != 'f' || name == NULL || !parse_name(++name, &wal) ||
			strncmp(name, l->start_wal, WAL_NAME) < 0 || strncmp(name, l->end_wal, WAL_NAME) > 0)
			continue;
		copy = palloc(sizeof(RepoWal));
		*copy = wal;
		copy->path = file->path;
		wals = lappend(wals, copy);
	}
	return wals;
}

/*
 * Does a WAL file, by its path below the archive, matter for a recovery from the
 * backup?  *own: the backup itself needs it.
 */
bool
repo_wal_concerns(const Level7 *l, const char *path, bool *own)
{
	size_t		length = l->archive == NULL ? 0 : strlen(l->archive);
	const char *name = strrchr(path, '/');

	*own = false;
	if (length == 0 || l->start_wal == NULL || name == NULL ||
		strncmp(path, l->archive, length) != 0 || path[length] != '/' ||
		!is_hex(++name, WAL_NAME, "0123456789ABCDEF"))
		return false;
	/* of this timeline or a later one, and not before its begin */
	if (strncmp(name, l->start_wal, 8) < 0 || strncmp(name + 8, l->start_wal + 8, WAL_NAME - 8) < 0)
		return false;
	*own = l->end_wal != NULL && strncmp(name, l->end_wal, WAL_NAME) <= 0;
	return true;
}

static void
add_to_sum(RepoReader *reader, const void *data, size_t length)
{
	if (pg_cryptohash_update(reader->sha, data, length) < 0)
		elog(ERROR, "could not compute SHA-1");
}

/*
 * Uncompress a block, and sum it up; false: it is not well formed.
 */
static bool
unpack_block(RepoReader *reader, Unpack *unpack, size_t length)
{
	static char out[65536];
	const char *in = reader->buffer;
	size_t		room;

	do
	{
		room = sizeof(out);
		if (!unpack_some(unpack, &in, &length, out, &room))
			return false;
		add_to_sum(reader, out, room);
	} while (room > 0 || length > 0);
	return true;
}

/*
 * Read it: whether it is well formed.  reader->encrypted: it is not for us.
 */
static bool
sum_wal(RepoReader *reader, Unpack *unpack)
{
	bool		first = true;

	for (;;)
	{
		ssize_t		got = read(reader->fd, reader->buffer, REPO_BLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			return unpack == NULL || unpack_may_end(unpack);
		if (first && got >= strlen(SALTED) && memcmp(reader->buffer, SALTED, strlen(SALTED)) == 0)
		{
			reader->encrypted = true;
			return true;
		}
		first = false;
		if (unpack == NULL)
			add_to_sum(reader, reader->buffer, got);
		else if (!unpack_block(reader, unpack, got))
			return false;
		repo_pace(reader, got);
	}
}

/*
 * Compare a WAL file with the checksum in its name.  False: it is encrypted.
 */
bool
repo_wal_verify(RepoReader *reader, const RepoWal *wal)
{
	Unpack	   *unpack = NULL;
	uint8		sum[REPO_SUM];
	bool		good;

	reader->fd = repo_open(reader, wal->path);
	if (reader->fd < 0)
	{
		level7_fail(reader->l, "%s cannot be read: %s", wal->path, strerror(errno));
		return true;
	}
	reader->encrypted = false;
	if (wal->format != UNPACK_NONE)
		unpack = unpack_begin(wal->format);
	if (pg_cryptohash_init(reader->sha) < 0)
		elog(ERROR, "could not begin to read \"%s\"", wal->path);
	good = sum_wal(reader, unpack);
	if (unpack != NULL)
		unpack_end(unpack);
	(void) close(reader->fd);
	reader->fd = -1;
	if (reader->encrypted)
		return false;
	if (pg_cryptohash_final(reader->sha, sum, REPO_SUM) < 0)
		elog(ERROR, "could not compute SHA-1");
	if (!good || memcmp(sum, wal->sum, REPO_SUM) != 0)
		level7_fail(reader->l, "%s has another checksum than in its name, and the backup needs it", wal->path);
	return true;
}
