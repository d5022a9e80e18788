/*-------------------------------------------------------------------------
 *
 * unpack.c
 *	  What was compressed by gzip, lz4 or zstd, uncompressed block by block.
 *
 * The caller brings blocks and takes blocks, so that files of any size need the
 * memory of a window: 32 kB with gzip, 4 MB with lz4, and 128 MB at the most with
 * zstd, which refuses what would need more.  Several members or frames after each
 * other are one file, and frames to be skipped are, as the programs have it.  What
 * is damaged, goes on with something else or ends too early is told.
 *
 * liblz4 and libzstd are those that the server itself is linked with, for its own
 * backups: they are looked for at run time, by the names that their ABI has had
 * since 2014, so that neither building nor loading the extension needs them.
 * Where one is missing, its files are not unpacked, and the caller says so.
 *
 * Runs in any process; no locks, no files.  The libraries allocate for themselves:
 * what an error leaves behind goes with the memory context in which it was begun.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dlfcn.h>
#include <zlib.h>

#include "utils/memutils.h"

#include "core/unpack.h"

/* zlib: a gzip header, with the greatest window */
#define GZIP_WINDOW (15 + 16)

#define LZ4F_VERSION 100

/* of zstd.h */
typedef struct ZstdIn
{
	const void *data;
	size_t		size;
	size_t		at;
} ZstdIn;

typedef struct ZstdOut
{
	void	   *data;
	size_t		size;
	size_t		at;
} ZstdOut;

/* what is used of lz4frame.h ... */
static struct
{
	size_t		(*begin) (void **context, unsigned int version);
	size_t		(*some) (void *context, void *out, size_t *room, const void *in, size_t *length, const void *options);
	size_t		(*end) (void *context);
	unsigned int (*is_error) (size_t result);
	const char *(*error_name) (size_t result);
}			lz4;

/* ... and of zstd.h */
static struct
{
	void	   *(*begin) (void);
	size_t		(*some) (void *context, ZstdOut *out, ZstdIn *in);
	size_t		(*end) (void *context);
	unsigned int (*is_error) (size_t result);
	const char *(*error_name) (size_t result);
}			zstd;

typedef struct Symbol
{
	const char *name;
	void	   *place;			/* of the pointer to it */
} Symbol;

static const Symbol lz4_symbols[] = {
	{"LZ4F_createDecompressionContext", &lz4.begin},
	{"LZ4F_decompress", &lz4.some},
	{"LZ4F_freeDecompressionContext", &lz4.end},
	{"LZ4F_getErrorName", &lz4.error_name},
	/* the last one: it tells whether all are there */
	{"LZ4F_isError", &lz4.is_error},
};

static const Symbol zstd_symbols[] = {
	{"ZSTD_createDStream", &zstd.begin},
	{"ZSTD_decompressStream", &zstd.some},
	{"ZSTD_freeDStream", &zstd.end},
	{"ZSTD_getErrorName", &zstd.error_name},
	{"ZSTD_isError", &zstd.is_error},
};

struct Unpack
{
	UnpackFormat format;
	bool		ended;			/* a member or frame, after which all may be
								 * over */
	const char *problem;
	z_stream	gzip;
	void	   *context;		/* of the others */
	bool		open;
	MemoryContextCallback callback;
};

/*
 * How a file is compressed, by its name.
 */
UnpackFormat
unpack_format_of(const char *file)
{
	const char *end = strrchr(file, '.');

	if (end == NULL)
		return UNPACK_NONE;
	if (strcmp(end, ".gz") == 0 || strcmp(end, ".tgz") == 0)
		return UNPACK_GZIP;
	if (strcmp(end, ".lz4") == 0)
		return UNPACK_LZ4;
	if (strcmp(end, ".zst") == 0)
		return UNPACK_ZSTD;
	return UNPACK_NONE;
}

/*
 * Find what is needed of a library; false: it is not there.  It stays loaded.
 */
static bool
load(const char *const names[2], const Symbol *symbols, int count)
{
	void	   *library = NULL;

	for (int i = 0; library == NULL && i < 2; i++)
		library = dlopen(names[i], RTLD_NOW);
	for (int i = 0; library != NULL && i < count; i++)
	{
		void	   *symbol = dlsym(library, symbols[i].name);

		if (symbol == NULL)
			return false;
		memcpy(symbols[i].place, &symbol, sizeof(symbol));
	}
	return library != NULL;
}

/*
 * The library that would be needed and is not on this machine, and the packages of
 * Debian and Red Hat that bring it; NULL: there is all.
 */
const char *
unpack_lacks(UnpackFormat format)
{
	static const char *const lz4_names[2] = {"liblz4.so.1", "liblz4.1.dylib"};
	static const char *const zstd_names[2] = {"libzstd.so.1", "libzstd.1.dylib"};

	if (format == UNPACK_LZ4 && lz4.is_error == NULL && !load(lz4_names, lz4_symbols, lengthof(lz4_symbols)))
		return "liblz4.so.1 (package liblz4-1 or lz4-libs)";
	if (format == UNPACK_ZSTD && zstd.is_error == NULL && !load(zstd_names, zstd_symbols, lengthof(zstd_symbols)))
		return "libzstd.so.1 (package libzstd1 or libzstd)";
	return NULL;
}

static void
close_library(void *arg)
{
	Unpack	   *unpack = arg;

	if (!unpack->open)
		return;
	unpack->open = false;
	switch (unpack->format)
	{
		case UNPACK_GZIP:
			(void) inflateEnd(&unpack->gzip);
			break;
		case UNPACK_LZ4:
			(void) lz4.end(unpack->context);
			break;
		case UNPACK_ZSTD:
			(void) zstd.end(unpack->context);
			break;
		case UNPACK_NONE:
			break;
	}
}

static bool
open_library(Unpack *unpack)
{
	switch (unpack->format)
	{
		case UNPACK_GZIP:
			return inflateInit2(&unpack->gzip, GZIP_WINDOW) == Z_OK;
		case UNPACK_LZ4:
			return !lz4.is_error(lz4.begin(&unpack->context, LZ4F_VERSION));
		case UNPACK_ZSTD:
			unpack->context = zstd.begin();
			return unpack->context != NULL;
		case UNPACK_NONE:
			break;
	}
	return true;
}

/*
 * Begin with a file, for which nothing is lacking.
 */
Unpack	   *
unpack_begin(UnpackFormat format)
{
	Unpack	   *unpack = palloc0(sizeof(Unpack));

	unpack->format = format;
	unpack->callback.func = close_library;
	unpack->callback.arg = unpack;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &unpack->callback);
	unpack->open = open_library(unpack);
	if (!unpack->open)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not begin to decompress")));
	return unpack;
}

static bool
gzip_some(Unpack *unpack, const char **in, size_t *length, char *out, size_t *room)
{
	z_stream   *gzip = &unpack->gzip;
	int			result;

	/* another member follows */
	if (unpack->ended && inflateReset(gzip) != Z_OK)
		return false;
	/* zlib writes to what it reads in no case */
	gzip->next_in = (unsigned char *) unconstify(char *, *in);
	gzip->avail_in = *length;
	gzip->next_out = (unsigned char *) out;
	gzip->avail_out = *room;
	result = inflate(gzip, Z_NO_FLUSH);
	*in += *length - gzip->avail_in;
	*length = gzip->avail_in;
	*room -= gzip->avail_out;
	unpack->ended = result == Z_STREAM_END;
	unpack->problem = gzip->msg;
	/* that nothing could be done is no error: more is needed */
	return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

static bool
lz4_some(Unpack *unpack, const char **in, size_t *length, char *out, size_t *room)
{
	size_t		used = *length;
	size_t		result = lz4.some(unpack->context, out, room, *in, &used, NULL);

	if (lz4.is_error(result))
	{
		unpack->problem = lz4.error_name(result);
		return false;
	}
	*in += used;
	*length -= used;
	unpack->ended = result == 0;
	return true;
}

static bool
zstd_some(Unpack *unpack, const char **in, size_t *length, char *out, size_t *room)
{
	ZstdIn		from = {.data = *in,.size = *length};
	ZstdOut		to = {.data = out,.size = *room};
	size_t		result = zstd.some(unpack->context, &to, &from);

	if (zstd.is_error(result))
	{
		unpack->problem = zstd.error_name(result);
		return false;
	}
	*in += from.at;
	*length -= from.at;
	*room = to.at;
	unpack->ended = result == 0;
	return true;
}

/*
 * Uncompress some of what is at *in, which moves on; *room becomes how many bytes
 * came out of it.  None, and nothing left of *in: more is needed.  False: it is
 * damaged, or is something else; nothing more is to be had.
 */
bool
unpack_some(Unpack *unpack, const char **in, size_t *length, char *out, size_t *room)
{
	size_t		had = *length;
	bool		good = false;

	/* there would begin another one */
	if (unpack->ended && had == 0)
	{
		*room = 0;
		return true;
	}
	switch (unpack->format)
	{
		case UNPACK_GZIP:
			good = gzip_some(unpack, in, length, out, room);
			break;
		case UNPACK_LZ4:
			good = lz4_some(unpack, in, length, out, room);
			break;
		case UNPACK_ZSTD:
			good = zstd_some(unpack, in, length, out, room);
			break;
		case UNPACK_NONE:
			break;
	}
	/* it would go on like this for ever */
	return good && (*room > 0 || had == 0 || *length < had);
}

/*
 * May the file end here?
 */
bool
unpack_may_end(const Unpack *unpack)
{
	return unpack->ended;
}

/*
 * What the library says of it; NULL: nothing.
 */
const char *
unpack_problem(const Unpack *unpack)
{
	return unpack->problem;
}

void
unpack_end(Unpack *unpack)
{
	close_library(unpack);
}
