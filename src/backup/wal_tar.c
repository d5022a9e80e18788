/*-------------------------------------------------------------------------
 *
 * wal_tar.c
 *	  The WAL that a base backup brings with it.
 *
 * pg_basebackup puts the WAL that is needed to restore a backup beside it: in
 * pg_wal, or in pg_wal.tar or pg_wal.tar.gz, or (--wal-method=fetch) in
 * pg_wal of base.tar.  zlib reads a file that is not compressed as it is, and
 * seeks in it; base.tar.gz would have to be unpacked for it, and is not looked
 * into, nor are lz4 and zstd.
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

#include <unistd.h>

#include "miscadmin.h"

#include "backup/wal_read.h"

#define RECORD WAL_TAR_RECORD

/* where things are in the header of a member */
#define NAME_LENGTH 100
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define MODIFIED_AT 136
#define KIND_AT 156

static uint64
octal(const char *field, int length)
{
	uint64		value = 0;

	for (int i = 0; i < length && field[i] != '\0'; i++)
		if (field[i] >= '0' && field[i] <= '7')
			value = value << 3 | (uint64) (field[i] - '0');
	return value;
}

/*
 * What the header of a member says; false: it is none, as at the end.
 */
bool
wal_tar_member(const char *header, WalMember *member)
{
	char		kind = header[KIND_AT];

	if (memcmp(header + 257, "ustar", 5) != 0)
		return false;
	memcpy(member->name, header, NAME_LENGTH);
	member->name[NAME_LENGTH] = '\0';
	member->is_file = kind == '0' || kind == '\0';
	/* what else has a size has no contents */
	member->size = member->is_file ? octal(header + SIZE_AT, SIZE_LENGTH) : 0;
	member->modified = octal(header + MODIFIED_AT, SIZE_LENGTH);
	return true;
}

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
 * Whether what follows the last member can be read to its end: of a compressed
 * file that is its checksum.
 */
static bool
ends(gzFile file)
{
	char		rest[RECORD];
	int			length;
	int			problem;

	while ((length = gzread(file, rest, RECORD)) > 0)
		CHECK_FOR_INTERRUPTS();
	(void) gzerror(file, &problem);
	return length == 0 && (problem == Z_OK || problem == Z_STREAM_END);
}

/*
 * Add the WAL in a tar file; prefix: the folder in it.  False: it is no tar
 * file, or is cut off; what came before counts.
 */
static bool
read_members(WalList *list, gzFile file, const char *prefix)
{
	static const char zeros[RECORD] = {0};
	char		header[RECORD];

	while (gzread(file, header, RECORD) == RECORD)
	{
		unsigned char head[WAL_HEAD];
		WalMember	member;
		uint64		padded;
		int			have = 0;

		CHECK_FOR_INTERRUPTS();
		if (memcmp(header, zeros, RECORD) == 0)
			return ends(file);
		if (!wal_tar_member(header, &member))
			return false;
		padded = TYPEALIGN64(RECORD, member.size);
		if (member.is_file && strncmp(member.name, prefix, strlen(prefix)) == 0)
		{
			have = gzread(file, head, (unsigned) Min(padded, sizeof(head)));
			if (have < 0)
				return false;
			take_member(list, member.name + strlen(prefix), member.size, member.modified, head, have);
		}
		if (padded > have && gzseek(file, padded - have, SEEK_CUR) < 0)
			return false;
	}

	/*
	 * it ends with records of zeros; a member that was skipped may lack its
	 * end
	 */
	return false;
}

static bool
read_tar(WalList *list, const VerifyRoots *roots, const char *path, const char *prefix)
{
	VerifyOpener opener;
	char	   *below = palloc(MANIFEST_MAX_PATH + 1);
	int			root;
	struct stat st;
	int			fd;
	gzFile		file = NULL;
	bool		ended;
	bool		whole = false;

	if (verify_resolve(roots, path, &root, below, &st) != VERIFY_FOUND)
		return false;
	verify_opener_init(&opener);
	fd = verify_open_file(&opener, roots, root, below);
	verify_opener_close(&opener);
	ended = fd >= 0 && wal_gzip_ends(fd);
	if (fd < 0 || (file = gzdopen(fd, "rb")) == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		return false;
	}
	PG_TRY();
	{
		whole = read_members(list, file, prefix);
	}
	PG_FINALLY();
	{
		(void) gzclose_r(file);
	}
	PG_END_TRY();
	/* what was cut off cannot be relied on */
	if (!(whole && ended) && list->count > 0)
		list->entries[list->count - 1].state = WAL_CUT_OFF;
	return true;
}

/*
 * Add the WAL in the folder of a base backup to an empty list; false: there is
 * no place for it that can be looked into.
 */
bool
wal_read_own(WalList *list, const char *directory, List *roots)
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
	found = read_tar(list, &places, psprintf("%s/pg_wal.tar", directory), "") ||
		read_tar(list, &places, psprintf("%s/pg_wal.tar.gz", directory), "") ||
		read_tar(list, &places, psprintf("%s/base.tar", directory), "pg_wal/");
	wal_list_sort(list);
	return found;
}
