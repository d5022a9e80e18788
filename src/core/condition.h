/*-------------------------------------------------------------------------
 *
 * condition.h
 *	  The names of error conditions.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_CONDITION_H
#define MAINTSCHED_CONDITION_H

extern const char *condition_name(int sqlstate);

#endif							/* MAINTSCHED_CONDITION_H */
