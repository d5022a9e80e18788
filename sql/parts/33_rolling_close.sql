--
-- 33_rolling_close: occurrences close, and the tables of 32_rollup follow
--

create function maintsched.close_occurrences(background boolean default false) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
	paused constant bigint[] := maintsched.paused_tasks();
	ids bigint[];
	ahead bigint[];
	tasks bigint[];
	months maintsched.task_month[];
begin
	-- Locked first, judged in a later statement, which sees every fact that
	-- was recorded before the lock.
	ids := array(
		select o.occurrence_id
		from maintsched.occurrence o
		where o.closed_at is null and o.closes_at <= at
		and o.task_id <> all (paused)
		-- whoever simulates is not disturbed
		and not (background and o.simulated)
		-- nor a restore that began just now
		and exists (select from maintsched.instance)
		for no key update of o skip locked);
	-- A session that waited had a clock() behind what it waited for, and left it
	-- to be derived again.
	ahead := array(
		select o.occurrence_id
		from maintsched.standing s
		join maintsched.occurrence o on o.occurrence_id = s.occurrence_id
		where s.settled_at > at
		for no key update of o skip locked);
	perform maintsched.note_standing(i) from unnest(ahead) i;
	-- nor does a tick() that began before another one undo its work
	tasks := array(
		select s.task_id
		from maintsched.task_state s
		where s.settled_at <= at
		and s.task_id in (
			select o.task_id from maintsched.occurrence o where o.occurrence_id = any (ids)));
	-- what a simulated clock has put ahead of real time is not over yet
	ids := array(
		select o.occurrence_id
		from maintsched.occurrence o
		left join maintsched.standing s using (occurrence_id)
		where o.occurrence_id = any (ids)
		and o.task_id = any (tasks)
		and (o.withdrawn_at is null or o.withdrawn_at <= at)
		and (s.settled_at is null or s.settled_at <= at));
	if cardinality(ids) = 0 then
		return 0;
	end if;

	months := array(select m from maintsched.months_of(ids) m);
	delete from maintsched.standing s where s.occurrence_id = any (ids);
	update maintsched.occurrence o set closed_at = at where o.occurrence_id = any (ids);
	insert into maintsched.task_month as r
	select m.* from unnest(months) m
	order by m.task_id, m.month, m.version
	on conflict (task_id, month, version) do update
	set done = r.done + excluded.done,
		late = r.late + excluded.late,
		failed = r.failed + excluded.failed,
		inconclusive = r.inconclusive + excluded.inconclusive,
		missed = r.missed + excluded.missed,
		waived = r.waived + excluded.waived,
		backdated = r.backdated + excluded.backdated,
		passed_at = greatest(r.passed_at, excluded.passed_at),
		failed_at = greatest(r.failed_at, excluded.failed_at),
		inconclusive_at = greatest(r.inconclusive_at, excluded.inconclusive_at),
		waived_at = greatest(r.waived_at, excluded.waived_at),
		missed_due_at = greatest(r.missed_due_at, excluded.missed_due_at),
		done_at = greatest(r.done_at, excluded.done_at),
		outcome = case when r.done_at is null or excluded.done_at >= r.done_at
			then excluded.outcome else r.outcome end;
	perform maintsched.add_months(months, 1);
	perform maintsched.note_state(months, false);
	update maintsched.task_state s set settled_at = at where s.task_id = any (tasks);

	return cardinality(ids);
end
$$;

comment on function maintsched.close_occurrences(boolean) is
'Internal: Closes what has closed by real time and rolls it up; returns how many. Passes over what somebody is working on.';

create function maintsched.roll_up_owed() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	paused constant bigint[] := maintsched.paused_tasks();
	tasks bigint[];
	months maintsched.task_month[];
	owed maintsched.task_month[];
begin
	tasks := array(
		select s.task_id
		from maintsched.task_state s
		where s.task_id in (
			select w.task_id from maintsched.rollup_owed w where w.clock_at <= maintsched.clock())
		and s.settled_at <= maintsched.clock()
		and s.task_id <> all (paused));
	if cardinality(tasks) = 0 then
		return;
	end if;

	-- The notes go first: a fact that is recorded from now on leaves its own.
	with gone as (
		delete from maintsched.rollup_owed w
		where w.task_id = any (tasks) and w.clock_at <= maintsched.clock()
		returning w.task_id, w.month
	)
	select array_agg(distinct row(g.task_id, g.month, 0, 0, 0, 0, 0, 0, 0, 0,
		null, null, null, null, null, null, null)::maintsched.task_month) into owed
	from gone g;

	months := array(
		select m
		from maintsched.task_month m
		where (m.task_id, m.month) in (select w.task_id, w.month from unnest(owed) w));
	perform maintsched.add_months(months, -1);
	delete from maintsched.task_month m
	where (m.task_id, m.month) in (select w.task_id, w.month from unnest(owed) w);

	months := array(
		select m
		from maintsched.months_of(array(
			select o.occurrence_id
			from unnest(owed) w
			join maintsched.occurrence o on o.task_id = w.task_id
				and o.due_at > w.month - interval '2 days' and o.due_at < w.month + interval '34 days'
			where o.closed_at is not null
			and maintsched.due_month(o.due_at, o.timezone) = w.month)) m);
	insert into maintsched.task_month
	select m.* from unnest(months) m;
	perform maintsched.add_months(months, 1);

	perform maintsched.note_state(array(
		select m from maintsched.task_month m where m.task_id = any (tasks)), true);
end
$$;

comment on function maintsched.roll_up_owed() is
'Internal: Rolls up anew what is owed: the months of tasks about which a fact was recorded after the closing.';

create function maintsched.move_rollups(task_id bigint, was text, becomes text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	months maintsched.task_month[];
begin
	perform maintsched.lock_rollups(wait => true);
	months := array(
		select m from maintsched.task_month m where m.task_id = move_rollups.task_id);
	perform maintsched.add_months(months, -1, was);
	perform maintsched.add_months(months, 1, becomes);
end
$$;

comment on function maintsched.move_rollups(bigint, text, text) is
'Internal: A task went to another calendar: so do its months.';

create function maintsched.rebuild_missing() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	batch constant integer := 100;
	missing constant bigint[] := array(
		select t.task_id
		from maintsched.task t
		where not exists (select from maintsched.task_state s where s.task_id = t.task_id)
		order by t.task_id);
	tasks bigint[];
	months maintsched.task_month[];
	ids bigint[];
begin
	for i in 1 .. cardinality(missing) by batch loop
		tasks := missing[i : i + batch - 1];
		-- locked first, derived in a later statement, which sees what was recorded
		ids := array(
			select o.occurrence_id
			from maintsched.occurrence o
			where o.task_id = any (tasks) and o.closed_at is null
			and (o.facts > 0 or exists (
				select from maintsched.waiver w
				where w.task_id = o.task_id and w.since <= o.due_at and w.expires_at > o.due_at))
			order by o.occurrence_id
			for no key update);
		perform maintsched.note_standing(o) from unnest(ids) o;
		insert into maintsched.task_state (task_id, settled_at)
		select t, maintsched.clock() from unnest(tasks) t
		on conflict do nothing;
		months := array(
			select m
			from maintsched.months_of(array(
				select o.occurrence_id from maintsched.occurrence o
				where o.task_id = any (tasks) and o.closed_at is not null)) m);
		insert into maintsched.task_month
		select m.* from unnest(months) m;
		perform maintsched.add_months(months, 1);
		perform maintsched.note_state(months, true);
	end loop;
end
$$;

comment on function maintsched.rebuild_missing() is
'Internal: Derives from the facts what is kept of tasks of which nothing is kept, as after a restore. Under lock_rollups().';

create function maintsched.rebuild_rollups() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.need_read_committed('rebuild_rollups()');
	if maintsched.clock_simulated() then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = 'rebuild_rollups() needs real time',
			hint = 'What is rolled up holds for everybody. First: reset maintsched.now;';
	end if;
	perform maintsched.lock_rollups(wait => true);
	delete from maintsched.standing;
	delete from maintsched.task_state;
	delete from maintsched.task_month;
	delete from maintsched.calendar_month;
	delete from maintsched.control_month;
	delete from maintsched.rollup_owed w where w.clock_at <= maintsched.clock();
	perform maintsched.rebuild_missing();
	perform maintsched.note_years(maintsched.stale_years());
end
$$;

comment on function maintsched.rebuild_rollups() is
'Derives all figures that the views read anew from the facts. The views say the same before and after. resume(''all'') does it after a restore, so there should be no need to. Errors: feature_not_supported (0A000) outside read committed, object_not_in_prerequisite_state under maintsched.now.';

create function maintsched.need_read_committed(what text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
		raise exception using
			errcode = 'feature_not_supported',
			message = format('%s needs isolation level read committed', what),
			detail = format('This transaction is %s, and would not see what others record while it runs.',
				current_setting('transaction_isolation')),
			hint = 'Let who calls it have it: alter role ... set default_transaction_isolation = ''read committed'';';
	end if;
end
$$;

comment on function maintsched.need_read_committed(text) is
'Internal: Raises feature_not_supported (0A000) in a transaction that would not see what others record meanwhile.';
