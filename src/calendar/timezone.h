/*-------------------------------------------------------------------------
 *
 * timezone.h
 *	  Time zones by their names in the IANA database.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_TIMEZONE_H
#define MAINTSCHED_TIMEZONE_H

#include "pgtime.h"

extern const pg_tz *timezone_find(const char *name);
extern const char *timezone_hint(const char *name);
extern const pg_tz *timezone_by_name(text *name);

#endif							/* MAINTSCHED_TIMEZONE_H */
