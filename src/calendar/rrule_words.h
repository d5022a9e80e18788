/*-------------------------------------------------------------------------
 *
 * rrule_words.h
 *	  Lists of numbers, days and months in English.
 *
 * For rrule_describe.c; the public interface is rrule.h.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_RRULE_WORDS_H
#define MAINTSCHED_RRULE_WORDS_H

#include "calendar/rrule.h"

#define RRULE_WEEKDAYS	0x1f	/* Monday to Friday */

/* text being written; n counts on where there is no room */
typedef struct RRuleWords
{
	char	   *out;
	size_t		size;
	size_t		n;
} RRuleWords;

/* how a number of a list is written */
typedef enum RRuleStyle
{
	RRULE_PLAIN,				/* 1, 2, 3 to 5 */
	RRULE_MONTHDAY,				/* the 1st, 2nd and last day */
	RRULE_NTH					/* first, second and last; 21st */
} RRuleStyle;

extern const char *const rrule_day_names[7];
extern const char *const rrule_month_names[13];

extern void rrule_put(RRuleWords *w, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern void rrule_put_nth(RRuleWords *w, int n);
extern void rrule_put_numbers(RRuleWords *w, const uint64_t *pos,
							  const uint64_t *neg, int min, int max,
							  RRuleStyle style, const char *last);
extern void rrule_put_names(RRuleWords *w, uint32_t set,
							const char *const *names, const char *before,
							const char *last);

extern void rrule_put_times(RRuleWords *w, const RRule *rule);
extern void rrule_put_end(RRuleWords *w, const RRule *rule);

static inline bool
rrule_has(const RRule *rule, uint32_t parts)
{
	return (rule->parts & parts) != 0;
}

#endif							/* MAINTSCHED_RRULE_WORDS_H */
