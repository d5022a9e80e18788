/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Blocks of a relation in an order of one's own, read ahead.
 *
 * Since PostgreSQL 17 the server's read stream does this, and as much at a
 * time as maintenance_io_concurrency allows.  Before, the blocks that come
 * next are announced to the kernel, the same number of them.  Where little is
 * to be read, or each block is to be known when it fails, nothing is read
 * ahead: an announcement costs more than a block that is in memory already.
 *
 * The caller holds a lock on the relation, and releases each buffer.  Buffers
 * that were read ahead belong to the resource owner of the caller, so that an
 * error leaves nothing pinned.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/spccache.h"

#include "core/compat.h"
#include "core/stream.h"

/* the most blocks that are announced at a time */
#define MOST_AHEAD 256

struct Stream
{
	Relation	rel;
	BufferAccessStrategy strategy;
	StreamNext	next;
	void	   *arg;
	int			distance;
	/* blocks that were announced and not read yet, a ring */
	BlockNumber ahead[MOST_AHEAD];
	int			first;
	int			count;
	bool		at_end;
	compat_read_stream *native;
};

static void
announce(Stream *stream)
{
	while (!stream->at_end && stream->count < Max(stream->distance, 1))
	{
		BlockNumber block = stream->next(stream->arg);

		if (block == InvalidBlockNumber)
		{
			stream->at_end = true;
			return;
		}
		if (stream->distance > 0)
			(void) PrefetchBuffer(stream->rel, MAIN_FORKNUM, block);
		stream->ahead[(stream->first + stream->count) % MOST_AHEAD] = block;
		stream->count++;
	}
}

/*
 * Begin to read the blocks that next() names; ahead: several at a time.
 */
Stream *
stream_begin(Relation rel, BufferAccessStrategy strategy, bool ahead, StreamNext next, void *arg)
{
	Stream	   *stream = palloc0(sizeof(Stream));

	stream->rel = rel;
	stream->strategy = strategy;
	stream->next = next;
	stream->arg = arg;
	if (ahead && compat_has_read_stream)
		stream->native = compat_read_stream_begin(strategy, rel, next, arg);
	else if (ahead)
		stream->distance = Min(get_tablespace_maintenance_io_concurrency(rel->rd_rel->reltablespace),
							   MOST_AHEAD);
	return stream;
}

/*
 * The next buffer, pinned; InvalidBuffer: that was all.  *block is its block,
 * set before it is read, unless the server reads several at a time.
 */
Buffer
stream_next(Stream *stream, BlockNumber *block)
{
	Buffer		buffer;

	if (stream->native != NULL)
	{
		buffer = compat_read_stream_next(stream->native);
		if (BufferIsValid(buffer))
			*block = BufferGetBlockNumber(buffer);
		return buffer;
	}
	announce(stream);
	if (stream->count == 0)
		return InvalidBuffer;
	*block = stream->ahead[stream->first];
	stream->first = (stream->first + 1) % MOST_AHEAD;
	stream->count--;
	return ReadBufferExtended(stream->rel, MAIN_FORKNUM, *block, RBM_NORMAL, stream->strategy);
}

void
stream_end(Stream *stream)
{
	if (stream->native != NULL)
		compat_read_stream_end(stream->native);
	pfree(stream);
}
