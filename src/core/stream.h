/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  Blocks of a relation in an order of one's own, read ahead.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_STREAM_H
#define MAINTSCHED_STREAM_H

#include "storage/bufmgr.h"
#include "utils/rel.h"

/* which block comes next; InvalidBlockNumber: none */
typedef BlockNumber (*StreamNext) (void *arg);

typedef struct Stream Stream;

/* what will be read soon, for the processor */
#ifdef __GNUC__
#define stream_prefetch(address) __builtin_prefetch(address)
#else
#define stream_prefetch(address) ((void) (address))
#endif

extern Stream *stream_begin(Relation rel, BufferAccessStrategy strategy, bool ahead,
							StreamNext next, void *arg);
extern Buffer stream_next(Stream *stream, BlockNumber *block);
extern void stream_end(Stream *stream);

#endif							/* MAINTSCHED_STREAM_H */
