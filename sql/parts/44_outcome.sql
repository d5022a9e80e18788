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
