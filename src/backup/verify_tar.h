/*-------------------------------------------------------------------------
 *
 * verify_tar.h
 *	  Archives of a base backup in tar format, as streams of bytes.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_VERIFY_TAR_H
#define MAINTSCHED_VERIFY_TAR_H

#include <zlib.h>

#include "backup/verify.h"

typedef struct VerifyStream
{
	VerifyReader *reader;		/* its file, and its buffer */
	VerifyReport *report;
	const char *name;
	bool		compressed;
	bool		broken;			/* it cannot be read any further */
	z_stream	gzip;
	char	   *out;			/* what was uncompressed */
	const char *data;			/* what comes next */
	size_t		have;
	uint64		at;				/* bytes before that */
} VerifyStream;

extern void verify_stream_begin(VerifyStream *stream, const char *name, bool compressed);
extern void verify_stream_end(VerifyStream *stream);
extern const char *verify_stream_some(VerifyStream *stream, size_t length, size_t *got);
extern bool verify_stream_skip(VerifyStream *stream, uint64 length);
extern bool verify_stream_broken(VerifyStream *stream, const char *what);

#endif							/* MAINTSCHED_VERIFY_TAR_H */
