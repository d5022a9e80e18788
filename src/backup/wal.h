/*-------------------------------------------------------------------------
 *
 * wal.h
 *	  WAL files in an archive.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_WAL_H
#define MAINTSCHED_WAL_H

#include "pgtime.h"
#include "nodes/pg_list.h"

#include "core/unpack.h"

/* ---- wal_name.c: what the name of a file says ---- */

typedef enum WalKind
{
	WAL_OTHER,
	WAL_SEGMENT,
	WAL_PARTIAL,
	WAL_HISTORY,
} WalKind;

typedef enum WalPacking
{
	WAL_PLAIN,
	WAL_GZIP,
	WAL_LZ4,
	WAL_ZSTD,
	WAL_BZIP2,
	WAL_XZ,
} WalPacking;

typedef struct WalName
{
	WalKind		kind;
	uint32		timeline;
	uint64		segno;
	WalPacking	compression;	/* as the name says */
	bool		with_checksum;	/* pgBackRest's: -SHA1 after the name */
} WalName;

#define WAL_NAME_LENGTH 24

extern WalName wal_parse_name(const char *file, uint32 segment_size);
extern char *wal_segment_name(uint32 timeline, uint64 segno, uint32 segment_size);

/* ---- wal_list.c: the segments that there are ---- */

typedef enum WalState
{
	WAL_GOOD,
	WAL_ARRIVING,				/* too short, but perhaps only yet */
	WAL_EMPTY,
	WAL_OTHER_SIZE,
	WAL_TWICE,					/* two files of one name that differ */
	WAL_CUT_OFF,				/* packed, and without its end */
	WAL_NO_WAL,					/* the contents are none */
	WAL_OTHER_POSITION,			/* ... of another segment */
	WAL_OTHER_SYSTEM,			/* ... of another cluster */
	WAL_UNREADABLE,
} WalState;

typedef struct WalEntry
{
	uint64		segno;
	uint64		size;			/* of the file */
	uint64		found;			/* of WAL_OTHER_SYSTEM: which; errno */
	pg_time_t	modified;
	uint32		timeline;
	uint8		state;			/* WalState */
	bool		partial;
	bool		with_checksum;
	bool		look;			/* its contents are to be looked at */
} WalEntry;

typedef struct WalHistory
{
	uint32		timeline;
	char	   *contents;		/* NULL: it could not be read */
} WalHistory;

typedef struct WalList
{
	uint32		segment_size;
	uint64		system_identifier;	/* 0: any */
	int64		encrypted;		/* of the files looked into, how many are */
	int64		plain;			/* ... and how many not */
	WalEntry   *entries;
	uint64		count;
	uint64		room;
	List	   *histories;		/* of WalHistory * */
	int64		others;			/* files that are none of these */
} WalList;

/* what is read of a history file */
#define WAL_HISTORY_LIMIT 65536

extern WalList *wal_list_create(uint32 segment_size, uint64 system_identifier);
extern void wal_list_add(WalList *list, const WalName *name, uint64 size, pg_time_t modified);
extern void wal_list_sort(WalList *list);
extern WalEntry *wal_list_find(WalList *list, uint32 timeline, uint64 segno, bool partial);
extern void wal_list_settle(WalList *list);
extern void wal_list_sample(WalList *list);

/* ---- wal_folder.c: folders of them ---- */

extern void wal_read_folder(WalList *list, const char *folder, List *roots);

/* ---- wal_header.c: how a segment begins ---- */

/* so much of a file is looked at */
#define WAL_HEAD 512

extern WalState wal_check_head(WalList *list, const WalEntry *entry, WalPacking named,
							   const unsigned char *head, size_t length, uint64 *found);
extern WalPacking wal_compressed_by(const unsigned char *head, size_t length);
extern UnpackFormat wal_unpack_format(WalPacking packing);
extern bool wal_is_encrypted(const unsigned char *head, size_t length);
extern bool wal_is_compressed(const unsigned char *head, size_t length);

/* ---- wal_end.c: how a compressed one ends ---- */

/* of a file that is unpacked: any */
#define WAL_ANY_SIZE PG_UINT64_MAX

extern bool wal_holds(int fd, UnpackFormat format, uint64 size);
extern bool wal_ends(int fd, const unsigned char *head, size_t length, uint64 size, uint32 segment_size);

/* ---- wal_stanza.c: as pgBackRest lists them ---- */

extern void wal_read_stanza(WalList *list, const char *stanza, const char *config, const char *archive, int repository);

/* ---- wal_tar.c: what a base backup brings with it ---- */

extern bool wal_read_own(WalList *list, const char *directory, List *roots, bool packed);

#endif							/* MAINTSCHED_WAL_H */
