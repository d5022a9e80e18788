/*-------------------------------------------------------------------------
 *
 * process_child.c
 *	  A child process, from fork() to exec().
 *
 * Runs in the child, which is a copy of a backend and shares its memory with
 * the whole server: it may touch nothing of it, allocate nothing, raise
 * nothing, and call only what is safe in a signal handler.  All signals are
 * blocked when it begins, so that no handler of the server runs in it; it
 * leaves by exec() or _exit().
 *
 * It waits for its parent to have written down that it exists.  A parent that
 * dies closes the pipe, and the child ends; from the moment at which the death
 * signal is asked for, the kernel tells it, and getppid() shows whether that
 * was too late.
 *
 * Why it could not go on is written to a pipe that exec() closes: the parent
 * reads nothing from it, or the reason.  An exit code of 127 is thus always the
 * program's own.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "core/process_parts.h"

/* the descriptor of the status pipe, after the three that a program expects */
#define STATUS_FD 3

compat_noreturn static void
fail(int status, ProcessStep step)
{
	ProcessFailure failure = {step, errno};
	ssize_t		written = write(status, &failure, sizeof(failure));

	_exit(written == sizeof(failure) ? 126 : 127);
}

/*
 * The postmaster may be protected from the OOM killer; a child of a backend is
 * not to be.  A process may always give that protection up.
 */
static void
give_up_protection(void)
{
	int			fd = open("/proc/self/oom_score_adj", O_RDWR);
	char		sign;

	if (fd < 0)
		return;
	if (read(fd, &sign, 1) == 1 && sign == '-' && lseek(fd, 0, SEEK_SET) == 0)
	{
		ssize_t		ignored = write(fd, "0", 1);

		(void) ignored;
	}
	(void) close(fd);
}

/*
 * Standard input, output and error, and the status pipe; nothing else.
 */
static int
keep_descriptors(const ProcessChild *child)
{
	if (dup2(child->input, STDIN_FILENO) < 0 ||
		dup2(child->output, STDOUT_FILENO) < 0 ||
		dup2(child->error, STDERR_FILENO) < 0 ||
		(child->status != STATUS_FD && dup2(child->status, STATUS_FD) < 0) ||
		fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) < 0)
		fail(child->status, STEP_DESCRIPTORS);
	for (int fd = STATUS_FD + 1; fd <= child->highest; fd++)
		(void) close(fd);
	return STATUS_FD;
}

void
process_child(const ProcessChild *child)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t	none;
	ssize_t		length;
	char		go;
	int			status;

	/* a session of its own is a process group of its own, with no terminal */
	if (setsid() < 0)
		fail(child->status, STEP_SESSION);
#ifdef __linux__
	if (prctl(PR_SET_PDEATHSIG, child->death_signal) < 0)
		fail(child->status, STEP_DEATH_SIGNAL);
#endif
	if (getppid() != child->parent)
		_exit(127);
	/* our copy would hide that the parent closes it */
	(void) close(child->go_other);
	do
		length = read(child->go, &go, 1);
	while (length < 0 && errno == EINTR);
	if (length != 1)
		_exit(127);

	give_up_protection();
	status = keep_descriptors(child);
	if (chdir(child->directory) < 0)
		fail(status, STEP_DIRECTORY);

	/* handlers would be reset by exec(), but not what is ignored */
	sigemptyset(&action.sa_mask);
	for (int signal = 1; signal < NSIG; signal++)
		(void) sigaction(signal, &action, NULL);
	sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);

	execve(child->program, child->arguments, child->environment);
	fail(status, STEP_EXEC);
}
