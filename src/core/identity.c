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

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/exec.h"

/*
 * Who called the function that is about to run as the owner; InvalidOid:
 * nobody.  It holds in the subtransaction that noted it alone: after an error
 * there is another one.
 */
static Oid	caller = InvalidOid;
static TimestampTz caller_transaction;
static SubTransactionId caller_subtransaction;

PG_FUNCTION_INFO_V1(maintsched_acting_role);
PG_FUNCTION_INFO_V1(maintsched_note_caller);
PG_FUNCTION_INFO_V1(maintsched_note_caller_of_row);
PG_FUNCTION_INFO_V1(maintsched_take_caller);
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
 * Maintenance commands run the functions of indexes and views as their owner,
 * in a restricted operation; the outer role is then whoever gave the command,
 * and has asked for nothing here.  Our own restricted transactions are not
 * meant.
 */
static void
check_not_restricted(void)
{
	if (InSecurityRestrictedOperation() && !exec_recording)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot act for role \"%s\" within a security-restricted operation",
						GetUserNameFromId(GetOuterUserId(), false))));
}

/*
 * acting_role() returns text
 */
Datum
maintsched_acting_role(PG_FUNCTION_ARGS)
{
	check_not_restricted();
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

static void
note_caller(void)
{
	check_not_restricted();
	caller = GetUserId();
	caller_transaction = GetCurrentTransactionStartTimestamp();
	caller_subtransaction = GetCurrentSubTransactionId();
}

/*
 * note_caller() returns oid
 *
 * Inside a function that runs as its owner nobody can tell as whom it was
 * called: the outer role has not changed where the caller was such a function,
 * too.  So what decides with whose rights something runs is called through a
 * function that runs as its caller, which notes him here, and takes him at
 * once.
 */
Datum
maintsched_note_caller(PG_FUNCTION_ARGS)
{
	note_caller();
	PG_RETURN_OID(caller);
}

/*
 * note_caller_of_row() returns trigger
 */
Datum
maintsched_note_caller_of_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "note_caller_of_row")));
	note_caller();
	PG_RETURN_POINTER(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple);
}

/*
 * take_caller() returns oid
 *
 * The caller that was just noted, once.
 */
Datum
maintsched_take_caller(PG_FUNCTION_ARGS)
{
	Oid			taken = caller;

	caller = InvalidOid;
	if (!OidIsValid(taken) ||
		caller_transaction != GetCurrentTransactionStartTimestamp() ||
		caller_subtransaction != GetCurrentSubTransactionId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("this function is called by others of the extension only")));
	PG_RETURN_OID(taken);
}
