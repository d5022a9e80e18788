/*-------------------------------------------------------------------------
 *
 * document.c
 *	  Reading calendar and framework documents.
 *
 * check_document() and check_framework() decide whether a text is such a
 * document, and return it as jsonb: of the text itself, so that numbers keep
 * every digit.  Everything is checked before anything is imported, and the
 * first thing that is wrong is an error that names the JSON path; array
 * elements count from 0, as in jsonb and jsonpath.  Nothing is ignored: a
 * key that document_spec.c does not know is an error too.
 *
 * What only the importer can know is left to it: whether the framework of a
 * control exists, and whether a rule ever matches.
 *
 * Runs in any backend, takes no locks; reads the server's time zone files.
 * The tree of the document is malloc'ed and freed in PG_FINALLY.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "calendar/document.h"
#include "core/compat.h"
#include "core/nearest.h"

PG_FUNCTION_INFO_V1(maintsched_check_document);
PG_FUNCTION_INFO_V1(maintsched_check_framework);

static void check_entry(DocumentReader *reader, const EntryKind *kind, const cJSON *object);

/*
 * An error at the value being read.  Inside an entry of an outermost array,
 * such as a task, its name or title is told too.
 */
void
document_error(DocumentReader *reader, const char *hint, const char *format,...)
{
	StringInfoData problem;
	const char *name = NULL;

	initStringInfo(&problem);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&problem, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&problem, needed);
	}

	if (reader->entry != NULL)
	{
		name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reader->entry, "name"));
		if (name == NULL)
			name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reader->entry, "title"));
	}

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s: %s", reader->path.len > 0 ? reader->path.data : "document",
					problem.data),
			 name != NULL ? errdetail("In %s \"%s\".", reader->entry_what,
									  json_shown(name)) : 0,
			 hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/* the path grows by a key or an index, and shrinks to what it was */
static int
enter_key(DocumentReader *reader, const char *key)
{
	int			outer = reader->path.len;

	json_append_key(&reader->path, key);
	return outer;
}

static int
enter_index(DocumentReader *reader, int index)
{
	int			outer = reader->path.len;

	appendStringInfo(&reader->path, "[%d]", index);
	return outer;
}

static void
leave(DocumentReader *reader, int outer)
{
	reader->path.len = outer;
	reader->path.data[outer] = '\0';
}

static const cJSON *
member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *
member_string(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(member(object, key));
}

static bool
member_is(const cJSON *object, const char *key, const char *word)
{
	const char *value = member_string(object, key);

	return value != NULL && strcmp(value, word) == 0;
}

/* null is as good as absent: it is allowed only where that means the same */
static bool
has_member(const cJSON *object, const char *key)
{
	const cJSON *item = member(object, key);

	return item != NULL && !cJSON_IsNull(item);
}

static void
demand_member(DocumentReader *reader, const cJSON *object, const char *key,
			  const char *why)
{
	if (!has_member(object, key))
		document_error(reader, NULL, "key \"%s\" is missing: %s", key, why);
}

static void
refuse_member(DocumentReader *reader, const cJSON *object, const char *key,
			  const char *why)
{
	if (has_member(object, key))
	{
		enter_key(reader, key);
		document_error(reader, NULL, "%s", why);
	}
}

static bool
same_value(DocumentReader *reader, const cJSON *a, const cJSON *b)
{
	if (cJSON_IsString(a) && cJSON_IsString(b))
		return strcmp(a->valuestring, b->valuestring) == 0;
	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return strcmp(json_number(&reader->json, a),
					  json_number(&reader->json, b)) == 0;
	return false;
}

/*
 * The values of an array, or those that key has in its objects, must differ.
 */
static void
check_distinct(DocumentReader *reader, const cJSON *array, const char *key)
{
	int			i = 0;

	for (const cJSON *item = array->child; item != NULL; item = item->next, i++)
	{
		const cJSON *value = key != NULL ? member(item, key) : item;
		int			j = 0;

		for (const cJSON *other = array->child; other != item; other = other->next, j++)
		{
			if (!same_value(reader, value, key != NULL ? member(other, key) : other))
				continue;
			enter_index(reader, i);
			if (key != NULL)
				enter_key(reader, key);
			document_error(reader, NULL, "%s%s%s is there already, at index %d",
						   cJSON_IsString(value) ? "\"" : "",
						   cJSON_IsString(value) ? json_shown(value->valuestring) :
						   json_number(&reader->json, value),
						   cJSON_IsString(value) ? "\"" : "", j);
		}
	}
}

static void
check_array(DocumentReader *reader, const Field *field, const cJSON *array)
{
	bool		outermost = reader->entry == NULL;
	int			i = 0;

	if (!cJSON_IsArray(array))
		document_error(reader, NULL, "must be an array");
	if (array->child == NULL && (field->flags & FIELD_FILLED))
		document_error(reader, NULL, "must not be empty");

	for (const cJSON *item = array->child; item != NULL; item = item->next, i++)
	{
		int			outer = enter_index(reader, i);

		if (field->type != FIELD_ENTRY)
			check_value(reader, field, item);
		else
		{
			if (outermost)
			{
				reader->entry = item;
				reader->entry_what = field->entry->what;
			}
			check_entry(reader, field->entry, item);
			if (outermost)
				reader->entry = NULL;
		}
		leave(reader, outer);
	}

	if (field->type == FIELD_ENTRY && field->entry->key != NULL)
		check_distinct(reader, array, field->entry->key);
	else if (field->flags & FIELD_DISTINCT)
		check_distinct(reader, array, NULL);
}

static void
unknown_key(DocumentReader *reader, const EntryKind *kind, const char *key)
{
	const char *known[MAX_FIELDS];
	const char *near;
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < kind->nfields; i++)
	{
		known[i] = kind->fields[i].name;
		appendStringInfo(&all, "%s%s", i > 0 ? ", " : "", known[i]);
	}
	near = nearest_name(key, known, kind->nfields);
	document_error(reader,
				   near != NULL ? psprintf("Perhaps you meant \"%s\".", near) :
				   psprintf("Known are: %s.", all.data),
				   "unknown key \"%s\" in a %s", key, kind->what);
}

/*
 * An object, key by key.  The keys of the document are looked up in the
 * table, then the table in the document.
 */
static void
check_entry(DocumentReader *reader, const EntryKind *kind, const cJSON *object)
{
	Assert(kind->nfields <= MAX_FIELDS);

	if (!cJSON_IsObject(object))
		document_error(reader, NULL, "must be an object");

	for (const cJSON *item = object->child; item != NULL; item = item->next)
	{
		const Field *field = NULL;
		int			outer;

		for (int i = 0; i < kind->nfields && field == NULL; i++)
		{
			if (strcmp(kind->fields[i].name, item->string) == 0)
				field = &kind->fields[i];
		}
		if (field == NULL)
			unknown_key(reader, kind, json_shown(item->string));

		outer = enter_key(reader, field->name);
		if (cJSON_IsNull(item) && (field->flags & FIELD_NULLABLE))
			 /* as it may be */ ;
		else if (field->flags & FIELD_ARRAY)
			check_array(reader, field, item);
		else
			check_value(reader, field, item);
		leave(reader, outer);
	}

	for (int i = 0; i < kind->nfields; i++)
	{
		if ((kind->fields[i].flags & FIELD_REQUIRED) &&
			member(object, kind->fields[i].name) == NULL)
			document_error(reader, NULL, "key \"%s\" is missing", kind->fields[i].name);
	}

	if (kind->check != NULL)
		kind->check(reader, object);
}

void
check_task(DocumentReader *reader, const cJSON *task)
{
	const cJSON *rdate = member(task, "rdate");

	if (member_is(task, "kind", "routine"))
		demand_member(reader, task, "routine", "a task of kind \"routine\" has one");
	else
		refuse_member(reader, task, "routine", "only a task of kind \"routine\" has one");

	if (has_member(task, "rule") || (rdate != NULL && rdate->child != NULL))
	{
		demand_member(reader, task, "starts_on", "a task that recurs has one");
		demand_member(reader, task, "due_within", "a task that recurs has one");
	}
}

void
check_window(DocumentReader *reader, const cJSON *window)
{
	if (!has_member(window, "rule"))
		return;
	demand_member(reader, window, "starts_on", "a window that recurs has one");
	demand_member(reader, window, "duration", "a window that recurs has one");
}

void
check_notification(DocumentReader *reader, const cJSON *notification)
{
	if (member_is(notification, "moment", "before_start"))
		demand_member(reader, notification, "lead_time",
					  "a notification before the start has one");
	else
		refuse_member(reader, notification, "lead_time",
					  "only a notification before the start has one");
}

void
check_phase(DocumentReader *reader, const cJSON *phase)
{
	int			from = atoi(json_number(&reader->json, member(phase, "from_minutes")));
	int			to = atoi(json_number(&reader->json, member(phase, "to_minutes")));

	if (from < to)
		return;
	enter_key(reader, "to_minutes");
	document_error(reader, NULL, "%d is not later than from_minutes, %d", to, from);
}

void
check_kpi(DocumentReader *reader, const cJSON *kpi)
{
	if (has_member(kpi, "comparison"))
		demand_member(reader, kpi, "value", "a comparison needs one");
	if (has_member(kpi, "value"))
		demand_member(reader, kpi, "comparison", "a value needs one");
}

/*
 * A name that a task had must be no other task's, present or former: a
 * rename would be ambiguous.
 */
static void
check_former_name(DocumentReader *reader, const cJSON *tasks, const cJSON *owner,
				  const char *former)
{
	int			i = 0;

	for (const cJSON *task = tasks->child; task != NULL; task = task->next, i++)
	{
		const cJSON *formerly = member(task, "formerly");

		if (member_is(task, "name", former))
			document_error(reader, NULL, "\"%s\" is the name of tasks[%d]", former, i);
		if (task == owner || formerly == NULL)
			continue;
		for (const cJSON *item = formerly->child; item != NULL; item = item->next)
		{
			if (strcmp(item->valuestring, former) == 0)
				document_error(reader, NULL, "\"%s\" is a former name of tasks[%d] too",
							   former, i);
		}
	}
}

static void
check_former_names(DocumentReader *reader, const cJSON *tasks)
{
	int			outermost = enter_key(reader, "tasks");
	int			i = 0;

	for (const cJSON *task = tasks->child; task != NULL; task = task->next, i++)
	{
		const cJSON *formerly = member(task, "formerly");
		int			outer = enter_index(reader, i);
		int			j = 0;

		enter_key(reader, "formerly");
		if (formerly != NULL)
		{
			for (const cJSON *item = formerly->child; item != NULL; item = item->next, j++)
			{
				int			inner = enter_index(reader, j);

				check_former_name(reader, tasks, task, item->valuestring);
				leave(reader, inner);
			}
		}
		leave(reader, outer);
	}
	leave(reader, outermost);
}

/*
 * Scripts and commands may say which task they belong to.
 */
static void
check_task_references(DocumentReader *reader, const cJSON *calendar, const char *key)
{
	const cJSON *tasks = member(calendar, "tasks");
	const cJSON *array = member(calendar, key);
	int			outermost = enter_key(reader, key);
	int			n = cJSON_GetArraySize(tasks);
	int			i = 0;

	for (const cJSON *item = array != NULL ? array->child : NULL; item != NULL;
		 item = item->next, i++)
	{
		const char *name = member_string(item, "task");
		const char **names;
		const char *near;
		int			nnames = 0;
		bool		found = name == NULL;

		for (const cJSON *task = tasks->child; task != NULL && !found; task = task->next)
			found = strcmp(member_string(task, "name"), name) == 0;
		if (found)
			continue;

		names = palloc(sizeof(char *) * Max(n, 1));
		for (const cJSON *task = tasks->child; task != NULL; task = task->next)
			names[nnames++] = member_string(task, "name");
		near = nearest_name(name, names, nnames);
		enter_index(reader, i);
		enter_key(reader, "task");
		document_error(reader,
					   near != NULL ? psprintf("Perhaps you meant \"%s\".", near) : NULL,
					   "there is no task \"%s\" in this document", name);
	}
	leave(reader, outermost);
}

/*
 * What the parts of a calendar mean together.
 */
void
check_calendar(DocumentReader *reader, const cJSON *calendar)
{
	check_former_names(reader, member(calendar, "tasks"));
	check_task_references(reader, calendar, "scripts");
	check_task_references(reader, calendar, "commands");
}

static Datum
read_document(text *argument, const EntryKind *kind)
{
	char	   *document = text_to_cstring(argument);
	DocumentReader reader = {0};

	initStringInfo(&reader.path);
	json_read(document, &reader.json);
	PG_TRY();
	{
		check_entry(&reader, kind, reader.json.root);
	}
	PG_FINALLY();
	{
		json_free(&reader.json);
	}
	PG_END_TRY();

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(document));
}

/*
 * check_document(document text) returns jsonb
 */
Datum
maintsched_check_document(PG_FUNCTION_ARGS)
{
	return read_document(PG_GETARG_TEXT_PP(0), &calendar_document);
}

/*
 * check_framework(document text) returns jsonb
 */
Datum
maintsched_check_framework(PG_FUNCTION_ARGS)
{
	return read_document(PG_GETARG_TEXT_PP(0), &framework_document);
}
