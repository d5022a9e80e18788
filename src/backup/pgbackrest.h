/*-------------------------------------------------------------------------
 *
 * pgbackrest.h
 *	  Repositories of pgBackRest, as they are stored.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_PGBACKREST_H
#define MAINTSCHED_PGBACKREST_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"

#define REPO_SUM	20			/* bytes of SHA-1 */

/* a file of a backup, as its manifest has it */
typedef struct RepoFile
{
	char	   *path;			/* below the folder of the stanza's backups */
	uint64		offset;			/* in a bundle */
	uint64		size;			/* bytes in the repository */
	uint64		content_size;	/* of the file itself */
	bool		own;			/* in the folder of this backup */
	bool		bundled;
	bool		blocks;			/* it is made of blocks of several backups */
	bool		stored;			/* false: it is empty, and in the manifest
								 * alone */
	bool		has_sum;
	bool		has_content_sum;
	uint8		sum[REPO_SUM];	/* of what is in the repository */
	uint8		content_sum[REPO_SUM];	/* of the file itself */
} RepoFile;

/* backup.manifest */
typedef struct RepoManifest
{
	char	   *label;
	char	   *version;		/* of the tool that wrote it */
	char	   *compression;
	char	   *system;			/* identifier of the cluster */
	XLogRecPtr	start;
	XLogRecPtr	end;
	bool		hardlinks;
	bool		bundles;
	bool		blocks;			/* some file is made of blocks */
	List	   *references;		/* char *: other backups that hold files of it */
	RepoFile   *files;
	int64		nfiles;
	int64		max_files;
	int64		nitself;		/* without those of repo_manifest_add_blocks() */
	int64		nstored;
	uint64		bytes;			/* of all that is stored */
} RepoManifest;

/* what the repository has below a folder */
typedef struct RepoName
{
	char	   *path;
	uint64		size;
	char		type;			/* f: file, d: folder, l: link, s: special */
	bool		known;			/* the manifest has it */
	uint64		end;			/* of what it has of a bundle of the backup */
} RepoName;

typedef struct RepoListing
{
	RepoName   *names;			/* in order of path */
	int64		count;
	int64		max;
} RepoListing;

/* what "pgbackrest verify" said */
typedef struct ToolBackup
{
	char	   *label;
	char	   *status;
	uint64		checked;
	uint64		valid;
	uint64		bad;			/* missing, of another checksum or size, other */
} ToolBackup;

typedef struct ToolFile
{
	char	   *reason;
	char	   *path;
} ToolFile;

typedef struct ToolVerdict
{
	char	   *number;			/* of which of its repositories; NULL: its
								 * only one */
	char	   *failure;		/* why it said nothing; NULL: it did */
	char	   *odd;			/* a line that is not known */
	char	   *status;
	char	   *version;
	int			exit_code;
	double		seconds;
	List	   *backups;		/* ToolBackup * */
	List	   *files;			/* ToolFile * */
	List	   *paths;			/* char *: of the repository, by its log */
} ToolVerdict;

/* a value of an object, as it is written; strings without their quotes */
typedef struct RepoValue
{
	const char *chars;
	int			length;
	bool		quoted;
} RepoValue;

/* pgbackrest_value.c */
extern bool repo_next_member(const char **at, const char *end, RepoValue *key, RepoValue *value, bool *broken);
extern bool repo_is_key(const RepoValue *key, const char *name);
extern bool repo_read_number(const RepoValue *value, uint64 *number);
extern bool repo_read_sum(const RepoValue *value, uint8 *sum);

/* pgbackrest_manifest.c */
extern void repo_manifest_add_blocks(RepoManifest *manifest, const RepoManifest *other);
extern RepoManifest *repo_manifest_parse(const char *stanza_label, const char *data, size_t length, char **problem);

/* pgbackrest_list.c */
extern RepoListing *repo_list_parse(const char *prefix, const char *json, size_t length, RepoListing *into);
extern void repo_list_sort(RepoListing *listing);
extern RepoName *repo_list_find(RepoListing *listing, const char *path);

/* pgbackrest_verdict.c */
extern void tool_verdict_parse(ToolVerdict *verdict, const char *output, const char *log);
extern ToolBackup *tool_verdict_of(const ToolVerdict *verdict, const char *label);

#endif							/* MAINTSCHED_PGBACKREST_H */
