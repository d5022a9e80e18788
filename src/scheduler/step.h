/*-------------------------------------------------------------------------
 *
 * step.h
 *	  One transaction of the scheduler.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_STEP_H
#define MAINTSCHED_STEP_H

extern bool run_step(const char *sql, void (*receive) (void *), void *arg);
extern Datum single_value(Oid type, bool *isnull);

#endif							/* MAINTSCHED_STEP_H */
