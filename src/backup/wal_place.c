/*-------------------------------------------------------------------------
 *
 * wal_place.c
 *	  Opening single WAL files, to be read from their beginning to their end.
 *
 * A place is a folder, as wal_folder.c knows them, or an archive in tar format,
 * as in wal_tar.c.  What is in it is found as the restore_command of a drill
 * finds it (drill_fetch.c), so that the file that is read is the one that a
 * recovery would get.
 *
 * What gzip, lz4 and zstd have compressed is read as a stream (unpack.c), after
 * it was looked whether it comes to a whole WAL file; what bzip2 and xz have, by
 * their program (wal_program.c).  Where a library or a program is missing, the file
 * is not read, and it is said what is.
 *
 * Runs in any backend, as the server's user, below the roots that the caller
 * names.  No locks.  Whoever opens a place closes it, by an error, too.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"

#include "backup/folder.h"
#include "backup/wal_read.h"

/* how long a file may take to arrive: as the ladder takes it */
#define ARRIVES_WITHIN	300

static const char *const endings[] = {"", ".gz", ".zst", ".lz4", ".bz2", ".xz"};

void
wal_place_init(WalPlace *place)
{
	memset(place, 0, sizeof(WalPlace));
	place->folder = -1;
	place->packed = -1;
	place->temporary = -1;
}

static void
close_packed(WalPlace *place)
{
	if (place->packed >= 0)
		(void) close(place->packed);
	place->packed = -1;
}

/*
 * An open folder in which files can be opened, too; -1 and errno.
 */
static int
searchable(int folder)
{
	int			saved;

	if (folder < 0 || faccessat(folder, ".", X_OK, AT_EACCESS) == 0)
		return folder;
	saved = errno;
	(void) close(folder);
	errno = saved;
	return -1;
}

/*
 * A folder; false and errno.
 */
bool
wal_place_folder(WalPlace *place, const VerifyRoots *roots, const char *path)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	int			saved;
	struct stat st;

	switch (verify_is_below(roots, path) ? verify_resolve(roots, path, &root, below, &st) : VERIFY_OUTSIDE)
	{
		case VERIFY_OUTSIDE:
			errno = EACCES;
			return false;
		case VERIFY_ERROR:
			return false;
		case VERIFY_FOUND:
			break;
	}
	if (!S_ISDIR(st.st_mode))
	{
		errno = ENOTDIR;
		return false;
	}
	place->path = psprintf("%s%s%s", roots->paths[root], below[0] == '\0' ? "" : "/", below);
	place->folder = searchable(verify_open_directory(roots->paths[root], below));
	if (place->folder >= 0)
		return true;
	saved = errno;
	place->unread = psprintf("%s cannot be looked into: %s", place->path, strerror(saved));
	errno = saved;
	return false;
}

/*
 * Open the archive in tar format of a backup that is called stem, with the folder
 * in it as prefix; false and errno.
 */
bool
wal_place_tar(WalPlace *place, const VerifyRoots *roots, const char *directory, const char *stem, const char *prefix)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	List	   *items = NIL;
	ListCell   *cell;

	if (!verify_is_below(roots, directory) || verify_resolve(roots, directory, &root, below, &st) != VERIFY_FOUND ||
		!folder_list(roots, root, below, &items))
		return false;
	foreach(cell, items)
	{
		char	   *name = ((FolderItem *) lfirst(cell))->name;
		char	   *path = psprintf("%s/%s", directory, name);
		const char *lacking;

		if (tar_suffix(name, stem) == NULL || verify_resolve(roots, path, &root, below, &st) != VERIFY_FOUND)
			continue;
		lacking = unpack_lacks(unpack_format_of(name));
		if (lacking != NULL)
			place->unread = psprintf("%s is not read: it is compressed, and %s is not on this machine", path, lacking);
		if (!verify_stream_open(&place->tar, roots, root, below, name))
			continue;
		place->path = path;
		place->prefix = prefix;
		return true;
	}
	errno = ENOENT;
	return false;
}

void
wal_place_close(WalPlace *place)
{
	if (place->folder >= 0)
		(void) close(place->folder);
	verify_stream_close(&place->tar);
	close_packed(place);
	if (place->temporary >= 0)
		FileClose(place->temporary);
	place->folder = -1;
	place->temporary = -1;
}

/*
 * Is the place an archive that cannot be unpacked to its end?
 */
bool
wal_place_is_torn(WalPlace *place)
{
	VerifyStream *tar = &place->tar;

	return tar->reader != NULL && tar->format != UNPACK_NONE && !wal_holds(tar->reader->fd, tar->format, WAL_ANY_SIZE);
}

void
wal_file_close(WalFile *file)
{
	if (file->stream == &file->own)
		verify_stream_close(file->stream);
	file->stream = NULL;
}

static WalOpened
opened(WalFile *file, WalOpened result, char *problem)
{
	file->problem = problem;
	return result;
}

/*
 * Read an open file, from here on.
 */
static WalOpened
read_from(WalFile *file, int fd, UnpackFormat format)
{
	verify_stream_take(&file->own, fd, file->path, format);
	file->stream = &file->own;
	file->begin = 0;
	return WAL_OPENED;
}

/*
 * What is wrong with an open file by its size, and as a packed one; NULL: nothing.
 * It is in compression what it was packed with.
 */
static char *
check_whole(WalFile *file, int fd, const struct stat *st, WalPacking *compression, bool *encrypted)
{
	unsigned char head[WAL_HEAD];
	ssize_t		length = pread(fd, head, sizeof(head), 0);
	uint64		size = st->st_size;
	UnpackFormat format;
	bool		whole;

	if (length < 0)
		return psprintf("it cannot be read: %s", strerror(errno));
	*encrypted = wal_is_encrypted(head, length);
	if (*encrypted)
		return NULL;
	*compression = wal_compressed_by(head, length);
	whole = *compression == WAL_PLAIN ? size >= wal_segment_size : wal_ends(fd, head, length, size, wal_segment_size);
	file->arriving = !whole && st->st_mtime > time(NULL) - ARRIVES_WITHIN;
	if (*compression == WAL_PLAIN && size != wal_segment_size)
		return psprintf("it has " UINT64_FORMAT " bytes, and not %d", size, wal_segment_size);
	if (!whole)
		return "it is cut off";
	format = wal_unpack_format(*compression);
	if (format != UNPACK_NONE && unpack_lacks(format) == NULL && !wal_holds(fd, format, wal_segment_size))
		return "it cannot be unpacked to a whole WAL file";
	return NULL;
}

/*
 * A file of a folder that is open and there.
 */
static WalOpened
begin_file(WalPlace *place, WalFile *file, int fd, const struct stat *st)
{
	WalPacking	compression = WAL_PLAIN;
	bool		encrypted = false;
	char	   *problem = check_whole(file, fd, st, &compression, &encrypted);
	UnpackFormat format = wal_unpack_format(compression);
	const char *lacking = unpack_lacks(format);
	WalOpened	result;
	int			unpacked = -1;

	if (problem == NULL && !encrypted && lacking == NULL && wal_program(compression) == NULL)
		return read_from(file, fd, format);
	place->packed = fd;
	if (problem != NULL)
		result = opened(file, WAL_BROKEN, problem);
	else if (encrypted)
		result = opened(file, WAL_NOT_READ, "it is encrypted");
	else if (lacking != NULL)
		result = opened(file, WAL_NOT_READ, psprintf("it is compressed, and %s is not on this machine", lacking));
	else
		result = wal_unpack(place, file, wal_program(compression), &unpacked);
	close_packed(place);
	return result == WAL_OPENED ? read_from(file, unpacked, UNPACK_NONE) : result;
}

/*
 * Look for a file in one folder, with any of the endings.
 */
static WalOpened
open_in(WalPlace *place, WalFile *file, int folder, const char *above, const char *name)
{
	for (int i = 0; i < lengthof(endings); i++)
	{
		char	   *path = psprintf("%s%s", name, endings[i]);
		struct stat st;
		int			fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd < 0 && (errno == ENOENT || errno == ELOOP))
			continue;
		file->path = psprintf("%s/%s", above, path);
		if (fd < 0)
			return opened(file, WAL_BROKEN, psprintf("it cannot be opened: %s", strerror(errno)));
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			return begin_file(place, file, fd, &st);
		(void) close(fd);
	}
	return WAL_NOT_THERE;
}

/*
 * Look in a folder for its name with a checksum, as pgBackRest has it.
 */
static WalOpened
open_with_sum(WalPlace *place, WalFile *file, int folder, const char *above, const char *name)
{
	DIR		   *dir;
	struct dirent *entry;
	char	   *found = NULL;
	int			fd = dup(folder);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		return WAL_NOT_THERE;
	}
	while (found == NULL && (entry = readdir(dir)) != NULL)
	{
		WalName		parsed = wal_parse_name(entry->d_name, wal_segment_size);

		if (parsed.kind == WAL_SEGMENT && parsed.with_checksum && strncmp(entry->d_name, name, WAL_NAME_LENGTH) == 0)
			found = pnstrdup(entry->d_name, WAL_NAME_LENGTH + 41);
	}
	(void) closedir(dir);
	return found == NULL ? WAL_NOT_THERE : open_in(place, file, folder, above, found);
}

/*
 * Look for it in the folder itself, and in the one that is named by its first 16
 * digits.
 */
static WalOpened
open_in_folder(WalPlace *place, WalFile *file, const char *name)
{
	char	   *part = pnstrdup(name, 16);
	WalOpened	result = open_in(place, file, place->folder, place->path, name);
	int			fd;

	if (result != WAL_NOT_THERE)
		return result;
	fd = searchable(openat(place->folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0 && errno == EACCES)
	{
		file->path = psprintf("%s/%s/%s", place->path, part, name);
		return opened(file, WAL_NOT_READ, psprintf("its folder cannot be looked into: %s", strerror(errno)));
	}
	if (fd < 0)
		return WAL_NOT_THERE;
	PG_TRY();
	{
		char	   *above = psprintf("%s/%s", place->path, part);

		result = open_in(place, file, fd, above, name);
		if (result == WAL_NOT_THERE)
			result = open_with_sum(place, file, fd, above, name);
	}
	PG_FINALLY();
	{
		(void) close(fd);
	}
	PG_END_TRY();
	return result;
}

/*
 * Go through an archive from the header at next on, up to limit; it is left
 * where the contents of the file begin.
 */
static WalOpened
find_in_tar(WalPlace *place, WalFile *file, const char *name, uint64 limit)
{
	TarMember	member;

	while (place->next < limit && verify_stream_go(&place->tar, place->next) &&
		   tar_next(&place->tar, &member) == TAR_MEMBER)
	{
		file->begin = place->tar.at;
		place->next = file->begin + member.size + TAR_PADDING(member.size);
		if (!TAR_IS_FILE(&member) || strncmp(member.name, place->prefix, strlen(place->prefix)) != 0 ||
			strcmp(member.name + strlen(place->prefix), name) != 0)
			continue;
		if (member.size != wal_segment_size)
			return opened(file, WAL_BROKEN, psprintf("it has " UINT64_FORMAT " bytes, and not %d", member.size, wal_segment_size));
		file->stream = &place->tar;
		return WAL_OPENED;
	}
	return WAL_NOT_THERE;
}

/*
 * Is there a file, in a folder or the one in it that it belongs to?
 */
bool
wal_place_has(const WalPlace *place, const char *name)
{
	for (int i = 0; i < lengthof(endings); i++)
	{
		struct stat st;

		if (fstatat(place->folder, psprintf("%s%s", name, endings[i]), &st, AT_SYMLINK_NOFOLLOW) == 0 ||
			fstatat(place->folder, psprintf("%.16s/%s%s", name, name, endings[i]), &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

static WalOpened
open_in_tar(WalPlace *place, WalFile *file, const char *name)
{
	uint64		began = place->next;
	WalOpened	result;

	file->path = psprintf("%s, %s%s", place->path, place->prefix, name);
	/* they are in the order in which they are read, nearly always */
	result = find_in_tar(place, file, name, PG_UINT64_MAX);
	if (result == WAL_NOT_THERE && began > 0)
	{
		place->next = 0;
		result = find_in_tar(place, file, name, began);
	}
	if (result == WAL_NOT_THERE)
		place->next = 0;
	return result;
}

/*
 * Open a WAL file.  What hinders it is in the problem of the file.
 */
WalOpened
wal_place_open(WalPlace *place, WalFile *file, TimeLineID timeline, XLogSegNo segno)
{
	char	   *name = wal_segment_name(timeline, segno, wal_segment_size);

	memset(file, 0, sizeof(WalFile));
	return place->tar.reader != NULL ? open_in_tar(place, file, name) : open_in_folder(place, file, name);
}

/*
 * Read a page of an open file; NULL, or what is wrong.
 */
char	   *
wal_file_page(WalFile *file, uint32 at, char *page)
{
	VerifyStream *stream = file->stream;
	bool		there = verify_stream_go(stream, file->begin + at);
	size_t		used = 0;

	while (there && used < XLOG_BLCKSZ)
	{
		size_t		got;
		const char *data = verify_stream_some(stream, XLOG_BLCKSZ - used, &got);

		if (data == NULL)
			break;
		memcpy(page + used, data, got);
		used += got;
	}
	if (used == XLOG_BLCKSZ)
		return NULL;
	if (stream->problem == NULL)
		return psprintf("it ends after %u bytes", (uint32) (at + used));
	return psprintf("it cannot be read: %s", stream->problem);
}
