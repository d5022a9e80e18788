/*-------------------------------------------------------------------------
 *
 * process.c
 *	  Child processes of a backend or a background worker.
 *
 * A program is started by an argument vector, never a shell, after
 * process_program.c has looked at it (process_start.c).  It has a session and
 * process group of its own, and no descriptor but the three that it expects
 * (process_child.c).  What it writes is always read, also while another is
 * waited for, so that it never waits for us (process_stream.c).
 * (While nothing is waited for here, the kernel keeps about 1 MB.)
 *
 * Waiting is driven by the latch, so that a cancel request, a termination and
 * the death of the postmaster are seen at once.  The end of a child shows in a
 * pidfd; where the kernel has none, we look every so often.  The postmaster's
 * children are not ours: we wait for our own pids alone, and handle no SIGCHLD.
 *
 * A child is ended by signals to its whole group, step by step, with SIGKILL in
 * the end.  When it has ended, by itself or not, what is left of the group is
 * killed, and only then is it waited for: until then the kernel gives its
 * number to nobody else.  What left the group and the session is out of reach,
 * and so is what became another user's.
 *
 * Every child is in a list.  It is ended at the latest with the resource owner
 * under which it was started (a failed transaction, or one that forgot it), or
 * with this process (before_shmem_exit: before its locks are gone).  These may
 * not raise errors, nor be interrupted; they take as long as the child is given
 * to end.  When this process is killed or leaves at once, the kernel sends the
 * child its death signal, and process_leftover.c finds what remains.
 *
 * No locks, no shared memory.  Errors: what could not be started, and
 * interrupts.  How a program ended is a result.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "core/process_parts.h"

/* how often to look whether a child has ended, without a pidfd */
#define LOOK_MS		20

/* how long after SIGKILL before a child is given up */
#define KILL_MS		10000

const ProcessStop process_stop_program[] = {{SIGTERM, 5000}, {0, 0}};
const ProcessStop process_stop_server[] = {{SIGINT, 15000}, {SIGQUIT, 5000}, {0, 0}};

static Process *processes = NULL;

/*
 * Milliseconds of a clock that only goes on.
 */
int64
process_clock(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Has the child ended?  Then kill what is left of its group, wait for it, and
 * read what is still in its pipes.
 */
static void
look(Process *process, bool keep)
{
	siginfo_t	info = {0};

	if (process->ended || process->pid == 0)
		return;
	if (waitid(P_PID, process->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
	{
		if (errno != ECHILD)
			return;
		/* somebody else has waited for it, so the number may be another's */
		process->lost = true;
	}
	else if (info.si_pid == 0)
		return;
	else
	{
		(void) kill(-process->pid, SIGKILL);
		while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
			;
	}
	process->ended = true;
	process->end = process_clock();
	leftover_forget(process->pid);
	stream_close(&process->pidfd);
	stream_close(&process->input);

	/* what it wrote is in the pipes, or was read; others may hold them */
	stream_read(&process->output, process->context, keep);
	stream_read(&process->error, process->context, keep);
	stream_close(&process->output.fd);
	stream_close(&process->error.fd);
}

/*
 * Read and write what can be, without waiting.  keep: else nothing is
 * allocated.
 */
static void
attend(Process *process, bool keep)
{
	if (process->input >= 0)
		stream_write(&process->input, &process->unwritten, &process->nunwritten);
	stream_read(&process->output, process->context, keep);
	stream_read(&process->error, process->context, keep);
	look(process, keep);
}

/*
 * Wait until something happens to any child, or to us.
 */
static void
wait_interruptibly(int64 timeout)
{
	WaitEventSet *set;
	WaitEvent	event;
	int			count = 2;

	for (Process *process = processes; process != NULL; process = process->next)
		count += 4;
	set = compat_create_wait_event_set(count);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (Process *process = processes; process != NULL; process = process->next)
	{
		if (process->ended)
			continue;
		if (process->input >= 0)
			AddWaitEventToSet(set, WL_SOCKET_WRITEABLE, process->input, NULL, NULL);
		if (process->output.fd >= 0)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, process->output.fd, NULL, NULL);
		if (process->error.fd >= 0)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, process->error.fd, NULL, NULL);
		if (process->pidfd >= 0)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, process->pidfd, NULL, NULL);
		else
			timeout = Min(timeout, LOOK_MS);
	}
	(void) WaitEventSetWait(set, Min(timeout, INT_MAX), &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * The same where no interrupt may be taken and no error raised, for one child.
 */
static void
wait_quietly(Process *process, int64 timeout)
{
	struct pollfd fds[] = {
		{.fd = process->output.fd,.events = POLLIN},
		{.fd = process->error.fd,.events = POLLIN},
		{.fd = process->pidfd,.events = POLLIN},
	};

	if (process->pidfd < 0)
		timeout = Min(timeout, LOOK_MS);
	(void) poll(fds, lengthof(fds), (int) Min(timeout, INT_MAX));
}

/*
 * Wait for a child to end until some time; false: it goes on.
 */
static bool
wait_until(Process *process, int64 until, bool quiet)
{
	for (;;)
	{
		int64		rest;

		if (quiet)
			attend(process, false);
		else
			for (Process *each = processes; each != NULL; each = each->next)
				attend(each, true);
		if (process->ended)
			return true;
		rest = until == PROCESS_FOREVER ? INT_MAX : until - process_clock();
		if (rest <= 0)
			return false;
		if (quiet)
			wait_quietly(process, rest);
		else
			wait_interruptibly(rest);
	}
}

/*
 * Send a signal to a child and its group; false: it is another user's.  One
 * that is stopped would not see it.
 */
static bool
send_signal(Process *process, int signal)
{
	if (kill(-process->pid, signal) < 0 && errno == EPERM)
		return false;
	(void) kill(-process->pid, SIGCONT);
	return true;
}

/*
 * End a child, with what is left of the steps: an interrupted wait is not
 * begun again.
 */
static void
end_process(Process *process, bool quiet)
{
	bool		ours = true;

	attend(process, !quiet);
	while (!process->ended && ours && process->next_stop->signal != 0)
	{
		const ProcessStop *stop = process->next_stop++;

		ours = send_signal(process, stop->signal);
		if (ours && wait_until(process, process_clock() + stop->wait_ms, quiet))
			return;
	}
	if (process->ended)
		return;
	if (send_signal(process, SIGKILL) && wait_until(process, process_clock() + KILL_MS, quiet))
		return;

	/*
	 * It has become another user's, or hangs in the kernel.  Its file stays,
	 * so that it is found later.
	 */
	ereport(WARNING,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("could not end process %d", (int) process->pid)));
	process->ended = process->lost = true;
	process->end = process_clock();
}

/*
 * End a child that still runs, and forget it.  Raises no error.
 */
void
process_close(Process *process)
{
	int			saved = errno;

	if (process->started && !process->ended)
		end_process(process, true);
	if (process->token != NULL)
		leftover_sweep(process->token);
	for (Process **link = &processes; *link != NULL; link = &(*link)->next)
		if (*link == process)
		{
			*link = process->next;
			break;
		}
	stream_close(&process->input);
	stream_close(&process->output.fd);
	stream_close(&process->error.fd);
	stream_close(&process->pidfd);
	MemoryContextDelete(process->context);
	errno = saved;
}

static void
at_exit(int code, Datum arg)
{
	while (processes != NULL)
		process_close(processes);
}

/*
 * A resource owner is released: the current one.
 */
static void
at_release(ResourceReleasePhase phase, bool commit, bool top_level, void *arg)
{
	Process    *process;
	Process    *next;

	if (phase != RESOURCE_RELEASE_BEFORE_LOCKS)
		return;
	for (process = processes; process != NULL; process = next)
	{
		next = process->next;
		if (process->owner == NULL || process->owner != CurrentResourceOwner)
			continue;
		if (commit)
			ereport(WARNING,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("process %d was not closed", (int) process->pid)));
		process_close(process);
	}
}

/*
 * Before the first child of this process: see to it that they are ended with
 * it, and end those of processes that had no time for that.
 */
void
process_prepare(void)
{
	static bool prepared = false;

	if (prepared)
		return;
	before_shmem_exit(at_exit, 0);
	RegisterResourceReleaseCallback(at_release, NULL);
	prepared = true;
	(void) process_end_leftovers();
}

/*
 * A child that is not started yet; in the list.
 */
Process    *
process_make(const ProcessSpec *spec)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "maintsched process", ALLOCSET_SMALL_SIZES);
	Process    *process = MemoryContextAllocZero(context, sizeof(Process));
	const ProcessStop *stops = spec->stops ? spec->stops : process_stop_program;

	process->context = context;
	process->owner = spec->for_session ? NULL : CurrentResourceOwner;
	process->pidfd = process->input = process->output.fd = process->error.fd = -1;
	process->output.limit = spec->output_limit;
	process->error.limit = spec->error_limit;
	process->output.last = process->error.last = spec->keep_last;
	for (int i = 0; i < PROCESS_MAX_STOPS && stops[i].signal != 0; i++)
		process->stops[i] = stops[i];
	process->next_stop = process->stops;
	process->start = process_clock();
	process->deadline = spec->timeout_ms > 0 ? process->start + spec->timeout_ms : PROCESS_FOREVER;
	process->next = processes;
	processes = process;
	return process;
}

/*
 * Attend to all children, and wait until this one has ended, for timeout_ms at
 * the most; negative: as long as it takes.  true: it has ended.  When its time
 * is up, it is ended.
 */
bool
process_poll(Process *process, int timeout_ms)
{
	int64		until = timeout_ms < 0 ? PROCESS_FOREVER : process_clock() + timeout_ms;

	CHECK_FOR_INTERRUPTS();
	if (wait_until(process, Min(until, process->deadline), false))
		return true;
	if (process_clock() < process->deadline)
		return false;
	process->timed_out = true;
	end_process(process, false);
	return true;
}

/*
 * End a child.  May be interrupted; process_close() then goes on where this
 * was.
 */
void
process_stop(Process *process)
{
	end_process(process, false);
}

pid_t
process_pid(const Process *process)
{
	return process->pid;
}

/*
 * What is known of a child, and what it has written, in the current memory
 * context.
 */
void
process_result(const Process *process, ProcessResult *result)
{
	memset(result, 0, sizeof(*result));
	result->running = !process->ended;
	result->timed_out = process->timed_out;
	result->lost = process->lost;
	result->exit_code = -1;
	if (process->ended && !process->lost)
	{
		if (WIFEXITED(process->status))
			result->exit_code = WEXITSTATUS(process->status);
		else
			result->signal = WTERMSIG(process->status);
	}
	result->seconds = ((process->ended ? process->end : process_clock()) - process->start) / 1000.0;
	stream_output(&process->output, &result->output);
	stream_output(&process->error, &result->error);
}

/*
 * How a program ended, in words that follow its name.
 */
char	   *
process_end_text(const ProcessResult *result)
{
	if (result->running)
		return pstrdup("is running");
	if (result->timed_out)
		return psprintf("did not end in time, and was ended after %.1f s", result->seconds);
	if (result->lost)
		return pstrdup("ended, but how is not known");
	if (result->signal != 0)
		return psprintf("was ended by signal %d: %s", result->signal, pg_strsignal(result->signal));
	return psprintf("exited with code %d", result->exit_code);
}

/*
 * Run a program to its end.  On an error (an interrupt) it has been ended.
 */
void
process_run(const ProcessSpec *spec, ProcessResult *result)
{
	Process    *process = process_start(spec);

	PG_TRY();
	{
		(void) process_poll(process, -1);
		process_result(process, result);
	}
	PG_FINALLY();
	{
		process_close(process);
	}
	PG_END_TRY();
}
