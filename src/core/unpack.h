/*-------------------------------------------------------------------------
 *
 * unpack.h
 *	  What was compressed by gzip, lz4 or zstd, uncompressed block by block.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_UNPACK_H
#define MAINTSCHED_UNPACK_H

typedef enum UnpackFormat
{
	UNPACK_NONE,
	UNPACK_GZIP,
	UNPACK_LZ4,
	UNPACK_ZSTD,
} UnpackFormat;

typedef struct Unpack Unpack;

extern UnpackFormat unpack_format_of(const char *file);
extern const char *unpack_lacks(UnpackFormat format);
extern Unpack *unpack_begin(UnpackFormat format);
extern bool unpack_some(Unpack *unpack, const char **in, size_t *length, char *out, size_t *room);
extern bool unpack_may_end(const Unpack *unpack);
extern const char *unpack_problem(const Unpack *unpack);
extern void unpack_end(Unpack *unpack);

#endif							/* MAINTSCHED_UNPACK_H */
