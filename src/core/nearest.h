/*-------------------------------------------------------------------------
 *
 * nearest.h
 *	  The nearest known name, for "perhaps you meant".
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_NEAREST_H
#define MAINTSCHED_NEAREST_H

extern const char *nearest_name(const char *word, const char *const *candidates, int n);

#endif							/* MAINTSCHED_NEAREST_H */
