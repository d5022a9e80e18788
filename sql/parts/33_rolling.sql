--
-- 33_rolling: keeping the tables of 32_rollup
--

create function maintsched.lock_rollups(wait boolean) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	key constant integer := 'maintsched'::regnamespace::oid::integer;
begin
	if not wait then
		return pg_try_advisory_xact_lock(key, 0);
	end if;
	perform pg_advisory_xact_lock(key, 0);
	return true;
end
$$;

comment on function maintsched.lock_rollups(boolean) is
'Internal: Taken by whoever writes task_state and the months, so that there is one at a time; true when taken.';

create function maintsched.months_of(occurrence_ids bigint[]) returns setof maintsched.task_month
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return query
	select w.task_id, maintsched.due_month(w.due_at, w.timezone), w.version,
		count(*) filter (where w.status = 'done')::integer,
		count(*) filter (where w.status = 'late')::integer,
		count(*) filter (where w.status = 'failed')::integer,
		count(*) filter (where w.status = 'inconclusive')::integer,
		count(*) filter (where w.status = 'missed')::integer,
		count(*) filter (where w.status = 'waived')::integer,
		count(*) filter (where w.backdated)::integer,
		max(w.effective_at) filter (where w.passed and w.status <> 'waived'),
		max(case when w.status = 'missed' then w.closes_at - interval '1 microsecond' else w.judged_at end)
			filter (where w.status = 'failed' or (w.status = 'missed' and not w.passed)),
		max(w.judged_at) filter (where w.status = 'inconclusive'),
		max(w.due_at) filter (where w.status = 'waived'),
		max(w.due_at) filter (where w.status = 'missed'),
		max(w.effective_at),
		(array_agg(w.outcome order by w.effective_at desc, w.outcome = 'pass', w.outcome)
			filter (where w.outcome is not null))[1]
	from maintsched.occurrence_work w
	where w.occurrence_id = any (occurrence_ids)
	and w.status <> 'withdrawn'
	group by 1, 2, 3;
end
$$;

comment on function maintsched.months_of(bigint[]) is
'Internal: What became of these occurrences, per task, month and version; withdrawn ones are outside every count.';

create function maintsched.add_months(months maintsched.task_month[], sign integer, of_calendar text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	-- in the order of the keys, so that two that add do not wait in a circle
	insert into maintsched.calendar_month as r (
		calendar, month, done, late, failed, inconclusive, missed, waived, backdated)
	select coalesce(of_calendar, t.calendar), m.month,
		sign * sum(m.done), sign * sum(m.late), sign * sum(m.failed), sign * sum(m.inconclusive), sign * sum(m.missed), sign * sum(m.waived), sign * sum(m.backdated)
	from unnest(months) m
	join maintsched.task t using (task_id)
	group by 1, 2
	order by 1, 2
	on conflict (calendar, month) do update
	set done = r.done + excluded.done,
		late = r.late + excluded.late,
		failed = r.failed + excluded.failed,
		inconclusive = r.inconclusive + excluded.inconclusive,
		missed = r.missed + excluded.missed,
		waived = r.waived + excluded.waived,
		backdated = r.backdated + excluded.backdated;

	insert into maintsched.control_month as r (
		framework, control, calendar, month, done, late, failed, inconclusive, missed, waived, backdated)
	select split_part(c, ' ', 1), substr(c, strpos(c, ' ') + 1), coalesce(of_calendar, t.calendar), m.month,
		sign * sum(m.done), sign * sum(m.late), sign * sum(m.failed), sign * sum(m.inconclusive), sign * sum(m.missed), sign * sum(m.waived), sign * sum(m.backdated)
	from unnest(months) m
	join maintsched.task t using (task_id)
	join maintsched.task_version v on v.task_id = m.task_id and v.version = m.version
	cross join lateral unnest(v.controls) c
	group by 1, 2, 3, 4
	order by 1, 2, 3, 4
	on conflict (framework, control, calendar, month) do update
	set done = r.done + excluded.done,
		late = r.late + excluded.late,
		failed = r.failed + excluded.failed,
		inconclusive = r.inconclusive + excluded.inconclusive,
		missed = r.missed + excluded.missed,
		waived = r.waived + excluded.waived,
		backdated = r.backdated + excluded.backdated;
end
$$;

comment on function maintsched.add_months(maintsched.task_month[], integer, text) is
'Internal: Adds months of tasks to those of calendars and controls; sign -1 takes them away. of_calendar: instead of the calendar that the task is in.';

create function maintsched.missed_since(task_id bigint, passed_at timestamptz) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select count(*)
	from maintsched.occurrence_work w
	where w.task_id = missed_since.task_id
	and w.due_at > coalesce(missed_since.passed_at, '-infinity')
	and w.closed_at is not null
	and w.status = 'missed'
$$;

comment on function maintsched.missed_since(bigint, timestamptz) is
'Internal: How many closed occurrences of a task that were due after an instant were missed, from the facts.';

create function maintsched.count_missed(task_id bigint, passed_at timestamptz, zone text) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(sum(m.missed) filter (where m.month > b.month), 0)
		+ case when bool_or(m.missed > 0 and m.month <= b.month) then (
			select count(*)
			from maintsched.occurrence_work w
			where w.task_id = count_missed.task_id
			and w.due_at > count_missed.passed_at
			and w.due_at < count_missed.passed_at + interval '70 days'
			and maintsched.due_month(w.due_at, w.timezone) <= b.month
			and w.closed_at is not null
			and w.status = 'missed') else 0 end
	from maintsched.task_month m
	cross join (select coalesce(maintsched.due_month(passed_at, zone), '-infinity') as month) b
	where m.task_id = count_missed.task_id
	and (m.month > b.month or m.month >= b.month - 31)
	group by b.month
$$;

comment on function maintsched.count_missed(bigint, timestamptz, text) is
'Internal: missed_since() from the rolled up months, with a look at the facts of the month of passed_at alone.';

create function maintsched.note_state(months maintsched.task_month[], afresh boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
begin
	with newest as (
		select m.task_id,
			max(m.passed_at) as passed_at, max(m.failed_at) as failed_at, max(m.inconclusive_at) as inconclusive_at, max(m.waived_at) as waived_at, max(m.missed_due_at) as missed_due_at,
			max(m.done_at) as done_at,
			(array_agg(m.outcome order by m.done_at desc nulls last))[1] as outcome
		from unnest(months) m
		group by m.task_id
	)
	update maintsched.task_state s
	set settled_at = at,
		passed_at = case when afresh then n.passed_at else greatest(s.passed_at, n.passed_at) end,
		failed_at = case when afresh then n.failed_at else greatest(s.failed_at, n.failed_at) end,
		inconclusive_at = case when afresh then n.inconclusive_at else greatest(s.inconclusive_at, n.inconclusive_at) end,
		waived_at = case when afresh then n.waived_at else greatest(s.waived_at, n.waived_at) end,
		missed_due_at = case when afresh then n.missed_due_at else greatest(s.missed_due_at, n.missed_due_at) end,
		done_at = case when afresh then n.done_at else greatest(s.done_at, n.done_at) end,
		outcome = case when afresh or s.done_at is null or n.done_at >= s.done_at then n.outcome else s.outcome end
	from newest n
	where s.task_id = n.task_id;

	update maintsched.task_state s
	set missed_run = coalesce(maintsched.count_missed(s.task_id, s.passed_at, t_zone.zone), 0)
	from maintsched.task t
	cross join lateral (select maintsched.task_zone(t) as zone) t_zone
	where t.task_id = s.task_id
	and s.task_id in (select m.task_id from unnest(months) m)
	and (s.missed_due_at > coalesce(s.passed_at, '-infinity') or s.missed_run > 0);

	perform maintsched.note_years(array(select m.task_id from unnest(months) m));
end
$$;

comment on function maintsched.note_state(maintsched.task_month[], boolean) is
'Internal: Brings task_state up to date with these months; afresh: they are all that the tasks have.';

create function maintsched.note_years(task_ids bigint[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	update maintsched.task_state s
	set year_since = z.since,
		year_done = m.done,
		year_late = m.late,
		year_failed = m.failed,
		year_inconclusive = m.inconclusive,
		year_missed = m.missed
	from maintsched.task t
	join maintsched.calendar k on k.name = t.calendar
	join maintsched.zone_year z on z.zone = coalesce(t.timezone, k.timezone)
	cross join lateral (
		select coalesce(sum(r.done), 0) as done, coalesce(sum(r.late), 0) as late, coalesce(sum(r.failed), 0) as failed,
			coalesce(sum(r.inconclusive), 0) as inconclusive, coalesce(sum(r.missed), 0) as missed
		from maintsched.task_month r
		where r.task_id = t.task_id and r.month >= z.since) m
	where t.task_id = any (task_ids)
	and s.task_id = t.task_id
$$;

comment on function maintsched.note_years(bigint[]) is
'Internal: Sums up the current local month and the eleven before for these tasks, so that the views need not.';

create function maintsched.stale_years() returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select array(
		select s.task_id
		from maintsched.task_state s
		join maintsched.task t on t.task_id = s.task_id
		join maintsched.calendar c on c.name = t.calendar
		join maintsched.zone_year z on z.zone = coalesce(t.timezone, c.timezone)
		where s.year_since is distinct from z.since)
$$;

comment on function maintsched.stale_years() is
'Internal: The tasks whose sums of twelve months end with another month than the current one: a month has begun, or they have another zone.';

create function maintsched.note_standing(occurrence_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	insert into maintsched.rollup_owed (task_id, month, clock_at)
	select o.task_id, maintsched.due_month(o.due_at, o.timezone), maintsched.clock()
	from maintsched.occurrence o
	where o.occurrence_id = note_standing.occurrence_id and o.closed_at is not null;
	if found then
		return;
	end if;

	insert into maintsched.standing as s (
		occurrence_id, settled_at, outcome, rejected, effective_at, judged_at,
		backdated, waived, checklist_done, started_at, started_by)
	select w.occurrence_id,
		case when exists (
			select from maintsched.completion c
			left join maintsched.completion_review r using (completion_id)
			left join maintsched.completion_retraction x using (completion_id)
			where c.occurrence_id = w.occurrence_id
			and greatest(c.clock_at, r.clock_at, x.clock_at) > maintsched.clock()
			union all
			select from maintsched.waiver w
			join maintsched.waiver_decision d using (waiver_id)
			where w.task_id = o.task_id and d.clock_at > maintsched.clock()
			and w.expires_at > o.due_at and (w.occurrence_id = o.occurrence_id or w.since <= o.due_at)
			union all
			select from maintsched.checklist_mark m
			where m.occurrence_id = w.occurrence_id and m.clock_at > maintsched.clock()
			union all
			select from maintsched.task_start b
			where b.occurrence_id = w.occurrence_id and b.clock_at > maintsched.clock())
		then 'infinity' else maintsched.clock() end,
		w.outcome, w.rejected, w.effective_at, w.judged_at, w.backdated, w.waived,
		w.checklist_done, w.started_at, w.started_by
	from maintsched.occurrence_work w
	join maintsched.occurrence o on o.occurrence_id = w.occurrence_id
	where w.occurrence_id = note_standing.occurrence_id
	on conflict (occurrence_id) do update
	set settled_at = excluded.settled_at, outcome = excluded.outcome,
		rejected = excluded.rejected, effective_at = excluded.effective_at,
		judged_at = excluded.judged_at, backdated = excluded.backdated, waived = excluded.waived,
		checklist_done = excluded.checklist_done, started_at = excluded.started_at,
		started_by = excluded.started_by;
end
$$;

comment on function maintsched.note_standing(bigint) is
'Internal: After a fact about an occurrence: derives its standing anew or, where it is closed, notes that its month is owed.';

create function maintsched.note_waivers(task_id bigint, since timestamptz, until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	-- locked first, derived in a later statement, which sees what was recorded
	ids constant bigint[] := array(
		select o.occurrence_id
		from maintsched.occurrence o
		where o.task_id = note_waivers.task_id
		and o.due_at >= since and o.due_at < until
		and (o.closed_at is null or o.due_at > maintsched.clock())
		order by o.occurrence_id
		for no key update);
begin
	perform maintsched.note_standing(i) from unnest(ids) i;
end
$$;

comment on function maintsched.note_waivers(bigint, timestamptz, timestamptz) is
'Internal: After a decision about a waiver: derives the standing of the occurrences anew that are due in [since, until). Closed ones are among them only where the clock is set back.';
