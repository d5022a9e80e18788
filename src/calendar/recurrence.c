/*-------------------------------------------------------------------------
 *
 * recurrence.c
 *	  The instants of a rule that starts at a local time in a zone.
 *
 * Runs in any process; takes no locks, allocates nothing.
 *
 * A rule is expanded in local time (rrule.c) and each instance then read in
 * the zone (zone.c).  Instances keep their local order and their identity:
 * two of them may stand for the same instant, and inside a DST gap one may
 * stand for a later instant than the next.  That is why a range of instants
 * is not a range of local times, and why the next instance after an instant
 * is looked for on both sides of a gap.
 *
 * UNTIL with Z is an instant and compared as one, here.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "calendar/recurrence.h"

/* instants beyond any local time of the years 1 to 9999 */
#define BEFORE_ALL	(RRULE_MIN_LOCAL - 2 * RRULE_DAY)
#define AFTER_ALL	(RRULE_MAX_LOCAL + 2 * RRULE_DAY)

void
recurrence_init(Recurrence *rec, const RRule *rule, int64_t start,
				ZoneNext next, void *arg)
{
	zone_init(&rec->zone, next, arg);
	rrule_iter_init(&rec->iter, rule, start);
	recurrence_between(rec, BEFORE_ALL, AFTER_ALL);
}

/* Begin again, with instants in [since, until). */
void
recurrence_between(Recurrence *rec, int64_t since, int64_t until)
{
	const RRule *rule = rec->iter.rule;

	if (since < BEFORE_ALL)
		since = BEFORE_ALL;
	if (until > AFTER_ALL)
		until = AFTER_ALL;
	if (rule->until_kind == RRULE_UNTIL_UTC && until > rule->until + 1)
		until = rule->until + 1;
	rec->since = since;
	rec->until = until;
	if (since >= AFTER_ALL)
		rrule_iter_seek(&rec->iter, AFTER_ALL);
	else
		rrule_iter_seek(&rec->iter, zone_first_local(&rec->zone, since));
}

/* The next instance in local order; false when there is none. */
bool
recurrence_next(Recurrence *rec, int64_t *local, int64_t *instant)
{
	Zone	   *zone = &rec->zone;

	while (rrule_iter_next(&rec->iter, local))
	{
		*instant = zone_to_instant(zone, *local);
		if (*instant >= rec->until)
		{
			/* later local times may still be earlier: this is in a gap */
			if (zone->ends < rec->until)
				continue;
			return false;
		}
		if (*instant >= rec->since)
			return true;
		/* after a gap: go where "since" is again, unless COUNT counts */
		if (rec->iter.left < 0 && *local < rec->since + zone->offset)
			rrule_iter_seek(&rec->iter, rec->since + zone->offset);
	}
	return false;
}

/*
 * The instance with the earliest instant after "after"; of two at the same
 * instant, the one with the earlier local time.
 */
bool
recurrence_after(Recurrence *rec, int64_t after, int64_t *local,
				 int64_t *instant)
{
	Zone	   *zone = &rec->zone;

	recurrence_between(rec, after >= AFTER_ALL ? AFTER_ALL : after + 1,
					   AFTER_ALL);
	if (!recurrence_next(rec, local, instant))
		return false;

	/* an offset that ends before that instant: look beyond the gap, too */
	while (zone->ends < *instant)
	{
		int64_t		other = zone->high;
		int64_t		other_instant;

		/* the first instance there, unless it is before "since" */
		rrule_iter_seek(&rec->iter, other);
		if (!recurrence_next(rec, &other, &other_instant))
			break;
		if (other_instant >= *instant)
			break;
		*local = other;
		*instant = other_instant;
	}
	return true;
}
