/*-------------------------------------------------------------------------
 *
 * drill_configure.c
 *	  Making a restored copy harmless before it is started.
 *
 * A copy has the configuration of its primary: where that archives, whom it
 * replicates from, which libraries it loads, where its log goes.  All of it is
 * replaced.  Only what recovery requires is kept (from pg_control, or this
 * server's, where that is more: it may have been raised since), and how WAL is
 * fetched and up to where it is replayed is written anew.
 *
 * Links are looked at once more, whatever restored them: each leads into the
 * drill's own folder.  Replay may want to make others: of a tablespace that was
 * created after the backup, at its place on this machine, which may be the
 * primary's own.  There is no setting against that, so the folder pg_tblspc is
 * made read-only; recovery then ends with an error before anything is written.
 * For the same reason tablespace_map goes: the server would make links from it.
 *
 * Slots are removed: nobody reads from them here.
 *
 * Runs in the backend that drills.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "backup/drill.h"
#include "core/compat.h"

/* text of what is read here is short */
#define MAX_TEXT	(1024 * 1024)

/* the same for every copy; what this server does not know is left out */
static const char *const settings[][2] = {
	{"listen_addresses", ""},
	{"port", "5432"},
	{"unix_socket_permissions", "0700"},
	{"unix_socket_group", ""},
	{"bonjour", "off"},
	{"ssl", "off"},
	{"cluster_name", "maintsched restore drill"},
	{"archive_mode", "off"},
	{"archive_command", ""},
	{"archive_library", ""},
	{"archive_cleanup_command", ""},
	{"recovery_end_command", ""},
	{"shared_preload_libraries", ""},
	{"session_preload_libraries", ""},
	{"local_preload_libraries", ""},
	{"jit", "off"},
	{"max_logical_replication_workers", "0"},
	{"sync_replication_slots", "off"},
	{"event_triggers", "off"},
	{"summarize_wal", "off"},
	{"primary_conninfo", ""},
	{"primary_slot_name", ""},
	{"recovery_min_apply_delay", "0"},
	{"synchronous_standby_names", ""},
	{"logging_collector", "off"},
	{"log_destination", "stderr"},
	{"external_pid_file", ""},
	{"hot_standby", "on"},
	{"wal_level", "logical"},
	{"autovacuum", "off"},
	{"restart_after_crash", "off"},

	/*
	 * what is in it is thrown away in the end, whatever becomes of the
	 * machine
	 */
	{"fsync", "off"},
	{"huge_pages", "off"},
	{"wal_recycle", "off"},
	{"wal_init_zero", "off"},
	{"lc_messages", "C"},
	{"timezone", "UTC"},
	{"log_timezone", "UTC"},
};

static const char *const replaced[] = {
	"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf",
	"recovery.signal", "standby.signal", "recovery.conf", "tablespace_map",
	"postmaster.pid", "postmaster.opts", "current_logfiles",
};

/*
 * The first part of a small file; NULL and errno: there is none.
 */
char	   *
drill_read_file(const char *folder, const char *name, size_t limit)
{
	char	   *path = psprintf("%s/%s", folder, name);
	int			fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char	   *data;
	ssize_t		got;

	if (fd < 0)
		return NULL;
	data = palloc(limit + 1);
	got = read(fd, data, limit);
	if (got < 0)
	{
		int			saved = errno;

		(void) close(fd);
		errno = saved;
		return NULL;
	}
	(void) close(fd);
	data[got] = '\0';
	return data;
}

void
drill_write_file(const char *folder, const char *name, const char *text)
{
	char	   *path = psprintf("%s/%s", folder, name);
	int			fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool		written;

	errno = fd < 0 ? errno : ENOSPC;
	written = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);
	if (fd >= 0)
	{
		int			saved = errno;

		(void) close(fd);
		errno = saved;
	}
	if (!written)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
}

/*
 * Can the server's programs here start what is of this version?
 */
void
drill_check_version(Drill *drill, const char *version)
{
	int			major = atoi(version);
	int			length = strcspn(version, "\n");

	if (major != PG_VERSION_NUM / 10000)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the backup is of PostgreSQL %.*s, and this server is %d: it cannot start it", Min(length, 20), version, PG_VERSION_NUM / 10000)));
}

/*
 * Raise an error for any link in a folder and below that does not belong there.
 */
static void
check_folder(Drill *drill, const char *path, bool is_tblspc)
{
	DIR		   *folder = AllocateDir(path);
	struct dirent *entry;

	while ((entry = ReadDir(folder, path)) != NULL)
	{
		char		inner[2 * MAXPGPATH];
		char		target[MAXPGPATH];
		char		real[PATH_MAX];
		struct stat st;
		ssize_t		length;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (lstat(inner, &st) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not look at \"%s\": %m", inner)));
		if (S_ISDIR(st.st_mode))
		{
			bool		deeper = strcmp(path, drill->data) == 0 && strcmp(entry->d_name, "pg_tblspc") == 0;

			check_folder(drill, inner, deeper);
			continue;
		}
		if (S_ISREG(st.st_mode))
			continue;
		length = S_ISLNK(st.st_mode) ? readlink(inner, target, sizeof(target) - 1) : -1;
		target[Max(length, 0)] = '\0';
		if (is_tblspc && length > 0 && realpath(inner, real) != NULL &&
			strncmp(real, drill->tablespaces, strlen(drill->tablespaces)) == 0 && real[strlen(drill->tablespaces)] == '/')
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 S_ISLNK(st.st_mode) ? errmsg("\"%s\" of the restored copy leads to \"%s\", out of the folder of the drill", inner + strlen(drill->data) + 1, target) :
				 errmsg("\"%s\" of the restored copy is neither a file nor a folder", inner + strlen(drill->data) + 1)));
	}
	FreeDir(folder);
}

void
drill_check_links(Drill *drill)
{
	check_folder(drill, drill->data, false);
	check_folder(drill, drill->tablespaces, false);
}

/*
 * A value as a configuration file has it.
 */
static void
append_quoted(StringInfo text, const char *value)
{
	appendStringInfoChar(text, '\'');
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			appendStringInfoChar(text, *value);
		appendStringInfoChar(text, *value);
	}
	appendStringInfoChar(text, '\'');
}

static List *
add_setting(List *list, const char *name, const char *value)
{
	return lappend(lappend(list, unconstify(char *, name)), unconstify(char *, value));
}

/*
 * The greater one of what the copy needs and what this server has.
 */
static List *
add_limit(List *list, const char *name, int of_copy)
{
	const char *here = GetConfigOption(name, false, false);

	return add_setting(list, name, psprintf("%d", Max(of_copy, atoi(here))));
}

/*
 * Names and values in turn.
 */
List	   *
drill_server_settings(Drill *drill)
{
	bool		sound;
	ControlFileData *control = get_controlfile(drill->data, &sound);
	List	   *list = NIL;
	const char *path = GetConfigOption("dynamic_library_path", false, false);

	if (!sound)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("pg_control of the restored copy is damaged")));
	for (int i = 0; i < lengthof(settings); i++)
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			list = add_setting(list, settings[i][0], settings[i][1]);
	list = add_setting(list, "unix_socket_directories", psprintf("\"%s\"", drill->socket));
	list = add_setting(list, "hba_file", psprintf("%s/pg_hba.conf", drill->data));
	list = add_setting(list, "ident_file", psprintf("%s/pg_ident.conf", drill->data));
	list = add_limit(list, "max_connections", control->MaxConnections);
	list = add_limit(list, "max_worker_processes", control->max_worker_processes);
	list = add_limit(list, "max_wal_senders", control->max_wal_senders);
	list = add_limit(list, "max_prepared_transactions", control->max_prepared_xacts);
	list = add_limit(list, "max_locks_per_transaction", control->max_locks_per_xact);
	list = add_setting(list, "min_wal_size", psprintf("%uMB", Max(2, 2 * (control->xlog_seg_size >> 20))));
	/* where this server finds the libraries of extensions */
	list = add_setting(list, "dynamic_library_path", path);
	return list;
}

static void
write_configuration(Drill *drill)
{
	List	   *list = drill_server_settings(drill);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "# written by a restore drill\n");
	for (int i = 0; i < list_length(list); i += 2)
	{
		appendStringInfo(&text, "%s = ", (char *) list_nth(list, i));
		append_quoted(&text, list_nth(list, i + 1));
		appendStringInfoChar(&text, '\n');
	}
	appendStringInfoString(&text, "restore_command = ");
	append_quoted(&text, drill->restore_command);
	appendStringInfoString(&text, "\nrecovery_target_timeline = 'latest'\nrecovery_target_action = 'promote'\n");
	if (drill->restore_point != NULL)
	{
		appendStringInfoString(&text, "recovery_target_name = ");
		append_quoted(&text, drill->restore_point);
		appendStringInfoChar(&text, '\n');
	}
	else if (strcmp(drill->target, "consistent") == 0)
		appendStringInfoString(&text, "recovery_target = 'immediate'\n");
	drill_write_file(drill->data, "postgresql.conf", text.data);
	drill_write_file(drill->data, "postgresql.auto.conf", "");
	drill_write_file(drill->data, "recovery.signal", "");
}

/*
 * A name in double quotes, as pg_hba.conf and pg_ident.conf take it.
 */
static char *
quoted_name(const char *name)
{
	StringInfoData text;

	if (strpbrk(name, "\n\r") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a role has more than one line")));
	initStringInfo(&text);
	appendStringInfoChar(&text, '"');
	for (; *name != '\0'; name++)
	{
		if (*name == '"')
			appendStringInfoChar(&text, '"');
		appendStringInfoChar(&text, *name);
	}
	appendStringInfoChar(&text, '"');
	return text.data;
}

/*
 * Only the server's user gets in, as one of two roles.
 */
static void
write_access(Drill *drill)
{
	struct passwd *user = getpwuid(geteuid());
	const char *super = quoted_name(drill->superuser);

	if (user == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("the server's user has no name")));
	drill_write_file(drill->data, "pg_hba.conf",
					 psprintf("local all %s peer map=drill\nlocal all %s peer map=drill\n", super, drill->reader));
	drill_write_file(drill->data, "pg_ident.conf",
					 psprintf("drill \"%s\" %s\ndrill \"%s\" %s\n", user->pw_name, super, user->pw_name, drill->reader));
}

void
drill_configure(Drill *drill)
{
	char	   *version = drill_read_file(drill->data, "PG_VERSION", 64);
	char	   *label = drill_read_file(drill->data, "backup_label", MAX_TEXT);
	char	   *slots = psprintf("%s/pg_replslot", drill->data);

	if (version == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read \"%s\" of the restored copy: %m", "PG_VERSION")));
	drill_check_version(drill, version);
	if (label == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read \"%s\" of the restored copy: %m", "backup_label"),
				 errdetail("Without it, a server would not know from where to recover.")));
	(void) chmod(drill->data, 0700);
	for (int i = 0; i < lengthof(replaced); i++)
		if (unlink(psprintf("%s/%s", drill->data, replaced[i])) != 0 && errno != ENOENT)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\" of the restored copy: %m", replaced[i])));
	if (!drill_remove_tree(drill->data, "pg_replslot"))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove folder \"%s\": %m", slots)));
	drill_make_folder(slots);
	if (chmod(psprintf("%s/pg_tblspc", drill->data), 0500) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not change folder \"%s\" of the restored copy: %m", "pg_tblspc")));

	drill->socket = MemoryContextStrdup(drill->context, drill_make_socket_folder(drill));
	drill->reader = MemoryContextStrdup(drill->context, psprintf("maintsched_drill_%08x", pg_prng_uint32(&pg_global_prng_state)));
	if (drill->restore_command == NULL)
		drill->restore_command = MemoryContextStrdup(drill->context, drill_fetch_command(drill));
	write_configuration(drill);
	write_access(drill);
	drill_fact_text(drill, "restore_command", drill->restore_command);
	drill_say(drill, "pass", "its configuration is replaced: no network, no archiving, no libraries, no workers");
}
