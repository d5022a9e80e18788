--
-- 41_window: when work of a class may run
--
-- Windows hold for the database, whichever calendar brought them.  Work of
-- class none runs at any time, minor work in minor and major windows, major
-- work in major ones, critical work in emergency windows only.  A blackout
-- takes its span from all of them; an emergency window gives it back, and
-- admits every class.
--

create function maintsched.window_spans(since timestamptz, until timestamptz)
returns table (
	calendar text, window_name text, title text, change_class text,
	opens_at timestamptz, closes_at timestamptz, zone text, emergency_id bigint)
language plpgsql stable security definer rows 20
set search_path = pg_catalog, pg_temp
as $$
begin
	return query
	select w.calendar, w.name, w.title, w.change_class, o.starts_at, c.closes_at, w.zone, null::bigint
	from (
		select m.*, coalesce(m.timezone, k.timezone) as zone
		from maintsched.maintenance_window m
		join maintsched.calendar k on k.name = m.calendar
		where m.rule is not null) w
	cross join lateral maintsched.instances(w.rule, w.starts_on, w.zone,
		since - w.duration - interval '48 hours', until, 20000) o
	cross join lateral (
		select maintsched.window_close(o.local_start, w.duration, w.zone) as closes_at) c
	where c.closes_at > since and c.closes_at > o.starts_at and o.starts_at < until
	union all
	select e.calendar, 'emergency-' || e.window_id, e.reason, 'emergency', e.opened_at,
		least(e.closes_at, x.clock_at), k.timezone, e.window_id
	from maintsched.emergency_window e
	join maintsched.calendar k on k.name = e.calendar
	left join maintsched.emergency_close x on x.window_id = e.window_id
		and x.clock_at <= maintsched.clock() and (not x.simulated or maintsched.clock_simulated())
	where e.opened_at < until and least(e.closes_at, x.clock_at) > since
	-- one that was played under maintsched.now admits nothing in real time
	and e.clock_at <= maintsched.clock() and (not e.simulated or maintsched.clock_simulated());
end
$$;

comment on function maintsched.window_spans(timestamptz, timestamptz) is
'Internal: Every span of every window, emergency windows included, that overlaps [since, until).';

create function maintsched.admitted(change_class text, since timestamptz, until timestamptz) returns tstzmultirange
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return (
		select coalesce(
				case when admitted.change_class = 'none' then tstzmultirange(tstzrange(since, until))
					else range_agg(tstzrange(s.opens_at, s.closes_at)) filter (
						where s.change_class = 'major'
							and admitted.change_class in ('minor', 'major')
						or s.change_class = 'minor' and admitted.change_class = 'minor')
				end, '{}')
			- coalesce(range_agg(tstzrange(s.opens_at, s.closes_at)) filter (where s.change_class = 'blackout'), '{}')
			+ coalesce(range_agg(tstzrange(s.opens_at, s.closes_at)) filter (where s.change_class = 'emergency'), '{}')
		from maintsched.window_spans(since, until) s);
end
$$;

comment on function maintsched.admitted(text, timestamptz, timestamptz) is
'Internal: When work of a class may run, for all windows that overlap [since, until); they may reach beyond it.';

create function maintsched.window_reserve(opens_at timestamptz, closes_at timestamptz) returns interval
language sql stable
return least(
	current_setting('maintsched.window_reserve')::interval,
	(closes_at - opens_at) / 10);

comment on function maintsched.window_reserve(timestamptz, timestamptz) is
'Internal: How long before the end of a window nothing more is started: maintsched.window_reserve, a tenth of it at the most.';

create function maintsched.opening(change_class text, after timestamptz) returns tstzrange
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	days integer;
	span tstzrange;
begin
	if not isfinite(after) then
		return null;
	end if;
	-- first near, which is cheap, then as far as a yearly window is away
	foreach days in array array[8, 62, 800] loop
		select case
				-- what ends with the time looked at has no end that is known
				when change_class = 'none' and upper(r) >= after + days * interval '24 hours'
				then tstzrange(lower(r), null)
				else r
			end into span
		-- since a day ago: what has begun and what it touches, whole
		from unnest(maintsched.admitted(change_class,
			after - interval '24 hours', after + days * interval '24 hours')) r
		where upper(r) - maintsched.window_reserve(lower(r), upper(r)) > after
		order by lower(r)
		limit 1;
		if found then
			return span;
		end if;
	end loop;
	return null;
end
$$;

comment on function maintsched.opening(text, timestamptz) is
'Internal: The first span in which work of a class may be started at an instant or later, as a whole (none: to the next blackout, else without an end); NULL: there is none within 800 days.';

create function maintsched.next_run(change_class text, after timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select greatest(lower(o), after)
	from maintsched.opening(change_class, after) o
	where o is not null
$$;

comment on function maintsched.next_run(text, timestamptz) is
'Internal: The first instant from after on at which work of a class may be started; NULL: none within 800 days.';

create function maintsched.task_class(task maintsched.task) returns text
language sql stable
set search_path = pg_catalog, pg_temp
return coalesce((task).change_class,
	(select r.change_class from maintsched.routine r where r.name = (task).routine));

comment on function maintsched.task_class(maintsched.task) is
'Internal: The class of window that a task needs: its own, else its routine''s; NULL: the routine is not carried out.';
