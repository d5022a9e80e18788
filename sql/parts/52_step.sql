--
-- 52_step: the steps of the scheduler, and tick()
--
-- The scheduler (src/scheduler/scheduler.c) calls each step in a transaction
-- of its own, as the extension's owner; tick() does the same work in one
-- transaction of its caller.  Whatever two of them could do twice, they try to
-- lock and leave to the other.
--

create function maintsched.works_here() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
return not pg_is_in_recovery()
	and maintsched.instance_problem() is null
	and not exists (select from maintsched.pauses p where p.calendar is null);

comment on function maintsched.works_here() is
'Internal: Whether the background may write and run anything in this database now.';

create function maintsched.fail_unusable() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	x record;
begin
	for x in
		select q.*, r.run_id, r.clock_offset
		from (
			select k.routine, k.run_as, k.run_as_oid, maintsched.run_problem(k.routine, k.run_as, k.run_as_oid) as problem
			from (
				select distinct r.routine, r.run_as, r.run_as_oid
				from maintsched.run r where r.state = 'queued') k
			offset 0) q
		join maintsched.run r on r.state = 'queued' and (r.routine, r.run_as) = (q.routine, q.run_as)
			and r.run_as_oid is not distinct from q.run_as_oid
		where q.problem is not null
		order by r.run_id
		for update of r skip locked
	loop
		perform maintsched.set_clock_offset((extract(epoch from x.clock_offset) * 1000000)::bigint);
		perform maintsched.finish_run(x.run_id, 'error', x.problem);
		perform maintsched.set_clock_offset(null);
	end loop;
end
$$;

comment on function maintsched.fail_unusable() is
'Internal: Fails queued runs whose role or plan function has become unusable, before a process is started for them.';

create function maintsched.step_queue(lead interval) returns table (role_oid oid, runs bigint, first_run bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if not maintsched.works_here() then
		return;
	end if;
	perform maintsched.reap_runs();
	perform maintsched.close_dead_drills();
	perform maintsched.settle_owed(background => true);
	perform maintsched.queue_due(lead);
	perform maintsched.fail_unusable();
	return query
	select r.run_as_oid, count(*), (array_agg(r.run_id order by r.not_before, r.run_id))[1]
	from maintsched.run r
	where r.state = 'queued' and r.run_as_oid is not null
	and r.not_before - coalesce(r.clock_offset, interval '0') <= clock_timestamp() + lead
	and ((select not exists (select from maintsched.pause_change)) or not maintsched.is_held(r))
	group by r.run_as_oid
	order by min(r.not_before - coalesce(r.clock_offset, interval '0'));
end
$$;

comment on function maintsched.step_queue(interval) is
'Internal: Ends the runs whose process is gone, queues what is due within lead, and returns for which roles runs wait.';

create function maintsched.step_plan() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if maintsched.works_here() then
		perform maintsched.plan_due(background => true);
		perform maintsched.note_opened();
	end if;
end
$$;

comment on function maintsched.step_plan() is
'Internal: Plans the occurrences that are to be planned.';

create function maintsched.note_opened() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.note_next(array(
		select p.task_id
		from maintsched.task_plan p
		where p.next_opens_at <= maintsched.clock() and not p.simulated
		for no key update of p skip locked))
$$;

comment on function maintsched.note_opened() is
'Internal: Notes the next occurrence of the tasks whose noted one has opened.';

create function maintsched.close_due(background boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	-- where another session is at it, there is nothing left to do
	if maintsched.lock_rollups(wait => false) then
		perform maintsched.rebuild_missing();
		perform maintsched.close_occurrences(background);
		perform maintsched.roll_up_owed();
		perform maintsched.note_years(maintsched.stale_years());
	end if;
end
$$;

comment on function maintsched.close_due(boolean) is
'Internal: Closes what has closed, and rolls up the figures. background: but what was planned under maintsched.now.';

create function maintsched.step_close() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if maintsched.works_here() then
		perform maintsched.close_due(background => true);
	end if;
end
$$;

comment on function maintsched.step_close() is
'Internal: close_due(), where the background may write.';

create function maintsched.step_tell() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if maintsched.works_here() then
		perform maintsched.plan_changes();
		perform maintsched.send_notices();
	end if;
end
$$;

comment on function maintsched.step_tell() is
'Internal: Makes the change records and notices whose time has come.';

create function maintsched.who_waits(pid integer) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select exists (
		select
		from pg_locks l
		join pg_stat_activity s on s.pid = l.pid
		where not l.granted
		-- or will have by the next look: watch_interval() of scheduler.c
		and l.waitstart + current_setting('maintsched.yield_after')::interval
			<= clock_timestamp() + least(interval '1 second', current_setting('maintsched.yield_after')::interval / 2)
		and s.backend_type <> 'autovacuum worker'
		and who_waits.pid = any (pg_blocking_pids(l.pid)))
$$;

comment on function maintsched.who_waits(integer) is
'Internal: Whether somebody has waited for a lock of this process for maintsched.yield_after, or will have within a second.';

create function maintsched.step_watch() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	r maintsched.run;
	why text;
	now_there timestamptz;
	admitted boolean;
	running integer;
begin
	running := (
		select count(*) from maintsched.run x
		where x.state = 'running' and maintsched.backend_alive(x.pid, x.backend_start));
	-- Taken first and looked at then: nothing goes on meanwhile to what is not
	-- meant.  One that somebody has taken is looked at the next time.
	for r in
		select x.* from maintsched.run x where x.state = 'running' order by x.run_id
		for update skip locked
	loop
		continue when not maintsched.backend_alive(r.pid, r.backend_start);
		perform maintsched.set_clock_offset((extract(epoch from r.clock_offset) * 1000000)::bigint);
		now_there := clock_timestamp() + coalesce(r.clock_offset, interval '0');
		-- a blackout may be new, an emergency window closed
		admitted := r.forced or maintsched.admitted((
				select coalesce(max(a.details ->> 'change_class'), r.change_class)
				from maintsched.run_action a
				where a.run_id = r.run_id and a.state = 'running'),
			now_there, now_there + interval '1 second') @> now_there;
		perform maintsched.set_clock_offset(null);
		why := case
			when r.stop_requested <> 'yielded' then r.stop_requested
			when r.window_closes_at <= now_there or not admitted then 'window_closed'
			when r.started_at + least((r.params ->> 'time_limit')::interval, interval '1000 years') <= now_there then 'time_limit'
			-- while it plans, or carries out an action
			when maintsched.who_waits(r.pid) and coalesce((
				select bool_or(a.state = 'running') from maintsched.run_action a
				where a.run_id = r.run_id), true) then 'yielded'
		end;
		continue when why is null;
		-- what cleans up after a command that was stopped is done in a moment
		continue when why <> 'yielded' and exists (
			select from maintsched.run_action a
			where a.run_id = r.run_id and a.state = 'running' and maintsched.is_cleanup(a)
			and a.started_at + maintsched.cleanup_grace() > now_there);
		update maintsched.run x
		set stop_requested = why,
			window_closes_at = case when why = 'window_closed' then least(x.window_closes_at, now_there)
				else x.window_closes_at end,
			stop_requested_at = case when x.stop_requested = why then coalesce(x.stop_requested_at, clock_timestamp())
				else clock_timestamp() end
		where x.run_id = r.run_id and x.state = 'running'
		returning x.* into r;
		continue when not found;
		-- the runner reads why after this commit; user code may catch the first, not the second
		if r.stop_requested_at + (case why when 'yielded' then interval '2 seconds' else interval '10 seconds' end) < clock_timestamp() then
			perform pg_terminate_backend(r.pid);
		else
			perform pg_cancel_backend(r.pid);
		end if;
	end loop;
	return running;
end
$$;

comment on function maintsched.step_watch() is
'Internal: Cancels the statement of runs that are to stop, whose window or time limit is over, or for which somebody waits for maintsched.yield_after; ends the process after 10 seconds, or 2 where somebody waits. Returns how many runs are running.';

create function maintsched.fail_queued(role_oid oid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	r maintsched.run;
	problem text;
begin
	for r in
		select x.* from maintsched.run x
		where x.state = 'queued' and x.run_as_oid = fail_queued.role_oid
		and x.not_before - coalesce(x.clock_offset, interval '0') <= clock_timestamp()
		order by x.run_id
		for update skip locked
	loop
		problem := maintsched.run_problem(r.routine, r.run_as, r.run_as_oid);
		-- on the clock of the run
		perform maintsched.set_clock_offset((extract(epoch from r.clock_offset) * 1000000)::bigint);
		if problem is not null then
			perform maintsched.finish_run(r.run_id, 'error', problem);
		else
			perform maintsched.finish_run(r.run_id, 'error',
				'the process that was to carry it out ended before it began; the server log says why', '57P03');
		end if;
		perform maintsched.set_clock_offset(null);
	end loop;
end
$$;

comment on function maintsched.fail_queued(oid) is
'Internal: Fails the queued runs of a role, whose runners do not get as far as to begin one.';

create function maintsched.next_start(at timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- the earliest opening of each class is the earliest to be run
	select min(case when n.starts_at <= at then at + interval '60 seconds' else n.starts_at end)
	from (
		select coalesce(t.change_class, k.change_class) as class,
			min(case when p.next_opens_at > at then p.next_opens_at end) as opens_at
		from maintsched.task t
		join maintsched.routine k on k.name = t.routine
		join maintsched.task_plan p using (task_id)
		where t.enabled and t.retired_at is null
		group by 1
		union all
		-- what could be queued now and was not waits for somebody: look again in a while
		select coalesce(t.change_class, k.change_class), min(greatest(o.retry_at, at))
		from maintsched.runnable_occurrences(at, 'infinity') o
		join maintsched.task t using (task_id)
		join maintsched.routine k on k.name = t.routine
		where t.task_id <> all ((select maintsched.paused_tasks())::bigint[])
		group by 1
		union all
		select k.change_class, min(l.wanted_at)
		from maintsched.next_lines(at) l
		join maintsched.routine k on k.name = l.routine
		group by 1) c
	cross join lateral (
		select maintsched.next_run(c.class, greatest(c.opens_at, at)) as starts_at) n
	where c.opens_at is not null
$$;

comment on function maintsched.next_start(timestamptz) is
'Internal: When the next run is due that is not queued yet; NULL: none is known.';

create function maintsched.next_event() returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
begin
	if not maintsched.works_here() then
		return 'infinity';
	end if;
	return least(
		(select min(greatest(r.not_before - coalesce(r.clock_offset, interval '0'), at + interval '5 seconds'))
		from maintsched.run r
		where r.state = 'queued'
		and not maintsched.is_held(r)),
		maintsched.next_start(at),
		maintsched.next_notice_at(),
		-- as settle_closed()
		(select min(o.closes_at)
		from maintsched.run_occurrence w
		join maintsched.occurrence o using (occurrence_id)
		join maintsched.run u using (run_id)
		where w.settled_at is null
		and u.finished_at is not null and u.simulated = maintsched.clock_simulated()),
		-- somebody holds an occurrence: look again
		(select at + interval '15 seconds' where exists (select from maintsched.run_owed)),
		(select min(p.until) from maintsched.pauses p),
		'infinity');
end
$$;

comment on function maintsched.next_event() is
'Internal: When the scheduler has something to do again here; infinity: nothing is known.';

create function maintsched.drop_foreign_runs() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	r maintsched.run;
begin
	if maintsched.instance_problem() is null then
		return;
	end if;
	for r in select x.* from maintsched.run x where x.state in ('queued', 'running') for update loop
		if r.state = 'queued' then
			perform maintsched.drop_run(r.run_id, 'cancelled', 'it was queued in the database that this one is a copy of', maintsched.clock());
		else
			perform maintsched.finish_run(r.run_id, 'crashed', 'it was running in the database that this one is a copy of');
		end if;
	end loop;
end
$$;

comment on function maintsched.drop_foreign_runs() is
'Internal: In a restored or copied database that is about to keep the calendar, ends the runs that belong to where it comes from.';

create function maintsched.tick() returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- as in the background: a step is short, whatever a plan made without statistics expects
set jit = off
as $$
declare
	problem text;
	queued integer;
begin
	if pg_is_in_recovery() then
		return 0;
	end if;
	problem := maintsched.instance_problem();
	if problem is not null then
		raise notice 'tick() does nothing: %', problem
			using hint = 'If this is where the calendar is to be kept from now on: select maintsched.resume(''all'');';
		return 0;
	end if;
	if exists (select from maintsched.pauses p where p.calendar is null) then
		raise notice 'tick() does nothing: all is paused'
			using hint = 'The view pauses says why. To go on: select maintsched.resume(''all'');';
		return 0;
	end if;
	perform maintsched.need_read_committed('tick()');
	if maintsched.clock_simulated() then
		-- what is due on this clock nobody else would queue
		perform maintsched.lock_queue(wait => true);
	end if;

	-- A simulated clock closes nothing: status follows from closes_at, and
	-- closing is for the work that is done once, in real time.
	perform maintsched.plan_due();
	if not maintsched.clock_simulated() then
		perform maintsched.note_opened();
	end if;
	perform maintsched.close_dead_drills();
	perform maintsched.settle_owed();
	queued := maintsched.queue_due();
	-- told before it is closed: what is closed is no longer looked at
	perform maintsched.plan_changes();
	perform maintsched.send_notices();
	if not maintsched.clock_simulated() then
		perform maintsched.close_due();
	end if;
	if exists (select from maintsched.run r where r.state in ('queued', 'running')) then
		perform maintsched.start_work();
	end if;
	return queued;
end
$$;

comment on function maintsched.tick() is
'One step: plans what is to be planned, closes what has closed, rolls up the figures, queues the runs whose time has come, makes change records and notices, and returns the number of runs queued; they start after commit, by the launcher or, where there is none, by a scheduler that this call starts. Call it at least once a day, from pg_cron or any cron; on a standby it does nothing, nor while all is paused, nor in a restored or copied database before resume(''all''). Errors: feature_not_supported (0A000) outside read committed.';
