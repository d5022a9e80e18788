/*-------------------------------------------------------------------------
 *
 * zone.c
 *	  Local time to instant and back, by the rule of RFC 5545.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * Section 3.3.5: a local time that a change of offset leaves out is read
 * with the offset before the gap; one that comes twice is the first of the
 * two.  (PostgreSQL's AT TIME ZONE takes the second.)  Both follow from one
 * statement: where the offset changes from a to b at instant t, the offset a
 * holds for local times below t + max(a, b), b from there on.  So local time
 * is cut into stretches with one offset each; the one used last is kept,
 * which makes conversion in order a comparison and a subtraction.
 *
 * Within a gap, instants run ahead of those of the local times after it:
 * order by local time and order by instant differ there, nowhere else.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/zone.h"

/* No offset, and no gap, is this long; the tz database knows 24 hours. */
#define REACH	(26 * 3600)

void
zone_init(Zone *zone, ZoneNext next, void *arg)
{
	zone->next = next;
	zone->arg = arg;
	zone->known = false;
	zone->low = zone->high = zone->ends = 0;
	zone->offset = 0;
}

/* Move on to the stretch that begins at instant t and local time low. */
static void
step(Zone *zone, int64_t t, int64_t low)
{
	int64_t		boundary;
	int32_t		before,
				after;

	zone->low = low;
	if (zone->next(zone->arg, t, &boundary, &before, &after))
	{
		zone->high = boundary + (before > after ? before : after);
		zone->ends = boundary;
	}
	else
		zone->high = zone->ends = ZONE_FOR_EVER;
	zone->offset = before;
	zone->known = true;
}

/* Make the stretch that "local" lies in the known one. */
void
zone_find(Zone *zone, int64_t local)
{
	/* the usual case: the next one, or the one after that */
	if (zone->known && local >= zone->high)
	{
		for (int i = 0; i < 2; i++)
		{
			step(zone, zone->ends, zone->high);
			if (local < zone->high)
				return;
		}
	}

	/*
	 * From an instant surely before, go on to the stretch.  Where the first
	 * one begins is not known, only that it holds from "local" on.
	 */
	step(zone, local - REACH, local);
	while (local >= zone->high)
		step(zone, zone->ends, zone->high);
}

/*
 * The earliest local time that may stand for an instant at or after
 * "instant": all before it stand for earlier ones.
 */
int64_t
zone_first_local(Zone *zone, int64_t instant)
{
	int64_t		local;

	step(zone, instant - REACH, instant - 2 * REACH);
	while (zone->high != ZONE_FOR_EVER && zone->high - zone->offset <= instant)
		step(zone, zone->ends, zone->high);
	local = instant + zone->offset;
	if (local < zone->low)
		local = zone->low;

	/* "low" of a first stretch was only a guess */
	zone->known = false;
	return local;
}

int32_t
zone_offset(Zone *zone, int64_t instant)
{
	int64_t		boundary;
	int32_t		before,
				after;

	(void) zone->next(zone->arg, instant, &boundary, &before, &after);
	return before;
}
