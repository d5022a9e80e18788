/*-------------------------------------------------------------------------
 *
 * process_test.c
 *	  SQL functions over src/core/process.h, for tests alone.
 *
 * A child that goes on is known by a number, its place in a list of this
 * backend.  Not installed with the extension.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <sys/wait.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "core/process_parts.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(test_run);
PG_FUNCTION_INFO_V1(test_start);
PG_FUNCTION_INFO_V1(test_poll);
PG_FUNCTION_INFO_V1(test_stop);
PG_FUNCTION_INFO_V1(test_result);
PG_FUNCTION_INFO_V1(test_close);
PG_FUNCTION_INFO_V1(test_pid);
PG_FUNCTION_INFO_V1(test_check);
PG_FUNCTION_INFO_V1(test_server_program);
PG_FUNCTION_INFO_V1(test_leftovers);
PG_FUNCTION_INFO_V1(test_pidfd);
PG_FUNCTION_INFO_V1(test_ignore_children);

#define MAX_PROCESSES 32

static Process * list[MAX_PROCESSES];

/* steps of a program that is given little time */
static const ProcessStop hasty[] = {{SIGTERM, 300}, {0, 0}};

static List *
strings(ArrayType *array)
{
	List	   *result = NIL;
	Datum	   *elements;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		result = lappend(result, TextDatumGetCString(elements[i]));
	return result;
}

/*
 * program text, arguments text[], environment text[], input bytea, directory
 * text, output_limit integer, error_limit integer, keep_last boolean,
 * timeout_ms integer, how text
 *
 * how: "hasty", "server" or "program", for how it is ended; "session" besides.
 */
static ProcessSpec
make_spec(FunctionCallInfo fcinfo)
{
	ProcessSpec spec = {0};
	char	   *how = text_to_cstring(PG_GETARG_TEXT_PP(9));

	spec.program = text_to_cstring(PG_GETARG_TEXT_PP(0));
	spec.setting = "maintsched.some_command";
	spec.arguments = strings(PG_GETARG_ARRAYTYPE_P(1));
	spec.environment = strings(PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3))
	{
		spec.input = VARDATA_ANY(PG_GETARG_BYTEA_PP(3));
		spec.input_length = VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(3));
	}
	if (!PG_ARGISNULL(4))
		spec.directory = text_to_cstring(PG_GETARG_TEXT_PP(4));
	spec.output_limit = PG_GETARG_INT32(5);
	spec.error_limit = PG_GETARG_INT32(6);
	spec.keep_last = PG_GETARG_BOOL(7);
	spec.timeout_ms = PG_GETARG_INT32(8);
	if (strstr(how, "hasty") != NULL)
		spec.stops = hasty;
	if (strstr(how, "server") != NULL)
	{
		spec.stops = process_stop_server;
		spec.death_signal = SIGQUIT;
	}
	spec.for_session = strstr(how, "session") != NULL;
	return spec;
}

/*
 * A row of running, timed_out, lost, exit_code, signal, output, output_total,
 * output_truncated, error, error_total, error_truncated, told.
 */
static Datum
make_row(FunctionCallInfo fcinfo, const ProcessResult * result)
{
	TupleDesc	desc;
	Datum		values[12];
	bool		nulls[12] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "not a row");
	values[0] = BoolGetDatum(result->running);
	values[1] = BoolGetDatum(result->timed_out);
	values[2] = BoolGetDatum(result->lost);
	values[3] = Int32GetDatum(result->exit_code);
	values[4] = Int32GetDatum(result->signal);
	values[5] = PointerGetDatum(cstring_to_text_with_len(result->output.data, result->output.length));
	values[6] = Int64GetDatum((int64) result->output.total);
	values[7] = BoolGetDatum(result->output.truncated);
	values[8] = PointerGetDatum(cstring_to_text_with_len(result->error.data, result->error.length));
	values[9] = Int64GetDatum((int64) result->error.total);
	values[10] = BoolGetDatum(result->error.truncated);
	values[11] = CStringGetTextDatum(process_end_text(result));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
test_run(PG_FUNCTION_ARGS)
{
	ProcessSpec spec = make_spec(fcinfo);
	ProcessResult result;

	process_run(&spec, &result);
	return make_row(fcinfo, &result);
}

Datum
test_start(PG_FUNCTION_ARGS)
{
	ProcessSpec spec = make_spec(fcinfo);

	for (int i = 0; i < MAX_PROCESSES; i++)
		if (list[i] == NULL)
		{
			list[i] = process_start(&spec);
			PG_RETURN_INT32(i);
		}
	elog(ERROR, "too many");
}

static Process *
get(int i)
{
	if (i < 0 || i >= MAX_PROCESSES || list[i] == NULL)
		elog(ERROR, "no process %d", i);
	return list[i];
}

Datum
test_poll(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(process_poll(get(PG_GETARG_INT32(0)), PG_GETARG_INT32(1)));
}

Datum
test_stop(PG_FUNCTION_ARGS)
{
	process_stop(get(PG_GETARG_INT32(0)));
	PG_RETURN_VOID();
}

Datum
test_result(PG_FUNCTION_ARGS)
{
	ProcessResult result;

	process_result(get(PG_GETARG_INT32(0)), &result);
	return make_row(fcinfo, &result);
}

Datum
test_close(PG_FUNCTION_ARGS)
{
	process_close(get(PG_GETARG_INT32(0)));
	list[PG_GETARG_INT32(0)] = NULL;
	PG_RETURN_VOID();
}

Datum
test_pid(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(process_pid(get(PG_GETARG_INT32(0))));
}

Datum
test_check(PG_FUNCTION_ARGS)
{
	process_check_program(text_to_cstring(PG_GETARG_TEXT_PP(0)), "maintsched.some_command");
	PG_RETURN_VOID();
}

Datum
test_server_program(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(process_server_program(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

Datum
test_leftovers(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(process_end_leftovers());
}

Datum
test_pidfd(PG_FUNCTION_ARGS)
{
	process_use_pidfd = PG_GETARG_BOOL(0);
	PG_RETURN_VOID();
}

/*
 * What code in the session may do: have its children waited for by nobody.
 */
Datum
test_ignore_children(PG_FUNCTION_ARGS)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	(void) sigaction(SIGCHLD, &action, NULL);
	PG_RETURN_VOID();
}
