/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Who acts.
 *
 * Functions that record something run as the extension's owner (SECURITY
 * DEFINER), where current_user says only that.  The outer role is the one
 * that the session had chosen, by login or SET ROLE, before any definer
 * function began; session_user is who logged in.  Both are recorded.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(maintsched_acting_role);
PG_FUNCTION_INFO_V1(maintsched_session_role);

/*
 * A role may be dropped while it works.  What it did is recorded all the same,
 * which session_user would refuse.
 */
static text *
name_of(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	return cstring_to_text(name != NULL ? name : psprintf("dropped role %u", role));
}

/*
 * acting_role() returns text
 */
Datum
maintsched_acting_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(name_of(GetOuterUserId()));
}

/*
 * session_role() returns text
 */
Datum
maintsched_session_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(name_of(GetSessionUserId()));
}
