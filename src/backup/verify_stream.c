/*-------------------------------------------------------------------------
 *
 * verify_stream.c
 *	  An archive of a base backup as a stream of bytes.
 *
 * Reads a file in large blocks, at the pace of the verification, and uncompresses
 * it where it is compressed with gzip, whose own checksum is looked at, too.  What
 * is wrong is reported once, with the place in what is uncompressed; then there is
 * no more to be had.
 *
 * Memory is that of the caller's context, and the file the reader's, who closes
 * it by an error.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "utils/memutils.h"

#include "backup/verify_tar.h"

/* zlib: a gzip header, with the greatest window */
#define GZIP_WINDOW (15 + 16)

/*
 * An archive cannot be read any further.  Always false.
 */
bool
verify_stream_broken(VerifyStream *stream, const char *what)
{
	if (!stream->broken)
		verify_problem(stream->report, "unreadable", stream->name, strlen(stream->name), "%s, at byte " UINT64_FORMAT, what, stream->at);
	stream->broken = true;
	return false;
}

/*
 * The next block of the file; 0: that was all; -1: it cannot be read.
 */
static ssize_t
read_block(VerifyStream *stream)
{
	ssize_t		got;

	do
		got = read(stream->reader->fd, stream->reader->buffer, VERIFY_BLOCK);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		(void) verify_stream_broken(stream, strerror(errno));
	else
		(void) stream->reader->pace(stream->reader->arg, got);
	return got;
}

/*
 * Uncompress until there is something; false: that was all, or broken.
 */
static bool
inflate_more(VerifyStream *stream)
{
	z_stream   *gzip = &stream->gzip;

	gzip->next_out = (unsigned char *) stream->out;
	gzip->avail_out = VERIFY_BLOCK;
	while (gzip->avail_out == VERIFY_BLOCK)
	{
		int			result;

		if (gzip->avail_in == 0)
		{
			ssize_t		got = read_block(stream);

			if (got < 0)
				return false;
			if (got == 0)
				return gzip->total_in == 0 ? false : verify_stream_broken(stream, "it is cut off");
			gzip->next_in = (unsigned char *) stream->reader->buffer;
			gzip->avail_in = got;
		}
		result = inflate(gzip, Z_NO_FLUSH);
		/* another member of gzip may follow */
		if (result == Z_STREAM_END)
			result = inflateReset(gzip);
		if (result != Z_OK && result != Z_BUF_ERROR)
			return verify_stream_broken(stream, "it is not what was compressed");
	}
	stream->data = stream->out;
	stream->have = VERIFY_BLOCK - gzip->avail_out;
	return true;
}

/*
 * Some of what is in the archive, up to length bytes; NULL: that was all, or
 * broken.
 */
const char *
verify_stream_some(VerifyStream *stream, size_t length, size_t *got)
{
	const char *data;

	if (stream->have == 0)
	{
		if (stream->broken)
			return NULL;
		if (stream->compressed)
		{
			if (!inflate_more(stream))
				return NULL;
		}
		else
		{
			ssize_t		block = read_block(stream);

			if (block <= 0)
				return NULL;
			stream->data = stream->reader->buffer;
			stream->have = block;
		}
	}
	data = stream->data;
	*got = Min(length, stream->have);
	stream->data += *got;
	stream->have -= *got;
	stream->at += *got;
	return data;
}

/*
 * Pass over some of it.
 */
bool
verify_stream_skip(VerifyStream *stream, uint64 length)
{
	size_t		got;

	while (length > 0)
	{
		if (verify_stream_some(stream, Min(length, VERIFY_BLOCK), &got) == NULL)
			return verify_stream_broken(stream, "it is cut off");
		length -= got;
	}
	return true;
}

static void *
allocate(void *context, unsigned int items, unsigned int size)
{
	return MemoryContextAllocExtended(context, (Size) items * size, MCXT_ALLOC_NO_OOM);
}

static void
give_back(void *context, void *memory)
{
	pfree(memory);
}

/*
 * Begin with a file that the reader has opened.
 */
void
verify_stream_begin(VerifyStream *stream, const char *name, bool compressed)
{
	stream->name = name;
	stream->compressed = compressed;
	stream->broken = false;
	stream->have = 0;
	stream->at = 0;
	memset(&stream->gzip, 0, sizeof(z_stream));
	stream->gzip.zalloc = allocate;
	stream->gzip.zfree = give_back;
	stream->gzip.opaque = CurrentMemoryContext;
	if (compressed && inflateInit2(&stream->gzip, GZIP_WINDOW) != Z_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not begin to decompress")));
}

void
verify_stream_end(VerifyStream *stream)
{
	if (stream->compressed)
		(void) inflateEnd(&stream->gzip);
}
