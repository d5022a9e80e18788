/*-------------------------------------------------------------------------
 *
 * process_stream.c
 *	  What a child process writes and reads.
 *
 * Our ends of the pipes never block.  What a child writes is always read, so
 * that it never waits for us; the first or the last so many bytes are kept, the
 * rest is counted.  Our ends have numbers above 2, whatever this process has
 * open, and are closed by exec().
 *
 * Runs in the process that started the child.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "core/process_parts.h"

/* read at once, and so often before others have their turn */
#define CHUNK		65536
#define MAX_CHUNKS	16

/* what a pipe should hold while nobody reads it */
#define PIPE_SIZE	(1024 * 1024)

/*
 * A descriptor with a number above those that the child's will get.
 */
static int
move_up(int fd)
{
	int			other;
	int			saved;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	saved = errno;
	(void) close(fd);
	errno = saved;
	return other;
}

static bool
take_descriptor(void)
{
	if (AcquireExternalFD())
		return true;
	errno = EMFILE;
	return false;
}

/*
 * A pipe to a child (writes) or from it: our end, which does not block, and the
 * child's in *other.  -1 and errno: there is none.
 */
int
stream_pipe(int *other, bool writes)
{
	int			ends[2];
	int			ours = writes ? 1 : 0;

	if (!take_descriptor())
		return -1;
	if (!take_descriptor())
	{
		ReleaseExternalFD();
		return -1;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
	{
		ReleaseExternalFD();
		ReleaseExternalFD();
		return -1;
	}
	ends[0] = move_up(ends[0]);
	ends[1] = move_up(ends[1]);
	if (ends[0] < 0 || ends[1] < 0 || fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0)
	{
		int			saved = errno;

		for (int i = 0; i < 2; i++)
		{
			if (ends[i] >= 0)
				(void) close(ends[i]);
			ReleaseExternalFD();
		}
		errno = saved;
		return -1;
	}
#ifdef F_SETPIPE_SZ
	/* as a favour; the kernel grants a user only so much */
	if (!writes)
		(void) fcntl(ends[ours], F_SETPIPE_SZ, PIPE_SIZE);
#endif
	*other = ends[1 - ours];
	return ends[ours];
}

/*
 * Nothing to read; -1 and errno.
 */
int
stream_null(void)
{
	int			fd;

	if (!take_descriptor())
		return -1;
	fd = move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		ReleaseExternalFD();
	return fd;
}

/*
 * A descriptor more of an open file; -1 and errno.
 */
int
stream_copy(int file)
{
	int			fd;

	if (!take_descriptor())
		return -1;
	fd = fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		ReleaseExternalFD();
	return fd;
}

void
stream_close(int *fd)
{
	if (*fd < 0)
		return;
	(void) close(*fd);
	ReleaseExternalFD();
	*fd = -1;
}

/*
 * Keep the first bytes.
 */
static void
keep_first(ProcessStream *stream, MemoryContext context, const char *data, size_t length)
{
	size_t		wanted = Min(stream->limit - stream->used, length);

	if (stream->used + wanted > stream->size)
	{
		size_t		size = Min(stream->limit, Max((size_t) CHUNK, 2 * (stream->used + wanted)));

		stream->data = stream->data == NULL ? MemoryContextAlloc(context, size) : repalloc(stream->data, size);
		stream->size = size;
	}
	if (wanted > 0)
		memcpy(stream->data + stream->used, data, wanted);
	stream->used += wanted;
}

/*
 * Keep the last bytes, in a ring.
 */
static void
keep_last(ProcessStream *stream, MemoryContext context, const char *data, size_t length)
{
	if (stream->limit == 0)
		return;
	if (stream->data == NULL)
	{
		stream->data = MemoryContextAlloc(context, stream->limit);
		stream->size = stream->limit;
	}
	if (length > stream->limit)
	{
		data += length - stream->limit;
		length = stream->limit;
	}
	while (length > 0)
	{
		size_t		end = (stream->start + stream->used) % stream->size;
		size_t		part = Min(length, stream->size - end);

		memcpy(stream->data + end, data, part);
		stream->used += part;
		if (stream->used > stream->size)
		{
			stream->start = (stream->start + stream->used - stream->size) % stream->size;
			stream->used = stream->size;
		}
		data += part;
		length -= part;
	}
}

/*
 * Read what is there.  keep: else it is only counted, and nothing is allocated.
 */
void
stream_read(ProcessStream *stream, MemoryContext context, bool keep)
{
	static char chunk[CHUNK];

	for (int i = 0; i < MAX_CHUNKS && stream->fd >= 0; i++)
	{
		ssize_t		length = read(stream->fd, chunk, CHUNK);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (length <= 0)
		{
			stream_close(&stream->fd);
			break;
		}
		stream->total += length;
		if (!keep)
			continue;
		if (stream->last)
			keep_last(stream, context, chunk, length);
		else
			keep_first(stream, context, chunk, length);
	}
}

/*
 * Write what the child takes; the end of it is the end of its input.  A child
 * that does not read it all is no error.  (The server ignores SIGPIPE.)
 */
void
stream_write(int *fd, const char **data, size_t *length)
{
	while (*length > 0)
	{
		ssize_t		written = write(*fd, *data, *length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (written < 0)
			break;
		*data += written;
		*length -= written;
	}
	stream_close(fd);
}

/*
 * What was kept, in the current memory context.
 */
void
stream_output(const ProcessStream *stream, ProcessOutput *output)
{
	size_t		part = Min(stream->used, stream->size - stream->start);

	output->data = palloc(stream->used + 1);
	if (stream->used > 0)
	{
		memcpy(output->data, stream->data + stream->start, part);
		memcpy(output->data + part, stream->data, stream->used - part);
	}
	output->data[stream->used] = '\0';
	output->length = stream->used;
	output->total = stream->total;
	output->truncated = stream->total > stream->used;
}
