/*-------------------------------------------------------------------------
 *
 * folder.h
 *	  What is in a folder, and how much it takes.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_FOLDER_H
#define MAINTSCHED_FOLDER_H

#include <time.h>

#include "backup/verify.h"

typedef struct FolderItem
{
	char	   *name;
	char	   *link;			/* where it leads; NULL: it is none */
	bool		folder;
	uint64		size;
	time_t		changed;
} FolderItem;

typedef struct FolderUsage
{
	uint64		bytes;
	uint64		files;
	time_t		newest;			/* the last change of a file or a folder */
	int			unread;			/* folders that could not be read */
} FolderUsage;

extern bool folder_list(const VerifyRoots *roots, int root, const char *below, List **items);
extern void folder_usage(const VerifyRoots *roots, int root, const char *below, FolderUsage *usage);

#endif							/* MAINTSCHED_FOLDER_H */
