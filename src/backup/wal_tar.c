/*-------------------------------------------------------------------------
 *
 * wal_tar.c
 *	  The WAL that a base backup brings with it.
 *
 * pg_basebackup puts the WAL that is needed to restore a backup beside it: in
 * pg_wal, or in pg_wal.tar, or (--wal-method=fetch) in pg_wal of base.tar, each
 * of which may be compressed.  What is not is passed through by its headers.
 * A base.tar that is compressed has to be uncompressed for it, since its WAL is at
 * its end: that is done on request, up to a size.
 *
 * Runs in any backend, as the server's user, below the roots that the caller
 * names.  No locks.  One file is open at a time, and closed when an error is
 * raised; it can be cancelled.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backup/folder.h"
#include "backup/verify_tar.h"
#include "backup/wal.h"

/* what is read at once where it is headers that are looked at */
#define HEADER_BLOCK 8192

/* a base.tar that is compressed is looked into up to this size, of the file */
#define MAX_PACKED_BASE ((uint64) 4 * 1024 * 1024 * 1024)

static void
take_member(WalList *list, const char *file, uint64 size, pg_time_t modified,
			const unsigned char *head, size_t length)
{
	WalName		name = wal_parse_name(file, list->segment_size);
	WalEntry   *entry;

	if (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL)
		return;
	wal_list_add(list, &name, size, modified);
	entry = &list->entries[list->count - 1];
	if (entry->state == WAL_GOOD && !entry->partial)
		entry->state = wal_check_head(list, entry, name.compression, head, length, &entry->found);
}

/*
 * The first bytes of a member; how many.  What is less than it could be is cut
 * off.
 */
static size_t
read_head(VerifyStream *stream, uint64 size, unsigned char *head)
{
	size_t		have = 0;

	while (have < Min(size, WAL_HEAD))
	{
		size_t		got;
		const char *data = verify_stream_some(stream, Min(size, WAL_HEAD) - have, &got);

		if (data == NULL)
			break;
		memcpy(head + have, data, got);
		have += got;
	}
	return have;
}

/*
 * Add the WAL in an archive; prefix: the folder in it.  False: it is no tar
 * archive, or does not end as one; what came before counts.
 */
static bool
read_members(WalList *list, VerifyStream *stream, const char *prefix)
{
	TarMember	member;
	TarNext		next;

	while ((next = tar_next(stream, &member)) == TAR_MEMBER)
	{
		size_t		have = 0;

		if (TAR_IS_FILE(&member) && strncmp(member.name, prefix, strlen(prefix)) == 0)
		{
			unsigned char head[WAL_HEAD];

			have = read_head(stream, member.size, head);
			take_member(list, member.name + strlen(prefix), member.size, (pg_time_t) member.modified, head, have);
		}
		if (!verify_stream_skip(stream, member.size - have + TAR_PADDING(member.size)))
			return false;
	}
	return next == TAR_END;
}

static bool
read_tar(WalList *list, const VerifyRoots *roots, int root, const char *below, const char *name, const char *prefix)
{
	VerifyStream stream = {0};
	volatile bool opened = false;
	volatile bool whole = false;

	if (unpack_format_of(name) == UNPACK_NONE)
		stream.block = HEADER_BLOCK;
	PG_TRY();
	{
		opened = verify_stream_open(&stream, roots, root, below, name);
		whole = opened && read_members(list, &stream, prefix);
	}
	PG_FINALLY();
	{
		verify_stream_close(&stream);
	}
	PG_END_TRY();
	/* what was cut off cannot be relied on */
	if (opened && !whole && list->count > 0)
		list->entries[list->count - 1].state = WAL_CUT_OFF;
	return opened;
}

/*
 * Look into an archive that may have the WAL, if there is one.  max_packed: one
 * that is compressed may have so many bytes.
 */
static bool
read_archive(WalList *list, const char *directory, const VerifyRoots *roots, const char *stem, const char *prefix,
			 uint64 max_packed)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	List	   *items = NIL;
	ListCell   *cell;

	if (verify_resolve(roots, directory, &root, below, &st) != VERIFY_FOUND || !folder_list(roots, root, below, &items))
		return false;
	foreach(cell, items)
	{
		const char *name = ((FolderItem *) lfirst(cell))->name;

		if (tar_suffix(name, stem) == NULL ||
			verify_resolve(roots, psprintf("%s/%s", directory, name), &root, below, &st) != VERIFY_FOUND)
			continue;
		if (unpack_format_of(name) != UNPACK_NONE && (uint64) st.st_size > max_packed)
			continue;
		if (read_tar(list, roots, root, below, name, prefix))
			return true;
	}
	return false;
}

/*
 * Add the WAL in the folder of a base backup to an empty list; false: there is
 * no place for it that can be looked into.  packed: a base.tar that is compressed
 * is, too.
 */
bool
wal_read_own(WalList *list, const char *directory, List *roots, bool packed)
{
	VerifyRoots places = {0};
	char	   *below = palloc(MANIFEST_MAX_PATH + 1);
	char	   *path = psprintf("%s/pg_wal", directory);
	struct stat st;
	bool		found;
	int			root;
	ListCell   *cell;

	foreach(cell, roots)
	{
		if (places.count < VERIFY_MAX_ROOTS)
			places.paths[places.count++] = lfirst(cell);
	}
	if (verify_resolve(&places, path, &root, below, &st) == VERIFY_FOUND && S_ISDIR(st.st_mode))
	{
		wal_read_folder(list, path, roots);
		return true;
	}
	found = read_archive(list, directory, &places, "pg_wal", "", PG_UINT64_MAX) ||
		read_archive(list, directory, &places, "base", "pg_wal/", packed ? MAX_PACKED_BASE : 0);
	wal_list_sort(list);
	return found;
}
