/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The one place that reads the clock.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_CLOCK_H
#define MAINTSCHED_CLOCK_H

#include "datatype/timestamp.h"

extern void clock_define_settings(void);
extern bool clock_is_simulated(void);
extern TimestampTz clock_now(void);
extern void clock_set_offset(int64 microseconds);
extern void clock_reset_offset(void);

#endif							/* MAINTSCHED_CLOCK_H */
