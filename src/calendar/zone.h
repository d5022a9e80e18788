/*-------------------------------------------------------------------------
 *
 * zone.h
 *	  Local time to instant and back, by the rule of RFC 5545.
 *
 * Plain C; the time zone itself is a callback.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_ZONE_H
#define MAINTSCHED_ZONE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The next change of offset strictly after instant t (seconds since
 * 1970-01-01 00:00:00 UTC).  Sets *before to the offset east of UTC at t; if
 * there is a change, sets *boundary to its first instant and *after to the
 * offset from there on, and returns true.  A boundary without a change of
 * the offset does no harm.
 */
typedef bool (*ZoneNext) (void *arg, int64_t t, int64_t *boundary,
						  int32_t *before, int32_t *after);

/* a zone and the stretch of local time that was looked at last */
typedef struct Zone
{
	ZoneNext	next;
	void	   *arg;
	bool		known;			/* the following hold */
	int64_t		low;			/* local times from low .. high - 1 */
	int64_t		high;
	int32_t		offset;			/* ... have this offset */
	int64_t		ends;			/* instant at which the offset ends */
} Zone;

#define ZONE_FOR_EVER	INT64_MAX

extern void zone_init(Zone *zone, ZoneNext next, void *arg);
extern void zone_find(Zone *zone, int64_t local);
extern int64_t zone_first_local(Zone *zone, int64_t instant);
extern int32_t zone_offset(Zone *zone, int64_t instant);

static inline int64_t
zone_to_instant(Zone *zone, int64_t local)
{
	if (!zone->known || local < zone->low || local >= zone->high)
		zone_find(zone, local);
	return local - zone->offset;
}

#endif							/* MAINTSCHED_ZONE_H */
