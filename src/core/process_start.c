/*-------------------------------------------------------------------------
 *
 * process_start.c
 *	  Starting a child process.
 *
 * All that the child needs is made before the fork: vectors, pipes, and the
 * number of the highest descriptor that it has to close.  It then waits until
 * the file that tells of it is written (process_leftover.c), and executes its
 * program; when that fails, it says why, and that is an error here.
 *
 * Runs in the process that starts the child.  An error on the way leaves no
 * child, no file and no descriptor.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "core/process_parts.h"

/* tests turn it off */
bool		process_use_pidfd = true;

/* our ends of the pipes through which a child is told to go on, and answers */
typedef struct Launch
{
	int			go;
	int			status;
} Launch;

/*
 * The strings of a list, after the first ones, as exec() wants them.
 */
static char **
make_vector(const char *const *first, int nfirst, List *rest)
{
	char	  **vector = palloc((nfirst + list_length(rest) + 1) * sizeof(char *));
	ListCell   *cell;
	int			n = 0;

	for (int i = 0; i < nfirst; i++)
		vector[n++] = pstrdup(first[i]);
	foreach(cell, rest)
		vector[n++] = pstrdup(lfirst(cell));
	vector[n] = NULL;
	return vector;
}

/*
 * The environment: what the caller lists, then what it did not name.  Nothing
 * is taken over from the server's.  Times are in UTC, messages in English.
 */
static char **
make_environment(List *wanted, const char *token)
{
	struct passwd *user = getpwuid(geteuid());
	const char *all[] = {
		psprintf("%s=%s", LEFTOVER_TOKEN_NAME, token),
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"LC_ALL=C.UTF-8",
		"TZ=UTC",
		psprintf("HOME=%s", user ? user->pw_dir : "/"),
		psprintf("USER=%s", user ? user->pw_name : ""),
		psprintf("LOGNAME=%s", user ? user->pw_name : ""),
	};
	const char *first[lengthof(all)];
	int			n = 0;

	for (int i = 0; i < lengthof(all); i++)
	{
		ListCell   *cell;
		bool		named = false;

		foreach(cell, wanted)
			named |= strncmp(lfirst(cell), all[i], strcspn(all[i], "=") + 1) == 0;
		if (!named)
			first[n++] = all[i];
	}
	return make_vector(first, n, wanted);
}

/*
 * The greatest number of a descriptor that is open in this process.
 */
static int
highest_descriptor(void)
{
	DIR		   *folder = AllocateDir("/proc/self/fd");
	struct dirent *entry;
	int			highest = STDERR_FILENO;

	if (folder == NULL)
		return (int) Min(sysconf(_SC_OPEN_MAX), 65536);
	while ((entry = ReadDirExtended(folder, "/proc/self/fd", LOG)) != NULL)
		highest = Max(highest, atoi(entry->d_name));
	FreeDir(folder);
	return highest;
}

static int
open_pidfd(pid_t pid)
{
	int			fd = -1;

#ifdef SYS_pidfd_open
	if (process_use_pidfd && AcquireExternalFD())
	{
		fd = syscall(SYS_pidfd_open, pid, 0);
		if (fd < 0)
			ReleaseExternalFD();
	}
#endif
	return fd;
}

compat_noreturn static void
report_failure(const ProcessSpec *spec, const ProcessFailure *failure)
{
	errno = failure->error;
	if (failure->step == STEP_DIRECTORY)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not change to folder \"%s\" for program \"%s\": %m",
						spec->directory ? spec->directory : "/", spec->program)));
	if (failure->step == STEP_EXEC)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not execute program \"%s\": %m", spec->program),
				 failure->error == ENOEXEC ? errdetail("It is no program for this machine, or a script without \"#!\".") : 0,
				 failure->error == ENOENT ? errdetail("The interpreter that it names may be missing.") : 0));
	ereport(ERROR,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("could not start program \"%s\": %m", spec->program)));
}

/*
 * Fork; all signals are blocked, so that no handler of ours runs in the child.
 */
static pid_t
fork_child(ProcessChild *child)
{
	struct sigaction action;
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t	all;
	sigset_t	saved;
	pid_t		pid;

	/* code in the session may have asked for what makes waiting impossible */
	if (sigaction(SIGCHLD, NULL, &action) == 0 &&
		(action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0))
		(void) sigaction(SIGCHLD, &standard, NULL);

	sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &saved);
	child->parent = getpid();
	pid = fork();
	if (pid == 0)
		process_child(child);
	(void) sigprocmask(SIG_SETMASK, &saved, NULL);
	return pid;
}

static int
pipe_to_child(int *childs)
{
	int			fd = stream_pipe(childs, true);

	if (fd < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a pipe to a child process: %m")));
	return fd;
}

static int
pipe_from_child(int *childs)
{
	int			fd = stream_pipe(childs, false);

	if (fd < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a pipe from a child process: %m")));
	return fd;
}

/*
 * All the pipes, and what the child reads.
 */
static void
open_pipes(Process *process, const ProcessSpec *spec, ProcessChild *child, Launch *launch)
{
	launch->go = pipe_to_child(&child->go);
	child->go_other = launch->go;
	launch->status = pipe_from_child(&child->status);
	/* this one we wait for */
	(void) fcntl(launch->status, F_SETFL, 0);

	process->output.fd = pipe_from_child(&child->output);
	process->error.fd = pipe_from_child(&child->error);
	if (spec->input_file > 0)
	{
		child->input = stream_copy(spec->input_file);
		if (child->input < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not pass a file to program \"%s\": %m", spec->program)));
		return;
	}
	if (spec->input == NULL)
	{
		child->input = stream_null();
		if (child->input < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", "/dev/null")));
		return;
	}
	process->input = pipe_to_child(&child->input);
	process->nunwritten = spec->input_length;
	process->unwritten = memcpy(MemoryContextAlloc(process->context, spec->input_length + 1),
								spec->input, spec->input_length);
}

/*
 * Fork, write the child down, let its program begin.
 */
static void
launch_child(Process *process, const ProcessSpec *spec, ProcessChild *child, Launch *launch, const char *token)
{
	ProcessFailure failure;
	ssize_t		length;

	child->highest = highest_descriptor();
	process->pid = fork_child(child);
	if (process->pid < 0)
	{
		process->pid = 0;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not fork for program \"%s\": %m", spec->program)));
	}
	leftover_record(process->pid, token, process->stops, spec->program);
	process->pidfd = open_pidfd(process->pid);

	/* with our copy of its end open, we would wait for ever */
	stream_close(&child->status);
	do
		length = write(launch->go, "", 1);
	while (length < 0 && errno == EINTR);

	/* it has nothing else to do but to execute its program */
	do
		length = read(launch->status, &failure, sizeof(failure));
	while (length < 0 && errno == EINTR);
	if (length == sizeof(failure))
		report_failure(spec, &failure);
	process->started = true;
}

/*
 * End a child that has not come as far as its program.
 */
static void
abandon(Process *process)
{
	if (process->pid != 0 && !process->started)
	{
		(void) kill(process->pid, SIGKILL);
		while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
			;
		leftover_forget(process->pid);
	}
	process_close(process);
}

static void
close_ends(ProcessChild *child, Launch *launch)
{
	stream_close(&launch->go);
	stream_close(&launch->status);
	stream_close(&child->go);
	stream_close(&child->status);
	stream_close(&child->input);
	stream_close(&child->output);
	stream_close(&child->error);
}

/*
 * Start a program.  The caller closes it; a failed transaction does it too.
 */
Process    *
process_start(const ProcessSpec *spec)
{
	ProcessChild child = {.input = -1,.output = -1,.error = -1,.go = -1,.status = -1};
	Launch		launch = {-1, -1};
	char		token[LEFTOVER_TOKEN_TEXT];
	MemoryContext context;
	Process    *process;

	process_prepare();
	process = process_make(spec);
	context = MemoryContextSwitchTo(process->context);
	PG_TRY();
	{
		process_check_program(spec->program, spec->setting);
		leftover_make_token(token);
		if (spec->with_offspring)
			process->token = pstrdup(token);
		child.program = spec->program;
		child.arguments = make_vector(&spec->program, 1, spec->arguments);
		child.environment = make_environment(spec->environment, token);
		child.directory = spec->directory ? spec->directory : "/";
		child.death_signal = spec->death_signal ? spec->death_signal : SIGKILL;
		open_pipes(process, spec, &child, &launch);
		launch_child(process, spec, &child, &launch, token);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		close_ends(&child, &launch);
		abandon(process);
		PG_RE_THROW();
	}
	PG_END_TRY();
	close_ends(&child, &launch);
	MemoryContextSwitchTo(context);
	return process;
}
