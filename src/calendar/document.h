/*-------------------------------------------------------------------------
 *
 * document.h
 *	  What calendar and framework documents look like.
 *
 * The tables in document_spec.c say which keys an entry has, and of what
 * type; document.c reads a document by them; document_value.c knows the
 * types; document_check.c knows what members mean together.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_DOCUMENT_H
#define MAINTSCHED_DOCUMENT_H

#include "core/compat.h"
#include "core/json.h"

typedef enum FieldType
{
	FIELD_NAME,					/* kebab-case, at most 63 bytes */
	FIELD_FRAMEWORK,			/* the same, with capitals */
	FIELD_LABEL,				/* one line for people, without outer blanks */
	FIELD_TEXT,					/* prose or a command, may have lines */
	FIELD_LINE,					/* one line of instructions, may be empty */
	FIELD_WORD,					/* one of Field.words */
	FIELD_CONTROL,				/* a framework, a blank, a citation */
	FIELD_RULE,					/* RFC 5545 recurrence rule */
	FIELD_TIMESTAMP,			/* YYYY-MM-DDTHH:MM:SS, no zone */
	FIELD_DURATION,				/* ISO 8601 duration > 0 */
	FIELD_SPAN,					/* the same, or 0 */
	FIELD_TIMEZONE,				/* IANA name */
	FIELD_BOOLEAN,
	FIELD_INTEGER,				/* from Field.low to Field.high */
	FIELD_NUMBER,
	FIELD_OBJECT,				/* free form */
	FIELD_ENTRY					/* an object of kind Field.entry */
} FieldType;

/* flags of a field */
#define FIELD_REQUIRED	0x01	/* must be there */
#define FIELD_NULLABLE	0x02	/* may be null */
#define FIELD_ARRAY		0x04	/* an array of values of the type */
#define FIELD_FILLED	0x08	/* ... with at least one */
#define FIELD_DISTINCT	0x10	/* ... which all differ */

typedef struct EntryKind EntryKind;

typedef struct Field
{
	const char *name;
	FieldType	type;
	int			flags;
	const EntryKind *entry;		/* of FIELD_ENTRY */
	const char *const *words;	/* of FIELD_WORD, NULL-terminated */
	int			low;			/* of FIELD_INTEGER */
	int			high;
} Field;

/* a document being read */
typedef struct DocumentReader
{
	JsonDocument json;
	StringInfoData path;		/* of the value being read */
	const cJSON *entry;			/* the entry of an outermost array */
	const char *entry_what;
} DocumentReader;

/*
 * What an object must look like: its fields, the one by which entries of an
 * array differ (or NULL), and a check of what its fields mean together (or
 * NULL).
 */
struct EntryKind
{
	const char *what;
	const Field *fields;
	int			nfields;
	const char *key;
	void		(*check) (DocumentReader *reader, const cJSON *object);
};

#define MAX_FIELDS 32

/* document_spec.c */
extern const EntryKind calendar_document;
extern const EntryKind framework_document;

/* document.c */
compat_noreturn extern void document_error(DocumentReader *reader, const char *hint,
										   const char *format,...)
			pg_attribute_printf(3, 4);
extern int	document_enter_key(DocumentReader *reader, const char *key);
extern int	document_enter_index(DocumentReader *reader, int index);
extern void document_leave(DocumentReader *reader, int outer);
extern const cJSON *document_member(const cJSON *object, const char *key);

/* document_check.c */
extern void document_check_item(DocumentReader *reader, const cJSON *item);
extern void document_check_task(DocumentReader *reader, const cJSON *task);
extern void document_check_window(DocumentReader *reader, const cJSON *window);
extern void document_check_notification(DocumentReader *reader, const cJSON *notification);
extern void document_check_phase(DocumentReader *reader, const cJSON *phase);
extern void document_check_kpi(DocumentReader *reader, const cJSON *kpi);
extern void document_check_calendar(DocumentReader *reader, const cJSON *calendar);

/* document_value.c */
extern void document_check_value(DocumentReader *reader, const Field *field, const cJSON *value);

#endif							/* MAINTSCHED_DOCUMENT_H */
