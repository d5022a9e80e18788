/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Blocks of a relation in an order of one's own, read ahead.
 *
 * Since PostgreSQL 17 the server's read stream does this, and as much at a
 * time as maintenance_io_concurrency allows.  Before, the blocks that come
 * next are announced to the kernel, four times that number, as soon as a few
 * reads took so long that they came from a disk: an announcement costs half as
 * much as a block that is in memory already.  Where little is to be read, or
 * each block is to be known when it fails, nothing is read ahead.
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

#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/spccache.h"

#include "core/compat.h"
#include "core/stream.h"

/* the most blocks that are announced at a time */
#define MOST_AHEAD 256

/* the most buffers that are held ahead, and so many bytes from their start */
#define MOST_HELD 8
#define HELD_BYTES 512
#define CACHE_LINE 64

/* single blocks far apart: more of them keep a disk as busy */
#define SCATTERED 4

/* a read of so many microseconds was not one from memory */
#define SLOW_READ 12
#define SLOW_READS 3

struct Stream
{
	Relation	rel;
	BufferAccessStrategy strategy;
	StreamNext	next;
	void	   *arg;
	int			distance;		/* how many are announced, from slow on */
	int			slow;			/* reads that were */
	/* blocks that were announced and not read yet, a ring */
	BlockNumber ahead[MOST_AHEAD];
	int			first;
	int			count;
	bool		at_end;
	/* buffers that were read, and how many of them were given out */
	Buffer		held[MOST_HELD];
	int			hold;			/* how many there may be */
	int			count_held;
	int			given;
	compat_read_stream *native;
};

static void
announce(Stream *stream)
{
	bool		announcing = stream->slow >= SLOW_READS;

	while (!stream->at_end && stream->count < (announcing ? stream->distance : 1))
	{
		BlockNumber block = stream->next(stream->arg);

		if (block == InvalidBlockNumber)
		{
			stream->at_end = true;
			return;
		}
		if (announcing)
			(void) PrefetchBuffer(stream->rel, MAIN_FORKNUM, block);
		stream->ahead[(stream->first + stream->count) % MOST_AHEAD] = block;
		stream->count++;
	}
}

/*
 * Begin to read the blocks that next() names; ahead: several at a time.
 */
Stream	   *
stream_begin(Relation rel, BufferAccessStrategy strategy, bool ahead, StreamNext next, void *arg)
{
	Stream	   *stream = palloc0(sizeof(Stream));

	stream->rel = rel;
	stream->strategy = strategy;
	stream->next = next;
	stream->arg = arg;
	stream->hold = ahead ? MOST_HELD : 1;
	if (ahead && compat_has_read_stream)
		stream->native = compat_read_stream_begin(strategy, rel, next, arg);
	else if (ahead)
		stream->distance = Min(get_tablespace_maintenance_io_concurrency(rel->rd_rel->reltablespace) * SCATTERED,
							   MOST_AHEAD);
	return stream;
}

/*
 * Read the next block; *block is set before.
 */
static Buffer
read_next(Stream *stream, BlockNumber *block)
{
	Buffer		buffer;
	instr_time	before;
	instr_time	after;

	if (stream->native != NULL)
		return compat_read_stream_next(stream->native);
	announce(stream);
	if (stream->count == 0)
		return InvalidBuffer;
	*block = stream->ahead[stream->first];
	stream->first = (stream->first + 1) % MOST_AHEAD;
	stream->count--;
	if (stream->distance == 0 || stream->slow >= SLOW_READS)
		return ReadBufferExtended(stream->rel, MAIN_FORKNUM, *block, RBM_NORMAL, stream->strategy);

	INSTR_TIME_SET_CURRENT(before);
	buffer = ReadBufferExtended(stream->rel, MAIN_FORKNUM, *block, RBM_NORMAL, stream->strategy);
	INSTR_TIME_SET_CURRENT(after);
	INSTR_TIME_SUBTRACT(after, before);
	if (INSTR_TIME_GET_MICROSEC(after) > SLOW_READ)
		stream->slow++;
	return buffer;
}

/*
 * Have the processor fetch where the pages of the buffers that are held begin,
 * and where they end.  Where that is in memory it has to look up for each page
 * of 4 kB, which takes longest, and is done for several at a time if no lock is
 * taken in between; a mere hint it would not follow so far.
 */
static void
touch(Stream *stream)
{
	for (int i = 0; i < stream->count_held; i++)
	{
		const volatile char *page = BufferGetPage(stream->held[i]);

		(void) page[0];
		(void) page[BLCKSZ - 1];
	}
	for (int i = 0; i < stream->count_held; i++)
	{
		const volatile char *page = BufferGetPage(stream->held[i]);

		for (int at = CACHE_LINE; at < HELD_BYTES; at += CACHE_LINE)
			(void) page[at];
	}
}

/*
 * The next buffer, pinned; InvalidBuffer: that was all.  *block is its block;
 * of an error that of the block that was read, where nothing is read ahead.
 */
Buffer
stream_next(Stream *stream, BlockNumber *block)
{
	Buffer		buffer;

	if (stream->given == stream->count_held)
	{
		stream->given = stream->count_held = 0;
		while (stream->count_held < stream->hold)
		{
			buffer = read_next(stream, block);
			if (!BufferIsValid(buffer))
				break;
			stream->held[stream->count_held++] = buffer;
		}
		if (stream->count_held == 0)
			return InvalidBuffer;
		if (stream->hold > 1)
			touch(stream);
	}
	buffer = stream->held[stream->given++];
	*block = BufferGetBlockNumber(buffer);
	return buffer;
}

void
stream_end(Stream *stream)
{
	if (stream->native != NULL)
		compat_read_stream_end(stream->native);
	pfree(stream);
}
