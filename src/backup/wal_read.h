/*-------------------------------------------------------------------------
 *
 * wal_read.h
 *	  Reading WAL record by record.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_WAL_READ_H
#define MAINTSCHED_WAL_READ_H

#include "access/xlogdefs.h"
#include "storage/fd.h"

#include "backup/verify_tar.h"
#include "backup/wal.h"

/* ---- wal_place.c: opening WAL files ---- */

typedef struct WalPlace
{
	const char *path;			/* of the folder, or of the archive */
	int			folder;			/* open; -1: it is an archive */
	VerifyStream tar;			/* its reader is NULL: it is a folder */
	const char *prefix;			/* of the names in the archive */
	uint64		next;			/* where a header in it is */
	bool		own;			/* it is the backup's own, and ends with it */
	int			packed;			/* a file for a program; -1: none */
	File		temporary;		/* what a program unpacked; -1: none yet */
	bool		used;			/* a file of it was read */
	const char *unread;			/* why an archive is not read; NULL: it is */
} WalPlace;

typedef enum WalOpened
{
	WAL_OPENED,
	WAL_NOT_THERE,
	WAL_NOT_READ,				/* that says nothing about the file */
	WAL_BROKEN,
} WalOpened;

/* one that is read */
typedef struct WalFile
{
	VerifyStream *stream;		/* of its own, or the archive's; NULL: none */
	VerifyStream own;
	uint64		begin;			/* where it begins in the stream */
	char	   *path;			/* for problems */
	char	   *problem;
	bool		arriving;		/* it is too short, and new */
} WalFile;

extern void wal_place_init(WalPlace *place);
extern bool wal_place_folder(WalPlace *place, const VerifyRoots *roots, const char *path);
extern bool wal_place_tar(WalPlace *place, const VerifyRoots *roots, const char *directory, const char *stem, const char *prefix);
extern bool wal_place_is_torn(WalPlace *place);
extern void wal_place_close(WalPlace *place);
extern WalOpened wal_place_open(WalPlace *place, WalFile *file, TimeLineID timeline, XLogSegNo segno);
extern bool wal_place_has(const WalPlace *place, const char *name);
extern void wal_file_close(WalFile *file);
extern char *wal_file_page(WalFile *file, uint32 at, char *page);

/* ---- wal_program.c: what programs unpack ---- */

extern const char *wal_program(WalPacking packing);
extern WalOpened wal_unpack(WalPlace *place, WalFile *file, const char *program, int *unpacked);

/* ---- wal_records.c: the records in them ---- */

#define WAL_OTHER_VERSION "it is of another major version of PostgreSQL than this server"

typedef struct WalReading
{
	List	   *places;			/* WalPlace *: the first that has a file is
								 * read */
	List	   *ranges;			/* ManifestRange *, the oldest first */
	uint64		system;			/* identifier; 0: any */
	bool		exact;			/* the ranges end where a record does */
	XLogRecPtr	backup;			/* which begins there: the record of its end
								 * is looked for; invalid: none is */
	bool		same_version;	/* the backup is known to be of this server's */
	void		(*pace) (void *arg, size_t bytes);
	void	   *arg;

	/* what was found */
	WalOpened	result;
	char	   *problem;		/* in words; NULL: there is none */
	uint64		files;
	uint64		bytes;
	uint64		records;
	bool		ends;			/* that record is in a range */
} WalReading;

extern void wal_read_records(WalReading *reading);

#endif							/* MAINTSCHED_WAL_READ_H */
