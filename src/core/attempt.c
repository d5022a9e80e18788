/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Work whose error is an answer.
 *
 * One relation of many, or one backup of many, may not be readable: that is
 * then what there is to say of it, and the others are read nevertheless.  Such
 * work runs in a subtransaction, as a block with EXCEPTION does in PL/pgSQL.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "core/attempt.h"

/*
 * Do work(arg) in a subtransaction, in the current memory context.  Returns
 * the error that ended it, in that context; NULL: it was done.  Which errors
 * are answers the caller decides, and raises the others again: a cancel is none.
 */
ErrorData  *
attempt(void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
