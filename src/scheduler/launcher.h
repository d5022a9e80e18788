/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The process that knows when which database has something to do.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_LAUNCHER_H
#define MAINTSCHED_LAUNCHER_H

extern void launcher_register(void);

#endif							/* MAINTSCHED_LAUNCHER_H */
