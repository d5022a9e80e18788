/*-------------------------------------------------------------------------
 *
 * wal_name.c
 *	  What the name of a file in an archive of WAL says.
 *
 * A segment is 24 hexadecimal digits, timeline and number; pgBackRest appends
 * "-" and its SHA-1.  ".partial" is one that was not full when its timeline
 * ended, or that is still being received.  A history file is a timeline and
 * ".history".  Each may have a suffix of compression.  Everything else, labels
 * of backups included, is of no interest here.
 *
 * Pure functions: no catalogs, no locks, no errors.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog_internal.h"

#include "backup/wal.h"

#define SHA1_LENGTH 40

typedef struct WalSuffix
{
	const char *suffix;
	WalPacking	compression;
} WalSuffix;

static const WalSuffix suffixes[] = {
	{".gz", WAL_GZIP},
	{".lz4", WAL_LZ4},
	{".zst", WAL_ZSTD},
	{".bz2", WAL_BZIP2},
	{".xz", WAL_XZ},
};

/*
 * The number in upper-case hexadecimal digits; false: they are none.
 */
static bool
read_hex(const char *digits, int length, uint32 *number)
{
	*number = 0;
	for (int i = 0; i < length; i++)
	{
		char		c = digits[i];

		if (c >= '0' && c <= '9')
			*number = *number << 4 | (c - '0');
		else if (c >= 'A' && c <= 'F')
			*number = *number << 4 | (c - 'A' + 10);
		else
			return false;
	}
	return true;
}

/*
 * Step over what a name goes on with; false: with something else.
 */
static bool
skip(const char **at, const char *what)
{
	size_t		length = strlen(what);

	if (strncmp(*at, what, length) != 0)
		return false;
	*at += length;
	return true;
}

static void
skip_compression(const char **at, WalName *name)
{
	for (int i = 0; i < lengthof(suffixes); i++)
		if (name->compression == WAL_PLAIN && skip(at, suffixes[i].suffix))
			name->compression = suffixes[i].compression;
}

static void
skip_checksum(const char **at, WalName *name)
{
	if (**at == '-' && strspn(*at + 1, "0123456789abcdef") == SHA1_LENGTH)
	{
		name->with_checksum = true;
		*at += 1 + SHA1_LENGTH;
	}
}

WalName
wal_parse_name(const char *file, uint32 segment_size)
{
	WalName		name = {.kind = WAL_OTHER};
	WalName		other = {.kind = WAL_OTHER};
	const char *at = file;
	uint32		high;
	uint32		low;
	uint32		per_id = XLogSegmentsPerXLogId(segment_size);

	if (strlen(file) < 8 || !read_hex(file, 8, &name.timeline) || name.timeline == 0)
		return other;
	at += 8;
	if (skip(&at, ".history"))
		name.kind = WAL_HISTORY;
	else
	{
		if (strlen(file) < WAL_NAME_LENGTH || !read_hex(file + 8, 8, &high) || !read_hex(file + 16, 8, &low) ||
			low >= per_id)
			return other;
		at = file + WAL_NAME_LENGTH;
		name.segno = (uint64) high * per_id + low;
		name.kind = skip(&at, ".partial") ? WAL_PARTIAL : WAL_SEGMENT;
		skip_checksum(&at, &name);
	}
	skip_compression(&at, &name);
	/* as pg_receivewal names what it is about to compress */
	if (name.kind == WAL_SEGMENT && skip(&at, ".partial"))
		name.kind = WAL_PARTIAL;
	return *at == '\0' ? name : other;
}

char	   *
wal_segment_name(uint32 timeline, uint64 segno, uint32 segment_size)
{
	char	   *name = palloc(MAXFNAMELEN);

	XLogFileName(name, timeline, segno, segment_size);
	return name;
}
