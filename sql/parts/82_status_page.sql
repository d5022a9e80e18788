--
-- 82_status_page: notices of runs and emergencies, the view notices, and the
-- status page
--

create function maintsched.notice_run(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r record;
begin
	select x.*, t.calendar, t.teams, coalesce(t.title, x.routine) as title,
		coalesce(t.timezone, c.timezone, 'UTC') as zone,
		(select min(o.occurrence_id) from maintsched.run_occurrence o where o.run_id = x.run_id) as occurrence_id,
		maintsched.next_run(x.change_class, x.retry_at) as next_at,
		(select min(o.closes_at)
		from maintsched.run_occurrence w join maintsched.occurrence o using (occurrence_id)
		where w.run_id = x.run_id) as closes_at,
		(select count(*) from maintsched.run_action a where a.run_id = x.run_id) as actions,
		(select count(*) from maintsched.run_action a where a.run_id = x.run_id and a.state = 'done') as done
	into r
	from maintsched.run x
	left join maintsched.task t on t.task_id = x.task_id
	left join maintsched.calendar c on c.name = t.calendar
	where x.run_id = notice_run.run_id and x.state in ('failed', 'partial', 'interrupted');
	if not found then
		return;
	end if;
	perform maintsched.put_notice('run_' || r.state, 'run ' || r.run_id, coalesce(r.started_at, r.queued_at),
		coalesce(r.finished_at, maintsched.clock()), r.calendar, x.team,
		format('%s: %s%s',
			case r.state when 'failed' then 'Failed' when 'partial' then 'Partly done' else 'Interrupted' end, r.title,
			case when cardinality(r.teams) > 1 then ' (' || x.team || ')' end),
		concat_ws(' ',
			format('Run %s of "%s" ended on %s: %s of %s actions done%s.', r.run_id, r.title,
				maintsched.start_text(coalesce(r.finished_at, maintsched.clock()), r.zone), r.done, r.actions,
				', ' || replace(nullif(r.stop_reason, 'completed'), '_', ' ')),
			rtrim(r.message, '.') || '.',
			case
				when r.retry_at is null then null
				when r.next_at is null or r.next_at >= r.closes_at then 'No window for the rest is left before it closes.'
				else 'It goes on at ' || maintsched.start_text(r.next_at, r.zone) || '.'
			end),
		occurrence_id => r.occurrence_id, run_id => r.run_id)
	from (
		select distinct m from unnest(coalesce(r.teams, array[null::text])) m) x(team);
end
$$;

comment on function maintsched.notice_run(bigint) is
'Internal: Tells that a run failed, was interrupted, or left something over; once, each team of its task.';

create function maintsched.notice_emergency(window_id bigint, closed boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	w record;
begin
	select x.*, c.timezone as zone, least(x.closes_at, k.clock_at) as ended_at
	into w
	from maintsched.emergency_window x
	join maintsched.calendar c on c.name = x.calendar
	left join maintsched.emergency_close k on k.window_id = x.window_id
	where x.window_id = notice_emergency.window_id;
	-- what is over is told for a day
	if not found or closed and w.ended_at <= maintsched.clock() - interval '24 hours' then
		return;
	elsif not closed then
		perform maintsched.put_notice('emergency_start', 'emergency window ' || w.window_id, w.opened_at,
			w.opened_at, w.calendar, null, 'Emergency maintenance has begun',
			format('Emergency maintenance is under way since %s, until %s at the latest. Reason: %s',
				maintsched.start_text(w.opened_at, w.zone), maintsched.end_text(w.closes_at, w.zone), w.reason),
			window_id => w.window_id);
	else
		perform maintsched.put_notice('emergency_end', 'emergency window ' || w.window_id, w.opened_at,
			w.ended_at, w.calendar, null, 'Emergency maintenance is over',
			format('The emergency maintenance of %s ended on %s.',
				maintsched.start_text(w.opened_at, w.zone), maintsched.end_text(w.ended_at, w.zone)),
			window_id => w.window_id);
	end if;
end
$$;

comment on function maintsched.notice_emergency(bigint, boolean) is
'Internal: Tells at once that an emergency window has opened, or closed.';

create view maintsched.notices as
select n.notice_id, n.kind, n.subject, n.body, n.team, n.scheduled_for, n.clock_at as created_at, n.late,
	a.clock_at as acknowledged_at, a.recorded_by as acknowledged_by,
	n.opens_at, n.calendar, n.moved_to, n.occurrence_id, n.run_id, n.change_id, n.window_id, n.simulated
from maintsched.notice n
left join lateral (
	select x.clock_at, x.recorded_by
	from maintsched.notice_acknowledgement x
	where x.notice_id = n.notice_id and x.clock_at <= maintsched.clock()
	order by x.clock_at
	limit 1) a on true
where n.clock_at <= maintsched.clock();

comment on view maintsched.notices is 'What people were told, and who took note of it. Each row came with a NOTIFY on channel maintsched, whose payload has its id and kind.';
comment on column maintsched.notices.notice_id is 'Key, in order of recording.';
comment on column maintsched.notices.kind is 'window_72h, window_24h (or other lead times of the calendar), window_start, window_end, moved, cancelled; emergency_start, emergency_end; change_72h, change_24h, change_start, change_end; due_soon, overdue, missed; run_failed, run_partial, run_interrupted; corruption; backup_failed, repository_unread, drill_failed; left_out.';
comment on column maintsched.notices.subject is 'One line.';
comment on column maintsched.notices.body is 'A few sentences.';
comment on column maintsched.notices.team is 'The team that it is for; NULL: everybody.';
comment on column maintsched.notices.scheduled_for is 'When it was to be told.';
comment on column maintsched.notices.created_at is 'When it was told.';
comment on column maintsched.notices.late is 'Whether that was more than 90 seconds later.';
comment on column maintsched.notices.acknowledged_at is 'When somebody took note; NULL: nobody did.';
comment on column maintsched.notices.acknowledged_by is 'Who did.';
comment on column maintsched.notices.opens_at is 'When the window, occurrence, change or run opens, or opened; for left_out, from when on nobody was told.';
comment on column maintsched.notices.calendar is 'The calendar.';
comment on column maintsched.notices.moved_to is 'For moved: when it opens instead.';
comment on column maintsched.notices.occurrence_id is 'The occurrence.';
comment on column maintsched.notices.run_id is 'The run.';
comment on column maintsched.notices.change_id is 'The change.';
comment on column maintsched.notices.window_id is 'The emergency window.';
comment on column maintsched.notices.simulated is 'True when made under maintsched.now.';

create function maintsched.acknowledge_notice(notice_id bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	n record;
begin
	perform maintsched.need_primary();
	select x.* into n from maintsched.notices x where x.notice_id = acknowledge_notice.notice_id;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('notice %s does not exist', coalesce(notice_id::text, 'NULL')),
			hint = 'The view notices lists them.';
	end if;
	if n.acknowledged_at is null then
		insert into maintsched.notice_acknowledgement as k (notice_id)
		values (n.notice_id)
		on conflict on constraint notice_acknowledgement_pkey do nothing;
	else
		raise notice 'notice % was acknowledged by % at %', n.notice_id, n.acknowledged_by, n.acknowledged_at;
	end if;
end
$$;

comment on function maintsched.acknowledge_notice(bigint) is
'Says that you have taken note of a notice. The first one counts; another call changes nothing, and says in a NOTICE who it was. For operators. Errors: undefined_object.';

create function maintsched.status_lines()
returns table (rank integer, state text, title text, sentence text,
	starts_at timestamptz, ends_at timestamptz, calendar text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	with span as materialized (
		select s.*, maintsched.start_text(s.opens_at, s.zone) as start_words,
			maintsched.end_text(s.closes_at, s.zone) as end_words
		from maintsched.window_spans(maintsched.clock() - interval '24 hours', maintsched.clock() + interval '168 hours') s
		where s.change_class <> 'blackout' and s.opens_at < s.closes_at
	), worked as materialized (
		select s.*, case
				when s.closes_at > maintsched.clock() then maintsched.window_work(s.change_class, s.opens_at, s.closes_at)
				when exists (
					select from maintsched.notice n
					where n.about = 'window ' || s.calendar || '/' || s.window_name
					and n.opens_at = s.opens_at and n.kind = 'window_end'
					and n.clock_at <= maintsched.clock()) then array['']
				else '{}' end as work
		from span s
		where s.emergency_id is null
	), change as (
		select c.*, maintsched.start_text(c.starts_at, k.timezone) as start_words,
			maintsched.end_text(c.ends_at, k.timezone) as end_words,
			maintsched.end_text(c.completed_at, k.timezone) as completed_words
		from maintsched.change_log c
		join maintsched.calendar k on k.name = c.calendar
		where c.task is null and c.run_id is null and c.window_id is null
		and c.starts_at < maintsched.clock() + interval '168 hours'
		and c.starts_at > maintsched.clock() - interval '800 hours'
	), line as (
		select 1 as rank, 'now' as state, 'Emergency maintenance' as title,
			format('Emergency maintenance is under way since %s, until %s at the latest.', s.start_words, s.end_words) as sentence,
			s.opens_at as starts_at, s.closes_at as ends_at, s.calendar
		from span s
		where s.emergency_id is not null
		and s.opens_at <= maintsched.clock() and s.closes_at > maintsched.clock()
		union all
		select 2, 'now', w.title,
			format('The maintenance window "%s" is open since %s, until %s: %s.',
				w.title, w.start_words, w.end_words, maintsched.work_text(w.work)),
			w.opens_at, w.closes_at, w.calendar
		from worked w
		where w.opens_at <= maintsched.clock() and w.closes_at > maintsched.clock() and cardinality(w.work) > 0
		union all
		select 3, 'now', c.title,
			case when c.state = 'in_progress'
				then format('"%s" is under way since %s, until %s.', c.title, c.start_words, c.end_words)
				else format('"%s" was to be over by %s; nobody has said yet that it is.', c.title, c.end_words) end,
			c.starts_at, c.ends_at, c.calendar
		from change c
		where c.state in ('in_progress', 'overdue')
		union all
		select 4, 'now', coalesce(t.title, 'Maintenance'),
			format('%s is running since %s.', coalesce('"' || t.title || '"', 'Maintenance work'),
				maintsched.start_text(r.started_at, coalesce(t.timezone, c.timezone, 'UTC'))),
			r.started_at, r.window_closes_at, t.calendar
		from maintsched.run r
		left join maintsched.task t on t.task_id = r.task_id
		left join maintsched.calendar c on c.name = t.calendar
		where r.state = 'running' and r.started_at <= maintsched.clock()
		union all
		select 5, 'now', 'Pause',
			format('Automatic maintenance%s is paused%s.',
				coalesce(' of ' || coalesce('"' || t.title || '"', c.title), ''),
				' until ' || maintsched.start_text(p.until, coalesce(t.timezone, c.timezone, 'UTC'))),
			p.paused_at, p.until, p.calendar
		from maintsched.pauses p
		left join maintsched.calendar c on c.name = p.calendar
		left join maintsched.task t on t.task_id = p.task_id
		union all
		select 7, 'planned', w.title,
			format('Maintenance is planned from %s to %s: %s.', w.start_words, w.end_words, maintsched.work_text(w.work)),
			w.opens_at, w.closes_at, w.calendar
		from worked w
		where w.opens_at > maintsched.clock() and cardinality(w.work) > 0
		union all
		select 7, 'planned', c.title,
			format('"%s" is planned from %s to %s.', c.title, c.start_words, c.end_words),
			c.starts_at, c.ends_at, c.calendar
		from change c
		where c.state in ('planned', 'approved') and c.starts_at > maintsched.clock()
		union all
		select 8, 'recent', 'Emergency maintenance',
			format('The emergency maintenance of %s ended on %s.', s.start_words, s.end_words),
			s.opens_at, s.closes_at, s.calendar
		from span s
		where s.emergency_id is not null and s.closes_at <= maintsched.clock()
		union all
		select 8, 'recent', w.title,
			format('The maintenance of %s ended on %s.', w.start_words, w.end_words),
			w.opens_at, w.closes_at, w.calendar
		from worked w
		where w.closes_at <= maintsched.clock() and cardinality(w.work) > 0
		union all
		select 8, 'recent', c.title,
			format('"%s" ended on %s.', c.title, c.completed_words),
			c.starts_at, c.completed_at, c.calendar
		from change c
		where c.completed_at > maintsched.clock() - interval '24 hours' and c.outcome <> 'cancelled'
		union all
		select 9, 'recent', 'Backups',
			case
				when b.verdicts && array['CRIT'] then format('Something is wrong with the backups in %s.', b.repository)
				when b.verdict = 'UNKNOWN' then format('It is not known how the backups in %s are.', b.repository)
				else format('The newest backup in %s, of %s, is proven up to level %s (%s).', b.repository,
					maintsched.start_text(b.finished_at, 'UTC'), b.level, b.level_name)
			end,
			null, b.finished_at, null
		from (
			select s.repository, array_agg(s.verdict) as verdicts,
				coalesce(max(s.verdict) filter (where s.newest), 'UNKNOWN') as verdict,
				max(s.finished_at) filter (where s.newest) as finished_at,
				max(s.level) filter (where s.newest) as level, max(s.level_name) filter (where s.newest) as level_name
			from maintsched.backup_standing() s
			group by s.repository) b
	)
	select * from line
	union all
	select 6, 'now', 'Nothing',
		case when not exists (select from maintsched.calendar) or maintsched.instance_problem() is not null
			then 'It is not known what maintenance is going on.'
			else 'No maintenance is going on.' end,
		maintsched.clock(), null, null
	where not exists (select from line l where l.state = 'now')
$$;

comment on function maintsched.status_lines() is
'Internal: The lines of status_page.';

create view maintsched.status_page as
select row_number() over (order by s.rank,
		case when s.state = 'recent' then extract(epoch from maintsched.clock() - s.ends_at)
			else extract(epoch from s.starts_at) end,
		s.title, s.calendar)::integer as position,
	s.state, s.title, s.sentence, s.starts_at, s.ends_at, s.calendar
from maintsched.status_lines() s
order by 1;

comment on view maintsched.status_page is 'What maintenance is going on, planned for the next 7 days, and over since less than a day, and how the backups are, in plain sentences for those who are told of it.';
comment on column maintsched.status_page.position is 'Order of the lines, from 1.';
comment on column maintsched.status_page.state is 'now, planned or recent.';
comment on column maintsched.status_page.title is 'What it is.';
comment on column maintsched.status_page.sentence is 'What there is to say.';
comment on column maintsched.status_page.starts_at is 'When it begins or began.';
comment on column maintsched.status_page.ends_at is 'When it ends or ended; NULL: not known.';
comment on column maintsched.status_page.calendar is 'The calendar; NULL: none.';
