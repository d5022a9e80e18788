/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Work whose error is an answer.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_ATTEMPT_H
#define MAINTSCHED_ATTEMPT_H

extern ErrorData *attempt(void (*work) (void *arg), void *arg);

#endif							/* MAINTSCHED_ATTEMPT_H */
