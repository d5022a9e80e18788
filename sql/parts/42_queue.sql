--
-- 42_queue: which runs there are to be
--
-- queue_due() is the one place that decides that the time of an automated
-- task has come.  It runs in tick() and in the scheduler, one at a time; what
-- it queues, runners start, and judge again when they do.
--

create table maintsched.queue_state (
	only_row boolean primary key default true check (only_row)
);

insert into maintsched.queue_state default values;

comment on table maintsched.queue_state is 'One row, whose lock whoever queues runs for occurrences holds; not dumped.';
comment on column maintsched.queue_state.only_row is 'There is one row.';

create function maintsched.lock_queue(wait boolean) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if wait then
		perform from maintsched.queue_state for update;
	else
		perform from maintsched.queue_state for update skip locked;
	end if;
	return found;
end
$$;

comment on function maintsched.lock_queue(boolean) is
'Internal: Until the end of the transaction nobody else queues runs for occurrences; false: somebody does, and wait is false.';

create function maintsched.plan_problem(routine text, run_as text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.routine;
	role record;
	f record;
begin
	select x.* into r from maintsched.routine x where x.name = routine;
	if not found then
		return format('routine "%s" is not carried out by this version', routine);
	end if;
	select x.oid, x.rolsuper into role from pg_roles x where x.rolname = run_as;
	if not found then
		return format('role "%s" does not exist', run_as);
	end if;
	select p.oid, p.pronamespace, o.oid as owner, o.rolname, o.rolsuper,
		n.nspname, s.oid as schema_owner, s.rolname as schema_rolname, s.rolsuper as schema_rolsuper into f
	from pg_proc p
	join pg_roles o on o.oid = p.proowner
	join pg_namespace n on n.oid = p.pronamespace
	join pg_roles s on s.oid = case
		when n.nspowner = 'pg_database_owner'::regrole
			then (select d.datdba from pg_database d where d.datname = current_database())
		else n.nspowner end
	where p.oid = to_regprocedure(r.plan || '(jsonb)');
	if not found then
		return format('plan function %s(jsonb) of routine "%s" does not exist', r.plan, routine);
	elsif not r.built_in and not f.rolsuper
		-- whoever can replace the function decides what the role does
		and (role.rolsuper or not pg_has_role(f.owner, role.oid, 'usage'))
	then
		return format('plan function %s(jsonb) belongs to role "%s", which has not the rights of role "%s"',
			r.plan, f.rolname, run_as);
	elsif not r.built_in and not f.schema_rolsuper
		-- and so does whoever can put another one in its place, also between this and the call
		and (role.rolsuper or not pg_has_role(f.schema_owner, role.oid, 'usage'))
	then
		return format('schema "%s" of plan function %s(jsonb) belongs to role "%s", which has not the rights of role "%s"',
			f.nspname, r.plan, f.schema_rolname, run_as);
	elsif not has_function_privilege(role.oid, f.oid, 'execute')
		or not has_schema_privilege(role.oid, f.pronamespace, 'usage')
	then
		return format('role "%s" may not call plan function %s(jsonb)', run_as, r.plan);
	end if;
	return null;
end
$$;

comment on function maintsched.plan_problem(text, text) is
'Internal: Why a role cannot plan a routine; NULL: it can.';

create function maintsched.run_problem(routine text, run_as text, run_as_oid oid default null) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	role record;
begin
	select x.oid, x.rolcanlogin into role from pg_roles x where x.rolname = run_as;
	if not found then
		return format('role "%s" does not exist', run_as);
	elsif role.oid is distinct from coalesce(run_as_oid, role.oid) then
		return format('role "%s" is not the one that it was', run_as);
	elsif not role.rolcanlogin then
		return format('role "%s" cannot log in', run_as);
	elsif not has_database_privilege(role.oid, current_database(), 'connect') then
		return format('role "%s" may not connect to this database', run_as);
	end if;
	return maintsched.plan_problem(routine, run_as);
end
$$;

comment on function maintsched.run_problem(text, text, oid) is
'Internal: Why a routine cannot run as a role; NULL: it can.';

create function maintsched.right_problem(task maintsched.task) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return (
		select format('role "%s", which last changed what runs, has no longer the rights of role "%s"', h.acting_as, (right_problem.task).run_as)
		from (
			select c.acting_as
			from maintsched.calendar_change c
			where c.task_id = (right_problem.task).task_id and c.field in ('added', 'routine', 'params', 'run_as')
			order by c.change_id desc
			limit 1) h
		where h.acting_as <> (right_problem.task).run_as
		and not exists (
			select
			from pg_roles a
			join pg_roles r on r.rolname = (right_problem.task).run_as
			where a.rolname = h.acting_as
			and (a.rolsuper or (not r.rolsuper and pg_has_role(a.oid, r.oid, 'usage')))));
end
$$;

comment on function maintsched.right_problem(maintsched.task) is
'Internal: Why the role that last changed what a task runs could not change it now; NULL: it could.';

create function maintsched.routine_params(routine text, params jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
return (select r.defaults from maintsched.routine r where r.name = routine) || coalesce(params, '{}');

comment on function maintsched.routine_params(text, jsonb) is
'Internal: The parameters of a routine, its defaults where none are given.';

create function maintsched.put_run(new_run maintsched.run, occurrence_ids bigint[]) returns maintsched.run
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	new_run.run_id := nextval(pg_get_serial_sequence('maintsched.run', 'run_id'));
	new_run.state := 'queued';
	new_run.run_as_oid := maintsched.role_oid(new_run.run_as);
	new_run.forced := coalesce(new_run.forced, false);
	new_run.failures := coalesce(new_run.failures, 0);
	new_run.queued_at := maintsched.clock();
	new_run.not_before := coalesce(new_run.not_before, new_run.queued_at);
	new_run.simulated := maintsched.clock_simulated();
	new_run.clock_offset := case when new_run.simulated then maintsched.clock() - clock_timestamp() end;
	insert into maintsched.run values (new_run.*);

	update maintsched.run_occurrence x
	set settled_at = new_run.queued_at
	from maintsched.run r
	where x.occurrence_id = any (occurrence_ids) and x.settled_at is null
	and r.run_id = x.run_id and r.simulated = new_run.simulated;
	insert into maintsched.run_occurrence (run_id, occurrence_id)
	select new_run.run_id, i from unnest(occurrence_ids) i;
	return new_run;
end
$$;

comment on function maintsched.put_run(maintsched.run, bigint[]) is
'Internal: Queues a run that serves these occurrences.';

create function maintsched.run_for(task maintsched.task, requested_by text) returns maintsched.run
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	r maintsched.run;
begin
	r.task_id := task.task_id;
	r.routine := task.routine;
	r.params := maintsched.routine_params(task.routine, task.params);
	r.run_as := task.run_as;
	r.change_class := maintsched.task_class(task);
	r.requested_by := requested_by;
	r.forced := false;
	return r;
end
$$;

comment on function maintsched.run_for(maintsched.task, text) is
'Internal: The run of a task''s routine, before it is queued.';

create function maintsched.busy_tasks() returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return (
		-- one run may serve several tasks
		select array(
			select r.task_id
			from maintsched.run r
			where r.state in ('queued', 'running') and r.task_id is not null
			union
			select o.task_id
			from maintsched.run r
			join maintsched.run_occurrence x using (run_id)
			join maintsched.occurrence o using (occurrence_id)
			where r.state in ('queued', 'running')));
end
$$;

comment on function maintsched.busy_tasks() is
'Internal: The tasks that a queued or running run serves.';

create function maintsched.runnable_occurrences(opened_by timestamptz, wanted_by timestamptz)
returns table (
	occurrence_id bigint, task_id bigint, opens_at timestamptz, due_at timestamptz, closes_at timestamptz,
	last_run bigint, last_state text, retry_at timestamptz, failures integer)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select o.occurrence_id, o.task_id, o.opens_at, o.due_at, o.closes_at,
		l.run_id, l.state, l.retry_at,
		coalesce(l.failures, 0) + (l.state in ('failed', 'interrupted') or l.failed)::integer
	from maintsched.task t
	join maintsched.routine k on k.name = t.routine
	join maintsched.occurrence o on o.task_id = t.task_id
	left join lateral (
		select r.*, exists (
			select from maintsched.run_action a where a.run_id = r.run_id and a.state = 'failed') as failed
		from maintsched.run_occurrence x
		join maintsched.run r using (run_id)
		where x.occurrence_id = o.occurrence_id and r.simulated = maintsched.clock_simulated()
		order by r.run_id desc
		limit 1) l on true
	where t.kind = 'routine' and t.enabled and t.retired_at is null
	-- a restore may have begun just now
	and exists (select from maintsched.instance)
	and (case when o.closed_at is null then o.opens_at end) <= opened_by
	and o.withdrawn_at is null
	and (o.closes_at is null or o.closes_at > maintsched.clock())
	-- what was planned in real time may be played under maintsched.now
	and (maintsched.clock_simulated() or not o.simulated)
	and (l.run_id is null or l.retry_at <= wanted_by)
	and t.task_id <> all ((select maintsched.busy_tasks())::bigint[])
	and ((o.facts = 0 and not exists (select from maintsched.waiver w where w.task_id = o.task_id))
		or not exists (
		select from maintsched.occurrence_fact f
		where f.occurrence_id = o.occurrence_id and f.with_simulated = maintsched.clock_simulated()
		and f.status in ('done', 'late', 'waived', 'withdrawn')))
$$;

comment on function maintsched.runnable_occurrences(timestamptz, timestamptz) is
'Internal: The open occurrences of automated tasks that no run serves or has served, or whose work is to be taken up again by wanted_by.';

create function maintsched.missed_runs(at timestamptz)
returns table (occurrence_id bigint, task_id bigint, opens_at timestamptz, due_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- after the last occurrence that had a run: before it, nothing was automated
	select m.*
	from maintsched.task t
	join maintsched.routine k on k.name = t.routine
	cross join lateral (
		select max(o.opens_at) as opens_at
		from (
			select r.run_id
			from maintsched.run r
			where r.task_id = t.task_id and r.started_at is not null
			order by r.run_id desc
			limit 1) l
		join maintsched.run_occurrence x using (run_id)
		join maintsched.occurrence o using (occurrence_id)
		where o.task_id = t.task_id) served
	cross join lateral (
		select o.occurrence_id, o.task_id, o.opens_at, o.due_at
		from maintsched.occurrence o
		where o.task_id = t.task_id and o.opens_at > served.opens_at and o.closes_at <= at
		and o.withdrawn_at is null and (maintsched.clock_simulated() or not o.simulated)
		and not exists (select from maintsched.run_occurrence x where x.occurrence_id = o.occurrence_id)
		and not exists (select from maintsched.completion c where c.occurrence_id = o.occurrence_id)
		order by o.opens_at desc
		limit 100) m
	where t.kind = 'routine' and t.catch_up = 'all' and t.enabled and t.retired_at is null
	and t.task_id <> all ((select maintsched.busy_tasks())::bigint[])
$$;

comment on function maintsched.missed_runs(timestamptz) is
'Internal: The newest 100 occurrences, for tasks with catch_up all, that closed without a run since the last one that had one.';

create function maintsched.skip_missed(task maintsched.task, occurrence_id bigint, opened_at timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	-- a cron job that calls tick() comes each minute, and may fail some
	tolerance constant interval := '5 minutes';
	at constant timestamptz := maintsched.clock();
	began constant timestamptz := maintsched.next_run(maintsched.task_class(task), opened_at);
	before maintsched.run;
	skipped maintsched.run;
begin
	if task.catch_up <> 'skip' or began is null or at <= began + tolerance then
		return false;
	end if;
	select r.* into before
	from maintsched.run r
	where r.task_id = task.task_id and r.finished_at > began
	order by r.run_id desc
	limit 1;
	skipped := maintsched.run_for(task, 'scheduler');
	skipped.message := case when before.run_id is not null
		then format('skipped: run %s was still running at its time, and catch_up is skip', before.run_id)
		else format('skipped: nothing ran at its time, %s, and catch_up is skip',
			maintsched.start_text(began, maintsched.task_zone(task))) end;
	skipped := maintsched.put_run(skipped, array[occurrence_id]);
	update maintsched.run r
	set state = 'cancelled', stop_reason = 'cancelled', finished_at = at
	where r.run_id = skipped.run_id;
	update maintsched.run_occurrence x set settled_at = at
	where x.run_id = skipped.run_id;
	return true;
end
$$;

comment on function maintsched.skip_missed(maintsched.task, bigint, timestamptz) is
'Internal: Records that the run of an occurrence is left out, where its time is over and its task has catch_up skip; false: it is not.';

create function maintsched.queue_group(task_ids bigint[], occurrence_ids bigint[], continued bigint, failures integer, not_before timestamptz)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	task maintsched.task;
	r maintsched.run;
	problem text;
begin
	if maintsched.clock_simulated() then
		-- there is no next step on this clock: wait for who has the row
		perform from maintsched.task t where t.task_id = task_ids[1] for share;
	end if;
	-- an edit that is under way holds the row: the next step looks again
	select t.* into task from maintsched.task t
	where t.task_id = task_ids[1]
	for share skip locked;
	if not found then
		return false;
	end if;
	r := maintsched.run_for(task, 'scheduler');
	r.continues := continued;
	r.failures := failures;
	r.not_before := not_before;
	r := maintsched.put_run(r, occurrence_ids);
	problem := coalesce(maintsched.run_problem(r.routine, r.run_as), maintsched.right_problem(task));
	if problem is not null then
		perform maintsched.finish_run(r.run_id, 'error', problem);
		return false;
	end if;
	return true;
end
$$;

comment on function maintsched.queue_group(bigint[], bigint[], bigint, integer, timestamptz) is
'Internal: Queues one run for occurrences with the same routine, parameters and role; where it cannot run, it fails at once.';

create function maintsched.queue_due(lead interval default '0') returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	horizon constant timestamptz := at + lead;
	paused constant bigint[] := maintsched.paused_tasks();
	openings jsonb := '{}';
	class text;
	span tstzrange;
	c record;
	queued integer := 0;
begin
	if not maintsched.lock_queue(wait => false) then
		return 0;
	end if;
	perform maintsched.settle_closed();
	foreach class in array array['none', 'minor', 'major', 'critical'] loop
		span := maintsched.opening(class, at);
		if lower(span) <= horizon then
			openings := openings || jsonb_build_object(class, lower(span));
		end if;
	end loop;

	if exists (select from maintsched.task t where t.catch_up = 'skip' and t.kind = 'routine' and t.enabled) then
		for c in
			select o.occurrence_id, o.opens_at, t as task
			from maintsched.runnable_occurrences(at, at) o
			join maintsched.task t using (task_id)
			where t.catch_up = 'skip' and o.last_run is null and o.task_id <> all (paused)
		loop
			perform maintsched.skip_missed(c.task, c.occurrence_id, c.opens_at);
		end loop;
	end if;

	for c in
		with candidate as (
			select o.occurrence_id, o.task_id, o.opens_at, o.due_at, o.last_run, o.retry_at, o.failures
			from maintsched.runnable_occurrences(horizon, horizon) o
			union all
			select m.occurrence_id, m.task_id, m.opens_at, m.due_at, null, null, 0
			from maintsched.missed_runs(at) m
		), ready as (
			select d.*, t.routine, t.params, t.run_as, t.catch_up, x.class,
				greatest(d.opens_at, d.retry_at, (openings ->> x.class)::timestamptz, at) as not_before,
				-- one run of a task at a time, the oldest occurrence first
				row_number() over (partition by d.task_id order by d.opens_at) as rank
			from candidate d
			join maintsched.task t using (task_id)
			cross join lateral (select maintsched.task_class(t) as class) x
			where t.task_id <> all (paused) and openings ? x.class
			and (x.class not in ('major', 'critical')
				or maintsched.change_problem(maintsched.run_for(t, 'scheduler')) is null)
		)
		select array_agg(r.task_id order by r.due_at, r.task_id) as task_ids,
			array_agg(r.occurrence_id order by r.due_at, r.occurrence_id) as occurrence_ids,
			max(r.last_run) as continued, max(r.failures) as failures,
			max(r.not_before) as not_before
		from ready r
		where r.catch_up <> 'all' or r.rank = 1
		group by r.routine, r.params, r.run_as, r.class,
			case when r.catch_up = 'all' then r.occurrence_id end
		order by max(r.not_before), min(r.due_at), min(r.task_id)
	loop
		-- one that cannot be queued does not keep the others from it
		begin
			if maintsched.queue_group(c.task_ids, c.occurrence_ids, c.continued, c.failures, c.not_before) then
				queued := queued + 1;
			end if;
		exception when others then
			raise warning 'a run for task % could not be queued: %', c.task_ids[1], sqlerrm;
		end;
	end loop;
	return queued + maintsched.queue_lines(at, horizon, openings);
end
$$;

comment on function maintsched.queue_due(interval) is
'Internal: Queues the runs whose time has come, or comes within lead, and returns how many; 0 also where another session is at it.';
