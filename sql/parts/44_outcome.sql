--
-- 44_outcome: how a run ends, and what that means for the occurrences served
--
--	 succeeded			pass, where no checklist item for people is open; else
--						its items are ticked and the occurrence stays due
--	 only left over		nothing yet: the occurrence stays due, and the next window
--						goes on; partial is recorded when it closes
--	 failed				after the last retry: fail; inconclusive where its plan function,
--						or all that failed, found nothing to look at (no_data_found)
--	 cancelled			nothing: the occurrence stays due, for people or run_task()
--

create function maintsched.is_worth_retrying(sqlstate text) returns boolean
language sql immutable parallel safe
return sqlstate is null
	or left(sqlstate, 2) in ('08', '40', '53', '58')
	or sqlstate in ('55006', '55P03', '57P01', '57P02', '57P03', '57P05');

comment on function maintsched.is_worth_retrying(text) is
'Internal: Whether an error may be gone the next time: connections, serialization and deadlock, resources, the system, objects in use, shutdowns (PostgreSQL manual, appendix A). NULL, no error known: yes.';

create function maintsched.retry_delay(failures integer) returns interval
language sql immutable parallel safe
return least(interval '1 minute' * 2 ^ least(failures, 10), interval '1 hour');

comment on function maintsched.retry_delay(integer) is
'Internal: How long after the n-th failure in a row (from 0) the next try is: 1 minute, doubled each time, an hour at the most.';

create function maintsched.put_completion(r maintsched.run, occurrence_id bigint, outcome text, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	insert into maintsched.completion (
		occurrence_id, attempt, outcome, completed_at, effective_at, backdated,
		performed_by, note, evidence, run_id)
	select occurrence_id,
		1 + (select count(*) from maintsched.completion c where c.occurrence_id = put_completion.occurrence_id),
		outcome, r.finished_at, r.finished_at, false, r.run_as, note,
		jsonb_build_object(
			'run_id', r.run_id,
			'actions', count(*),
			'done', count(*) filter (where a.state = 'done'),
			'skipped', count(*) filter (where a.state = 'skipped'),
			'failed', count(*) filter (where a.state = 'failed'))
			|| maintsched.run_evidence(r.run_id),
		r.run_id
	from maintsched.run_action a
	where a.run_id = r.run_id;
end
$$;

comment on function maintsched.put_completion(maintsched.run, bigint, text, text) is
'Internal: Records a run as the completion of an occurrence that was taken.';

create function maintsched.tick_items(o maintsched.occurrence, r maintsched.run) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	items integer[];
begin
	items := array(
		select i.ordinality::integer
		from maintsched.task_version v
		cross join lateral jsonb_array_elements(v.checklist) with ordinality i
		left join maintsched.checklist_standing m on m.occurrence_id = o.occurrence_id and m.item = i.ordinality
		where v.task_id = o.task_id and v.version = o.version
		and i.value ->> 'routine' = r.routine and r.params @> coalesce(i.value -> 'params', '{}') and m.passed is not true
		order by 1);
	if cardinality(items) > 0 then
		insert into maintsched.checklist_mark (occurrence_id, item, passed, note)
		select o.occurrence_id, i, true, format('run %s', r.run_id) from unnest(items) i;
	end if;
	return cardinality(items) > 0;
end
$$;

comment on function maintsched.tick_items(maintsched.occurrence, maintsched.run) is
'Internal: Ticks the checklist items that name the routine of a successful run, with its parameters where they name some; whether there were any.';

create function maintsched.complete_by_run(r maintsched.run, occurrence_id bigint, outcome text, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	o maintsched.occurrence;
begin
	select x.* into o from maintsched.occurrence x where x.occurrence_id = complete_by_run.occurrence_id;
	if not found or o.withdrawn_at <= maintsched.recorded_by_now() then
		return;
	end if;
	o := maintsched.take_occurrence(occurrence_id);
	if (maintsched.pass_of(o.occurrence_id)).completion_id is not null then
		return;
	end if;
	if outcome = 'pass' then
		perform maintsched.tick_items(o, r);
	end if;
	if outcome <> 'pass' or maintsched.open_items(o) is null then
		perform maintsched.put_completion(r, o.occurrence_id, outcome, note);
	end if;
	perform maintsched.note_standing(o.occurrence_id);
end
$$;

comment on function maintsched.complete_by_run(maintsched.run, bigint, text, text) is
'Internal: Records what a run means for an occurrence: a pass only where no checklist item is open then.';

create function maintsched.is_free(occurrence_id bigint) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	-- Most let go at once.  Looked at again and again rather than waited for: a
	-- runner that records takes no cancel request, and so no lock_timeout.
	for i in 1 .. 10 loop
		perform from maintsched.occurrence o
		where o.occurrence_id = is_free.occurrence_id
		for no key update skip locked;
		if found then
			return true;
		end if;
		perform pg_sleep(0.05);
	end loop;
	return false;
end
$$;

comment on function maintsched.is_free(bigint) is
'Internal: Takes the row of an occurrence unless another session holds it for half a second and more; false: one does.';

create function maintsched.settle(r maintsched.run, occurrence_id bigint, outcome text, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	if maintsched.is_free(occurrence_id) then
		perform maintsched.complete_by_run(r, occurrence_id, outcome, note);
	else
		insert into maintsched.run_owed (run_id, occurrence_id, outcome, note)
		values (r.run_id, occurrence_id, outcome, note);
	end if;
end
$$;

comment on function maintsched.settle(maintsched.run, bigint, text, text) is
'Internal: Records what a run means for an occurrence that it served, or that it is owed.';

create function maintsched.tick_elsewhere(r maintsched.run) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	w record;
begin
	for w in
		select x.occurrence_id
		from maintsched.task t
		join maintsched.task_version v using (task_id)
		join maintsched.occurrence x on x.task_id = v.task_id and x.version = v.version
		where t.checklist @> jsonb_build_array(jsonb_build_object('routine', r.routine))
		and v.checklist @> jsonb_build_array(jsonb_build_object('routine', r.routine))
		and (case when x.closed_at is null then x.opens_at end) <= r.started_at
		and (x.closes_at is null or x.closes_at > r.finished_at)
		and x.withdrawn_at is null and (r.simulated or not x.simulated)
		and not exists (
			select from maintsched.run_occurrence s
			where s.run_id = r.run_id and s.occurrence_id = x.occurrence_id)
		order by x.occurrence_id
	loop
		if maintsched.is_free(w.occurrence_id) then
			perform maintsched.tick_by_run(r, w.occurrence_id);
		else
			insert into maintsched.run_owed (run_id, occurrence_id) values (r.run_id, w.occurrence_id);
		end if;
	end loop;
end
$$;

comment on function maintsched.tick_elsewhere(maintsched.run) is
'Internal: Ticks the checklist lines that name the routine of a successful run, of all occurrences that were open from its start to its end.';

create function maintsched.tick_by_run(r maintsched.run, occurrence_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	o maintsched.occurrence;
begin
	o := maintsched.take_occurrence(occurrence_id);
	if (maintsched.pass_of(o.occurrence_id)).completion_id is null and maintsched.tick_items(o, r) then
		perform maintsched.note_standing(o.occurrence_id);
	end if;
end
$$;

comment on function maintsched.tick_by_run(maintsched.run, bigint) is
'Internal: Ticks the checklist lines of an occurrence that name the routine of a successful run.';

create function maintsched.settle_owed(background boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	x record;
	r maintsched.run;
begin
	for x in
		select w.*
		from maintsched.run_owed w
		join maintsched.occurrence o using (occurrence_id)
		join maintsched.run u using (run_id)
		-- only the background can put its clock to that of the run
		where (background or u.simulated = maintsched.clock_simulated())
		and exists (select from maintsched.instance)
		order by w.occurrence_id, w.run_id
		for no key update of o skip locked
	loop
		delete from maintsched.run_owed w
		where w.run_id = x.run_id and w.occurrence_id = x.occurrence_id;
		-- another session was quicker
		continue when not found;
		select u.* into r from maintsched.run u where u.run_id = x.run_id;
		if background and r.clock_offset is not null then
			perform maintsched.set_clock_offset((extract(epoch from r.clock_offset) * 1000000)::bigint);
		end if;
		if x.outcome is null then
			perform maintsched.tick_by_run(r, x.occurrence_id);
		else
			perform maintsched.complete_by_run(r, x.occurrence_id, x.outcome, x.note);
		end if;
		if background and r.clock_offset is not null then
			perform maintsched.set_clock_offset(null);
		end if;
	end loop;
end
$$;

comment on function maintsched.settle_owed(boolean) is
'Internal: Records what is owed to occurrences that are free now. background: of simulated runs, too, each on its clock.';

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
