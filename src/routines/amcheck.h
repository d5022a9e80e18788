/*-------------------------------------------------------------------------
 *
 * amcheck.h
 *	  Errors of checks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_AMCHECK_H
#define MAINTSCHED_AMCHECK_H

#include "core/compat.h"

compat_noreturn extern void amcheck_changed(const char *name);
compat_noreturn extern void amcheck_rethrow(ErrorData *error, const char *name, RelFileNumber file);

#endif							/* MAINTSCHED_AMCHECK_H */
