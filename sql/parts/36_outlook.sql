--
-- 36_outlook: when the database does what it is to do, and what it waits for
--

create function maintsched.openings(since timestamptz, until timestamptz)
returns table (change_class text, starts timestamptz[], ends timestamptz[])
language plpgsql stable security definer rows 4
set search_path = pg_catalog, pg_temp
as $$
begin
	return query
	select c.name, array_agg(lower(r) order by lower(r)),
		array_agg(case when c.name = 'none' and upper(r) >= until then 'infinity'
			else upper(r) - maintsched.window_reserve(lower(r), upper(r)) end order by lower(r))
	from unnest(array['none', 'minor', 'major', 'critical']) c(name)
	cross join lateral unnest(maintsched.admitted(c.name, since - interval '24 hours', until)) r
	group by c.name;
end
$$;

comment on function maintsched.openings(timestamptz, timestamptz) is
'Internal: For each class the spans in [since, until) in which its work may be started, in order; to be searched with width_bucket().';

create function maintsched.run_outlook()
returns table (task_id bigint, run_at timestamptz, waits_for text, next_run_at timestamptz)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := maintsched.clock();
	paused constant bigint[] := maintsched.paused_tasks();
	problem text;
begin
	if not exists (select from maintsched.task t where t.kind = 'routine' and t.enabled and t.retired_at is null)
		or not isfinite(at) or at > '200000-01-01'
	then
		return;
	end if;
	problem := maintsched.instance_problem();

	return query
	with automated as materialized (
		select t.task_id, t.run_as, coalesce(t.change_class, k.change_class) as class,
			coalesce(t.timezone, c.timezone) as zone, t as task
		from maintsched.task t
		join maintsched.routine k on k.name = t.routine
		join maintsched.calendar c on c.name = t.calendar
		where t.enabled and t.retired_at is null
	), opening as materialized (
		-- a yearly task's next one may be a year and a window away
		select * from maintsched.openings(at, at + interval '430 days')
	), open_now as (
		select distinct on (a.task_id) a.task_id, o.opens_at, o.closes_at, l.run_id, l.state, l.retry_at,
			l.not_before
		from automated a
		join maintsched.occurrence o on o.task_id = a.task_id
		left join lateral (
			select r.*
			from maintsched.run_occurrence x
			join maintsched.run r using (run_id)
			where x.occurrence_id = o.occurrence_id and r.queued_at <= at
			and (maintsched.clock_simulated() or not r.simulated)
			order by r.run_id desc
			limit 1) l on true
		where (case when o.closed_at is null then o.opens_at end) <= at
		and (o.withdrawn_at is null or o.withdrawn_at > at)
		and (o.closes_at is null or o.closes_at > at)
		and (o.facts = 0 or not exists (
			select from maintsched.occurrence_fact f
			where f.occurrence_id = o.occurrence_id and f.with_simulated and f.status in ('done', 'late', 'waived')))
		order by a.task_id, o.opens_at desc
	), judged as (
		select a.task_id, a.class, a.zone, a.task, n.opens_at, n.closes_at, n.run_id, n.state, n.retry_at,
			n.not_before,
			case
				when p.next_known_at <= at and p.next_opens_at > at then p.next_opens_at
				else (
					select min(o.opens_at) from maintsched.occurrence o
					where o.task_id = a.task_id and o.opens_at > at
					and (o.withdrawn_at is null or o.withdrawn_at > at))
			end as next_opens,
			greatest(n.opens_at, n.retry_at, at) as wanted_at,
			w.starts, w.ends
		from automated a
		left join open_now n using (task_id)
		left join maintsched.task_plan p using (task_id)
		left join opening w on w.change_class = a.class
	), timed as (
		select j.*,
			greatest(j.starts[width_bucket(j.wanted_at, j.ends) + 1], j.wanted_at) as start_at,
			greatest(j.starts[width_bucket(j.next_opens, j.ends) + 1], j.next_opens) as next_start_at,
			j.starts[width_bucket(j.wanted_at, j.ends) + 1] is not null as found_now,
			j.starts[width_bucket(j.next_opens, j.ends) + 1] is not null as found_next
		from judged j
	), told as (
		select d.task_id,
			case
				when d.opens_at is null or problem is not null or d.task_id = any (paused) then null
				when d.state = 'queued' then d.not_before
				when d.run_id is not null and d.retry_at is null then null
				when d.found_now and (d.closes_at is null or d.start_at < d.closes_at) then d.start_at
			end as run_at,
			case
				when d.opens_at is null then null
				when problem is not null then 'resume(''all''): ' || problem
				when d.task_id = any (paused) then 'resume(): it is paused'
				when d.state = 'queued' then format('a worker: run %s is queued', d.run_id)
				when d.state = 'running' then format('run %s, which is running', d.run_id)
				when d.state = 'succeeded' then format('people: run %s succeeded, its checklist is open', d.run_id)
				when d.run_id is not null and d.retry_at is null then format('people: run %s %s', d.run_id,
					case d.state when 'cancelled' then 'was cancelled' when 'interrupted' then 'was interrupted' else d.state end)
				when not d.found_now then format('a window for work of class %s: none is planned', d.class)
				when d.closes_at is not null and d.start_at >= d.closes_at
					then format('nothing: the next window for work of class %s opens at %s, after it has closed',
						d.class, maintsched.start_text(d.start_at, d.zone))
				when d.class in ('major', 'critical')
					and maintsched.change_problem(maintsched.run_for(d.task, 'scheduler')) is not null
					then maintsched.change_problem(maintsched.run_for(d.task, 'scheduler'))
				when d.start_at > d.wanted_at then format('a window for work of class %s, which opens at %s',
					d.class, maintsched.start_text(d.start_at, d.zone))
				when d.retry_at > at then format('the next try of run %s at %s', d.run_id,
					maintsched.start_text(d.start_at, d.zone))
				else 'a worker'
			end as waits_for,
			case when problem is null and d.task_id <> all (paused) and d.found_next then d.next_start_at end as next_at
		from timed d
	)
	select t.task_id, t.run_at, t.waits_for, coalesce(t.run_at, t.next_at)
	from told t
	union all
	select t.task_id, null, format('people: routine %s is not carried out by this version', t.routine), null
	from maintsched.task t
	where t.kind = 'routine' and t.enabled and t.retired_at is null
	and not exists (select from maintsched.routine k where k.name = t.routine);
end
$$;

comment on function maintsched.run_outlook() is
'Internal: For each automated task when its open occurrence is run and what that waits for, and when the task runs next.';

create function maintsched.unserved_tasks(calendar text default null, task_id bigint default null)
returns table (calendar_name text, task text, change_class text, due_at timestamptz)
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := maintsched.clock();
begin
	if not exists (
		select from maintsched.task t join maintsched.routine k on k.name = t.routine
		where t.enabled and t.retired_at is null)
		or not isfinite(at) or at > '200000-01-01'
	then
		return;
	end if;
	return query
	with opening as materialized (
		select * from maintsched.openings(at, at + interval '430 days')
	)
	select t.calendar, t.name, c.class, p.next_due_at
	from maintsched.task t
	join maintsched.routine k on k.name = t.routine
	join maintsched.task_plan p on p.task_id = t.task_id
	cross join lateral (select coalesce(t.change_class, k.change_class) as class) c
	left join opening w on w.change_class = c.class
	where t.enabled and t.retired_at is null
	and c.class <> 'critical'
	and (unserved_tasks.calendar is null or t.calendar = unserved_tasks.calendar)
	and (unserved_tasks.task_id is null or t.task_id = unserved_tasks.task_id)
	and p.next_opens_at > at
	-- the windows of later years are not looked at
	and p.next_due_at < at + interval '430 days'
	and coalesce(w.starts[width_bucket(p.next_opens_at, w.ends) + 1], 'infinity') >= p.next_due_at
	order by t.calendar, t.position, t.task_id;
end
$$;

comment on function maintsched.unserved_tasks(text, bigint) is
'Internal: Automated tasks whose next occurrence no window admits before it is due.';

create function maintsched.warn_unserved(calendar text, task_id bigint default null) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	n bigint;
	names text;
begin
	select count(*), string_agg(format('%s (%s)', u.task, u.change_class), ', ') filter (where u.rank <= 10)
		|| case when count(*) > 10 then ', ...' else '' end
	into n, names
	from (
		select x.*, row_number() over () as rank
		from maintsched.unserved_tasks(warn_unserved.calendar, warn_unserved.task_id) x) u;
	if n > 0 then
		raise warning 'no window admits % of calendar "%" before % due',
			case when n = 1 then '1 automated task' else format('%s automated tasks', n) end, calendar,
			case when n = 1 then 'it is' else 'they are' end
			using detail = format('Class in parentheses: %s.', names),
			hint = 'Add a window of their class with add_window(), or change their change_class.';
	end if;
end
$$;

comment on function maintsched.warn_unserved(text, bigint) is
'Internal: A WARNING where no window admits automated tasks of a calendar before they are due.';
