--
-- 43_runner: what a runner records, and what a run means for its occurrences
--
-- The runner is C (src/scheduler/runner.c).  Each function here is one of its
-- transactions, in which it acts as the extension's owner:
--
--	 begin_run		queued -> running, after everything was judged again
--	 note_actions	what the plan function returned becomes actions
--	 next_action	the next one that still fits; none: the run is over
--	 judge_action	what became of it
--	 finish_run		the end, and its meaning for the occurrences served
--

create function maintsched.is_held(r maintsched.run) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	held boolean;
begin
	-- on the clock of the run
	if r.clock_offset is not null then
		perform maintsched.set_clock_offset((extract(epoch from r.clock_offset) * 1000000)::bigint);
	end if;
	held := exists (select from maintsched.pauses p where p.calendar is null)
		or coalesce(r.task_id = any (maintsched.paused_tasks()), false);
	if r.clock_offset is not null then
		perform maintsched.set_clock_offset(null);
	end if;
	return held;
end
$$;

comment on function maintsched.is_held(maintsched.run) is
'Internal: Whether a pause holds a queued run: of all, or of its task.';

create function maintsched.peek_run(role_oid oid, after bigint, ahead interval)
returns table (run_id bigint, wait_ms double precision, clock_offset_us bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.run_id,
		greatest(0, extract(epoch from r.not_before - coalesce(r.clock_offset, interval '0') - clock_timestamp()) * 1000)::double precision,
		(extract(epoch from r.clock_offset) * 1000000)::bigint
	from maintsched.run r
	where r.state = 'queued' and r.run_as_oid = peek_run.role_oid and r.run_id > peek_run.after
	and ((select not exists (select from maintsched.pause_change)) or not maintsched.is_held(r))
	and r.not_before - coalesce(r.clock_offset, interval '0') <= clock_timestamp() + ahead
	order by r.not_before - coalesce(r.clock_offset, interval '0'), r.run_id
	limit 1;
end
$$;

comment on function maintsched.peek_run(oid, bigint, interval) is
'Internal: The next queued run of a role with a key beyond after, and in how many milliseconds it may start.';

create function maintsched.begin_run(run_id bigint, pid integer, backend_start timestamptz)
returns table (plan text, params jsonb, keep_plan_messages boolean, keep_messages boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	r maintsched.run;
	task maintsched.task;
	problem text;
	span tstzrange;
begin
	select x.* into r from maintsched.run x
	where x.run_id = begin_run.run_id and x.state = 'queued'
	for update skip locked;
	if not found then
		return;
	end if;
	problem := maintsched.run_problem(r.routine, r.run_as, r.run_as_oid);
	if r.task_id is not null and problem is null then
		select t.* into task from maintsched.task t where t.task_id = r.task_id;
		if (task.routine, maintsched.routine_params(task.routine, task.params), task.run_as)
			is distinct from (r.routine, r.params, r.run_as)
			or task.retired_at is not null or (not task.enabled and r.requested_by = 'scheduler')
		then
			perform maintsched.drop_run(r.run_id, 'cancelled', 'its task was changed before it started', at);
			return;
		end if;
		problem := maintsched.right_problem(task);
	end if;
	if problem is not null then
		perform maintsched.finish_run(r.run_id, 'error', problem);
		return;
	elsif exists (select from maintsched.pauses p where p.calendar is null)
		or r.task_id = any (maintsched.paused_tasks())
	then
		-- it waits on: resume() wakes who looks again
		return;
	elsif exists (select from maintsched.run_occurrence x where x.run_id = r.run_id)
		and not exists (
			select from maintsched.run_occurrence x
			join maintsched.occurrence o using (occurrence_id)
			where x.run_id = r.run_id and o.withdrawn_at is null
			and (o.closes_at is null or o.closes_at > at or task.catch_up = 'all'))
	then
		perform maintsched.drop_run(r.run_id, 'no_worker_slot',
			'what it was to serve closed or was withdrawn before a worker could start it', null);
		return;
	end if;
	-- of several tasks served, those that were changed or paused meanwhile wait for a run of their own
	update maintsched.run_occurrence x
	set settled_at = at
	from maintsched.occurrence o
	join maintsched.task t using (task_id)
	where x.run_id = r.run_id and o.occurrence_id = x.occurrence_id and t.task_id <> r.task_id
	and ((t.routine, maintsched.routine_params(t.routine, t.params), t.run_as)
			is distinct from (r.routine, r.params, r.run_as)
		or not t.enabled or t.retired_at is not null
		or t.task_id = any (maintsched.paused_tasks()));

	if not r.forced then
		span := maintsched.opening(r.change_class, at);
		if span is null or lower(span) > at then
			perform maintsched.drop_run(r.run_id, 'window_closed', 'its window closed before it could start',
				case when r.task_id is not null then at end);
			return;
		end if;
		if r.change_class in ('major', 'critical') and maintsched.change_problem(r) is not null then
			perform maintsched.drop_run(r.run_id, 'cancelled', maintsched.change_problem(r), at);
			return;
		end if;
	end if;

	update maintsched.run x
	set state = 'running', started_at = at, pid = begin_run.pid, backend_start = begin_run.backend_start,
		window_closes_at = upper(span)
	where x.run_id = r.run_id;
	if r.change_class in ('major', 'critical') then
		perform maintsched.change_begun(r.run_id);
	end if;
	return query
	select k.plan, r.params, k.built_in, k.built_in and k.name in ('log_cleanup', 'amcheck', 'health', 'bloat', 'backup_verify')
	from maintsched.routine k
	where k.name = r.routine;
end
$$;

comment on function maintsched.begin_run(bigint, integer, timestamptz) is
'Internal: Marks a queued run as running in this process, after judging again whether it may start; no row: it does not.';

create function maintsched.drop_run(run_id bigint, stop_reason text, message text, retry_at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	update maintsched.run r
	set state = 'cancelled', stop_reason = drop_run.stop_reason, message = drop_run.message,
		retry_at = drop_run.retry_at, finished_at = maintsched.clock()
	where r.run_id = drop_run.run_id and r.state = 'queued';
	update maintsched.run_occurrence x
	set settled_at = maintsched.clock()
	where x.run_id = drop_run.run_id and x.settled_at is null;
end
$$;

comment on function maintsched.drop_run(bigint, text, text, timestamptz) is
'Internal: Ends a queued run that does not start; at retry_at its occurrences are looked at again.';

create function maintsched.chain_actions(run_id bigint)
returns table (target text, command text, ordinality bigint, done boolean, needless boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with recursive chain as (
		select r.continues as id from maintsched.run r where r.run_id = chain_actions.run_id
		union
		select r.continues from maintsched.run r join chain c on r.run_id = c.id
	), past as (
		select a.run_id, a.target, a.command,
			row_number() over (partition by a.run_id, a.target, a.command order by a.seq) as ordinality,
			a.state = 'done' as done, coalesce(a.skip_reason in ('not_needed', 'pointless'), false) as needless
		from maintsched.run_action a
		join chain c on c.id = a.run_id
	)
	select distinct on (p.target, p.command, p.ordinality) p.target, p.command, p.ordinality, p.done, p.needless
	from past p
	order by p.target, p.command, p.ordinality, p.done desc, p.run_id desc;
end
$$;

comment on function maintsched.chain_actions(bigint) is
'Internal: What became of the actions in the runs that this one goes on from.';

create function maintsched.note_actions(run_id bigint, actions maintsched.action[]) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	continued boolean;
	total integer;
begin
	select r.continues is not null into continued from maintsched.run r where r.run_id = note_actions.run_id;
	perform maintsched.check_actions(actions);
	insert into maintsched.run_action (
		run_id, seq, target, command, reason, benefit_bytes, estimated_seconds, details)
	select note_actions.run_id,
		row_number() over (order by (case when not c.done and not c.needless then 0 else 1 end), a.seq),
		a.target, a.command, a.reason, a.benefit_bytes, a.estimated_seconds, a.details - 'cleanup'
	from (
		select x.*, row_number() over (partition by x.target, x.command order by x.seq) as ordinality
		from unnest(actions) with ordinality as x(target, command, reason, benefit_bytes, estimated_seconds, details, seq)) a
	left join maintsched.chain_actions(note_actions.run_id) c on continued
		and (c.target, c.command, c.ordinality) = (a.target, a.command, a.ordinality)
	-- what was not needed, or of no use, may be by now
	where c.done is not true and not (coalesce(c.needless, false) and a.details ->> 'skip' is not null);
	get diagnostics total = row_count;
	return total;
end
$$;

comment on function maintsched.note_actions(bigint, maintsched.action[]) is
'Internal: Records what a run is to do: in a run that goes on from others what they left over first, and nothing that they did. What they found not needed or pointless is judged again.';

create function maintsched.next_action(run_id bigint)
returns table (seq integer, command text, still_needed text, measure text,
	statement_timeout_ms double precision, lock_timeout_ms double precision, window_ms double precision,
	settings text[], verify text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	r maintsched.run;
	a maintsched.run_action;
	gone maintsched.run_action;
	span tstzrange;
	ends timestamptz;
	limits timestamptz;
	seconds numeric;
	cleanup boolean;
begin
	select x.* into strict r from maintsched.run x where x.run_id = next_action.run_id for update;
	limits := r.started_at + least((r.params ->> 'time_limit')::interval, interval '1000 years');
	loop
		select x.* into a
		from maintsched.run_action x
		where x.run_id = r.run_id and x.state = 'planned'
		order by maintsched.is_cleanup(x) desc, x.seq
		limit 1;
		cleanup := maintsched.is_cleanup(a);
		if not found or r.stop_requested in ('cancelled', 'window_closed', 'time_limit') and not cleanup then
			return;
		end if;
		-- statements of one's own build on one another
		if r.routine = 'sql' and (r.params -> 'continue') is distinct from 'true' then
			select x.* into gone
			from maintsched.run_action x
			where x.run_id = r.run_id and x.seq < a.seq
			and (x.state = 'failed' or x.skip_reason not in ('not_needed', 'pointless'))
			order by x.seq
			limit 1;
			if found then
				update maintsched.run_action x
				set state = 'skipped', skip_reason = 'cancelled', finished_at = at,
					message = format('%s was not done', gone.target)
				where x.run_id = r.run_id and x.state = 'planned';
				return;
			end if;
		end if;
		-- so do the files of a table: what was in the way of one is in that of the next
		if r.routine = 'archive' then
			select x.* into gone
			from maintsched.run_action x
			where x.run_id = r.run_id and x.seq = a.seq - 1
			and (x.command = a.command and (x.state = 'failed' or x.skip_reason in ('cancelled', 'lock_timeout', 'no_space'))
				-- a partition is dropped after the last of them
				or x.target = a.target and a.command like 'select maintsched.drop_archived_partition(%'
				and (x.state = 'failed' or x.skip_reason <> 'not_needed'));
			if found then
				perform maintsched.end_action(r.run_id, a.seq, 'skipped', coalesce(gone.skip_reason, 'cancelled'), null,
					'the file before it was not written', null, null);
				continue;
			end if;
		end if;
		-- decided by the plan function: its reason says why
		if a.details ->> 'skip' is not null then
			perform maintsched.end_action(r.run_id, a.seq, 'skipped', a.details ->> 'skip', null, null, null, null);
			continue;
		end if;
		-- blackouts, emergency windows and edits count from one action to the next
		ends := null;
		if not r.forced then
			span := maintsched.opening(coalesce(a.details ->> 'change_class', r.change_class), at);
			ends := case when span is null or lower(span) > at then at
				else upper(span) - maintsched.window_reserve(lower(span), upper(span)) end;
		end if;
		ends := least(ends, limits);
		exit when ends is null or cleanup;
		seconds := maintsched.estimate_seconds(maintsched.part_of(r.routine, a.details), a.target, a.command, a.estimated_seconds,
			case when a.details ->> 'bytes' ~ '^[0-9]{1,18}$' then (a.details ->> 'bytes')::numeric end);
		exit when ends >= at + make_interval(secs => least(coalesce(seconds, 0), 1000000000)::double precision) and ends > at;
		perform maintsched.end_action(r.run_id, a.seq, 'skipped', 'no_time', null,
			case when ends <= at then 'the window is at its end'
				when seconds is not null then (
					select format('expected to take %s s, and %s s are left', round(seconds, x.digits), round(x.rest, x.digits))
					from (
						select z.rest, case when least(seconds, z.rest) < 0.1 then 3 else 1 end as digits
						from (select extract(epoch from ends - at) as rest) z) x) end,
			null, null);
	end loop;

	update maintsched.run_action x
	set state = 'running', started_at = at
	where x.run_id = r.run_id and x.seq = a.seq;
	-- what may leave something behind ends early enough to clean up
	ends := least(upper(span) - case when a.details ->> 'verify' is not null then maintsched.cleanup_reserve(span) else '0' end, limits);
	if cleanup then
		ends := greatest(ends, at + maintsched.cleanup_grace());
	end if;
	if r.window_closes_at is distinct from upper(span) and not (r.forced or cleanup) then
		update maintsched.run x set window_closes_at = upper(span) where x.run_id = r.run_id;
	end if;
	return query select a.seq, a.command,
		a.details ->> 'still_needed', a.details ->> 'measure',
		maintsched.duration_ms(a.details ->> 'statement_timeout'),
		maintsched.duration_ms(a.details ->> 'lock_timeout'),
		(extract(epoch from ends - at) * 1000)::double precision,
		array(
			select unnest(array[e.key, e.value])
			from jsonb_each_text(case when jsonb_typeof(a.details -> 'settings') = 'object' then a.details -> 'settings' end) e
			where e.value is not null),
		a.details ->> 'verify';
end
$$;

comment on function maintsched.next_action(bigint) is
'Internal: The next action of a run that fits into what is left of its window, marked as running; those that do not fit, or that the plan function skips, are skipped. settings: names and values in turn. What cleans up after another action comes first, even if the run is to stop. No row: there is none.';

create function maintsched.end_action(run_id bigint, seq integer, state text, skip_reason text, sqlstate text, message text, before jsonb, after jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	update maintsched.run_action a
	set state = end_action.state, skip_reason = end_action.skip_reason, finished_at = maintsched.clock(),
		sqlstate = end_action.sqlstate, message = end_action.message,
		before = end_action.before, after = end_action.after
	where a.run_id = end_action.run_id and a.seq = end_action.seq;
end
$$;

comment on function maintsched.end_action(bigint, integer, text, text, text, text, jsonb, jsonb) is
'Internal: Records the end of an action.';

create function maintsched.judge_action(
	run_id bigint, seq integer, sqlstate text, message text, timeout text, refusal jsonb, before jsonb, after jsonb, verdict jsonb)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.run;
	state text := 'done';
	skip_reason text;
begin
	select x.* into strict r from maintsched.run x where x.run_id = judge_action.run_id for update;
	if refusal is not null then
		state := 'skipped';
		skip_reason := coalesce((
			select refusal ->> 'skip' where refusal ->> 'skip' in ('pointless', 'no_space', 'lock_timeout')), 'not_needed');
		message := left(refusal ->> 'reason', 1000);
	elsif sqlstate is not null then
		skip_reason := case
			when timeout = 'window' then 'no_time'
			when sqlstate = '57014' and r.stop_requested = 'yielded' then 'yielded'
			when sqlstate = '57014' and r.stop_requested in ('window_closed', 'time_limit') then 'no_time'
			-- pg_cancel_backend() means the run, too
			when sqlstate = '57014' and timeout is null then 'cancelled'
			when sqlstate = '55P03' then 'lock_timeout'
			when sqlstate = '53100' then 'no_space'
		end;
		state := case
			-- the error came when the work was done
			when verdict -> 'done' = 'true' then 'done'
			when skip_reason is null then 'failed'
			else 'skipped'
		end;
		if state = 'skipped' and skip_reason = 'lock_timeout' then
			message := left(concat_ws('; ', message, verdict ->> 'obstacle'), 1000);
		end if;
	elsif verdict is not null then
		skip_reason := (
			select verdict ->> 'skip'
			where verdict ->> 'skip' in ('not_needed', 'pointless', 'no_space', 'lock_timeout')
			and (verdict -> 'done') is distinct from 'false');
		state := case when verdict -> 'done' = 'false' then 'failed' when skip_reason is not null then 'skipped' else 'done' end;
		message := coalesce(left(verdict ->> 'reason', 1000),
			case when state = 'failed' then 'the command ended without an error, and without its result' end);
	end if;
	perform maintsched.end_action(r.run_id, seq, state, case when state = 'skipped' then skip_reason end, sqlstate, message, before, after);
	perform maintsched.note_cleanup(r, verdict -> 'cleanup');
	if r.stop_requested = 'yielded' then
		update maintsched.run x set stop_requested = null where x.run_id = r.run_id;
	elsif r.stop_requested is null and skip_reason in ('cancelled', 'no_time') then
		update maintsched.run x
		set stop_requested = case
			when skip_reason = 'cancelled' then 'cancelled'
			when r.started_at + least((r.params ->> 'time_limit')::interval, interval '1000 years') <= r.window_closes_at is not true
				and r.window_closes_at is not null then 'window_closed'
			else 'time_limit' end
		where x.run_id = r.run_id;
	end if;
	return state = 'done';
end
$$;

comment on function maintsched.judge_action(bigint, integer, text, text, text, jsonb, jsonb, jsonb, jsonb) is
'Internal: Records what became of an action: done, or skipped or failed by its error and by what was asked of the run. refusal: what still_needed said, where that was not true; an object may hold skip (not_needed, pointless, no_space, lock_timeout) and reason. verdict: what verify said afterwards: an object with done (true in spite of an error, false without one), reason, obstacle (who had the lock that was not got), skip and cleanup, or NULL. timeout: what stopped it, window (its end, or that of the run''s time limit) or own (its own limit).';
