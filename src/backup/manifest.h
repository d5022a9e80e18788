/*-------------------------------------------------------------------------
 *
 * manifest.h
 *	  Reading backup manifests.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_MANIFEST_H
#define MAINTSCHED_MANIFEST_H

#include <sys/types.h>

#include "common/checksum_helper.h"

/* longer paths cannot be opened; longer sums are none */
#define MANIFEST_MAX_PATH	4096
#define MANIFEST_MAX_SUM	PG_SHA512_DIGEST_LENGTH

/* how much of a manifest is in memory at a time; no value is longer */
#define MANIFEST_WINDOW		(256 * 1024)

typedef struct ManifestFile
{
	char		path[MANIFEST_MAX_PATH + 1];
	int			path_length;
	uint64		size;
	pg_checksum_type algorithm;
	int			sum_length;		/* 0: none is given */
	uint8		sum[MANIFEST_MAX_SUM];
} ManifestFile;

typedef struct ManifestRange
{
	uint32		timeline;
	uint64		start;
	uint64		end;
} ManifestRange;

/*
 * Where a manifest comes from, and where what is in it goes.  file() and
 * range() return what is wrong, or NULL.
 */
typedef struct ManifestSource
{
	void	   *arg;
	/* bytes that were read; 0: no more; -1: errno says why not */
				ssize_t(*read) (void *arg, char *buffer, size_t length);
	const char *(*file) (void *arg, const ManifestFile *file);
	const char *(*range) (void *arg, const ManifestRange *range);
	uint64		summed;			/* bytes before the last line: these are
								 * summed */
	size_t		window;			/* 0: MANIFEST_WINDOW */
} ManifestSource;

/* what there is once in a manifest */
typedef struct ManifestHead
{
	int			version;
	bool		has_system_identifier;
	uint64		system_identifier;
	uint64		files;
	uint64		ranges;
	char		problem[512];	/* where it was not read to the end */
} ManifestHead;

extern bool manifest_read(const ManifestSource *source, ManifestHead *head);

/* ---- manifest_value.c ---- */

extern int	manifest_decode_string(const char *text, size_t length, char *out, size_t size);
extern bool manifest_decode_hex(const char *text, size_t length, uint8 *out);
extern bool manifest_decode_number(const char *text, size_t length, uint64 limit, uint64 *value);
extern bool manifest_decode_lsn(const char *text, uint64 *lsn);

#endif							/* MAINTSCHED_MANIFEST_H */
