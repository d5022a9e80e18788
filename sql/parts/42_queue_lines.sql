--
-- 42_queue_lines: runs for lines of checklists
--
-- A checklist line may name a routine: its latest success inside the
-- occurrence ticks the line (44_outcome).  Where the task itself runs another
-- routine, or is people's, somebody has to run it.  A routine that only looks
-- needs nobody's rights and changes nothing, so the background runs it by
-- itself: when the occurrence opens, and where that did not tick the line, an
-- hour after the end of each run, while nobody has marked it.  What does more
-- than look is left to tasks of its own.
--
-- A line may ask for parameters: only a run that had them ticks it.
--

create function maintsched.only_looks(routine text) returns boolean
language sql immutable parallel safe
return routine in ('health', 'backup_verify');

comment on function maintsched.only_looks(text) is
'Internal: Whether a routine only looks, so that it may be run because a checklist line names it.';

create function maintsched.line_pause(routine text) returns interval
language sql immutable parallel safe
-- looking at a server takes a second, reading its backups may take hours
return case routine when 'health' then interval '1 hour' else interval '1 day' end;

comment on function maintsched.line_pause(text) is
'Internal: How long after a run that did not tick its checklist line the next one is wanted.';

create function maintsched.can_look(routine text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return routine <> 'backup_verify' or exists (select from maintsched.repository);
end
$$;

comment on function maintsched.can_look(text) is
'Internal: Whether there is anything for a routine to look at, so that it makes sense to run it for a checklist line.';

create function maintsched.next_lines(opened_by timestamptz)
returns table (task_id bigint, routine text, params jsonb, wanted_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with watched as (
		select distinct t.task_id, k.name as routine, coalesce(i.value -> 'params', '{}') as params, p.next_opens_at
		from maintsched.task t
		join maintsched.routine k on maintsched.only_looks(k.name)
		cross join lateral jsonb_array_elements(t.checklist) i
		left join maintsched.task_plan p using (task_id)
		where t.enabled and t.retired_at is null and t.routine is distinct from k.name
		and t.checklist @> jsonb_build_array(jsonb_build_object('routine', k.name))
		and i.value ->> 'routine' = k.name
		and maintsched.can_look(k.name)
		and t.task_id <> all (maintsched.paused_tasks())
		-- a restore may have begun just now
		and exists (select from maintsched.instance)
	)
	select w.task_id, w.routine, w.params, greatest(o.opens_at, l.finished_at + maintsched.line_pause(w.routine))
	from watched w
	join maintsched.occurrence o using (task_id)
	join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
	left join lateral (
		select r.finished_at, r.state
		from maintsched.run r
		where r.routine = w.routine and r.params @> w.params and r.simulated = maintsched.clock_simulated()
		and r.queued_at >= o.opens_at
		order by r.run_id desc
		limit 1) l on true
	where (case when o.closed_at is null then o.opens_at end) <= opened_by
	and o.withdrawn_at is null
	and (o.closes_at is null or o.closes_at > maintsched.clock())
	and (maintsched.clock_simulated() or not o.simulated)
	and l.state is distinct from 'queued' and l.state is distinct from 'running'
	and exists (
		select from jsonb_array_elements(v.checklist) with ordinality i
		where i.value ->> 'routine' = w.routine and coalesce(i.value -> 'params', '{}') = w.params
		and not exists (
			select from maintsched.checklist_standing m
			where m.occurrence_id = o.occurrence_id and m.item = i.ordinality))
	and not exists (
		select from maintsched.occurrence_fact f
		where f.occurrence_id = o.occurrence_id and f.with_simulated = maintsched.clock_simulated()
		and f.status in ('done', 'late', 'waived', 'withdrawn'))
	union all
	select w.task_id, w.routine, w.params, w.next_opens_at
	from watched w
	where w.next_opens_at > opened_by
$$;

comment on function maintsched.next_lines(timestamptz) is
'Internal: From when runs are wanted for checklist lines that nobody has marked, of the occurrences open by an instant, and of the next one of each task.';

create function maintsched.queue_lines(at timestamptz, horizon timestamptz, openings jsonb) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	c record;
	own maintsched.task;
	r maintsched.run;
	problem text;
	queued integer := 0;
begin
	for c in
		select l.routine, l.params, k.change_class, min(l.wanted_at) as wanted_at,
			(array_agg(l.task_id order by l.wanted_at, l.task_id))[1] as task_id
		from maintsched.next_lines(horizon) l
		join maintsched.routine k on k.name = l.routine
		where l.wanted_at <= horizon
		-- one that is under way ticks these lines or makes them wait for the next
		and not exists (select from maintsched.run x where x.routine = l.routine and x.state in ('queued', 'running'))
		group by l.routine, l.params, k.change_class
		order by l.routine, l.params
	loop
		continue when not openings ? c.change_class
			-- that with other parameters has just been queued
			or exists (select from maintsched.run x where x.routine = c.routine and x.state in ('queued', 'running'));
		-- as the task whose routine it is, where there is one: its thresholds are meant here, too
		select t.* into own
		from maintsched.task t
		where t.routine = c.routine and t.kind = 'routine' and t.enabled and t.retired_at is null
		order by t.task_id
		limit 1;
		r := null;
		r.routine := c.routine;
		r.params := maintsched.routine_params(c.routine, coalesce(own.params, '{}') || c.params);
		select coalesce(own.run_as, t.run_as), format('a checklist line of %s/%s', t.calendar, t.name)
		into r.run_as, r.reason
		from maintsched.task t
		where t.task_id = c.task_id;
		continue when r.run_as is null;
		r.change_class := c.change_class;
		r.requested_by := 'scheduler';
		r.not_before := greatest(c.wanted_at, (openings ->> c.change_class)::timestamptz, at);
		r := maintsched.put_run(r, '{}');
		problem := coalesce(maintsched.run_problem(r.routine, r.run_as),
			case when own.task_id is not null then maintsched.right_problem(own) end);
		if problem is not null then
			perform maintsched.finish_run(r.run_id, 'error', problem);
		else
			queued := queued + 1;
		end if;
	end loop;
	return queued;
end
$$;

comment on function maintsched.queue_lines(timestamptz, timestamptz, jsonb) is
'Internal: Queues the runs that checklist lines want by horizon; openings: when the next window of each class opens. Returns how many.';
