/*-------------------------------------------------------------------------
 *
 * drill_fetch.c
 *	  Fetching WAL from a folder, for the recovery of a restored copy.
 *
 * What the ladder takes for a file of WAL (wal_folder.c, wal_name.c), recovery has
 * to get: in the folder itself or in one named by the first 16 digits, with
 * pgBackRest's checksum in its name or without, and compressed in any way, which
 * its name need not say.  So restore_command is a small script, written into the
 * folder of the drill.
 *
 * To recovery, a command that fails has no such file: the end of WAL is reached,
 * and the copy is promoted.  A file that is there and cannot be read or unpacked
 * is another matter: the script ends with a code above 125, which ends recovery,
 * and what it prints goes into the log that drill_server.c reads.  A file younger
 * than five minutes may be on its way still, as it may be for the ladder.
 *
 * Runs in the backend that drills; the script in children of the copy's server.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "backup/drill.h"

#define SCRIPT "fetch"

/* what follows "archive=" and "size=" */
static const char script[] =
"name=$1 to=$2\n"
"part=$archive/${name%????????}\n"
"sum=????????????????????????????????????????\n"
"\n"
"say() { echo \"ERROR:  \\\"$file\\\" of the archive $1\" >&2; exit \"$2\"; }\n"
"\n"
"# it may be on its way still\n"
"young() { [ -n \"$(find \"$file\" -prune -mmin -5)\" ]; }\n"
"\n"
"unpack()\n"
"{\n"
"	command -v \"$1\" >/dev/null || say \"is compressed with $1, " DRILL_NO_PROGRAM "\" 127\n"
"	\"$1\" -dc <\"$file\" >\"$to\" && return\n"
"	young && exit 1\n"
"	say 'cannot be unpacked' 200\n"
"}\n"
"\n"
"fetch()\n"
"{\n"
"	head=$(od -An -tx1 -N4 \"$file\") || say 'cannot be read' 200\n"
"	case $head in\n"
"		' 1f 8b'*) unpack gzip ;;\n"
"		' 28 b5 2f fd') unpack zstd ;;\n"
"		' 04 22 4d 18') unpack lz4 ;;\n"
"		' 42 5a 68'*) unpack bzip2 ;;\n"
"		' fd 37 7a 58') unpack xz ;;\n"
"		' 53 61 6c 74') say 'is encrypted' 200 ;;\n"
"		*) cp \"$file\" \"$to\" || say 'cannot be read' 200 ;;\n"
"	esac\n"
"	case $name in *.*) exit 0 ;; esac\n"
"	[ \"$(wc -c <\"$to\")\" -eq \"$size\" ] && exit 0\n"
"	young && exit 1\n"
"	say \"is not of $size bytes\" 200\n"
"}\n"
"\n"
"[ -d \"$archive\" ] && [ -r \"$archive\" ] && [ -x \"$archive\" ] ||\n"
"	{ echo \"ERROR:  archive \\\"$archive\\\" is gone or cannot be read\" >&2; exit 200; }\n"
"for end in '' .gz .zst .lz4 .bz2 .xz; do\n"
"	for file in \"$archive/$name$end\" \"$part/$name$end\" \"$part/$name\"-$sum$end; do\n"
"		[ -f \"$file\" ] && fetch\n"
"	done\n"
"done\n"
"exit 1\n";

/*
 * A word for a shell.
 */
static void
append_word(StringInfo text, const char *word)
{
	appendStringInfoChar(text, '\'');
	for (; *word != '\0'; word++)
		if (*word == '\'')
			appendStringInfoString(text, "'\\''");
		else
			appendStringInfoChar(text, *word);
	appendStringInfoChar(text, '\'');
}

/*
 * The command with which recovery fetches a file of WAL: from the archive, or
 * none at all, which the server would not take.
 */
char	   *
drill_fetch_command(Drill *drill)
{
	StringInfoData text;
	StringInfoData word;

	if (drill->archive == NULL)
		return "exit 1";
	initStringInfo(&text);
	appendStringInfoString(&text, "# restore_command of a restore drill; $1: which file, $2: where to\narchive=");
	append_word(&text, drill->archive);
	appendStringInfo(&text, "\nsize=%d\n", wal_segment_size);
	appendStringInfoString(&text, script);
	drill_write_file(drill->scratch, SCRIPT, text.data);
	drill_fact_text(drill, "archive", drill->archive);

	initStringInfo(&word);
	append_word(&word, psprintf("%s/" SCRIPT, drill->scratch));
	initStringInfo(&text);
	appendStringInfoString(&text, "sh ");
	/* in a restore_command, % means something */
	for (const char *at = word.data; *at != '\0'; at++)
	{
		if (*at == '%')
			appendStringInfoChar(&text, '%');
		appendStringInfoChar(&text, *at);
	}
	appendStringInfoString(&text, " \"%f\" \"%p\"");
	return text.data;
}
