/*-------------------------------------------------------------------------
 *
 * pgbackrest_files.c
 *	  The files of a repository of pgBackRest that is a folder here.
 *
 * Where the repository may be a folder of this server is said by the catalogue
 * and by the tool's log.  It is one that we may read where it is below a root,
 * and where its manifest is, byte for byte, the one that the tool has given: so
 * nothing else is taken for it.
 *
 * Each file that the manifest names is read from the beginning to the end, in
 * large blocks, and compared with its SHA-1.  Of a bundle the part that is the
 * file's.  Where the manifest has no checksum of what is stored, as of backups by
 * older versions, and it is compressed, it is the tool that has read it.
 *
 * Runs in the backend that verifies.  What is open is closed by errors.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/cryptohash.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "backup/pgbackrest_files.h"

/*
 * Read no faster than is allowed, and say how far it is.
 */
void
repo_pace(RepoReader *reader, size_t bytes)
{
	reader->bytes += bytes;
	verify_progress(VERIFY_SUMMING, reader->bytes, 0);
	level7_pace(reader->bytes, reader->started);
}

/*
 * Open a file of the repository; path is below it.  -1 and errno.
 */
int
repo_open(RepoReader *reader, const char *path)
{
	char		below[MANIFEST_MAX_PATH + 1];

	if (snprintf(below, sizeof(below), "%s%s%s", reader->folder, reader->folder[0] == '\0' ? "" : "/", path) >= sizeof(below))
	{
		errno = ENAMETOOLONG;
		return -1;
	}
	return verify_open_file(&reader->opener, &reader->l->roots, reader->root, below);
}

static void
close_file(RepoReader *reader)
{
	if (reader->fd >= 0)
		(void) close(reader->fd);
	reader->fd = -1;
}

/*
 * The sum of a part of the open file.  False, and errno: it cannot be read; 0:
 * it is too short.
 */
static bool
sum_part(RepoReader *reader, uint64 offset, uint64 size, uint8 *sum)
{
	if (pg_cryptohash_init(reader->sha) < 0)
		elog(ERROR, "could not compute SHA-1");
	while (size > 0)
	{
		ssize_t		got = pg_pread(reader->fd, reader->buffer, Min(size, REPO_BLOCK), offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
		{
			errno = got == 0 ? 0 : errno;
			return false;
		}
		if (pg_cryptohash_update(reader->sha, (uint8 *) reader->buffer, got) < 0)
			elog(ERROR, "could not compute SHA-1");
		offset += got;
		size -= got;
		repo_pace(reader, got);
	}
	if (pg_cryptohash_final(reader->sha, sum, REPO_SUM) < 0)
		elog(ERROR, "could not compute SHA-1");
	return true;
}

static void
verify_one(RepoReader *reader, const RepoFile *file)
{
	uint8		sum[REPO_SUM];
	char	   *path;
	bool		read;
	int			error = 0;

	CHECK_FOR_INTERRUPTS();
	path = psprintf("backup/%s/%s", reader->l->location, file->path);
	reader->fd = repo_open(reader, path);
	pfree(path);
	read = reader->fd >= 0 && sum_part(reader, file->offset, file->size, sum);
	if (!read)
		error = errno;
	close_file(reader);
	if (read && memcmp(sum, file->sum, REPO_SUM) == 0)
		return;
	path = verify_shown_path(file->path, strlen(file->path));
	if (read)
		level7_fail(reader->l, "%s has another checksum than in the manifest", path);
	else
		level7_fail(reader->l, "%s cannot be read: %s", path, error == 0 ? "it is too short" : strerror(error));
	pfree(path);
}

/*
 * Is a file, byte for byte, what the tool has given?
 */
static bool
same_file(RepoReader *reader, const char *path, const ToolAnswer *raw)
{
	uint64		at = 0;
	bool		same = true;

	reader->fd = repo_open(reader, path);
	if (reader->fd < 0)
		return false;
	while (same)
	{
		ssize_t		got = read(reader->fd, reader->buffer, REPO_BLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
		{
			same = got == 0 && at == raw->raw_length;
			break;
		}
		same = at + got <= raw->raw_length && memcmp(raw->raw + at, reader->buffer, got) == 0;
		at += got;
	}
	close_file(reader);
	return same;
}

/*
 * Find the folder among paths.
 */
static bool
find_folder(RepoReader *reader, List *paths, const ToolAnswer *raw)
{
	Level7	   *l = reader->l;
	ListCell   *cell;

	foreach(cell, paths)
	{
		char	   *path = lfirst(cell);
		char	   *below = palloc(MANIFEST_MAX_PATH + 1);
		struct stat st;

		if (path[0] != '/' || !verify_is_below(&l->roots, path) ||
			verify_resolve(&l->roots, path, &reader->root, below, &st) != VERIFY_FOUND || !S_ISDIR(st.st_mode))
			continue;
		reader->folder = below;
		verify_opener_close(&reader->opener);
		if (same_file(reader, psprintf("backup/%s/%s/backup.manifest", l->location, l->label), raw))
			return true;
	}
	return false;
}

static void
verify_all(RepoReader *reader, const RepoManifest *manifest, List *wals)
{
	ListCell   *cell;
	uint64		read_wals = 0;
	uint64		files = 0;
	uint64		unread = 0;

	verify_progress(VERIFY_SUMMING, 0, manifest->bytes);
	reader->started = GetCurrentTimestamp();
	for (int64 i = 0; i < manifest->nfiles; i++)
	{
		const RepoFile *file = &manifest->files[i];

		if (!file->stored)
			continue;
		if (!file->has_sum)
		{
			unread++;
			continue;
		}
		verify_one(reader, file);
		files++;
	}
	foreach(cell, wals)
	{
		const RepoWal *wal = lfirst(cell);

		if (wal->readable && repo_wal_verify(reader, wal))
			read_wals++;
	}
	level7_number(reader->l, "wal_files_read", read_wals);
	level7_number(reader->l, "files_read", files);
	level7_number(reader->l, "bytes_read", reader->bytes);
	if (unread > 0)
		level7_number(reader->l, "files_of_tool_only", unread);
}

/*
 * Compare the files of a backup with their checksums.  False: they cannot be
 * read from here.
 */
bool
repo_files_verify(Level7 *l, RepoManifest *manifest, List *wals, List *paths, const ToolAnswer *raw)
{
	RepoReader	reader = {0};
	volatile bool found = false;

	if (l->roots.count == 0)
		return false;
	reader.l = l;
	reader.fd = -1;
	verify_opener_init(&reader.opener);
	reader.buffer = palloc(REPO_BLOCK);
	reader.sha = pg_cryptohash_create(PG_SHA1);
	if (reader.sha == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	verify_progress_begin();
	PG_TRY();
	{
		found = find_folder(&reader, list_concat_copy(l->paths, paths), raw);
		if (found)
			verify_all(&reader, manifest, wals);
	}
	PG_FINALLY();
	{
		close_file(&reader);
		verify_opener_close(&reader.opener);
		pg_cryptohash_free(reader.sha);
		verify_progress_end();
	}
	PG_END_TRY();
	return found;
}
