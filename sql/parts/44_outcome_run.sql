--
-- 44_outcome_run: a run ends, is made ready for another try, or is found dead
--

create function maintsched.call_hook(hook text, run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	-- what is told about a run must not undo what is recorded of it
	execute format('select maintsched.%I($1)', hook) using run_id;
exception when others then
	raise warning '% of run % failed: %', hook, run_id, sqlerrm;
end
$$;

comment on function maintsched.call_hook(text, bigint) is
'Internal: Calls a function of a later room about a run; its failure is a WARNING.';

create function maintsched.finish_run(run_id bigint, how text, message text default null, sqlstate text default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	max_failures constant integer := 5;
	at constant timestamptz := maintsched.clock();
	r maintsched.run;
	n record;
	state text;
	stop_reason text;
	retry_at timestamptz;
	until timestamptz;
	failed boolean;
	stopped boolean;
	x record;
begin
	select z.* into r from maintsched.run z where z.run_id = finish_run.run_id for update;
	if not found or r.finished_at is not null then
		return;
	end if;
	stopped := r.stop_requested is not null and (how = 'crashed' or how = 'error' and sqlstate = '57014');
	if stopped then
		-- while it planned, or it went on when it was to stop, and its process was ended
		update maintsched.run_action a
		set state = 'skipped', finished_at = at,
			skip_reason = case when r.stop_requested in ('cancelled', 'yielded') then r.stop_requested else 'no_time' end,
			message = case when a.state = 'running' then 'it went on when it was to stop, and its process was ended' end
		where a.run_id = r.run_id and a.state in ('planned', 'running');
		message := case
			when how = 'crashed' then r.message
			when r.stop_requested = 'time_limit' then 'its time limit was over while it planned'
			when r.stop_requested = 'window_closed' then 'its window closed while it planned'
			else coalesce(r.message, message) end;
		how := 'done';
	end if;
	-- what was begun and not ended, and what was not begun
	update maintsched.run_action a
	set state = case when a.state = 'running' then 'failed' else 'skipped' end,
		skip_reason = case when a.state = 'planned' then case
			when how = 'crashed' then 'interrupted'
			when how = 'error' then 'cancelled'
			when r.stop_requested = 'cancelled' then 'cancelled'
			else 'no_time' end end,
		finished_at = at,
		message = case when a.state = 'running' then coalesce(message, 'the process that carried it out ended') end
	where a.run_id = r.run_id and a.state in ('planned', 'running');

	select count(*) filter (where a.state = 'done') as done,
		count(*) filter (where a.state = 'failed') as failed,
		count(*) filter (where a.skip_reason not in ('not_needed', 'pointless')) as left_over,
		count(*) filter (where a.skip_reason not in ('not_needed', 'pointless', 'cancelled')) as resumable,
		count(*) filter (where a.skip_reason = 'no_time') as no_time,
		coalesce(bool_or(a.state = 'failed' and maintsched.is_worth_retrying(a.sqlstate)), false) as retryable,
		coalesce(bool_and(a.sqlstate = 'P0002') filter (where a.state = 'failed'), false) as unseen,
		count(*) filter (where a.skip_reason in ('yielded', 'lock_timeout', 'no_space')) as in_the_way
	into n
	from maintsched.run_action a
	where a.run_id = r.run_id;

	state := case
		when how = 'crashed' then 'interrupted'
		when r.stop_requested = 'cancelled' or (how = 'error' and sqlstate = '57014') then 'cancelled'
		when how = 'error' or (n.failed > 0 and n.done = 0) then 'failed'
		when n.failed > 0 or n.left_over > 0 or stopped then 'partial'
		else 'succeeded'
	end;
	stop_reason := case
		when how = 'crashed' then 'crashed'
		when state = 'cancelled' then 'cancelled'
		when r.stop_requested in ('window_closed', 'time_limit') then r.stop_requested
		when n.no_time > 0 then case when r.window_closes_at is null then 'time_limit' else 'window_closed' end
		when how = 'error' or n.failed > 0 then 'error'
		when n.in_the_way > 0 or stopped then 'yielded'
		else 'completed'
	end;

	-- until when it makes sense to try again
	select min(least(o.closes_at, (
		select min(y.opens_at) from maintsched.occurrence y
		where y.task_id = o.task_id and y.opens_at > at and y.withdrawn_at is null)))
	into until
	from maintsched.run_occurrence w
	join maintsched.occurrence o using (occurrence_id)
	where w.run_id = r.run_id;
	if exists (select from maintsched.run_occurrence w where w.run_id = r.run_id) and state <> 'cancelled' then
		failed := state in ('failed', 'interrupted') or n.failed > 0;
		if failed and r.failures + 1 < max_failures
			and (state = 'interrupted' or n.retryable
				or (how = 'error' and sqlstate is not null and maintsched.is_worth_retrying(sqlstate)))
		then
			retry_at := at + maintsched.retry_delay(r.failures);
			retry_at := case when until is null or retry_at < until then retry_at end;
		end if;
		failed := failed and retry_at is null;
		if retry_at is null and (n.resumable > 0 or stopped) and state <> 'interrupted' then
			retry_at := case
				when stop_reason = 'window_closed' then greatest(r.window_closes_at, at)
				else least(at + maintsched.retry_delay((
					-- the longer it is in the way, the longer the pauses
					with recursive chain as (
						select r.continues as id
						union
						select p.continues from maintsched.run p join chain c on p.run_id = c.id
						where p.stop_reason <> 'window_closed'
					)
					select count(c.id) from chain c)::integer), (
					-- but not beyond the opening of a window that actions of it wait for
					select min(maintsched.next_run(w.class, at))
					from (
						select distinct a.details ->> 'change_class' as class
						from maintsched.run_action a
						where a.run_id = r.run_id and a.skip_reason = 'no_time' and a.details ? 'change_class') w
					where maintsched.next_run(w.class, at) > at))
			end;
		end if;
	end if;

	r.state := state;
	r.finished_at := at;
	update maintsched.run z
	set state = state, stop_reason = stop_reason, finished_at = at,
		retry_at = retry_at, message = coalesce(message, z.message)
	where z.run_id = r.run_id;

	for x in
		select w.occurrence_id from maintsched.run_occurrence w
		where w.run_id = r.run_id and w.settled_at is null order by w.occurrence_id
	loop
		if state = 'succeeded' then
			perform maintsched.settle(r, x.occurrence_id, 'pass', null);
		elsif failed then
			-- what found nothing to look at has not seen a failure either
			perform maintsched.settle(r, x.occurrence_id,
				case when how = 'error' and sqlstate = 'P0002' or how = 'done' and n.unseen then 'inconclusive' else 'fail' end, coalesce(message, (
				select string_agg(format('%s: %s', e.target, e.message), '; ' order by e.seq)
				from (
					select a.seq, a.target, a.message
					from maintsched.run_action a
					where a.run_id = r.run_id and a.state = 'failed'
					order by a.seq limit 3) e)));
		end if;
	end loop;
	update maintsched.run_occurrence w
	set settled_at = at
	where w.run_id = r.run_id and w.settled_at is null
	and (retry_at is null or failed);
	if state = 'succeeded' then
		perform maintsched.tick_elsewhere(r);
	end if;

	if r.change_class in ('major', 'critical') then
		perform maintsched.call_hook('change_done', r.run_id);
	end if;
	if state in ('failed', 'partial', 'interrupted') then
		perform maintsched.call_hook('notice_run', r.run_id);
	end if;
	if r.routine = 'amcheck' and n.failed > 0 then
		perform maintsched.call_hook('notice_corruption', r.run_id);
	end if;
end
$$;

comment on function maintsched.finish_run(bigint, text, text, text) is
'Internal: Ends a run: its state, why it stopped, when it is taken up again, and what it means for the occurrences that it served. how: done (its actions tell), error (it could not be carried out, sqlstate says more) or crashed (its process is gone).';

create function maintsched.get_ready(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	nobody constant bigint := 0;
	r maintsched.run;
	task maintsched.task;
	o maintsched.occurrence;
begin
	select x.* into r from maintsched.run x where x.run_id = get_ready.run_id;
	select t.* into task from maintsched.task t where t.task_id = r.task_id;
	perform maintsched.run_problem(r.routine, r.run_as, r.run_as_oid),
		maintsched.right_problem(task),
		maintsched.routine_params(task.routine, task.params),
		maintsched.opening(r.change_class, maintsched.clock()),
		maintsched.paused_tasks(),
		maintsched.estimate_seconds(r.routine, '', '', null, 1);
	perform from maintsched.begin_run(nobody, 0, null);
	perform from maintsched.chain_actions(nobody);
	perform maintsched.note_actions(nobody, '{}');
	perform maintsched.end_action(nobody, 0, 'done', null, null, null, null, null);
	perform maintsched.finish_run(nobody, 'done');
	perform maintsched.pass_of(nobody), maintsched.open_items(o), maintsched.tick_items(o, r), maintsched.note_standing(nobody);
end
$$;

comment on function maintsched.get_ready(bigint) is
'Internal: Goes the ways that the run will go, for a run and an occurrence that do not exist, and changes nothing: what a new process has to read and to plan for it is read and planned before the run''s time has come.';

create function maintsched.settle_closed() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	x record;
	r maintsched.run;
begin
	for x in
		select w.run_id, w.occurrence_id
		from maintsched.run_occurrence w
		join maintsched.occurrence o using (occurrence_id)
		join maintsched.run u using (run_id)
		where w.settled_at is null and o.closes_at <= maintsched.clock()
		and u.finished_at is not null and u.simulated = maintsched.clock_simulated()
		order by w.occurrence_id
		-- who works on it will not keep the others
		for no key update of o skip locked
	loop
		select u.* into r from maintsched.run u where u.run_id = x.run_id;
		perform maintsched.complete_by_run(r, x.occurrence_id, 'partial', format('%s (%s); it closed before the rest was done',
			r.state, r.stop_reason));
		update maintsched.run_occurrence w
		set settled_at = maintsched.clock()
		where w.run_id = x.run_id and w.occurrence_id = x.occurrence_id;
	end loop;
end
$$;

comment on function maintsched.settle_closed() is
'Internal: Records partial for the occurrences that closed while work on them was left over.';

create function maintsched.reap_runs() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	r maintsched.run;
	reaped integer := 0;
begin
	for r in
		select u.* from maintsched.run u
		where u.state = 'running' and not maintsched.backend_alive(u.pid, u.backend_start)
		order by u.run_id
		for update skip locked
	loop
		-- on the clock of the run
		perform maintsched.set_clock_offset((extract(epoch from r.clock_offset) * 1000000)::bigint);
		perform maintsched.finish_run(r.run_id, 'crashed', 'the process that carried it out ended before it did');
		perform maintsched.set_clock_offset(null);
		reaped := reaped + 1;
	end loop;
	return reaped;
end
$$;

comment on function maintsched.reap_runs() is
'Internal: Ends the runs whose process no longer lives, as interrupted; returns how many.';
