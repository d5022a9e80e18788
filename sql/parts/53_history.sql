--
-- 53_history: what ran
--

create view maintsched.run_history as
select r.run_id, t.calendar, t.name as task, r.routine, r.run_as, r.state, r.stop_reason,
	r.requested_by, r.reason, r.queued_at, r.started_at, r.finished_at,
	a.actions, a.done as actions_done, a.skipped as actions_skipped, a.failed as actions_failed,
	r.message, r.change_class, r.params, r.forced, r.continues, r.retry_at, r.window_closes_at, r.simulated
from maintsched.run r
left join maintsched.task t using (task_id)
cross join lateral (
	select count(*)::integer as actions,
		(count(*) filter (where x.state = 'done'))::integer as done,
		(count(*) filter (where x.state = 'skipped'))::integer as skipped,
		(count(*) filter (where x.state = 'failed'))::integer as failed
	from maintsched.run_action x
	where x.run_id = r.run_id) a;

comment on view maintsched.run_history is 'Every run: what was asked for, by whom, and what became of it.';
comment on column maintsched.run_history.run_id is 'Key, in order of queueing.';
comment on column maintsched.run_history.calendar is 'The calendar of its task; NULL: run_routine() asked for it.';
comment on column maintsched.run_history.task is 'The task''s name; where a run serves several, the first that is due.';
comment on column maintsched.run_history.routine is 'The routine.';
comment on column maintsched.run_history.run_as is 'The role with whose rights it ran.';
comment on column maintsched.run_history.state is 'queued, running, succeeded, partial, failed, cancelled or interrupted.';
comment on column maintsched.run_history.stop_reason is 'Why it ended: completed, window_closed, time_limit, cancelled, yielded, error, crashed, no_worker_slot.';
comment on column maintsched.run_history.requested_by is 'Who asked for it; scheduler: its time had come.';
comment on column maintsched.run_history.reason is 'Why, in the words of who asked.';
comment on column maintsched.run_history.queued_at is 'When it was queued.';
comment on column maintsched.run_history.started_at is 'When it started.';
comment on column maintsched.run_history.finished_at is 'When it ended.';
comment on column maintsched.run_history.actions is 'How many actions it has.';
comment on column maintsched.run_history.actions_done is 'How many were done.';
comment on column maintsched.run_history.actions_skipped is 'How many were skipped.';
comment on column maintsched.run_history.actions_failed is 'How many failed.';
comment on column maintsched.run_history.message is 'What there is to say.';
comment on column maintsched.run_history.change_class is 'Class of window that it needed.';
comment on column maintsched.run_history.params is 'Parameters of the routine.';
comment on column maintsched.run_history.forced is 'Whether it ran whatever the windows.';
comment on column maintsched.run_history.continues is 'The run whose work it went on with.';
comment on column maintsched.run_history.retry_at is 'From when its work is taken up again; NULL: not.';
comment on column maintsched.run_history.window_closes_at is 'Until when it may run.';
comment on column maintsched.run_history.simulated is 'True when queued under maintsched.now.';

create view maintsched.run_actions as
select a.run_id, a.seq, a.target, a.command, a.reason, a.state, a.skip_reason,
	a.started_at, a.finished_at, a.before, a.after, a.sqlstate, a.message,
	a.benefit_bytes, a.estimated_seconds, a.details
from maintsched.run_action a;

comment on view maintsched.run_actions is 'Every action of every run.';
comment on column maintsched.run_actions.run_id is 'The run.';
comment on column maintsched.run_actions.seq is 'Order within the run, from 1.';
comment on column maintsched.run_actions.target is 'What it was done to.';
comment on column maintsched.run_actions.command is 'The command.';
comment on column maintsched.run_actions.reason is 'Why.';
comment on column maintsched.run_actions.state is 'planned, running, done, skipped or failed.';
comment on column maintsched.run_actions.skip_reason is 'Why it was skipped: not_needed and pointless are no loss; no_time, lock_timeout, yielded, no_space, cancelled and interrupted leave it over.';
comment on column maintsched.run_actions.started_at is 'When it began.';
comment on column maintsched.run_actions.finished_at is 'When it ended.';
comment on column maintsched.run_actions.before is 'What was measured before.';
comment on column maintsched.run_actions.after is 'What was measured after.';
comment on column maintsched.run_actions.sqlstate is 'The error''s SQLSTATE.';
comment on column maintsched.run_actions.message is 'The error''s message, or why it was skipped.';
comment on column maintsched.run_actions.benefit_bytes is 'Bytes that it was to win.';
comment on column maintsched.run_actions.estimated_seconds is 'How long its plan function expected it to take.';
comment on column maintsched.run_actions.details is 'Further values of the plan function.';

create view maintsched.routines as
select r.name, r.description, r.change_class, r.defaults, r.plan, r.built_in
from maintsched.routine r;

comment on view maintsched.routines is 'What the database can do.';
comment on column maintsched.routines.name is 'The routine.';
comment on column maintsched.routines.description is 'What it does.';
comment on column maintsched.routines.change_class is 'Class of window that it needs: none (any time but a blackout), minor, major, critical.';
comment on column maintsched.routines.defaults is 'Parameters where none are given.';
comment on column maintsched.routines.plan is 'Its plan function.';
comment on column maintsched.routines.built_in is 'True for what comes with the extension.';
