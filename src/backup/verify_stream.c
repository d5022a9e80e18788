/*-------------------------------------------------------------------------
 *
 * verify_stream.c
 *	  An archive of a base backup as a stream of bytes.
 *
 * Reads a file in large blocks, at the pace of its reader, and uncompresses it
 * where its name says that it is compressed (unpack.c).  What is wrong is reported
 * once, with the place in what is uncompressed; then there is no more to be had.
 *
 * Memory is that of the caller's context, and the file the reader's, who closes
 * it by an error.  Can be cancelled between two blocks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"

#include "backup/verify_tar.h"

/*
 * An archive cannot be read any further.  Always false.
 */
bool
verify_stream_broken(VerifyStream *stream, const char *what)
{
	if (stream->problem != NULL)
		return false;
	stream->problem = psprintf("%s, at byte " UINT64_FORMAT, what, stream->at);
	if (stream->report != NULL)
		verify_problem(stream->report, "unreadable", stream->name, strlen(stream->name), "%s", stream->problem);
	return false;
}

/*
 * The next block of the file; 0: that was all; -1: it cannot be read.
 */
static ssize_t
read_block(VerifyStream *stream)
{
	size_t		wanted = stream->block > 0 ? stream->block : VERIFY_BLOCK;
	ssize_t		got;

	if (stream->limit > 0)
		wanted = Min(wanted, stream->limit - stream->fetched);
	do
		got = read(stream->reader->fd, stream->reader->buffer, wanted);
	while (got < 0 && errno == EINTR);
	if (got < 0)
	{
		(void) verify_stream_broken(stream, strerror(errno));
		return got;
	}
	stream->fetched += got;
	(void) stream->reader->pace(stream->reader->arg, got);
	return got;
}

/*
 * Uncompress until there is something; false: that was all, or broken.
 */
static bool
unpack_more(VerifyStream *stream)
{
	for (;;)
	{
		size_t		room = VERIFY_BLOCK;
		ssize_t		got;

		CHECK_FOR_INTERRUPTS();
		if (!unpack_some(stream->unpack, &stream->in, &stream->waiting, stream->out, &room))
		{
			const char *words = unpack_problem(stream->unpack);

			return verify_stream_broken(stream, words == NULL ? "it is not what was compressed" :
										psprintf("it is not what was compressed (%s)", words));
		}
		stream->data = stream->out;
		stream->have = room;
		if (room > 0)
			return true;
		if (stream->waiting > 0)
			continue;
		got = read_block(stream);
		if (got < 0)
			return false;
		if (got == 0)
			return unpack_may_end(stream->unpack) ? false : verify_stream_broken(stream, "it is cut off");
		stream->in = stream->reader->buffer;
		stream->waiting = got;
	}
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
		if (stream->problem != NULL)
			return NULL;
		if (stream->unpack != NULL)
		{
			if (!unpack_more(stream))
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
 * Go on further in a file that is not compressed, if it reaches as far.
 */
static bool
seek(VerifyStream *stream, uint64 length)
{
	uint64		beyond = length - stream->have;
	off_t		here = lseek(stream->reader->fd, 0, SEEK_CUR);
	struct stat st;

	if (stream->limit > 0 || here < 0 || fstat(stream->reader->fd, &st) != 0 || here > st.st_size ||
		beyond > (uint64) (st.st_size - here) || lseek(stream->reader->fd, (off_t) beyond, SEEK_CUR) < 0)
		return false;
	stream->have = 0;
	stream->at += length;
	return true;
}

/*
 * Pass over some of it.
 */
bool
verify_stream_skip(VerifyStream *stream, uint64 length)
{
	size_t		got;

	if (stream->unpack == NULL && length > stream->have && stream->problem == NULL && seek(stream, length))
		return true;
	while (length > 0)
	{
		if (verify_stream_some(stream, Min(length, VERIFY_BLOCK), &got) == NULL)
			return verify_stream_broken(stream, "it is cut off");
		length -= got;
	}
	return true;
}

/*
 * Begin with a file that the reader has opened.  What its format needs is there.
 */
void
verify_stream_begin(VerifyStream *stream, const char *name, UnpackFormat format)
{
	stream->name = name;
	stream->format = format;
	stream->problem = NULL;
	stream->fetched = 0;
	stream->waiting = 0;
	stream->have = 0;
	stream->at = 0;
	stream->unpack = format == UNPACK_NONE ? NULL : unpack_begin(format);
	if (stream->unpack != NULL && stream->out == NULL)
		stream->out = palloc(VERIFY_BLOCK);
}

void
verify_stream_end(VerifyStream *stream)
{
	if (stream->unpack != NULL)
		unpack_end(stream->unpack);
	stream->unpack = NULL;
}

static bool
at_any_pace(void *arg, size_t bytes)
{
	CHECK_FOR_INTERRUPTS();
	return true;
}

/*
 * Begin with an open file, which is closed with the stream, and a reader of its own.
 * The rest of the stream is zero, but for limit and block.
 */
void
verify_stream_take(VerifyStream *stream, int fd, const char *name, UnpackFormat format)
{
	stream->reader = palloc(sizeof(VerifyReader));
	verify_reader_init(stream->reader, NULL);
	stream->reader->pace = at_any_pace;
	stream->reader->fd = fd;
	verify_stream_begin(stream, name, format);
}

/*
 * Open a file below a root; false and errno.  name: how it is called, which links
 * may lead to.
 */
bool
verify_stream_open(VerifyStream *stream, const VerifyRoots *roots, int root, const char *below, const char *name)
{
	UnpackFormat format = unpack_format_of(name);
	VerifyOpener opener;
	int			fd;

	if (unpack_lacks(format) != NULL)
	{
		errno = ENOTSUP;
		return false;
	}
	verify_opener_init(&opener);
	fd = verify_open_file(&opener, roots, root, below);
	verify_opener_close(&opener);
	if (fd < 0)
		return false;
	verify_stream_take(stream, fd, name, format);
	return true;
}

/*
 * Go to a place, further on or before; false: it cannot be had.
 */
bool
verify_stream_go(VerifyStream *stream, uint64 place)
{
	if (stream->at > place || stream->problem != NULL)
	{
		if (lseek(stream->reader->fd, 0, SEEK_SET) < 0)
			return verify_stream_broken(stream, strerror(errno));
		verify_stream_end(stream);
		verify_stream_begin(stream, stream->name, stream->format);
	}
	return verify_stream_skip(stream, place - stream->at);
}

/*
 * Close what was opened with a reader of its own, in any state.
 */
void
verify_stream_close(VerifyStream *stream)
{
	verify_stream_end(stream);
	if (stream->reader != NULL)
	{
		verify_reader_close(stream->reader);
		pfree(stream->reader->memory);
		pfree(stream->reader);
	}
	if (stream->out != NULL)
		pfree(stream->out);
	stream->reader = NULL;
	stream->out = NULL;
}
