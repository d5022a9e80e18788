/*-------------------------------------------------------------------------
 *
 * verify_tar.h
 *	  Archives of a base backup in tar format, as streams of bytes and of
 *	  members.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_VERIFY_TAR_H
#define MAINTSCHED_VERIFY_TAR_H

#include "backup/verify.h"
#include "core/unpack.h"

/* ---- verify_stream.c: bytes, uncompressed ---- */

typedef struct VerifyStream
{
	VerifyReader *reader;		/* its file, and its buffer */
	VerifyReport *report;		/* NULL: who reads it looks at problem */
	const char *name;
	UnpackFormat format;
	const char *problem;		/* it cannot be read any further; NULL: it can */
	uint64		limit;			/* so many bytes of the file are read; 0: all */
	uint64		fetched;		/* so many were */
	size_t		block;			/* so many at once; 0: VERIFY_BLOCK */
	Unpack	   *unpack;			/* NULL: it is not compressed */
	char	   *out;			/* what was uncompressed */
	const char *in;				/* what is still to be, in the reader's buffer */
	size_t		waiting;
	const char *data;			/* what comes next */
	size_t		have;
	uint64		at;				/* bytes before that */
} VerifyStream;

extern void verify_stream_begin(VerifyStream *stream, const char *name, UnpackFormat format);
extern void verify_stream_end(VerifyStream *stream);
extern void verify_stream_take(VerifyStream *stream, int fd, const char *name, UnpackFormat format);
extern bool verify_stream_open(VerifyStream *stream, const VerifyRoots *roots, int root, const char *below,
							   const char *name);
extern void verify_stream_close(VerifyStream *stream);
extern const char *verify_stream_some(VerifyStream *stream, size_t length, size_t *got);
extern bool verify_stream_go(VerifyStream *stream, uint64 place);
extern bool verify_stream_skip(VerifyStream *stream, uint64 length);
extern bool verify_stream_broken(VerifyStream *stream, const char *what);

/* ---- tar.c: members ---- */

#define TAR_RECORD		512
#define TAR_PADDING(size) ((TAR_RECORD - (size) % TAR_RECORD) % TAR_RECORD)

#define TAR_IS_FILE(member)		((member)->kind == '0' || (member)->kind == '\0')
#define TAR_IS_LINK(member)		((member)->kind == '2')
#define TAR_IS_FOLDER(member)	((member)->kind == '5')

/* a prefix of 155 bytes, a name of 100 */
#define TAR_NAME_SIZE	257

typedef struct TarMember
{
	char		name[TAR_NAME_SIZE];
	char		kind;
	uint64		size;			/* of what follows, without the padding */
	uint64		modified;		/* seconds since 1970 */
} TarMember;

typedef enum TarNext
{
	TAR_MEMBER,
	TAR_END,					/* with the mark that it is */
	TAR_CEASED,					/* without */
	TAR_BROKEN,					/* the stream has the problem */
} TarNext;

extern TarNext tar_next(VerifyStream *stream, TarMember *member);
extern const char *tar_suffix(const char *name, const char *stem);
extern bool tar_is_tablespace(const char *name);

#endif							/* MAINTSCHED_VERIFY_TAR_H */
