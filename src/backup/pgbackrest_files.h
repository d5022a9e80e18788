/*-------------------------------------------------------------------------
 *
 * pgbackrest_files.h
 *	  The files of a repository of pgBackRest that is a folder here.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_PGBACKREST_FILES_H
#define MAINTSCHED_PGBACKREST_FILES_H

#include "common/cryptohash.h"
#include "utils/timestamp.h"

#include "backup/level7.h"
#include "backup/pgbackrest.h"
#include "core/unpack.h"

/* a WAL file of the archive, whose name has the checksum of its contents */
typedef struct RepoWal
{
	char	   *path;			/* below the repository */
	uint8		sum[REPO_SUM];
	UnpackFormat format;
	bool		readable;		/* it can be unpacked here */
} RepoWal;

/* a repository of which files are read */
typedef struct RepoReader
{
	Level7	   *l;
	const char *folder;			/* the repository, below the root */
	int			root;
	VerifyOpener opener;
	int			fd;
	pg_cryptohash_ctx *sha;
	char	   *buffer;
	bool		encrypted;		/* the WAL file that was read last */
	uint64		bytes;
	TimestampTz started;
} RepoReader;

#define REPO_BLOCK (256 * 1024)

/* pgbackrest_files.c */
extern bool repo_files_verify(Level7 *l, RepoManifest *manifest, List *wals, List *paths, const ToolAnswer *raw);
extern int	repo_open(RepoReader *reader, const char *path);
extern void repo_pace(RepoReader *reader, size_t bytes);

/* pgbackrest_wal.c */
extern List *repo_wal_list(const Level7 *l, const RepoListing *listing);
extern bool repo_wal_verify(RepoReader *reader, const RepoWal *wal);
extern bool repo_wal_concerns(const Level7 *l, const char *path, bool *own);

#endif							/* MAINTSCHED_PGBACKREST_FILES_H */
