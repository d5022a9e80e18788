/*-------------------------------------------------------------------------
 *
 * wal_header.c
 *	  How a WAL segment begins.
 *
 * The first page of a segment says which cluster it is of, which position it
 * holds and how large segments are.  Of a file compressed with gzip so much is
 * unpacked; of one compressed otherwise, or encrypted, only that it is one is
 * seen.  Any version's page header is taken: its first fields have not changed
 * since PostgreSQL 9.3, and only the magic number tells versions apart.
 *
 * Pure functions: no catalogs, no locks, no errors.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <zlib.h>

#include "access/xlog_internal.h"

#include "backup/wal.h"

typedef struct WalMagic
{
	WalPacking	compression;
	int			length;
	const char *magic;
} WalMagic;

static const WalMagic magics[] = {
	{WAL_GZIP, 2, "\x1f\x8b"},
	{WAL_LZ4, 4, "\x04\x22\x4d\x18"},
	{WAL_ZSTD, 4, "\x28\xb5\x2f\xfd"},
	{WAL_BZIP2, 3, "BZh"},
	{WAL_XZ, 6, "\xfd" "7zXZ\0"},
};

/* what openssl, and pgBackRest, begin an encrypted file with */
#define SALTED "Salted__"

WalPacking
wal_compressed_by(const unsigned char *head, size_t length)
{
	for (int i = 0; i < lengthof(magics); i++)
		if (length >= magics[i].length && memcmp(head, magics[i].magic, magics[i].length) == 0)
			return magics[i].compression;
	return WAL_PLAIN;
}

bool
wal_is_encrypted(const unsigned char *head, size_t length)
{
	return length >= strlen(SALTED) && memcmp(head, SALTED, strlen(SALTED)) == 0;
}

/*
 * How it can be unpacked here; UNPACK_NONE: as it is, or by a program.
 */
UnpackFormat
wal_unpack_format(WalPacking packing)
{
	switch (packing)
	{
		case WAL_GZIP:
			return UNPACK_GZIP;
		case WAL_LZ4:
			return UNPACK_LZ4;
		case WAL_ZSTD:
			return UNPACK_ZSTD;
		case WAL_PLAIN:
		case WAL_BZIP2:
		case WAL_XZ:
			break;
	}
	return UNPACK_NONE;
}

bool
wal_is_compressed(const unsigned char *head, size_t length)
{
	return wal_compressed_by(head, length) != WAL_PLAIN;
}

/*
 * The first bytes of what gzip packed; how many there are.
 */
static size_t
unpack(const unsigned char *head, size_t length, void *page, size_t wanted)
{
	z_stream	stream = {0};
	int			result;

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return 0;
	stream.next_in = unconstify(unsigned char *, head);
	stream.avail_in = length;
	stream.next_out = page;
	stream.avail_out = wanted;
	result = inflate(&stream, Z_SYNC_FLUSH);
	(void) inflateEnd(&stream);
	return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? wanted - stream.avail_out : 0;
}

static WalState
check_page(const WalList *list, const WalEntry *entry, const XLogLongPageHeaderData *page, uint64 *found)
{
	/* 0xD0 and 0xD1 so far */
	if ((page->std.xlp_magic >> 8) != (XLOG_PAGE_MAGIC >> 8) && (page->std.xlp_magic >> 8) != 0xD0)
		return WAL_NO_WAL;
	if ((page->std.xlp_info & XLP_LONG_HEADER) == 0 || page->xlp_seg_size != list->segment_size)
		return WAL_NO_WAL;
	*found = page->xlp_sysid;
	if (list->system_identifier != 0 && page->xlp_sysid != list->system_identifier)
		return WAL_OTHER_SYSTEM;
	/* the first of a timeline begins with pages of the one before */
	if (page->std.xlp_pageaddr != entry->segno * list->segment_size || page->std.xlp_tli > entry->timeline)
		return WAL_OTHER_POSITION;
	return WAL_GOOD;
}

/*
 * What a file is that begins with head: all of it, or WAL_HEAD bytes.
 */
WalState
wal_check_head(WalList *list, const WalEntry *entry, WalPacking named,
			   const unsigned char *head, size_t length, uint64 *found)
{
	XLogLongPageHeaderData page;
	WalPacking	actual = wal_compressed_by(head, length);

	*found = 0;
	if (wal_is_encrypted(head, length))
	{
		list->encrypted++;
		return WAL_GOOD;
	}
	list->plain++;
	if (actual == WAL_PLAIN)
	{
		/* not compressed, though its name says so, or its size */
		if (named != WAL_PLAIN)
			return WAL_NO_WAL;
		if (entry->state == WAL_OTHER_SIZE)
			return WAL_OTHER_SIZE;
		if (length < sizeof(page))
			return WAL_NO_WAL;
		memcpy(&page, head, sizeof(page));
		return check_page(list, entry, &page, found);
	}
	/* Barman does not say by the name that a file is compressed */
	if (named != WAL_PLAIN && named != actual)
		return WAL_NO_WAL;
	if (actual != WAL_GZIP)
		return WAL_GOOD;
	if (unpack(head, length, &page, sizeof(page)) < sizeof(page))
		return WAL_NO_WAL;
	return check_page(list, entry, &page, found);
}
