/*-------------------------------------------------------------------------
 *
 * document_check.c
 *	  What the parts of a calendar document mean together.
 *
 * document_spec.c names these checks beside the tables.  Each is called when
 * all members of its object have passed one by one, so members that are
 * required are there and of the right type.  Runs in any backend; takes no
 * locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "calendar/document.h"
#include "core/nearest.h"

static const char *
member_string(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(document_member(object, key));
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
	const cJSON *item = document_member(object, key);

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
		document_enter_key(reader, key);
		document_error(reader, NULL, "%s", why);
	}
}

void
document_check_item(DocumentReader *reader, const cJSON *item)
{
	if (has_member(item, "params"))
		demand_member(reader, item, "routine", "parameters are those of a routine");
}

void
document_check_task(DocumentReader *reader, const cJSON *task)
{
	const cJSON *rdate = document_member(task, "rdate");

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
document_check_window(DocumentReader *reader, const cJSON *window)
{
	if (!has_member(window, "rule"))
		return;
	demand_member(reader, window, "starts_on", "a window that recurs has one");
	demand_member(reader, window, "duration", "a window that recurs has one");
}

void
document_check_notification(DocumentReader *reader, const cJSON *notification)
{
	if (member_is(notification, "moment", "before_start"))
		demand_member(reader, notification, "lead_time",
					  "a notification before the start has one");
	else
		refuse_member(reader, notification, "lead_time",
					  "only a notification before the start has one");
}

void
document_check_phase(DocumentReader *reader, const cJSON *phase)
{
	int			from = atoi(json_number(&reader->json, document_member(phase, "from_minutes")));
	int			to = atoi(json_number(&reader->json, document_member(phase, "to_minutes")));

	if (from < to)
		return;
	document_enter_key(reader, "to_minutes");
	document_error(reader, NULL, "%d is not later than from_minutes, %d", to, from);
}

void
document_check_kpi(DocumentReader *reader, const cJSON *kpi)
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
		const cJSON *formerly = document_member(task, "formerly");

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
	int			outermost = document_enter_key(reader, "tasks");
	int			i = 0;

	for (const cJSON *task = tasks->child; task != NULL; task = task->next, i++)
	{
		const cJSON *formerly = document_member(task, "formerly");
		int			outer = document_enter_index(reader, i);
		int			j = 0;

		document_enter_key(reader, "formerly");
		if (formerly != NULL)
		{
			for (const cJSON *item = formerly->child; item != NULL; item = item->next, j++)
			{
				int			inner = document_enter_index(reader, j);

				check_former_name(reader, tasks, task, item->valuestring);
				document_leave(reader, inner);
			}
		}
		document_leave(reader, outer);
	}
	document_leave(reader, outermost);
}

/*
 * Scripts and commands may say which task they belong to.
 */
static void
check_task_references(DocumentReader *reader, const cJSON *calendar, const char *key)
{
	const cJSON *tasks = document_member(calendar, "tasks");
	const cJSON *array = document_member(calendar, key);
	int			outermost = document_enter_key(reader, key);
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
		document_enter_index(reader, i);
		document_enter_key(reader, "task");
		document_error(reader,
					   near != NULL ? psprintf("Perhaps you meant \"%s\".", near) : NULL,
					   "there is no task \"%s\" in this document", name);
	}
	document_leave(reader, outermost);
}

/*
 * What the parts of a calendar mean together.
 */
void
document_check_calendar(DocumentReader *reader, const cJSON *calendar)
{
	check_former_names(reader, document_member(calendar, "tasks"));
	check_task_references(reader, calendar, "scripts");
	check_task_references(reader, calendar, "commands");
}
