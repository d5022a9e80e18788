/*-------------------------------------------------------------------------
 *
 * wal_end.c
 *	  Whether a compressed WAL segment is there to its end.
 *
 * A copy that was cut off - the disk was full, the connection gone - begins as
 * it should, and the size of a compressed file tells nothing.  So it is looked
 * whether it ends as its format does: gzip with the size of what it packed,
 * bzip2 and xz with their marks, lz4 and zstd where their blocks lead to, of
 * each of which the few bytes of its length are read.  Encrypted ones consist of
 * blocks of 16 bytes.  What lies in between is not looked at, but by wal_holds(),
 * which unpacks it.
 *
 * No catalogs, no locks; it can be cancelled while it unpacks.  Reads the file that
 * the caller has open.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"

#include "backup/wal.h"

/* blocks are of 64 kB or more, but for those that were flushed: enough for 1 GB */
#define MAX_BLOCKS (64 * 1024)

#define UNPACK_BYTES (64 * 1024)

static bool
read_at(int fd, void *buffer, size_t length, uint64 at)
{
	return pread(fd, buffer, length, at) == (ssize_t) length;
}

static uint32
little_endian(const unsigned char *bytes, int length)
{
	uint32		value = 0;

	for (int i = length - 1; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

/*
 * Unpack to the end; false: it does not come to what is wanted.
 */
static bool
unpacks(int fd, Unpack *unpack, char *in, char *out, uint64 wanted)
{
	uint64		unpacked = 0;
	uint64		at = 0;
	const char *next = in;
	size_t		waiting = 0;

	for (;;)
	{
		size_t		room = UNPACK_BYTES;

		/* whoever asked ends then, before this answer counts */
		if (QueryCancelPending || ProcDiePending)
			return false;
		if (!unpack_some(unpack, &next, &waiting, out, &room))
			return false;
		unpacked += room;
		if (unpacked > wanted)
			return false;
		if (room == 0 && waiting == 0)
		{
			ssize_t		got = pread(fd, in, UNPACK_BYTES, (off_t) at);

			if (got <= 0)
				return got == 0 && unpack_may_end(unpack) && (wanted == WAL_ANY_SIZE || unpacked == wanted);
			at += got;
			next = in;
			waiting = got;
		}
	}
}

/*
 * Whether what is packed is so many bytes, to its end and by its checksums.  What
 * its format needs is there.
 */
bool
wal_holds(int fd, UnpackFormat format, uint64 size)
{
	Unpack	   *unpack = unpack_begin(format);
	char	   *in = palloc(2 * UNPACK_BYTES);
	bool		holds = unpacks(fd, unpack, in, in + UNPACK_BYTES, size);

	unpack_end(unpack);
	pfree(in);
	return holds;
}

/*
 * Of one member, the last bytes say how much it holds.
 */
static bool
gzip_ends(int fd, uint64 size, uint32 segment_size)
{
	unsigned char end[4];

	if (size < 18 || !read_at(fd, end, sizeof(end), size - sizeof(end)))
		return false;
	return little_endian(end, 4) == segment_size || wal_holds(fd, UNPACK_GZIP, segment_size);
}

/*
 * Four zeros where the next block would begin, and a checksum where there is
 * one.
 */
static bool
lz4_ends(int fd, uint64 size)
{
	unsigned char flags;
	unsigned char head[4];
	uint64		at;

	if (!read_at(fd, &flags, 1, 4))
		return false;
	at = 7 + ((flags & 0x08) != 0 ? 8 : 0) + ((flags & 0x01) != 0 ? 4 : 0);
	for (int i = 0; i < MAX_BLOCKS && read_at(fd, head, sizeof(head), at); i++)
	{
		uint32		block = little_endian(head, 4);

		at += sizeof(head);
		if (block == 0)
			return at + ((flags & 0x04) != 0 ? 4 : 0) <= size;
		/* the highest bit: it is not compressed */
		at += (block & 0x7fffffff) + ((flags & 0x10) != 0 ? 4 : 0);
	}
	return false;
}

/*
 * 48 bits that begin at any bit, a checksum of 32, and up to seven to fill up
 * the last byte.
 */
static bool
bzip2_ends(int fd, uint64 size)
{
	unsigned char end[11];

	if (size < sizeof(end) + 3 || !read_at(fd, end, sizeof(end), size - sizeof(end)))
		return false;
	for (int fill = 0; fill < 8; fill++)
	{
		uint64		mark = 0;

		for (int bit = 8 - fill; bit < 56 - fill; bit++)
			mark = mark << 1 | (end[bit / 8] >> (7 - bit % 8) & 1);
		if (mark == UINT64CONST(0x177245385090))
			return true;
	}
	return false;
}

static bool
xz_ends(int fd, uint64 size)
{
	unsigned char end[2];

	return size >= 32 && size % 4 == 0 && read_at(fd, end, sizeof(end), size - sizeof(end)) &&
		end[0] == 'Y' && end[1] == 'Z';
}

static bool
zstd_ends(int fd, uint64 size)
{
	static const int size_lengths[] = {0, 2, 4, 8};
	static const int dictionary_lengths[] = {0, 1, 2, 4};
	unsigned char flags;
	unsigned char head[3];
	uint64		at;

	if (!read_at(fd, &flags, 1, 4))
		return false;
	at = 5 + dictionary_lengths[flags & 3] + size_lengths[flags >> 6];
	if ((flags & 0x20) == 0)
		at++;					/* the size of its window */
	else if (flags >> 6 == 0)
		at++;					/* of one segment, its size is there */
	for (int i = 0; i < MAX_BLOCKS && read_at(fd, head, sizeof(head), at); i++)
	{
		uint32		block = little_endian(head, 3);

		/* of one byte many times only that byte is there */
		at += sizeof(head) + ((block >> 1 & 3) == 1 ? 1 : block >> 3);
		/* what comes after the last is another frame, or none */
		if ((block & 1) != 0)
			return at + ((flags & 0x04) != 0 ? 4 : 0) <= size;
	}
	return false;
}

/*
 * Whether a file of so many bytes that begins with head ends as it should;
 * true where there is no telling.
 */
bool
wal_ends(int fd, const unsigned char *head, size_t length, uint64 size, uint32 segment_size)
{
	if (wal_is_encrypted(head, length))
		return size % 16 == 0;
	switch (wal_compressed_by(head, length))
	{
		case WAL_GZIP:
			return gzip_ends(fd, size, segment_size);
		case WAL_LZ4:
			return lz4_ends(fd, size);
		case WAL_BZIP2:
			return bzip2_ends(fd, size);
		case WAL_XZ:
			return xz_ends(fd, size);
		case WAL_ZSTD:
			return zstd_ends(fd, size);
		case WAL_PLAIN:
			break;
	}
	return true;
}
