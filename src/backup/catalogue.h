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
	ssize_t		control_length;
} BackupFiles;

extern void backup_label_parse(const char *text, BackupLabel *label);
extern void backup_files_plain(const VerifyRoots *roots, int root, const char *below, BackupFiles *files);
extern void backup_files_tar(const VerifyRoots *roots, int root, const char *archive, bool compressed, BackupFiles *files);

#endif							/* MAINTSCHED_CATALOGUE_H */
