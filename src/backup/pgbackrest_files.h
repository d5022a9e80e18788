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

#include "backup/level7.h"
#include "backup/pgbackrest.h"

extern bool repo_files_verify(Level7 *l, RepoManifest *manifest, List *paths, const ToolAnswer *raw);

#endif							/* MAINTSCHED_PGBACKREST_FILES_H */
