/*-------------------------------------------------------------------------
 *
 * process_leftover.c
 *	  Child processes that outlived the process that started them.
 *
 * A backend that is killed, or leaves at once in an immediate shutdown, takes
 * its child along by the death signal; what the child started, or a program
 * that takes its time with that signal, may stay.  So that it is found, a file
 * tells of each child before its program begins, until it has been waited for:
 * pid, start time, how it is to be ended, and a random token that is in its
 * environment, and so in that of what it starts.
 *
 * A file is named after its owner, by pid and start time; it is a leftover when
 * no such process lives.  Then those are ended that have the pid and the start
 * time, or the token: never a stranger who got the pid.  A file of another boot
 * of the machine, or of another data directory (this one may be a copy), says
 * nothing about processes here, and is removed.
 *
 * The files are below pg_stat_tmp, which is not part of a base backup.  Where
 * there is no /proc, none are written, and the death signal has to do.
 *
 * Runs in the process that starts a child, and in whoever looks for leftovers:
 * several may do so at a time.  No locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"

#include "core/process_parts.h"

#define FOLDER		PG_STAT_TMP_DIR "/maintsched_processes"
#define MAX_FILE	1024
#define POLL_MS		20L

/* how long after SIGKILL before it is given up */
#define KILL_MS		5000

/* field 22 of /proc/PID/stat, counted from the state, which is field 3 */
#define START_FIELD 19

/* what a file says */
typedef struct Leftover
{
	char		boot[64];
	uint64		device;			/* of the data directory */
	uint64		inode;
	int			pid;
	uint64		start;
	char		token[LEFTOVER_TOKEN_TEXT];
	ProcessStop stops[PROCESS_MAX_STOPS + 1];
} Leftover;

/*
 * Read a small file; its length, or -1.  There is a zero byte after it.
 */
static ssize_t
read_file(const char *path, char *buffer, size_t size)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t		used = 0;
	ssize_t		length = -1;

	if (fd < 0)
		return -1;
	while (used < size - 1)
	{
		length = read(fd, buffer + used, size - 1 - used);
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			break;
		used += length;
	}
	(void) close(fd);
	buffer[used] = '\0';
	return length < 0 ? -1 : (ssize_t) used;
}

/*
 * When a process was started, in ticks since the boot; 0: there is none, or it
 * has ended and only waits to be waited for.
 */
static uint64
start_of(int pid)
{
	char		path[64];
	char		stat[1024];
	char	   *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, stat, sizeof(stat)) <= 0)
		return 0;
	/* the name may hold anything, even ")" */
	at = strrchr(stat, ')');
	if (at == NULL || at[1] == '\0' || strchr("ZXx", at[2]) != NULL)
		return 0;
	at += 2;
	for (int field = 0; field < START_FIELD; field++)
	{
		at = strchr(at, ' ');
		if (at == NULL)
			return 0;
		at++;
	}
	return strtou64(at, NULL, 10);
}

static uint64
own_start(void)
{
	static int	pid = 0;
	static uint64 start;

	if (pid != MyProcPid)
	{
		start = start_of(MyProcPid);
		pid = MyProcPid;
	}
	return start;
}

static void
read_boot(char *boot, size_t size)
{
	if (read_file("/proc/sys/kernel/random/boot_id", boot, size) <= 0)
		strlcpy(boot, "unknown", size);
	boot[strcspn(boot, "\n")] = '\0';
}

/*
 * Does a process have the token in its environment?  One of another user does
 * not, for it cannot be read.
 */
static bool
has_token(int pid, const char *token)
{
	static char environment[65536];
	char		path[64];
	char		wanted[sizeof(LEFTOVER_TOKEN_NAME) + LEFTOVER_TOKEN_TEXT];
	ssize_t		length;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	snprintf(wanted, sizeof(wanted), "%s=%s", LEFTOVER_TOKEN_NAME, token);
	length = read_file(path, environment, sizeof(environment));
	for (const char *at = environment; at < environment + length; at += strlen(at) + 1)
		if (strcmp(at, wanted) == 0)
			return true;
	return false;
}

/*
 * Send a signal to what is left; returns to how many processes.  0: only count
 * those that can be sent one.  *others, unless NULL: of how many that is not so.
 */
static int
signal_left(const Leftover *left, int signal, int *others)
{
	DIR		   *folder;
	struct dirent *entry;
	int			count = 0;
	int			refused = 0;

	folder = AllocateDir("/proc");
	while ((entry = ReadDirExtended(folder, "/proc", LOG)) != NULL)
	{
		int			pid = atoi(entry->d_name);

		if (pid <= 1 || pid == MyProcPid ||
			!((pid == left->pid && start_of(pid) == left->start) || has_token(pid, left->token)))
			continue;
		if (kill(pid, signal) < 0 && errno == EPERM)
			refused++;
		else
			count++;
		/* one that is stopped would not see it */
		if (signal != 0)
			(void) kill(pid, SIGCONT);
	}
	if (folder != NULL)
		FreeDir(folder);
	if (others != NULL)
		*others = refused;
	return count;
}

static double
milliseconds(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Send a signal, and wait; true: nothing is left.
 */
static bool
end_step(const Leftover *left, int signal, int wait_ms)
{
	double		until = milliseconds() + wait_ms;

	if (signal_left(left, signal, NULL) == 0)
		return true;
	while (signal_left(left, 0, NULL) > 0)
	{
		if (milliseconds() >= until)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/*
 * End what is left; returns how many processes there were, or -1: some are
 * still there.
 */
static int
end_leftover(const Leftover *left)
{
	int			others;
	int			count = signal_left(left, 0, &others);
	bool		gone = count == 0;

	if (count > 0)
		ereport(LOG,
				(errmsg("ending process %d, which maintsched started and which outlived its backend", left->pid)));
	for (const ProcessStop *stop = left->stops; !gone && stop->signal != 0; stop++)
		gone = end_step(left, stop->signal, stop->wait_ms);
	if (!gone)
		gone = end_step(left, SIGKILL, KILL_MS);
	return gone && others == 0 ? count : -1;
}

/*
 * What a file says; false: it is not whole, or not of this boot and folder.
 */
static bool
read_leftover(const char *path, Leftover *left)
{
	char text[	MAX_FILE];
	char		boot[64];
	struct stat here;
	char	   *at;
	int			count = 0;
	int			used = 0;

	memset(left, 0, sizeof(*left));
	if (read_file(path, text, sizeof(text)) <= 0 || strstr(text, "\nend\n") == NULL ||
		sscanf(text, "boot %63s\ndata " UINT64_FORMAT " " UINT64_FORMAT "\nchild %d " UINT64_FORMAT "\ntoken %32s\n%n",
			   boot, &left->device, &left->inode, &left->pid, &left->start, left->token, &used) != 6)
		return false;
	for (at = text +used; count < PROCESS_MAX_STOPS; count++, at += used)
		if (sscanf(at, "stop %d %d\n%n", &left->stops[count].signal, &left->stops[count].wait_ms, &used) != 2)
			break;
	left->stops[count].signal = 0;
	read_boot(left->boot, sizeof(left->boot));
	return strcmp(boot, left->boot) == 0 && stat(".", &here) == 0 &&
		here.st_dev == left->device && here.st_ino == left->inode &&
		strlen(left->token) == LEFTOVER_TOKEN_TEXT - 1 && left->pid > 1 && left->start > 0;
}

/*
 * End what other processes of this server, that are no more, left behind;
 * returns of how many.  Takes as long as that takes, and can be interrupted.
 */
int
process_end_leftovers(void)
{
	DIR		   *folder = AllocateDir(FOLDER);
	struct dirent *entry;
	int			ended = 0;

	if (folder == NULL)
		return 0;
	while ((entry = ReadDirExtended(folder, FOLDER, LOG)) != NULL)
	{
		char		path[MAXPGPATH];
		Leftover	left;
		int			owner;
		uint64		start;
		int			count = 0;

		if (sscanf(entry->d_name, "%d." UINT64_FORMAT ".", &owner, &start) != 2 ||
			start_of(owner) == start)
			continue;
		snprintf(path, sizeof(path), "%s/%s", FOLDER, entry->d_name);
		if (read_leftover(path, &left))
			count = end_leftover(&left);
		if (count < 0)
			ereport(WARNING,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not end process %d, which outlived its backend", left.pid)));
		else
			(void) unlink(path);
		ended += count > 0;
	}
	FreeDir(folder);
	return ended;
}

/*
 * Kill what a child that has ended had started.  Raises no error.
 */
void
leftover_sweep(const char *token)
{
	Leftover	left = {0};
	double		until = milliseconds() + KILL_MS;

	strlcpy(left.token, token, sizeof(left.token));
	while (signal_left(&left, SIGKILL, NULL) > 0 && milliseconds() < until)
		pg_usleep(1000);
}

/*
 * A token for the environment of a child.
 */
void
leftover_make_token(char *token)
{
	unsigned char random[(LEFTOVER_TOKEN_TEXT - 1) / 2];

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	for (int i = 0; i < sizeof(random); i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
}

static void
file_of(pid_t pid, char *path)
{
	snprintf(path, MAXPGPATH, "%s/%d." UINT64_FORMAT ".%d", FOLDER, MyProcPid, own_start(), (int) pid);
}

/*
 * Write down that a child exists, before its program begins.
 */
void
leftover_record(pid_t pid, const char *token, const ProcessStop *stops, const char *program)
{
	char		path[MAXPGPATH];
	char		boot[64];
	StringInfoData text;
	struct stat here;
	int			fd;
	bool		written;

	if (own_start() == 0)
		return;
	if ((mkdir(PG_STAT_TMP_DIR, pg_dir_create_mode) < 0 && errno != EEXIST) ||
		(mkdir(FOLDER, pg_dir_create_mode) < 0 && errno != EEXIST))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create folder \"%s\": %m", FOLDER)));
	if (stat(".", &here) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not look at the data directory: %m")));

	read_boot(boot, sizeof(boot));
	initStringInfo(&text);
	appendStringInfo(&text, "boot %s\ndata " UINT64_FORMAT " " UINT64_FORMAT "\nchild %d " UINT64_FORMAT "\ntoken %s\n",
					 boot, (uint64) here.st_dev, (uint64) here.st_ino, (int) pid, start_of(pid), token);
	for (const ProcessStop *stop = stops; stop->signal != 0; stop++)
		appendStringInfo(&text, "stop %d %d\n", stop->signal, stop->wait_ms);
	appendStringInfo(&text, "program %.256s\nend\n", program);

	file_of(pid, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, pg_file_create_mode);
	errno = fd < 0 ? errno : ENOSPC;
	written = fd >= 0 && write(fd, text.data, text.len) == text.len;

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
	pfree(text.data);
}

/*
 * The child was waited for.
 */
void
leftover_forget(pid_t pid)
{
	char		path[MAXPGPATH];

	file_of(pid, path);
	(void) unlink(path);
}
