--
-- 22_planning: which occurrences there are
--
-- plan_task() is the one writer of table occurrence (with tick(), which
-- closes, and the triggers of 24_task, which withdraw).  It runs under the
-- lock of the task's row: an edit holds it, tick() skips tasks that are
-- locked, and plans them the next time.
--
-- What has opened is frozen.  Everything later is computed anew each time:
-- rows that are no longer in the set go, the others keep their id.
--

create function maintsched.unopened(opens_at timestamptz, simulated boolean) returns boolean
language sql stable parallel safe
return opens_at > maintsched.clock()
	and (simulated or opens_at > statement_timestamp());

comment on function maintsched.unopened(timestamptz, boolean) is
'Internal: Whether an occurrence may still be planned anew. A session whose clock is set back does not touch what has really opened.';

create type maintsched.expansion as (
	local_start timestamp,
	opens_at timestamptz,
	due_at timestamptz,
	closes_at timestamptz,
	in_span boolean
);

comment on type maintsched.expansion is 'One instance of a task before it is planned; in_span is false for what follows the span asked for.';

create function maintsched.task_zone(task maintsched.task) returns text
language sql stable parallel safe
return coalesce(
	(task).timezone,
	(select c.timezone from maintsched.calendar c where c.name = (task).calendar));

comment on function maintsched.task_zone(maintsched.task) is
'Internal: The IANA zone of a task: its own, else its calendar''s.';

create function maintsched.expand_task(
	task maintsched.task, zone text,
	since timestamptz, until timestamptz, max_count integer)
returns setof maintsched.expansion
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with in_span as materialized (
		-- two more than are wanted, whatever EXDATE takes away
		select o.local_start, o.starts_at
		from (select 1 where (task).rule is not null) has_rule
		cross join lateral maintsched.instances(
			(task).rule, (task).starts_on, zone, since, until,
			max_count + cardinality((task).exdate) + 2) o
	), cut as (
		-- the rule gave all that was asked for: what follows is not known
		select case when count(*) = max_count + cardinality((task).exdate) + 2
			then max(local_start) end as at
		from in_span
	), candidate as (
		select local_start, starts_at from in_span
		union
		select o.local_start, o.starts_at
		from (select 1 where (task).rule is not null) has_rule
		cross join lateral maintsched.instances(
			(task).rule, (task).starts_on, zone, until, null,
			cardinality((task).exdate) + 2) o
		union
		-- the zone is never 26 hours off
		select r, maintsched.to_instant(r, zone)
		from unnest((task).rdate) r
		where r >= (since at time zone 'UTC') - interval '26 hours'
		and maintsched.to_instant(r, zone) >= since
	), kept as (
		select c.local_start, c.starts_at,
			c.local_start + (task).due_within as due_local
		from candidate c, cut
		where not exists (
			select from unnest((task).exdate) x(local_start)
			where x.local_start = c.local_start)
		and (cut.at is null or c.local_start <= cut.at)
	), due as (
		-- a gap may swallow the whole of due_within
		select k.*,
			case when maintsched.to_instant(k.due_local, zone) > k.starts_at
				then maintsched.to_instant(k.due_local, zone)
				else k.starts_at + make_interval(secs => extract(epoch from (task).due_within)::double precision)
			end as due_at,
			lead(k.starts_at) over (order by k.local_start) as next_opens_at
		from kept k
	)
	select d.local_start, d.starts_at, d.due_at,
		case when (task).grace is not null
			then greatest(d.due_at,
				maintsched.to_instant(d.due_local + (task).grace, zone),
				-- where due_at was moved, grace follows it
				case when maintsched.to_instant(d.due_local, zone) <> d.due_at
					then d.due_at + make_interval(secs => extract(epoch from (task).grace)::double precision)
				end)
			when d.next_opens_at is not null
			then greatest(d.due_at, d.next_opens_at)
		end,
		d.starts_at < until
	from due d
	order by d.local_start
$$;

comment on function maintsched.expand_task(maintsched.task, text, timestamptz, timestamptz, integer) is
'Internal: The instances of a task that open in [since, until), at most max_count and a few, then the next two: RRULE and RDATE without EXDATE, with the due and closing times of each.';

create function maintsched.note_version(task maintsched.task) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
declare
	current_definition jsonb;
	last_version maintsched.task_version;
begin
	current_definition := to_jsonb(task)
		- array['task_id', 'enabled', 'run_as', 'effective_from', 'retired_at', 'position']
		|| jsonb_build_object('timezone', maintsched.task_zone(task));

	select * into last_version
	from maintsched.task_version v
	where v.task_id = task.task_id
	order by v.version desc
	limit 1;

	if last_version.definition = current_definition then
		return last_version.version;
	end if;

	insert into maintsched.task_version (
		task_id, version, made_at, made_by, acting_as, simulated,
		title, teams, kind, cadence, effort, routine, review,
		checklist, controls, definition)
	values (
		task.task_id, coalesce(last_version.version, 0) + 1,
		maintsched.clock(), session_user, maintsched.acting_role(),
		maintsched.clock_simulated(),
		task.title, task.teams, task.kind,
		maintsched.rule_cadence(task.rule, task.starts_on), task.effort,
		task.routine, task.review, task.checklist, task.controls,
		current_definition);
	return coalesce(last_version.version, 0) + 1;
end
$$;

comment on function maintsched.note_version(maintsched.task) is
'Internal: Records the definition of a task as a new version where it differs from the last one; returns the version in force.';

create function maintsched.since_due(effective_from timestamptz, due_within interval, zone text)
returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.to_instant(s.local_start, zone) - greatest(interval '2 hours',
		-- by how much the zone changed in between
		make_interval(secs => abs(
			extract(epoch from (effective_from at time zone zone) - (effective_from at time zone 'UTC'))
			- extract(epoch from (s.early at time zone zone) - (s.early at time zone 'UTC')))::double precision))
	from (
		select (effective_from at time zone zone) - coalesce(due_within, interval '0') as local_start,
			effective_from - coalesce(due_within, interval '0') - interval '26 hours' as early) s
$$;

comment on function maintsched.since_due(timestamptz, interval, text) is
'Internal: An instant not after, and not long before, the first opening that may be due after effective_from.';

create function maintsched.put_occurrences(
	task maintsched.task, zone text, version integer, instances maintsched.expansion[],
	after_start timestamp, known_until timestamptz, at timestamptz)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.occurrence as o (
		task_id, version, local_start, timezone, opens_at, due_at,
		closes_at, planned_at, simulated)
	select (task).task_id, put_occurrences.version, e.local_start, zone, e.opens_at,
		e.due_at, e.closes_at, maintsched.clock(), maintsched.clock_simulated()
	from unnest(instances) e
	where (after_start is null or e.local_start > after_start)
	and e.due_at > (task).effective_from
	and (e.opens_at > at or e.opens_at >= known_until)
	-- what stays as it is is not locked
	and not exists (
		select
		from maintsched.occurrence x
		where x.task_id = (task).task_id and x.local_start = e.local_start and x.timezone = zone
		and (x.version, x.opens_at, x.due_at, x.simulated)
			= (put_occurrences.version, e.opens_at, e.due_at, maintsched.clock_simulated())
		and x.closes_at is not distinct from e.closes_at
		and x.withdrawn_at is null)
	on conflict (task_id, local_start, timezone) do update
	set version = excluded.version, opens_at = excluded.opens_at,
		due_at = excluded.due_at, closes_at = excluded.closes_at,
		simulated = excluded.simulated, withdrawn_at = null, withdrawn_reason = null
	where o.opens_at > at and maintsched.unopened(o.opens_at, o.simulated)
$$;

comment on function maintsched.put_occurrences(maintsched.task, text, integer, maintsched.expansion[], timestamp, timestamptz, timestamptz) is
'Internal: Writes instances of a task that start after after_start, fall due after effective_from, and have not opened by the instant at, or opened from known_until on. Those that are there and unopened are brought up to date.';

create function maintsched.take_back(task maintsched.task, zone text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	update maintsched.occurrence o
	set withdrawn_at = null, withdrawn_reason = null
	where o.task_id = (task).task_id
	and o.withdrawn_at is not null and o.closed_at is null
	and o.due_at > (task).effective_from
	and o.timezone = zone
	and (task).enabled and (task).retired_at is null
	and exists (
		select
		from maintsched.expand_task(task, zone, o.opens_at, o.opens_at + interval '1 microsecond', 1) e
		where e.in_span and e.local_start = o.local_start)
$$;

comment on function maintsched.take_back(maintsched.task, text) is
'Internal: Undoes the withdrawal of occurrences that the task still has and that fall due after effective_from.';

create function maintsched.note_plan(task_id bigint, planned_until timestamptz, horizon timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.task_plan as p (task_id, planned_until, replan_at, planned_at, simulated)
	select note_plan.task_id, note_plan.planned_until,
		case
			when note_plan.planned_until = 'infinity' then 'infinity'
			-- the limit of occurrences ended it: again when half of them are used up
			when note_plan.planned_until < horizon
				then maintsched.clock() + greatest((note_plan.planned_until - maintsched.clock()) / 2, interval '0')
			else maintsched.clock() + interval '12 hours'
		end,
		maintsched.clock(), maintsched.clock_simulated()
	on conflict (task_id) do update
	set planned_until = excluded.planned_until,
		replan_at = excluded.replan_at,
		planned_at = excluded.planned_at,
		simulated = excluded.simulated
$$;

comment on function maintsched.note_plan(bigint, timestamptz, timestamptz) is
'Internal: Records how far a task is planned, and when to plan it again.';

create function maintsched.note_next(task_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	update maintsched.task_plan p
	set next_opens_at = n.opens_at, next_due_at = n.due_at, next_known_at = maintsched.clock()
	from unnest(task_ids) i(task_id)
	left join lateral (
		select o.opens_at, o.due_at
		from maintsched.occurrence o
		where o.task_id = i.task_id and o.opens_at > maintsched.clock()
		and (o.withdrawn_at is null or o.withdrawn_at > maintsched.clock())
		order by o.opens_at
		limit 1) n on true
	where p.task_id = i.task_id;
end
$$;

comment on function maintsched.note_next(bigint[]) is
'Internal: Notes the next occurrence of each of these tasks, so that the views need not look for it.';

create function maintsched.plan_task(task_id bigint, fresh boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	max_count constant integer := 1000;
	max_rounds constant integer := 20;
	at timestamptz;
	horizon timestamptz;
	task maintsched.task;
	zone text;
	version integer;
	known_until timestamptz;
	since timestamptz;
	last_opened timestamp;
	expanded maintsched.expansion[];
	taken integer;
	behind integer;
	ahead integer := 0;
	kept timestamp[] := array[]::timestamp[];
	planned_until timestamptz;
begin
	select t.* into strict task
	from maintsched.task t
	where t.task_id = plan_task.task_id
	for no key update;

	-- not clock(): who waited for the task must not plan anew what has opened
	-- and was worked on meanwhile
	at := maintsched.recorded_by_now();
	horizon := at + make_interval(
		secs => extract(epoch from current_setting('maintsched.horizon')::interval)::double precision);
	zone := maintsched.task_zone(task);
	version := maintsched.note_version(task);

	-- A clock set back does not unmake what was planned in real time: the next
	-- tick() in real time takes the new version over.
	update maintsched.task_plan p
	set replan_at = '-infinity'
	where p.task_id = task.task_id
	and maintsched.clock_simulated() and not p.simulated and p.planned_at > at;
	if found then
		return;
	end if;

	select p.planned_until into known_until
	from maintsched.task_plan p
	where p.task_id = task.task_id;
	fresh := fresh or not found;

	-- Local order keeps a change of zone from asking for a day's duty twice.
	-- Within a day it would only tear a hole, so there instants decide alone.
	if task.rule is null or task.rule !~* 'FREQ=(HOURLY|MINUTELY|SECONDLY)|BY(HOUR|MINUTE|SECOND)=[0-9]+,' then
		-- local order and that of instants differ by a zone's change at the most
		select max(o.local_start) into last_opened
		from (
			select o.local_start
			from maintsched.occurrence o
			where o.task_id = task.task_id and o.opens_at <= at
			and not (fresh and o.withdrawn_at is not null and o.due_at > task.effective_from)
			order by o.opens_at desc
			limit 50) o;
	end if;

	-- Where to begin: at what may still be due after effective_from, else
	-- where the last planning ended, if that lies behind us, else now.
	since := case when fresh
		then maintsched.since_due(task.effective_from, task.due_within, zone)
		else least(known_until, at) end;
	planned_until := 'infinity';

	for round in 1 .. max_rounds loop
		exit when not task.enabled or task.retired_at is not null
			or (task.rule is null and task.rdate = '{}');

		select array_agg(e order by e.local_start) into expanded
		from maintsched.expand_task(task, zone, since, greatest(horizon, since), max_count) e;
		expanded := coalesce(expanded, '{}');

		select count(*) filter (where e.in_span), count(*) filter (where e.opens_at <= at)
		into taken, behind
		from unnest(expanded) e;
		taken := least(taken, max_count, behind + max_count - ahead);
		if taken = behind and taken < max_count and ahead = 0 then
			taken := taken + 1;		-- at least the next one
		end if;

		perform maintsched.put_occurrences(task, zone, version, expanded[1:taken], last_opened,
			case when fresh then '-infinity' else known_until end, at);

		ahead := ahead + greatest(taken - behind, 0);
		kept := kept || array(
			select e.local_start from unnest(expanded[1:taken]) e where e.opens_at > at);
		-- in local order: in a DST gap a later start may be an earlier instant
		select coalesce(min(e.opens_at), 'infinity') into planned_until
		from unnest(expanded[taken + 1:]) e;
		exit when planned_until >= horizon or ahead >= max_count;
		since := planned_until;
	end loop;

	-- What is in force again asks again for what is not over.
	if fresh then
		perform maintsched.take_back(task, zone);
	end if;

	with gone as (
		delete from maintsched.occurrence o
		where o.task_id = task.task_id
		and o.opens_at > at and maintsched.unopened(o.opens_at, o.simulated)
		and o.facts = 0
		and (o.timezone <> zone or o.local_start <> all (kept))
		and not exists (select from maintsched.run_occurrence w where w.occurrence_id = o.occurrence_id)
		returning o.occurrence_id
	)
	delete from maintsched.standing s
	where s.occurrence_id in (select g.occurrence_id from gone g);
	-- what somebody recorded about one that is not asked for any more stays
	update maintsched.occurrence o
	set withdrawn_at = at, withdrawn_reason = 'no longer planned'
	where o.task_id = task.task_id
	and o.opens_at > at and maintsched.unopened(o.opens_at, o.simulated)
	and o.withdrawn_at is null
	and (o.facts > 0 or exists (select from maintsched.run_occurrence w where w.occurrence_id = o.occurrence_id))
	and (o.timezone <> zone or o.local_start <> all (kept))
	-- but what is played ahead of real time
	and (maintsched.clock_simulated() or not o.simulated);

	-- a waiver covers what is planned later, or not any more what was moved
	if exists (select from maintsched.waiver w where w.task_id = task.task_id) then
		perform maintsched.note_standing(o.occurrence_id)
		from maintsched.occurrence o
		where o.task_id = task.task_id and o.opens_at > at and o.closed_at is null
		and (exists (select from maintsched.standing s where s.occurrence_id = o.occurrence_id)
			or exists (
				select from maintsched.waiver w
				where w.task_id = o.task_id and w.since <= o.due_at and w.expires_at > o.due_at));
	end if;

	perform maintsched.note_plan(task.task_id, planned_until, horizon);
	perform maintsched.note_next(array[task.task_id]);
end
$$;

comment on function maintsched.plan_task(bigint, boolean) is
'Internal: Plans the occurrences of a task from clock() to maintsched.horizon ahead: at least the next one, at most 1,000. What has opened stays as it is. fresh: plan all that is due after effective_from, as at the install.';

create function maintsched.withdraw_open(task_id bigint, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	ids bigint[];
begin
	-- locked first, judged in a later statement, which sees what was recorded
	ids := array(
		select o.occurrence_id
		from maintsched.occurrence o
		where o.task_id = withdraw_open.task_id
		and o.withdrawn_at is null and o.closed_at is null
		and o.opens_at <= maintsched.clock()
		and (o.closes_at is null or o.closes_at > maintsched.clock())
		order by o.occurrence_id
		for no key update);
	update maintsched.occurrence o
	set withdrawn_at = maintsched.clock(), withdrawn_reason = reason
	from maintsched.occurrence_fact f
	where o.occurrence_id = any (ids)
	and f.occurrence_id = o.occurrence_id and f.with_simulated
	and (f.status in ('due', 'overdue', 'failed', 'inconclusive')
		or (f.status = 'waived' and f.due_at > maintsched.clock()))
	and (maintsched.pass_of(o.occurrence_id)).completion_id is null;
end
$$;

comment on function maintsched.withdraw_open(bigint, text) is
'Internal: Takes the open occurrences of a task out of every count, but those that are done, or waived when they fell due: its task was retired or disabled.';

create function maintsched.plan_due(background boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
<<plan_due>>
declare
	server_started constant timestamptz := pg_postmaster_start_time();
	paused constant bigint[] := maintsched.paused_tasks();
	replan_all boolean;
	task_id bigint;
begin
	-- time zone data may be newer since the server started
	replan_all := not exists (
		select from maintsched.planning_state s where s.server_started_at = server_started);
	if replan_all then
		insert into maintsched.planning_state as s (server_started_at)
		values (server_started)
		on conflict (only_row) do update
		set server_started_at = excluded.server_started_at;
	end if;

	for task_id in
		select t.task_id
		from maintsched.task t
		left join maintsched.task_plan p using (task_id)
		where t.retired_at is null
		and (replan_all or p.task_id is null or p.replan_at <= maintsched.clock()
			or (p.simulated and not maintsched.clock_simulated()))
		-- whoever simulates is not disturbed
		and not (background and coalesce(p.simulated, false))
		-- nor a restore that began just now
		and exists (select from maintsched.instance)
		and t.task_id <> all (paused)
		order by t.task_id
		for no key update of t skip locked
	loop
		-- one task that cannot be planned does not keep the others from it
		begin
			perform maintsched.plan_task(task_id);
		exception when others then
			raise warning 'task % could not be planned: %', (
				select format('"%s" of calendar "%s"', t.name, t.calendar)
				from maintsched.task t where t.task_id = plan_due.task_id), sqlerrm;
		end;
	end loop;
end
$$;

comment on function maintsched.plan_due(boolean) is
'Internal: Plans the tasks whose planning is due, all of them after a server start. background: but those planned under maintsched.now, which a tick() in real time takes over.';
