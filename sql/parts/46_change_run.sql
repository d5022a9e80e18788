--
-- 46_change_run: the change records of runs
--
-- Work of class major or critical that the database does keeps its record
-- itself.  plan_changes(), called in each scheduling step, makes it once the
-- window in which an occurrence will run is at most 72 hours ahead: one record
-- per occurrence and window.  change_begun() notes the run, or makes the record
-- of one that was started otherwise; change_done() closes it.  A record whose
-- window has moved, or whose occurrence is over, is closed as cancelled.
--
-- The scheduler calls these: they wait for nobody, and what could not be done
-- because somebody else is at it is done by the next plan_changes().  Simulated
-- steps see simulated records only, real ones the others.
--

create function maintsched.open_change(task_id bigint, at timestamptz) returns maintsched.change_record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select c.*
	from maintsched.change_record c
	where c.task_id = open_change.task_id and c.starts_at <= at
	and c.simulated = maintsched.clock_simulated()
	and not exists (select from maintsched.change_close x where x.change_id = c.change_id)
	order by c.starts_at desc, c.change_id desc
	limit 1
$$;

comment on function maintsched.open_change(bigint, timestamptz) is
'Internal: The record of a task''s run that begins at this instant, not closed; NULL: there is none.';

create function maintsched.in_emergency(change_class text, at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(bool_or(s.change_class = 'emergency'), false)
		and (in_emergency.change_class = 'critical'
			or not coalesce(bool_or(s.change_class = 'major'), false)
			or coalesce(bool_or(s.change_class = 'blackout'), false))
	from maintsched.window_spans(at, at + interval '1 microsecond') s
$$;

comment on function maintsched.in_emergency(text, timestamptz) is
'Internal: Whether nothing but an emergency window admits work of class major or critical at this instant.';

create function maintsched.change_problem(run maintsched.run) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := greatest(maintsched.clock(), (run).not_before);
	k record;
	c maintsched.change_record;
begin
	if (run).change_class not in ('major', 'critical') then
		return null;
	end if;
	select x.name, x.rollback_required, x.approval_required, t.rollback
	into k
	from maintsched.task t
	join maintsched.calendar x on x.name = t.calendar
	where t.task_id = (run).task_id
	and (x.rollback_required and t.rollback is null or x.approval_required);
	-- an emergency waits for nobody: it is reviewed afterwards
	if not found or maintsched.in_emergency((run).change_class, at) then
		return null;
	end if;

	if k.rollback_required and k.rollback is null then
		return format('the calendar "%s" demands a rollback text, and the task has none', k.name);
	elsif not k.approval_required then
		return null;
	end if;
	-- that of the next window is shown before it opens
	c := maintsched.open_change((run).task_id, case when (run).run_id is null
		then coalesce(maintsched.next_run((run).change_class, at), at) else at end);
	if c.change_id is null then
		return format('the calendar "%s" demands an approval, and there is no change to approve yet', k.name);
	elsif not exists (select from maintsched.change_approval a where a.change_id = c.change_id) then
		return format('change %s is not approved', c.change_id);
	end if;
	return null;
end
$$;

comment on function maintsched.change_problem(maintsched.run) is
'Internal: Why a run of class major or critical may not start: what its calendar demands is missing; NULL: it may.';

create function maintsched.make_restore_point(name text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if current_setting('wal_level') = 'minimal' then
		return null;
	end if;
	return format('Restore point "%s" at %s.', name, pg_create_restore_point(name));
exception when others then
	return null;
end
$$;

comment on function maintsched.make_restore_point(text) is
'Internal: Makes a restore point of this name, and says where it is; NULL: the server makes none.';

create function maintsched.run_text(routine text, task_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select concat_ws(' ', format('Routine %s', run_text.routine),
		(select format('of task %s/%s', t.calendar, t.name) from maintsched.task t where t.task_id = run_text.task_id))
		|| coalesce(': ' || (select r.description from maintsched.routine r where r.name = run_text.routine), '')
$$;

comment on function maintsched.run_text(text, bigint) is
'Internal: What a run does, before its actions are known.';

create function maintsched.put_change(
	task_id bigint, occurrence_id bigint, run maintsched.run, starts_at timestamptz, ends_at timestamptz)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.change_record (
		calendar, title, change_class, starts_at, ends_at, planned, rollback, reason,
		requested_by, requested_by_oid, task_id, occurrence_id, run_id)
	select t.calendar, coalesce(t.title, 'Routine ' || (run).routine), (run).change_class, put_change.starts_at,
		case when put_change.ends_at > put_change.starts_at and isfinite(put_change.ends_at) then put_change.ends_at end,
		maintsched.run_text((run).routine, t.task_id), t.rollback, (run).reason,
		(run).requested_by, maintsched.role_oid((run).requested_by), t.task_id, put_change.occurrence_id, (run).run_id
	from (select) one
	left join maintsched.task t on t.task_id = put_change.task_id
	returning change_id
$$;

comment on function maintsched.put_change(bigint, bigint, maintsched.run, timestamptz, timestamptz) is
'Internal: Makes the record of a run; returns its change_id.';

create function maintsched.change_begun(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	r maintsched.run;
	s record;
	restore_point text;
	id bigint;
begin
	select x.* into r from maintsched.run x where x.run_id = change_begun.run_id;
	if not found or r.change_class not in ('major', 'critical') then
		return;
	end if;
	restore_point := maintsched.make_restore_point(format('maintsched run %s', r.run_id));
	for s in
		-- a run may serve several tasks, and each has its record
		select w.task_id, w.occurrence_id, t.rollback
		from (
			select o.task_id, min(o.occurrence_id) as occurrence_id
			from maintsched.run_occurrence x
			join maintsched.occurrence o using (occurrence_id)
			where x.run_id = r.run_id
			group by o.task_id
			union all
			select r.task_id, null
			where not exists (select from maintsched.run_occurrence x where x.run_id = r.run_id)) w
		left join maintsched.task t on t.task_id = w.task_id
		order by w.task_id
	loop
		id := (maintsched.open_change(s.task_id, at)).change_id;
		if id is null then
			id := maintsched.put_change(s.task_id, s.occurrence_id, r, at, r.window_closes_at);
		end if;
		insert into maintsched.change_run (change_id, run_id, rollback, emergency)
		values (id, r.run_id, concat_ws(chr(10), restore_point, s.rollback),
			not r.forced and maintsched.in_emergency(r.change_class, at))
		on conflict do nothing;
	end loop;
end
$$;

comment on function maintsched.change_begun(bigint) is
'Internal: A run of class major or critical begins: notes it in its change record, which it gets here where it was not announced, with a restore point.';

create function maintsched.issues_text(run_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with issue as (
		select a.seq, count(*) over () as issues, row_number() over (order by a.seq) as number,
			left(a.target, 200) || ': ' || left(case a.state
				when 'failed' then coalesce(a.message, 'SQLSTATE ' || a.sqlstate, 'failed')
				else 'left over (' || a.skip_reason || ')' end, 500) as line
		from maintsched.run_action a
		where a.run_id = issues_text.run_id
		and (a.state = 'failed' or a.skip_reason not in ('not_needed', 'pointless'))
	)
	select nullif(concat_ws(chr(10),
		(select case when r.state = 'succeeded' then null
				else coalesce(r.message, case when r.state = 'interrupted' then 'it was interrupted' end) end
			from maintsched.run r where r.run_id = issues_text.run_id),
		(select string_agg(i.line, chr(10) order by i.seq) from issue i where i.number <= 100),
		(select format('and %s more', max(i.issues) - 100) from issue i having max(i.issues) > 100)), '')
$$;

comment on function maintsched.issues_text(bigint) is
'Internal: What went wrong in a run or was left over, for people; NULL: nothing.';

create function maintsched.end_change(change_id bigint, run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.run;
	something_done boolean;
begin
	select x.* into strict r from maintsched.run x where x.run_id = end_change.run_id;
	something_done := exists (
		select from maintsched.change_run n
		join maintsched.run_action a using (run_id)
		where n.change_id = end_change.change_id and a.state = 'done');
	insert into maintsched.change_close (change_id, outcome, completed_at, planned, issues, follow_up)
	values (change_id, case
			when r.state not in ('failed', 'interrupted') then r.state
			when something_done then 'partial'
			else 'failed' end,
		r.finished_at,
		(select p.planned from maintsched.change_planned p where p.change_id = end_change.change_id),
		maintsched.issues_text(r.run_id), something_done)
	on conflict do nothing;
	if found then
		perform maintsched.open_documentation(change_id, false);
	end if;
end
$$;

comment on function maintsched.end_change(bigint, bigint) is
'Internal: Closes a change by how its run ended.';

create function maintsched.change_done(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	-- what is tried again in the same window is the same change
	perform maintsched.end_change(n.change_id, r.run_id)
	from maintsched.run r
	join maintsched.change_run n using (run_id)
	where r.run_id = change_done.run_id and r.finished_at is not null
	and (r.retry_at is null or r.window_closes_at is null or r.retry_at >= r.window_closes_at)
	order by n.change_id;
end
$$;

comment on function maintsched.change_done(bigint) is
'Internal: A run ended: closes its change records, unless it is tried again in the same window.';

-- the few tasks of class major and critical, among many of others
create index task_routine on maintsched.task (routine) where change_class is null and routine is not null;

create index task_change_class on maintsched.task (task_id) where change_class in ('major', 'critical');

create function maintsched.major_tasks() returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select array(
		select t.task_id
		from maintsched.routine r
		join maintsched.task t on t.routine = r.name and t.change_class is null
		where r.change_class in ('major', 'critical') and t.enabled and t.retired_at is null
		union all
		select t.task_id
		from maintsched.task t
		join maintsched.routine r on r.name = t.routine
		where t.change_class in ('major', 'critical') and t.enabled and t.retired_at is null)
$$;

comment on function maintsched.major_tasks() is
'Internal: The automated tasks of class major and critical.';

create function maintsched.expected_changes(at timestamptz, task_ids bigint[])
returns table (task_id bigint, occurrence_id bigint, change_class text, starts_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with candidate as materialized (
		select o.task_id, o.occurrence_id, o.closes_at, k.change_class,
			greatest(o.opens_at, l.retry_at, at) as wanted_at
		from (
			select t.task_id, maintsched.task_class(t) as change_class
			from maintsched.task t
			where t.task_id = any (task_ids)) k
		join maintsched.occurrence o on o.task_id = k.task_id
		left join lateral (
			select u.run_id, u.retry_at
			from maintsched.run_occurrence x
			join maintsched.run u using (run_id)
			where x.occurrence_id = o.occurrence_id
			order by u.run_id desc
			limit 1) l on true
		where (case when o.closed_at is null then o.opens_at end) <= at + interval '72 hours'
		and o.withdrawn_at is null and (o.closes_at is null or o.closes_at > at)
		and o.simulated = maintsched.clock_simulated()
		and (l.run_id is null or l.retry_at is not null)
		and not exists (
			select from maintsched.occurrence_fact f
			where f.occurrence_id = o.occurrence_id and f.with_simulated = maintsched.clock_simulated()
			and f.status in ('done', 'late', 'waived', 'withdrawn'))
	), opening as materialized (
		select d.change_class, d.wanted_at, maintsched.next_run(d.change_class, d.wanted_at) as starts_at
		from (select distinct c.change_class, c.wanted_at from candidate c) d
	)
	select c.task_id, c.occurrence_id, c.change_class, w.starts_at
	from candidate c
	join opening w using (change_class, wanted_at)
	where w.starts_at is not null and (c.closes_at is null or w.starts_at < c.closes_at)
$$;

comment on function maintsched.expected_changes(timestamptz, bigint[]) is
'Internal: The occurrences of these tasks that are open at this instant or open within 72 hours and are still to be run, and when each will run.';

create function maintsched.drop_changes(at timestamptz, task_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	paused constant bigint[] := maintsched.paused_tasks();
	c record;
begin
	if not exists (
		select from maintsched.change_record n
		where n.task_id is not null and n.simulated = maintsched.clock_simulated()
		and not exists (select from maintsched.change_close x where x.change_id = n.change_id))
	then
		return;
	end if;
	for c in
		select n.change_id, n.starts_at, e.starts_at as expected_at, l.run_id, k.timezone,
			exists (
				select from maintsched.occurrence_fact f
				where f.occurrence_id = n.occurrence_id and f.with_simulated
				and f.status in ('done', 'late', 'waived', 'withdrawn', 'missed')) as over,
			(
				select format('run %s ended before: %s', r.run_id, r.state)
				from maintsched.run_occurrence x
				join maintsched.run r using (run_id)
				where x.occurrence_id = n.occurrence_id
				order by r.run_id desc limit 1) as last_run
		from maintsched.change_record n
		join maintsched.task t using (task_id)
		join maintsched.calendar k on k.name = t.calendar
		left join maintsched.expected_changes(at, task_ids) e
			on e.task_id = n.task_id and e.occurrence_id = n.occurrence_id
		left join lateral (
			select x.run_id from maintsched.change_run x
			where x.change_id = n.change_id order by x.run_id desc limit 1) l on true
		where n.simulated = maintsched.clock_simulated()
		and not exists (select from maintsched.change_close x where x.change_id = n.change_id)
		and n.task_id <> all (paused)
		and not exists (
			select from maintsched.run r
			where r.state in ('queued', 'running') and (r.task_id = n.task_id or r.run_id = l.run_id
				or exists (
					select from maintsched.run_occurrence x
					where x.run_id = r.run_id and x.occurrence_id = n.occurrence_id)))
		and case
			when l.run_id is not null then n.ends_at <= at or n.ends_at is null or e.starts_at is null
			when at < n.starts_at then e.starts_at is distinct from n.starts_at
			else e.starts_at is null or e.starts_at > at
		end
		order by n.change_id
	loop
		if c.run_id is not null then
			perform maintsched.end_change(c.change_id, c.run_id);
			continue;
		end if;
		insert into maintsched.change_close (change_id, outcome, completed_at, issues, follow_up)
		values (c.change_id, 'cancelled', at, case
			when c.expected_at is null and c.over then 'there is nothing left to run'
			when c.expected_at is null then coalesce(c.last_run, 'no window admits it before its occurrence closes')
			when at < c.starts_at then format('its window has moved to %s', maintsched.start_text(c.expected_at, c.timezone))
			else format('it did not run in its window; the next one opens at %s', maintsched.start_text(c.expected_at, c.timezone))
			end, false)
		on conflict do nothing;
	end loop;
end
$$;

comment on function maintsched.drop_changes(timestamptz, bigint[]) is
'Internal: Closes the records of runs that will not come, or whose run has ended for good.';

create function maintsched.plan_changes() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
	key constant integer := 'maintsched'::regnamespace::oid::integer;
	task_ids constant bigint[] := maintsched.major_tasks();
	c record;
begin
	-- where another session is at it, there is nothing left to do
	if not pg_try_advisory_xact_lock(key, 1) then
		return;
	end if;
	perform maintsched.drop_changes(at, task_ids);
	for c in
		select distinct on (e.task_id, e.starts_at) e.*, t as task
		from maintsched.expected_changes(at, task_ids) e
		join maintsched.task t using (task_id)
		where task_ids <> '{}' and e.starts_at <= at + interval '72 hours'
		and e.task_id <> all ((select maintsched.paused_tasks())::bigint[])
		and not exists (
			select from maintsched.run r
			where r.task_id = e.task_id and r.state in ('queued', 'running'))
		and not exists (
			select from maintsched.change_record n
			where n.task_id = e.task_id and n.simulated = maintsched.clock_simulated()
			and (n.occurrence_id = e.occurrence_id or n.starts_at = e.starts_at)
			and not exists (select from maintsched.change_close x where x.change_id = n.change_id))
		order by e.task_id, e.starts_at, e.occurrence_id
	loop
		perform maintsched.put_change(c.task_id, c.occurrence_id, maintsched.run_for(c.task, 'scheduler'),
			c.starts_at, upper(maintsched.opening(c.change_class, c.starts_at)));
	end loop;

	perform maintsched.open_documentation(x.change_id, false)
	from maintsched.change_close x
	where x.follow_up and x.simulated = maintsched.clock_simulated()
	and not exists (select from maintsched.follow_up f where f.change_id = x.change_id);
	-- nobody calls anything when an emergency window closes by itself
	perform maintsched.tell_emergency(w.window_id, true)
	from maintsched.emergency_window w
	where w.closes_at <= at and w.closes_at > at - interval '30 days'
	and w.simulated = maintsched.clock_simulated()
	and not exists (select from maintsched.emergency_close x where x.window_id = w.window_id);
end
$$;

comment on function maintsched.plan_changes() is
'Internal: In each scheduling step: makes the records of runs of class major and critical whose window is at most 72 hours ahead, closes those that will not come, opens follow-ups that are still owed, and tells that an emergency window has closed by itself.';
