/*-------------------------------------------------------------------------
 *
 * rrule_read.h
 *	  Reading the text of a recurrence rule: characters, words, numbers.
 *
 * For the parser alone; the public interface is rrule.h.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_RRULE_READ_H
#define MAINTSCHED_RRULE_READ_H

#include "calendar/rrule.h"

typedef struct RRuleParser
{
	const char *text;
	size_t		len;
	size_t		at;
	RRule	   *rule;
	RRuleError *error;
	size_t		where[16];		/* where each part's name stands */
	size_t		ordinal_at;		/* and the first ordinal of BYDAY */
} RRuleParser;

/* All of these return false after setting the error. */
extern bool rrule_fail(RRuleParser *p, size_t at, const char *reason,
					   const char *hint);
extern bool rrule_unexpected(RRuleParser *p, const char *wanted);
extern size_t rrule_read_word(RRuleParser *p, char *word, size_t size);
extern bool rrule_read_number(RRuleParser *p, const char *part, bool is_signed,
							  long min, long max, long *value);
extern bool rrule_read_digits(RRuleParser *p, int n, int *value);
extern bool rrule_read_weekday(RRuleParser *p, int *weekday);

static inline int
peek(const RRuleParser *p)
{
	return p->at < p->len ? (unsigned char) p->text[p->at] : -1;
}

static inline int
upper(int c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static inline bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static inline bool
at_end_of_value(const RRuleParser *p)
{
	return p->at >= p->len || p->text[p->at] == ';';
}

#endif							/* MAINTSCHED_RRULE_READ_H */
