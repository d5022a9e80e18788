/*-------------------------------------------------------------------------
 *
 * wal_place_tar.c
 *	  WAL files in an archive in tar format, one after another.
 *
 * The archive is read once to its end, which tells what WAL it has, and whether it
 * is whole; then again from file to file, as far as it is asked for them.  Each is
 * written into a temporary file of the server first, since a reader of records goes
 * back within a file, and a stream that is uncompressed does not.
 *
 * Runs in any backend, as the server's user, below the roots that the caller
 * names.  No locks.  Whoever opens a place closes it, by an error, too.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "utils/wait_event.h"

#include "backup/wal_read.h"

void
wal_place_tar_close(WalPlace *place)
{
	if (place->open)
		verify_stream_close(&place->stream);
	place->open = false;
}

/*
 * Begin with an archive, anew; false and errno.
 */
static bool
begin_tar(WalPlace *place)
{
	MemoryContext before = MemoryContextSwitchTo(place->context);

	wal_place_tar_close(place);
	memset(&place->stream, 0, sizeof(VerifyStream));
	place->open = true;
	if (!verify_stream_open(&place->stream, place->roots, place->root, place->below, place->path))
		wal_place_tar_close(place);
	MemoryContextSwitchTo(before);
	return place->open;
}

/*
 * Go on to the file of a name, or any WAL file where name is NULL, up to a
 * position.
 */
static bool
find_member(WalPlace *place, const char *name, uint64 limit, TarMember *member, TarNext *next)
{
	size_t		length = strlen(place->prefix);

	while (place->stream.at < limit && (*next = tar_next(&place->stream, member)) == TAR_MEMBER)
	{
		const char *found = member->name + length;

		CHECK_FOR_INTERRUPTS();
		if (TAR_IS_FILE(member) && strncmp(member->name, place->prefix, length) == 0 &&
			(name != NULL ? strcmp(found, name) == 0 : wal_parse_name(found, wal_segment_size).kind == WAL_SEGMENT))
			return true;
		if (!verify_stream_skip(&place->stream, member->size + TAR_PADDING(member->size)))
		{
			*next = TAR_BROKEN;
			return false;
		}
	}
	return false;
}

/*
 * Whether an archive holds any WAL; and whether it can be read to its end.
 */
static bool
look_through(WalPlace *place)
{
	TarMember	member;
	TarNext		next = TAR_MEMBER;

	while (find_member(place, NULL, PG_UINT64_MAX, &member, &next))
	{
		place->names = lappend(place->names, pstrdup(member.name + strlen(place->prefix)));
		if (!verify_stream_skip(&place->stream, member.size + TAR_PADDING(member.size)))
			break;
	}
	place->torn = next != TAR_END;
	return place->names != NIL || (place->torn && place->prefix[0] == '\0');
}

/*
 * An archive in tar format, with the folder in it as prefix; false: it is not
 * there, cannot be opened, or has no WAL.  One that is nothing but WAL is none
 * without only where it is whole.
 */
bool
wal_place_tar(WalPlace *place, const VerifyRoots *roots, const char *path, const char *prefix)
{
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	volatile bool any = false;

	if (!verify_is_below(roots, path) || verify_resolve(roots, path, &place->root, below, &st) != VERIFY_FOUND)
		return false;
	place->roots = roots;
	place->below = pstrdup(below);
	place->path = pstrdup(path);
	place->prefix = prefix;
	place->context = CurrentMemoryContext;
	if (!begin_tar(place))
		return false;
	PG_TRY();
	{
		any = look_through(place) && begin_tar(place);
	}
	PG_FINALLY();
	{
		if (!any)
			wal_place_tar_close(place);
	}
	PG_END_TRY();
	return any;
}

/*
 * Write the member that the stream is at into the temporary file.
 */
static WalOpened
take_member(WalPlace *place, WalFile *file, const TarMember *member)
{
	char	   *path = wal_place_temporary(place);
	uint64		at = 0;

	if (member->size != wal_segment_size)
	{
		(void) verify_stream_skip(&place->stream, member->size + TAR_PADDING(member->size));
		return wal_file_opened(file, WAL_BROKEN, psprintf("it has " UINT64_FORMAT " bytes, and not %d", member->size, wal_segment_size));
	}
	while (at < member->size)
	{
		size_t		got;
		const char *data = verify_stream_some(&place->stream, member->size - at, &got);
		int			written;

		if (data == NULL)
			return wal_file_opened(file, WAL_BROKEN, psprintf("it ends after " UINT64_FORMAT " bytes", at));
		written = FileWrite(place->temporary, unconstify(char *, data), got, (off_t) at, PG_WAIT_EXTENSION);
		if (written != (int) got)
			return wal_file_opened(file, WAL_NOT_READ, psprintf("it cannot be written to a temporary file: %s",
													   written < 0 ? strerror(errno) : strerror(ENOSPC)));
		at += got;
	}
	return wal_file_temporary(file, path);
}

static bool
has(const WalPlace *place, const char *name)
{
	ListCell   *cell;

	foreach(cell, place->names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * Open a WAL file of an archive.
 */
WalOpened
wal_place_tar_find(WalPlace *place, WalFile *file, const char *name)
{
	uint64		began = place->stream.at;
	TarMember	member;
	TarNext		next;
	bool		found;

	if (!has(place, name))
		return WAL_NOT_THERE;
	file->path = psprintf("%s, %s%s", place->path, place->prefix, name);
	/* they are in the order in which they are read, nearly always */
	found = find_member(place, name, PG_UINT64_MAX, &member, &next);
	if (!found && began > 0)
	{
		if (!begin_tar(place))
			return wal_file_opened(file, WAL_NOT_READ, psprintf("it cannot be opened: %s", strerror(errno)));
		found = find_member(place, name, began, &member, &next);
	}
	return found ? take_member(place, file, &member) : WAL_NOT_THERE;
}
