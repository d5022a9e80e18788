--
-- 81_send_notices: writing the notices whose time has come
--

create function maintsched.window_body(work text[], opens_at timestamptz, closes_at timestamptz, zone text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
return concat_ws(' ',
	format(case when opens_at > maintsched.clock()
			then 'Maintenance takes place from %s to %s.' else 'Maintenance is under way since %s, until %s at the latest.' end,
		maintsched.start_text(opens_at, zone), maintsched.end_text(closes_at, zone)),
	case when cardinality(work) > 0 then format('Planned: %s.', maintsched.work_text(work)) end);

comment on function maintsched.window_body(text[], timestamptz, timestamptz, text) is
'Internal: What people are told about a window that has work.';

create function maintsched.tell_window(e record) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	now_there constant timestamptz := maintsched.clock();
	work text[];
	announced boolean;
	cancelled boolean;
begin
	select coalesce(bool_or(n.kind not in ('moved', 'cancelled', 'window_end')), false),
		coalesce(bool_or(n.kind = 'cancelled'), false)
	into announced, cancelled
	from maintsched.notice n
	where n.about = e.about and n.opens_at = e.opens_at
	and (maintsched.clock_simulated() or not n.simulated);

	if e.moment = 'end' then
		if not announced and cardinality(maintsched.window_work(e.change_class, e.opens_at, e.closes_at)) = 0
			or cancelled and cardinality(maintsched.window_work(e.change_class, e.opens_at, e.closes_at)) = 0
		then
			return false;
		elsif e.at <= now_there - interval '24 hours' then
			return null;
		end if;
		return maintsched.put_notice('window_end', e.about, e.opens_at, e.at, e.calendar, null,
			format('Maintenance is over: %s', e.title),
			format('The maintenance window that opened on %s closed on %s.',
				maintsched.start_text(e.opens_at, e.zone), maintsched.end_text(e.closes_at, e.zone)));
	elsif now_there >= (case e.moment when 'before' then e.opens_at else e.closes_at end) then
		return false;
	end if;

	work := maintsched.window_work(e.change_class, e.opens_at, e.closes_at);
	if cardinality(work) > 0 and e.moment = 'before' then
		return maintsched.put_notice(maintsched.lead_kind('window', e.lead_time), e.about, e.opens_at, e.at,
			e.calendar, null,
			format('%s on %s: %s', case when announced then 'Reminder: maintenance' else 'Maintenance' end,
				maintsched.start_text(e.opens_at, e.zone), e.title),
			maintsched.window_body(work, e.opens_at, e.closes_at, e.zone), lead_time => e.lead_time);
	elsif cardinality(work) > 0 then
		return maintsched.put_notice('window_start', e.about, e.opens_at, e.at, e.calendar, null,
			format('Maintenance has begun: %s', e.title),
			maintsched.window_body(work, e.opens_at, e.closes_at, e.zone));
	elsif announced then
		return maintsched.put_notice('cancelled', e.about, e.opens_at, e.at, e.calendar, null,
			format('Maintenance on %s does not take place: %s', maintsched.start_text(e.opens_at, e.zone), e.title),
			'Nothing is left to be done in it.');
	end if;
	return false;
end
$$;

comment on function maintsched.tell_window(record) is
'Internal: Writes the notice of one row of window_events(), if the window has work; NULL: it would have, but is over for more than a day.';

create function maintsched.tell_moved() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	m record;
	told bigint := 0;
begin
	for m in select * from maintsched.moved_windows() loop
		told := told + maintsched.put_notice(
			case when m.moved_to is null then 'cancelled' else 'moved' end,
			m.about, m.opens_at, maintsched.clock(), m.calendar, null,
			format(case when m.moved_to is null then 'Maintenance on %s does not take place: %s'
					else 'Maintenance on %s was moved: %s' end,
				maintsched.start_text(m.opens_at, m.zone), m.title),
			coalesce('It opens on ' || maintsched.start_text(m.moved_to, m.zone) || ' instead.',
				'This maintenance window was given up.'),
			moved_to => m.moved_to)::integer;
	end loop;
	return told;
end
$$;

comment on function maintsched.tell_moved() is
'Internal: Writes a notice for each announced window that will not open then.';

create function maintsched.change_events()
returns table (at timestamptz, kind text, lead_time interval, change_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with ahead as (
		select c.change_id, c.calendar, c.starts_at, c.ends_at, c.clock_at,
			x.outcome, x.clock_at as closed_at, x.completed_at
		from maintsched.change_record c
		left join maintsched.change_close x on x.change_id = c.change_id and x.clock_at <= maintsched.clock()
		-- a change lasts 31 days at the most
		where c.starts_at > maintsched.clock() - interval '800 hours'
		and c.ends_at > maintsched.clock() - interval '24 hours'
		and c.task_id is null and c.run_id is null and c.window_id is null
		and c.clock_at <= maintsched.clock() and c.simulated = maintsched.clock_simulated()
	), event as (
		-- planned at short notice: at once
		select a.change_id, a.starts_at, maintsched.lead_kind('change', l) as kind, l as lead_time,
			greatest(a.starts_at - l, a.clock_at) as at
		from ahead a
		cross join lateral maintsched.lead_times(a.calendar) l
		where a.starts_at > maintsched.clock() and a.outcome is null
		and (a.starts_at - l >= a.clock_at or l = (
			select min(m) from maintsched.lead_times(a.calendar) m where a.starts_at - m < a.clock_at))
		union all
		select a.change_id, a.starts_at, 'change_start', null, a.starts_at
		from ahead a
		where a.ends_at > maintsched.clock() and a.outcome is null
		union all
		select a.change_id, a.starts_at, 'change_end', null,
			greatest(least(a.ends_at, a.closed_at), a.clock_at)
		from ahead a
		where a.outcome is distinct from 'cancelled'
		union all
		select a.change_id, a.starts_at, 'cancelled', null, a.closed_at
		from ahead a
		where a.outcome = 'cancelled' and exists (
			select from maintsched.notice n
			where n.about = 'change ' || a.change_id and n.opens_at = a.starts_at
			and n.simulated = maintsched.clock_simulated())
	)
	select e.at, e.kind, e.lead_time, e.change_id
	from event e
	where e.at > maintsched.clock() - interval '24 hours'
	and not exists (
		select from maintsched.notice n
		where n.about = 'change ' || e.change_id and n.opens_at = e.starts_at and n.kind = e.kind
		and n.simulated = maintsched.clock_simulated())
	order by e.at, e.change_id
$$;

comment on function maintsched.change_events() is
'Internal: The instants at which people are to be told of changes that people carry out, and were not: before the start, at the start, at the end, and when one that was announced is cancelled. Runs are told with their window.';

create function maintsched.tell_changes() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	e record;
	told bigint := 0;
begin
	for e in
		select v.*, c.calendar, c.title, c.starts_at, c.ends_at, c.impact, k.timezone as zone,
			x.outcome
		from maintsched.change_events() v
		join maintsched.change_record c using (change_id)
		join maintsched.calendar k on k.name = c.calendar
		left join maintsched.change_close x on x.change_id = c.change_id and x.clock_at <= maintsched.clock()
		where v.at <= maintsched.clock()
		order by v.at, v.change_id
	loop
		told := told + maintsched.put_notice(e.kind, 'change ' || e.change_id, e.starts_at, e.at, e.calendar, null,
			case
				when e.kind = 'change_start' then format('Maintenance has begun: %s', e.title)
				when e.kind = 'change_end' then format('Maintenance is over: %s', e.title)
				when e.kind = 'cancelled' then format('Maintenance on %s does not take place: %s',
					maintsched.start_text(e.starts_at, e.zone), e.title)
				else format('Maintenance on %s: %s', maintsched.start_text(e.starts_at, e.zone), e.title)
			end,
			case
				when e.kind = 'change_end' then coalesce('Outcome: ' || replace(e.outcome, '_', ' ') || '.',
					'Its planned time is over; nobody has said yet how it ended.')
				when e.kind = 'cancelled' then 'It was cancelled.'
				else concat_ws(' ',
					maintsched.window_body('{}', e.starts_at, e.ends_at, e.zone), e.impact)
			end,
			lead_time => e.lead_time, change_id => e.change_id)::integer;
	end loop;
	return told;
end
$$;

comment on function maintsched.tell_changes() is
'Internal: Writes the notices of change_events() whose time has come.';

create function maintsched.occurrence_events(since timestamptz, until timestamptz)
returns table (at timestamptz, kind text, occurrence_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.due_soon_at(o.opens_at, o.due_at), 'due_soon', o.occurrence_id
	from maintsched.occurrence o
	where o.closed_at is null and (maintsched.clock_simulated() or not o.simulated)
	and exists (select from maintsched.instance)
	and maintsched.due_soon_at(o.opens_at, o.due_at) > since
	and maintsched.due_soon_at(o.opens_at, o.due_at) <= until
	and o.due_at > until
	union all
	select o.due_at, 'overdue', o.occurrence_id
	from maintsched.occurrence o
	where o.closed_at is null and (maintsched.clock_simulated() or not o.simulated)
	and exists (select from maintsched.instance)
	and o.due_at > since and o.due_at <= until
	and (o.closes_at is null or o.closes_at > until)
	union all
	select o.closes_at, 'missed', o.occurrence_id
	from maintsched.occurrence o
	where o.closed_at is null and (maintsched.clock_simulated() or not o.simulated)
	and exists (select from maintsched.instance)
	and o.closes_at > since and o.closes_at <= until
$$;

comment on function maintsched.occurrence_events(timestamptz, timestamptz) is
'Internal: The instants in (since, until] at which people are told of occurrences, whatever was recorded of these: due soon, overdue, missed, each as long as it holds at until.';

create function maintsched.tell_occurrences(since timestamptz, out told bigint, out left_out bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	e record;
	n integer;
begin
	told := 0;
	select count(*) into left_out
	from maintsched.occurrence_events(since, maintsched.clock() - interval '24 hours') v
	cross join lateral (
		select o.facts, o.task_id
		from maintsched.occurrence o
		join maintsched.task t on t.task_id = o.task_id and t.enabled and t.retired_at is null
			and v.at > t.effective_from
		where o.occurrence_id = v.occurrence_id
		offset 0) o
	where v.kind = 'missed'
	-- without a fact or a waiver there is nothing to judge
	and case when o.facts = 0 and not exists (select from maintsched.waiver w where w.task_id = o.task_id) then true
		else exists (
			select from maintsched.occurrence_fact f
			where f.occurrence_id = v.occurrence_id and f.with_simulated
			and f.status in ('missed', 'failed', 'inconclusive')) end;
	-- one by one, by their keys: as a join the planner takes them for few
	for e in
		select v.at, v.kind, v.occurrence_id, x.*
		from maintsched.occurrence_events(since, maintsched.clock()) v
		cross join lateral (
			select t.calendar, t.name as task, r.title, r.teams, o.opens_at, o.due_at,
				o.timezone as zone, f.status, f.outcome
			from maintsched.occurrence o
			join maintsched.task t on t.task_id = o.task_id and t.enabled and t.retired_at is null
				and v.at > t.effective_from
			join maintsched.task_version r on r.task_id = o.task_id and r.version = o.version
			join maintsched.occurrence_fact f on f.occurrence_id = v.occurrence_id and f.with_simulated
			where o.occurrence_id = v.occurrence_id
			and f.status in ('due', 'overdue', 'missed', 'failed', 'inconclusive')
			offset 0) x
		where v.kind <> 'missed' or v.at > maintsched.clock() - interval '24 hours'
		order by v.at, v.occurrence_id
	loop
		n := (
			select count(*) filter (where maintsched.put_notice(e.kind, 'occurrence ' || e.occurrence_id, e.opens_at, e.at,
				e.calendar, x.team,
				format('%s: %s%s',
					case e.kind when 'due_soon' then 'Due soon' when 'overdue' then 'Overdue' else 'Missed' end,
					e.title,
					case when cardinality(e.teams) > 1 then ' (' || x.team || ')' end),
				concat_ws(' ',
					format(case e.kind
							when 'due_soon' then '"%s" is due by %s.'
							when 'overdue' then '"%s" was due by %s and is not done.'
							else '"%s" was due by %s and was not done.' end,
						e.title, maintsched.end_text(e.due_at, e.zone)),
					case e.outcome
						when 'inconclusive' then 'The last attempt was inconclusive.'
						when 'partial' then 'The last attempt was partial.'
						when 'fail' then 'The last attempt failed.'
						when 'pass' then 'The last attempt was rejected.' end),
				occurrence_id => e.occurrence_id))
			from (select distinct m from unnest(e.teams) m) x(team));
		told := told + n;
	end loop;
end
$$;

comment on function maintsched.tell_occurrences(timestamptz) is
'Internal: Writes the notices of occurrence_events() from since to clock() for those that are not passed, waived or withdrawn, one for each team; left_out: how many were missed more than a day ago.';

create function maintsched.next_notice_at() returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	since constant timestamptz := maintsched.looked_until();
begin
	if since is null then
		return null;
	end if;
	return least(
		(select maintsched.clock() from maintsched.moved_windows() limit 1),
		(select min(e.at) from maintsched.change_events() e),
		-- one look into an index each
		(select maintsched.due_soon_at(o.opens_at, o.due_at)
		from maintsched.occurrence o
		where o.closed_at is null and maintsched.due_soon_at(o.opens_at, o.due_at) > since
		order by maintsched.due_soon_at(o.opens_at, o.due_at) limit 1),
		(select o.due_at
		from maintsched.occurrence o
		where o.closed_at is null and o.due_at > since
		order by o.due_at limit 1),
		(select o.closes_at
		from maintsched.occurrence o
		where o.closed_at is null and o.closes_at > since
		order by o.closes_at limit 1),
		(select min(e.closes_at)
		from maintsched.emergency_window e
		where e.closes_at > since and e.simulated = maintsched.clock_simulated()
		and not exists (select from maintsched.emergency_close x where x.window_id = e.window_id)),
		maintsched.next_window_event(since),
		maintsched.backup_event_at(since));
end
$$;

comment on function maintsched.next_notice_at() is
'Internal: The next instant at which somebody may have to be told something; NULL: none is known. Whether they have to is judged then, by send_notices().';

create function maintsched.next_window_event(since timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select min(e.at)
	from maintsched.maintenance_window w
	join maintsched.calendar c on c.name = w.calendar
	cross join lateral (select coalesce(w.timezone, c.timezone) as zone) z
	cross join lateral (
		select maintsched.next_occurrence(w.rule, w.starts_on, z.zone, since + l) - l as at
		from maintsched.lead_times(w.calendar) l
		union all
		select maintsched.next_occurrence(w.rule, w.starts_on, z.zone, since)
		union all
		select min(k.closes_at)
		from maintsched.instances(w.rule, w.starts_on, z.zone, since - w.duration - interval '48 hours',
			maintsched.next_occurrence(w.rule, w.starts_on, z.zone, since) + interval '1 microsecond', 20000) o
		cross join lateral (
			select maintsched.window_close(o.local_start, w.duration, z.zone) as closes_at) k
		where k.closes_at > since) e
	where w.rule is not null and w.change_class <> 'blackout'
$$;

comment on function maintsched.next_window_event(timestamptz) is
'Internal: The first instant after since that window_events() may have.';

create function maintsched.send_notices() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
	mine constant boolean := maintsched.clock_simulated();
	next_at constant timestamptz := maintsched.next_notice_at();
	since timestamptz;
	known timestamptz;
	e record;
	sent boolean;
	told bigint := 0;
	missed record;
	left_out bigint := 0;
begin
	known := (select s.looked_until from maintsched.notice_state s where s.simulated = mine);
	if coalesce(next_at > at, true) and known between at - interval '10 minutes' and at then
		return 0;
	end if;
	-- one at a time; where another session is at it, there is nothing left to do
	begin
		lock table maintsched.notice_state in share update exclusive mode nowait;
	exception when lock_not_available then
		return 0;
	end;
	since := maintsched.looked_until();
	if next_at <= at then
		told := told + maintsched.tell_moved() + maintsched.tell_changes() + maintsched.tell_backups(since);
		for e in select * from maintsched.window_events(since, at) loop
			sent := maintsched.tell_window(e);
			told := told + coalesce(sent, false)::integer;
			left_out := left_out + (sent is null)::integer;
		end loop;
		missed := maintsched.tell_occurrences(since);
		told := told + missed.told;
		if left_out + missed.left_out > 0 then
			told := told + maintsched.put_notice('left_out', 'notices', since, at, null, null,
				format('Notices left out: %s', left_out + missed.left_out),
				format('From %s to %s nobody was told anything. Duties missed: %s; maintenance windows closed: %s.',
					maintsched.start_text(since, 'UTC'), maintsched.start_text(at, 'UTC'), missed.left_out, left_out))::integer;
		end if;
		perform maintsched.notice_emergency(w.window_id, true)
		from maintsched.emergency_window w
		where w.closes_at > since and w.closes_at <= at and w.simulated = mine
		and not exists (select from maintsched.emergency_close x where x.window_id = w.window_id);
	end if;
	-- a clock that was set back goes on from there: nothing is told twice
	insert into maintsched.notice_state as s (simulated, looked_until)
	values (mine, at)
	on conflict (simulated) do update set looked_until = excluded.looked_until;
	return told;
end
$$;

comment on function maintsched.send_notices() is
'Internal: Writes the notices whose time has come by clock(), and returns how many, those of emergencies aside. Nothing is written twice, whoever calls it.';
