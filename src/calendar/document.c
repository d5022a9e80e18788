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
#include "miscadmin.h"
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
int
document_enter_key(DocumentReader *reader, const char *key)
{
	int			outer = reader->path.len;

	json_append_key(&reader->path, key);
	return outer;
}

int
document_enter_index(DocumentReader *reader, int index)
{
	int			outer = reader->path.len;

	appendStringInfo(&reader->path, "[%d]", index);
	return outer;
}

void
document_leave(DocumentReader *reader, int outer)
{
	reader->path.len = outer;
	reader->path.data[outer] = '\0';
}

const cJSON *
document_member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
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
		const cJSON *value = key != NULL ? document_member(item, key) : item;
		int			j = 0;

		CHECK_FOR_INTERRUPTS();
		for (const cJSON *other = array->child; other != item; other = other->next, j++)
		{
			if (!same_value(reader, value, key != NULL ? document_member(other, key) : other))
				continue;
			document_enter_index(reader, i);
			if (key != NULL)
				document_enter_key(reader, key);
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
		int			outer = document_enter_index(reader, i);

		if (field->type != FIELD_ENTRY)
			document_check_value(reader, field, item);
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
		document_leave(reader, outer);
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
		{
			unknown_key(reader, kind, json_shown(item->string));
			pg_unreachable();
		}

		outer = document_enter_key(reader, field->name);
		if (cJSON_IsNull(item) && (field->flags & FIELD_NULLABLE))
			 /* as it may be */ ;
		else if (field->flags & FIELD_ARRAY)
			check_array(reader, field, item);
		else
			document_check_value(reader, field, item);
		document_leave(reader, outer);
	}

	for (int i = 0; i < kind->nfields; i++)
	{
		if ((kind->fields[i].flags & FIELD_REQUIRED) &&
			document_member(object, kind->fields[i].name) == NULL)
			document_error(reader, NULL, "key \"%s\" is missing", kind->fields[i].name);
	}

	if (kind->check != NULL)
		kind->check(reader, object);
}

/*
 * What kind of document is it?  Asked first, so that the wrong kind is not
 * reported as an unknown key.
 */
static void
check_format(DocumentReader *reader, const EntryKind *kind, const cJSON *object)
{
	const Field *format = &kind->fields[0];
	const cJSON *value = document_member(object, format->name);
	int			outer;

	Assert(strcmp(format->name, "format") == 0);
	if (value == NULL)
		return;
	outer = document_enter_key(reader, format->name);
	document_check_value(reader, format, value);
	document_leave(reader, outer);
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
		check_format(&reader, kind, reader.json.root);
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
