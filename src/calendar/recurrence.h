/*-------------------------------------------------------------------------
 *
 * recurrence.h
 *	  The instants of a rule that starts at a local time in a zone.
 *
 * Plain C: no backend header, no allocation.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_RECURRENCE_H
#define MAINTSCHED_RECURRENCE_H

#include "calendar/rrule.h"
#include "calendar/zone.h"

typedef struct Recurrence
{
	int64_t		since;			/* instants in [since, until) */
	int64_t		until;
	Zone		zone;
	RRuleIter	iter;
} Recurrence;

extern void recurrence_init(Recurrence *rec, const RRule *rule, int64_t start,
							ZoneNext next, void *arg);
extern void recurrence_between(Recurrence *rec, int64_t since, int64_t until);
extern bool recurrence_next(Recurrence *rec, int64_t *local, int64_t *instant);
extern bool recurrence_after(Recurrence *rec, int64_t after, int64_t *local,
							 int64_t *instant);

#endif							/* MAINTSCHED_RECURRENCE_H */
