/*-------------------------------------------------------------------------
 *
 * catalogue.h
 *	  Which backups there are.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_CATALOGUE_H
#define MAINTSCHED_CATALOGUE_H

#include "backup/folder.h"
#include "backup/verify.h"

/* ---- backup_roots.c: the folders below which backups are ---- */

extern void backup_roots_define_settings(void);
extern void backup_roots_get(VerifyRoots *roots);

/* ---- catalogue_label.c: what a backup says of itself ---- */

typedef struct BackupLabel
{
	char	   *start_time;		/* as it is written; NULL: it has none */
	uint64		start_lsn;		/* 0: not known */
	char		start_wal[25];
	uint32		timeline;
	uint64		incremental_lsn;	/* 0: it is a full one */
	uint32		incremental_timeline;
	bool		from_standby;
	char	   *name;
} BackupLabel;

/* small files in a backup, by what is looked for in them */
typedef struct BackupFiles
{
	char	   *label;			/* backup_label */
	char	   *map;			/* tablespace_map */
	char	   *version;		/* PG_VERSION */
	char	   *control;		/* global/pg_control */
	int			control_length;
} BackupFiles;

extern void backup_label_parse(const char *data, BackupLabel *label);
extern void backup_files_plain(const VerifyRoots *roots, int root, const char *below, BackupFiles *files);
extern void backup_files_tar(const VerifyRoots *roots, int root, const char *archive,
							 uint64 limit, BackupFiles *files);

/* what is read of a compressed archive for what is at its begin */
#define BACKUP_ARCHIVE_HEAD	(512 * 1024)

/* ---- catalogue_folder.c: the backups in a folder ---- */

/* what is found in the folder of a backup */
typedef struct Backup
{
	const VerifyRoots *roots;
	int			root;
	const char *below;
	const char *name;			/* by which it is known */
	List	   *items;			/* FolderItem *, of the folder itself */
	const char *archive;		/* base.tar or its like; NULL: it is plain */
	const char *compression;
	const FolderItem *manifest;
	const FolderItem *label_file;
	bool		complete;		/* the manifest is good */
	FolderUsage usage;
	BackupFiles files;
	BackupLabel label;
	VerifySummary summary;
	uint64		segment;		/* bytes of a WAL file; 0: not known */
	StringInfoData problem;
	StringInfoData tablespaces;
} Backup;

extern const FolderItem *backup_item(const Backup *backup, const char *name);
extern const char *backup_archive(const Backup *backup, const char *name, const char **compression);
extern void backup_problem(Backup *backup, const char *format,...) pg_attribute_printf(2, 3);
extern char *backup_path(const Backup *backup, const char *name);

/* ---- catalogue_json.c ---- */

extern void backup_write(StringInfo json, Backup *backup);
extern void backup_write_unreadable(StringInfo json, const char *name, const char *path, const char *why);

#endif							/* MAINTSCHED_CATALOGUE_H */
