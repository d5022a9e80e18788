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
 * or by gzip.  What is compressed otherwise, and what is encrypted, which its first
 * bytes say, is left to the tool.  A backup needs those from its begin to its end;
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
#include <zlib.h>

#include "miscadmin.h"

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
	wal->compressed = strcmp(rest, ".gz") == 0;
	wal->readable = *rest == '\0' || wal->compressed;
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
inflate_block(RepoReader *reader, z_stream *gzip, size_t length, bool *ended)
{
	static char out[65536];

	gzip->next_in = (Bytef *) reader->buffer;
	gzip->avail_in = length;
	while (gzip->avail_in > 0 && !*ended)
	{
		int			result;

		gzip->next_out = (Bytef *) out;
		gzip->avail_out = sizeof(out);
		result = inflate(gzip, Z_NO_FLUSH);
		if (result != Z_OK && result != Z_STREAM_END)
			return false;
		add_to_sum(reader, out, sizeof(out) - gzip->avail_out);
		*ended = result == Z_STREAM_END;
	}
	/* nothing may follow */
	return gzip->avail_in == 0;
}

/*
 * Read it: whether it is well formed.  reader->encrypted: it is not for us.
 */
static bool
sum_wal(RepoReader *reader, const RepoWal *wal, z_stream *gzip)
{
	bool		first = true;
	bool		ended = false;

	for (;;)
	{
		ssize_t		got = read(reader->fd, reader->buffer, REPO_BLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			return !wal->compressed || ended;
		if (first && got >= strlen(SALTED) && memcmp(reader->buffer, SALTED, strlen(SALTED)) == 0)
		{
			reader->encrypted = true;
			return true;
		}
		first = false;
		if (!wal->compressed)
			add_to_sum(reader, reader->buffer, got);
		else if (!inflate_block(reader, gzip, got, &ended))
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
	z_stream	gzip;
	uint8		sum[REPO_SUM];
	volatile bool good = false;

	reader->fd = repo_open(reader, wal->path);
	if (reader->fd < 0)
	{
		level7_fail(reader->l, "%s cannot be read: %s", wal->path, strerror(errno));
		return true;
	}
	reader->encrypted = false;
	memset(&gzip, 0, sizeof(gzip));
	if (inflateInit2(&gzip, 15 + 16) != Z_OK || pg_cryptohash_init(reader->sha) < 0)
		elog(ERROR, "could not begin to read \"%s\"", wal->path);
	PG_TRY();
	{
		good = sum_wal(reader, wal, &gzip);
	}
	PG_FINALLY();
	{
		(void) inflateEnd(&gzip);
	}
	PG_END_TRY();
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
