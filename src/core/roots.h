/*-------------------------------------------------------------------------
 *
 * roots.h
 *	  Settings that are lists of folders, below which something may be.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_ROOTS_H
#define MAINTSCHED_ROOTS_H

#include "nodes/pg_list.h"
#include "utils/guc.h"

extern bool roots_have_dots(const char *path, const char *between);
extern List *roots_split(const char *words);
extern bool roots_check(char **newval, void **extra, GucSource source);
extern const char *roots_below(const char *root, const char *directory);

#endif							/* MAINTSCHED_ROOTS_H */
