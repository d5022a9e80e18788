-- A year of every case, continued: tasks that change in mid-life, local time,
-- the order of the statuses of tasks and controls, figures.  The first half of
-- this file is that of status_year.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
create role regress_maintsched_a login;
create role regress_maintsched_b login;
set maintsched.now = '2024-01-01 00:00+00';
select maintsched.grant_access('regress_maintsched_a', 'manager'), maintsched.grant_access('regress_maintsched_b', 'manager');

-- What is done, in the order of the clock.  %o is the occurrence (the nth of
-- the task), %c the last completion of the task, %w its last waiver; "says" is
-- the error that is wanted.
create temp table op (at timestamptz, task text, who text, does text, says text, n int default 1,
	seq int generated always as identity, result text, error text);
-- Wanted, one value each: of an occurrence, a task, a month of a task ...
create temp table wanted (what text, task text, n int, at timestamptz, value text, live_only bool default false);
create temp table wrong (phase text, what text, task text, n int, at timestamptz, wanted text, got text);
create temp table ids (task text primary key, task_id bigint);

create function pg_temp.occurrence(of_task text, nth int) returns bigint language sql as $$
	select o.occurrence_id from maintsched.occurrence o join ids using (task_id)
	where ids.task = of_task order by o.opens_at offset nth - 1 limit 1
$$;
create function pg_temp.filled(words text, of_task text, nth int) returns text language sql as $$
	select replace(replace(replace(words,
		'%o', coalesce(pg_temp.occurrence(of_task, nth)::text, 'null')),
		'%c', coalesce((select result from op where task = of_task and n = nth and does like 'complete%' and result is not null order by seq desc limit 1), 'null')),
		'%w', coalesce((select result from op where task = of_task and n = nth and does like 'request_waiver%' and result is not null order by seq desc limit 1), 'null'))
$$;

-- What the views say at clock(): a few words for each row.
create function pg_temp.parts(occurrences bigint, done bigint, late bigint, failed bigint, inconclusive bigint, missed bigint,
	overdue bigint, waived bigint, backdated bigint, rate numeric) returns text language sql as $$
	select concat_ws(' ', occurrences, 'done ' || nullif(done, 0), 'late ' || nullif(late, 0), 'failed ' || nullif(failed, 0),
		'inconclusive ' || nullif(inconclusive, 0), 'missed ' || nullif(missed, 0), 'overdue ' || nullif(overdue, 0),
		'waived ' || nullif(waived, 0), 'backdated ' || nullif(backdated, 0), 'rate ' || trim_scale(round(rate, 4)),
		case when occurrences <> done + late + failed + inconclusive + missed + overdue + waived then 'DO NOT ADD UP' end)
$$;
create function pg_temp.said() returns table (what text, task text, n int, value text) language sql as $$
	with asked as materialized (
		select distinct what from wanted where at = maintsched.clock()
	), o as materialized (
		select o.occurrence_id, ids.task as key, (row_number() over (partition by ids.task order by o.opens_at, o.occurrence_id))::int as n
		from maintsched.occurrence o join ids using (task_id)
	), t as materialized (
		select t.calendar, t.name, ids.task as key from maintsched.task t join ids using (task_id)
	), s as materialized (
		select * from o join maintsched.occurrence_status s using (occurrence_id)
	)
	select 'occurrence', key, n, concat_ws(' ', status, outcome, case when attempts > 1 then 'x' || attempts end,
		'failed ' || to_char(first_failed_at, 'DD'), case when backdated then 'backdated' end, case when recorded_late then 'recorded_late' end,
		case when exception_accepted then 'exception' end, nullif(review, 'not_required'))
	from s where 'occurrence' = any (array(select what from asked))
	union all
	select 'times', key, n, concat_ws(' ', to_char(opens_at, 'MM-DD HH24:MI'), to_char(due_at, 'MM-DD HH24:MI'), to_char(closes_at, 'MM-DD HH24:MI'))
	from s where 'times' = any (array(select what from asked))
	union all
	select 'definition', s.key, s.n, concat_ws(' | ', 'v' || s.version, s.title, s.team, array_to_string(s.controls, ','),
		(select string_agg(c.text, ',' order by c.item) from maintsched.checklist c where c.occurrence_id = s.occurrence_id))
	from s where s.calendar = 'change' and 'definition' = any (array(select what from asked))
	union all
	select 'next', key, 1, to_char(s.next_opens_at, 'YYYY-MM-DD HH24:MI') from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'next' = any (array(select what from asked))
	union all
	select 'missed before', key, n, d.missed_before::text from o join maintsched.due_tasks d using (occurrence_id) where 'missed before' = any (array(select what from asked))
	union all
	select 'due', key, n, status from o join maintsched.due_tasks d using (occurrence_id) where 'due' = any (array(select what from asked))
	union all
	select 'task', key, 1, s.status from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'task' = any (array(select what from asked))
	union all
	select 'figures', key, 1, concat_ws(' ', coalesce(s.last_outcome, '-'), 'open', s.open_count, 'late', s.late_12m, 'missed', s.missed_12m, 'rate ' || trim_scale(round(s.on_time_rate, 4)))
	from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'figures' = any (array(select what from asked))
	union all
	select 'months', key, 1, string_agg(to_char(m.month, 'YYYY-MM: ') || pg_temp.parts(m.occurrences, m.done, m.late, m.failed, m.inconclusive,
		m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.month)
	from t join maintsched.task_monthly m on m.calendar = t.calendar and m.task = t.name where 'months' = any (array(select what from asked)) group by key
	union all
	select 'calendar months', m.calendar, 1, string_agg(to_char(m.month, 'YYYY-MM: ') || pg_temp.parts(m.occurrences, m.done, m.late, m.failed,
		m.inconclusive, m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.month)
	from maintsched.compliance_monthly m where 'calendar months' = any (array(select what from asked)) group by m.calendar
	union all
	select 'control months', m.framework || ' ' || m.control, 1, string_agg(m.calendar || to_char(m.month, ' YYYY-MM: ')
		|| pg_temp.parts(m.occurrences, m.done, m.late, m.failed, m.inconclusive, m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.calendar, m.month)
	from maintsched.control_monthly m where 'control months' = any (array(select what from asked)) group by m.framework, m.control
	union all
	select 'control', c.framework || ' ' || c.control, 1, concat_ws(' ', c.status, case when c.ok then 'ok' end, 'of ' || c.tasks,
		'compliant ' || nullif(c.compliant, 0), 'due ' || nullif(c.due, 0), 'overdue ' || nullif(c.overdue, 0),
		'failing ' || nullif(c.failing, 0), 'unknown ' || nullif(c.unknown, 0), 'waived ' || nullif(c.waived, 0),
		'not_started ' || nullif(c.not_started, 0), 'disabled ' || nullif(c.disabled, 0), 'rate ' || trim_scale(round(c.on_time_rate, 4)),
		case when c.tasks <> c.compliant + c.due + c.overdue + c.failing + c.unknown + c.waived + c.not_started + c.disabled then 'DO NOT ADD UP' end)
	from maintsched.compliance_status c where 'control' = any (array(select what from asked))
$$;

create procedure pg_temp.judge(phase text, clock timestamptz) language plpgsql as $$
begin
	perform set_config('maintsched.now', clock::text, false);
	create temp table said as select * from pg_temp.said();
	insert into wrong select judge.phase, w.what, w.task, w.n, w.at, w.value, coalesce(s.value, '-')
	from wanted w left join said s using (what, task, n)
	where w.at = clock and not (w.live_only and judge.phase <> 'live') and coalesce(s.value, '-') <> w.value;
	drop table said;
end $$;
create procedure pg_temp.act(a op) language plpgsql as $$
declare
	command text := pg_temp.filled(a.does, a.task, a.n);
	answer text;
begin
	perform set_config('maintsched.now', a.at::text, false);
	begin
		if a.who <> 'su' then
			execute format('set session authorization regress_maintsched_%s', a.who);
		end if;
		if command ~ '^(update|set) ' then
			execute command;
		else
			execute 'select maintsched.' || command into answer;
		end if;
		reset session authorization;
		update op set result = coalesce(answer, '') where seq = a.seq and (answer is not null or a.does like 'update%');
	exception when others then
		update op set error = sqlerrm where seq = a.seq;
	end;
end $$;
-- Everything up to the last clock, in order; each clock is judged when all that
-- happened at it is recorded.
create procedure pg_temp.live() language plpgsql as $$
declare
	step record;
	a op;
begin
	for step in select x.at from (select at from op union select at from wanted) x order by 1 loop
		for a in select * from op where at = step.at order by seq loop
			call pg_temp.act(a);
		end loop;
		call pg_temp.judge('live', step.at);
	end loop;
end $$;
create procedure pg_temp.back(phase text) language plpgsql as $$
declare
	clock timestamptz;
begin
	for clock in select distinct at from wanted order by at desc loop
		call pg_temp.judge(phase, clock);
	end loop;
end $$;

-- A small document.
create function pg_temp.document(calendar text, tasks jsonb) returns text language sql as $$
	select jsonb_build_object('format', 'maintsched-calendar/1', 'name', calendar, 'title', calendar, 'tasks', tasks)::text
$$;

-- Before, at and after opening, due_at and closes_at of an occurrence that
-- opens on 10 January 08:00, is due on the 12th 08:00, closes on the 15th 08:00;
-- and a month later.
create temp table clocks (name text primary key, at timestamptz);
insert into clocks values ('a', '2024-01-10 07:59:59+00'), ('b', '2024-01-10 08:00+00'), ('m', '2024-01-11 12:00+00'), ('c', '2024-01-12 07:59:59+00'),
	('d', '2024-01-12 08:00+00'), ('e', '2024-01-15 07:59:59+00'), ('f', '2024-01-15 08:00+00'), ('g', '2024-02-15 00:00+00');

-- What changes in mid-life: a closed or open occurrence keeps what it opened
-- under.  The clocks and the intervals are those above.
create temp table def (task text primary key, title text default 'Before', rule text default 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=10',
	starts_on text default '2024-01-10T08:00:00', due_within text default 'P2D', grace text default 'P3D', controls text[] default '{}',
	checklist text[] default '{}', timezone text default 'UTC', calendar text);
insert into def (calendar, task, checklist, controls) values
('change', 'edited-closed', '{one,two}', '{HIPAA 164.312(a)(1)}'), ('change', 'edited-open', '{one,two}', '{HIPAA 164.312(a)(1)}'), ('change', 'edited-before', '{one,two}', '{HIPAA 164.312(a)(1)}'),
('change', 'renamed', '{}', '{}'), ('change', 'disabled', '{}', '{}'), ('change', 'disabled-late', '{}', '{}'), ('change', 'disabled-done', '{}', '{}'),
('change', 'disabled-missed', '{}', '{}'), ('change', 'enabled-again', '{}', '{}'), ('change', 'enabled-in-time', '{}', '{}'), ('change', 'retired', '{}', '{}'), ('change', 'retired-done', '{}', '{}'), ('change', 'retired-missed', '{}', '{}'), ('change', 'zone', '{}', '{}');
insert into op (at, task, who, does) values
('2024-01-11 09:00+00', 'edited-closed', 'a', 'check_items(%o, 1, 2)'), ('2024-01-11 09:00+00', 'edited-closed', 'a', 'complete_task(%o)'),
('2024-01-20 09:00+00', 'edited-closed', 'su', $$update maintsched.task set title = 'After', teams = '{Security}', controls = '{HIPAA 164.312(b)}', checklist = '[{"text": "three"}]' where name = 'edited-closed'$$),
('2024-01-11 08:00+00', 'edited-open', 'su', $$update maintsched.task set title = 'After', teams = '{Security}', controls = '{HIPAA 164.312(b)}', checklist = '[{"text": "three"}]' where name = 'edited-open'$$),
('2024-01-11 09:00+00', 'edited-open', 'a', 'check_items(%o, 1, 2)'), ('2024-01-11 09:00+00', 'edited-open', 'a', 'complete_task(%o)'),
('2024-01-05 08:00+00', 'edited-before', 'su', $$update maintsched.task set title = 'After', teams = '{Security}', controls = '{HIPAA 164.312(b)}', checklist = '[{"text": "three"}]' where name = 'edited-before'$$),
('2024-01-11 08:00+00', 'renamed', 'a', $$rename_task('change', 'renamed', 'new-name')$$),
('2024-01-11 18:00+00', 'renamed', 'a', 'complete_task(%o)'),
('2024-01-11 08:00+00', 'disabled', 'su', $$update maintsched.task set enabled = false where name = 'disabled'$$),
('2024-01-13 08:00+00', 'disabled-late', 'su', $$update maintsched.task set enabled = false where name = 'disabled-late'$$),
('2024-01-11 09:00+00', 'disabled-done', 'a', 'complete_task(%o)'),
('2024-01-13 08:00+00', 'disabled-done', 'su', $$update maintsched.task set enabled = false where name = 'disabled-done'$$),
('2024-01-16 08:00+00', 'disabled-missed', 'su', $$update maintsched.task set enabled = false where name = 'disabled-missed'$$),
('2024-01-11 08:00+00', 'enabled-again', 'su', $$update maintsched.task set enabled = false where name = 'enabled-again'$$),
('2024-01-13 08:00+00', 'enabled-again', 'su', $$update maintsched.task set enabled = true where name = 'enabled-again'$$),
('2024-01-11 08:00+00', 'enabled-in-time', 'su', $$update maintsched.task set enabled = false where name = 'enabled-in-time'$$),
('2024-01-11 18:00+00', 'enabled-in-time', 'su', $$update maintsched.task set enabled = true where name = 'enabled-in-time'$$),
('2024-01-11 08:00+00', 'retired', 'a', $$retire_task('change', 'retired', 'no longer needed')$$),
('2024-01-11 09:00+00', 'retired-done', 'a', 'complete_task(%o)'),
('2024-01-13 08:00+00', 'retired-done', 'a', $$retire_task('change', 'retired-done', 'no longer needed')$$),
('2024-01-16 08:00+00', 'retired-missed', 'a', $$retire_task('change', 'retired-missed', 'no longer needed')$$),
('2024-01-11 08:00+00', 'zone', 'su', $$update maintsched.task set timezone = 'Asia/Tokyo' where name = 'zone'$$);
insert into wanted
select 'occurrence', task, 1, c.at, w.s[c.i] from (values
	('edited-open', '{scheduled,due,done pass,done pass,done pass,done pass,done pass,done pass}'::text[]),
	('renamed', '{scheduled,due,due,done pass,done pass,done pass,done pass,done pass}'),
	('disabled', '{scheduled,due,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn}'),
	('disabled-late', '{scheduled,due,due,due,overdue,withdrawn,withdrawn,withdrawn}'),
	('disabled-done', '{scheduled,due,done pass,done pass,done pass,done pass,done pass,done pass}'),
	('disabled-missed', '{scheduled,due,due,due,overdue,overdue,missed,missed}'),
	('enabled-again', '{scheduled,due,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn}'),
	('retired', '{scheduled,due,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn,withdrawn}'),
	('retired-done', '{scheduled,due,done pass,done pass,done pass,done pass,done pass,done pass}'),
	('retired-missed', '{scheduled,due,due,due,overdue,overdue,missed,missed}'),
	('zone', '{scheduled,due,due,due,overdue,overdue,missed,missed}')) w(task, s),
	(select at, row_number() over (order by at) as i from clocks) c;
insert into wanted values
('definition', 'edited-closed', 1, '2024-01-11 12:00+00', 'v1 | Before | DBA | HIPAA 164.312(a)(1) | one,two'),
('definition', 'edited-closed', 1, '2024-02-15 00:00+00', 'v1 | Before | DBA | HIPAA 164.312(a)(1) | one,two'),
('definition', 'edited-closed', 2, '2024-04-10 08:00+00', 'v2 | After | Security | HIPAA 164.312(b) | three'),
('definition', 'edited-open', 1, '2024-01-11 12:00+00', 'v1 | Before | DBA | HIPAA 164.312(a)(1) | one,two'),
('definition', 'edited-open', 1, '2024-02-15 00:00+00', 'v1 | Before | DBA | HIPAA 164.312(a)(1) | one,two'),
('definition', 'edited-open', 2, '2024-04-10 08:00+00', 'v2 | After | Security | HIPAA 164.312(b) | three'),
('definition', 'edited-before', 1, '2024-02-15 00:00+00', 'v2 | After | Security | HIPAA 164.312(b) | three'),
-- months: withdrawn ones are outside, what was closed before stays
('months', 'disabled', 1, '2024-02-15 00:00+00', '-'),
('months', 'disabled-late', 1, '2024-01-12 08:00+00', '2024-01: 1 overdue 1 rate 0'),
('months', 'disabled-late', 1, '2024-02-15 00:00+00', '-'),
('months', 'disabled-done', 1, '2024-02-15 00:00+00', '2024-01: 1 done 1 rate 1'),
('months', 'disabled-missed', 1, '2024-02-15 00:00+00', '2024-01: 1 missed 1 rate 0'),
('months', 'retired-done', 1, '2024-02-15 00:00+00', '2024-01: 1 done 1 rate 1'),
('months', 'retired-missed', 1, '2024-02-15 00:00+00', '2024-01: 1 missed 1 rate 0'),
('months', 'renamed', 1, '2024-02-15 00:00+00', '2024-01: 1 done 1 rate 1'),
('calendar months', 'change', 1, '2024-02-15 00:00+00', '2024-01: 10 done 5 missed 5 rate 0.5'),
-- the open one keeps its instants, the next one is 08:00 in Tokyo
('times', 'zone', 1, '2024-02-15 00:00+00', '01-10 08:00 01-12 08:00 01-15 08:00'),
('times', 'zone', 2, '2024-04-10 08:00+00', '04-09 23:00 04-11 23:00 04-14 23:00'),
('occurrence', 'zone', 2, '2024-04-10 08:00+00', 'due'),
('occurrence', 'enabled-again', 2, '2024-04-10 08:00+00', 'due'),
('task', 'renamed', 1, '2024-01-11 12:00+00', 'due'), ('task', 'renamed', 1, '2024-02-15 00:00+00', 'compliant');
-- whether a task is enabled is no fact: it shows as it is now
insert into wanted values
('task', 'disabled', 1, '2024-01-10 08:00+00', 'due', true), ('task', 'disabled', 1, '2024-01-11 12:00+00', 'disabled', true),
('task', 'disabled-late', 1, '2024-01-12 08:00+00', 'overdue', true), ('task', 'disabled-late', 1, '2024-01-15 08:00+00', 'disabled', true),
('task', 'disabled-done', 1, '2024-01-12 08:00+00', 'compliant', true), ('task', 'disabled-done', 1, '2024-01-15 08:00+00', 'disabled', true),
('task', 'retired', 1, '2024-01-10 08:00+00', 'due', true), ('task', 'retired', 1, '2024-01-11 12:00+00', '-', true),
-- enabled again before it is due: the running one is due again
('occurrence', 'enabled-in-time', 1, '2024-01-11 12:00+00', 'withdrawn', true), ('occurrence', 'enabled-in-time', 1, '2024-01-12 07:59:59+00', 'due', true),
('occurrence', 'enabled-in-time', 1, '2024-01-15 08:00+00', 'missed', true), ('task', 'enabled-in-time', 1, '2024-01-15 08:00+00', 'failing', true),
('task', 'enabled-again', 1, '2024-01-11 12:00+00', 'disabled', true), ('task', 'enabled-again', 1, '2024-01-15 08:00+00', 'not_started', true),
('task', 'enabled-again', 1, '2024-04-10 08:00+00', 'due', true);

-- Local time: New York, both days on which its clocks change, ends of months
-- and of the year, the leap day.
insert into def (calendar, timezone, task, rule, starts_on, due_within, grace) values
-- 02:30 does not exist: the offset before the gap, and an hour from there
('zones', 'America/New_York', 'gap', 'FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10', '2024-03-10T02:30:00', 'PT1H', 'PT1H'),
('zones', 'America/New_York', 'short-day', 'FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10', '2024-03-10T00:00:00', 'P1D', 'PT0S'),
-- 01:30 is there twice: the first; local 02:30 is two hours later
('zones', 'America/New_York', 'twice', 'FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=3', '2024-11-03T01:30:00', 'PT1H', 'PT1H'),
('zones', 'America/New_York', 'long-day', 'FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=3', '2024-11-03T00:00:00', 'P1D', 'PT0S'),
('zones', 'America/New_York', 'january', 'FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31', '2024-01-31T00:00:00', 'P1D', 'PT0S'),
('zones', 'America/New_York', 'january-late', 'FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31', '2024-01-31T00:00:00', 'P1D', 'P3D'),
('zones', 'America/New_York', 'february', 'FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31', '2024-01-31T00:00:01', 'P1D', 'PT0S'),
('zones', 'America/New_York', 'leap-day', 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29', '2024-02-29T09:00:00', 'PT8H', 'PT0S'),
('zones', 'America/New_York', 'last-of-month', 'FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=-1', '2024-02-29T00:00:00', 'P1D', 'PT0S'),
('zones', 'America/New_York', 'year-end', 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31', '2024-12-31T00:00:00', 'P1D', 'PT0S');
insert into op (at, task, who, does) values
('2024-02-01 04:59:59+00', 'january', 'a', 'complete_task(%o)'),
('2024-02-02 12:00+00', 'january-late', 'a', 'complete_task(%o)'),
('2024-02-29 21:59:59+00', 'leap-day', 'a', 'complete_task(%o)'),
('2025-01-01 04:59:59+00', 'year-end', 'a', 'complete_task(%o)');
insert into wanted values
('times', 'gap', 1, '2024-03-10 08:29:59+00', '03-10 07:30 03-10 08:30 03-10 09:30'),
('occurrence', 'gap', 1, '2024-03-10 07:29:59+00', 'scheduled'), ('occurrence', 'gap', 1, '2024-03-10 07:30+00', 'due'),
('occurrence', 'gap', 1, '2024-03-10 08:29:59+00', 'due'), ('occurrence', 'gap', 1, '2024-03-10 08:30+00', 'overdue'),
('occurrence', 'gap', 1, '2024-03-10 09:29:59+00', 'overdue'), ('occurrence', 'gap', 1, '2024-03-10 09:30+00', 'missed'),
('times', 'short-day', 1, '2024-03-10 08:29:59+00', '03-10 05:00 03-11 04:00 03-11 04:00'),
('occurrence', 'short-day', 1, '2024-03-11 03:59:59+00', 'due'), ('occurrence', 'short-day', 1, '2024-03-11 04:00+00', 'missed'),
('times', 'twice', 1, '2024-11-03 07:29:59+00', '11-03 05:30 11-03 07:30 11-03 08:30'),
('occurrence', 'twice', 1, '2024-11-03 05:29:59+00', 'scheduled'), ('occurrence', 'twice', 1, '2024-11-03 05:30+00', 'due'),
('occurrence', 'twice', 1, '2024-11-03 07:29:59+00', 'due'), ('occurrence', 'twice', 1, '2024-11-03 07:30+00', 'overdue'), ('occurrence', 'twice', 1, '2024-11-03 08:30+00', 'missed'),
('times', 'long-day', 1, '2024-11-03 07:29:59+00', '11-03 04:00 11-04 05:00 11-04 05:00'),
('occurrence', 'long-day', 1, '2024-11-04 04:59:59+00', 'due'), ('occurrence', 'long-day', 1, '2024-11-04 05:00+00', 'missed'),
('months', 'short-day', 1, '2024-12-31 12:00+00', '2024-03: 1 missed 1 rate 0'), ('months', 'long-day', 1, '2024-12-31 12:00+00', '2024-11: 1 missed 1 rate 0'),
-- due at midnight of 1 February it is January's, a second later it is not
('months', 'january', 1, '2024-02-01 04:59:59+00', '-'), ('occurrence', 'january', 1, '2024-02-01 04:59:59+00', 'done pass'),
('months', 'january', 1, '2024-02-01 05:00+00', '2024-01: 1 done 1 rate 1'), ('months', 'january', 1, '2024-12-31 12:00+00', '2024-01: 1 done 1 rate 1'),
('months', 'january-late', 1, '2024-02-01 05:00+00', '2024-01: 1 overdue 1 rate 0'), ('months', 'january-late', 1, '2024-12-31 12:00+00', '2024-01: 1 late 1 rate 0'),
('months', 'february', 1, '2024-02-01 05:00+00', '-'), ('months', 'february', 1, '2024-02-01 05:00:01+00', '2024-02: 1 missed 1 rate 0'),
('months', 'february', 1, '2024-12-31 12:00+00', '2024-02: 1 missed 1 rate 0'),
-- the leap day: nine to five; the next is four years on
('times', 'leap-day', 1, '2024-02-29 21:59:59+00', '02-29 14:00 02-29 22:00 02-29 22:00'), ('occurrence', 'leap-day', 1, '2024-02-29 13:59:59+00', 'scheduled'),
('occurrence', 'leap-day', 1, '2024-02-29 14:00+00', 'due'), ('occurrence', 'leap-day', 1, '2024-02-29 22:00+00', 'done pass'),
('months', 'leap-day', 1, '2024-02-29 22:00+00', '2024-02: 1 done 1 rate 1'), ('next', 'leap-day', 1, '2024-12-31 12:00+00', '2028-02-29 14:00'),
('task', 'leap-day', 1, '2024-12-31 12:00+00', 'compliant'),
('times', 'last-of-month', 1, '2024-02-29 21:59:59+00', '02-29 05:00 03-01 05:00 03-01 05:00'), ('months', 'last-of-month', 1, '2024-12-31 12:00+00', '2024-02: 1 missed 1 rate 0'),
('next', 'last-of-month', 1, '2024-12-31 12:00+00', '2025-02-28 05:00'),
-- the year ends in New York; figures are of the month and the eleven before
('months', 'year-end', 1, '2025-01-01 04:59:59+00', '-'), ('months', 'year-end', 1, '2025-01-01 05:00+00', '2024-12: 1 done 1 rate 1'),
('occurrence', 'year-end', 1, '2025-01-01 05:00+00', 'done pass'),
('figures', 'january', 1, '2025-01-01 04:59:59+00', 'pass open 0 late 0 missed 0 rate 1'), ('figures', 'january', 1, '2025-01-01 05:00+00', 'pass open 0 late 0 missed 0'),
('figures', 'january-late', 1, '2025-01-01 04:59:59+00', 'pass open 0 late 1 missed 0 rate 0'), ('figures', 'january-late', 1, '2025-01-01 05:00+00', 'pass open 0 late 0 missed 0'),
('figures', 'february', 1, '2025-01-01 05:00+00', '- open 0 late 0 missed 1 rate 0'), ('figures', 'year-end', 1, '2025-01-01 05:00+00', 'pass open 0 late 0 missed 0 rate 1');

-- The order of the statuses of a task: two occurrences, open on the 10th and
-- the 11th, due on the 12th and the 13th; judged on the 12th at noon.
insert into def (calendar, task, rule) select 'order', t, 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=10,11'
from unnest('{overdue-due,failing-overdue,unknown-failing,failing-unknown,pass-failing,pass-unknown,due-waived,due-compliant,overdue-compliant,waived-compliant,disabled-failing,due-done,waived-done}'::text[]) t;
insert into def (calendar, task, starts_on, rule, due_within) values
('order', 't-due', '2024-01-12T08:00:00', 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=12', 'P8D'), ('order', 't-new', '2024-01-20T08:00:00', 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=20', 'P2D');
insert into def (calendar, task) select 'order', t from unnest('{t-disabled,t-unknown,t-failing,t-overdue,t-waived,t-compliant}'::text[]) t;
insert into op (n, at, task, who, does) values
(2, '2024-01-11 18:00+00', 'failing-overdue', 'a', $$complete_task(%o, 'fail')$$),
(1, '2024-01-11 09:00+00', 'unknown-failing', 'a', $$complete_task(%o, 'fail')$$), (2, '2024-01-11 18:00+00', 'unknown-failing', 'a', $$complete_task(%o, 'inconclusive')$$),
(1, '2024-01-11 09:00+00', 'failing-unknown', 'a', $$complete_task(%o, 'inconclusive')$$), (2, '2024-01-11 18:00+00', 'failing-unknown', 'a', $$complete_task(%o, 'partial')$$),
(1, '2024-01-11 09:00+00', 'pass-failing', 'a', $$complete_task(%o, 'fail')$$), (2, '2024-01-11 18:00+00', 'pass-failing', 'a', 'complete_task(%o)'),
(1, '2024-01-11 09:00+00', 'pass-unknown', 'a', $$complete_task(%o, 'inconclusive')$$), (2, '2024-01-11 18:00+00', 'pass-unknown', 'a', 'complete_task(%o)'),
(1, '2024-01-11 09:00+00', 'due-waived', 'a', $$request_waiver(%o, 'migration', '2024-02-01')$$), (1, '2024-01-11 10:00+00', 'due-waived', 'b', 'approve_waiver(%w)'),
(1, '2024-01-11 09:00+00', 'due-compliant', 'a', 'complete_task(%o)'), (2, '2024-01-11 09:00+00', 'overdue-compliant', 'a', 'complete_task(%o)'),
(1, '2024-01-11 09:00+00', 'waived-compliant', 'a', 'complete_task(%o)'),
(2, '2024-01-11 09:00+00', 'waived-compliant', 'a', $$request_waiver(%o, 'migration', '2024-02-01')$$), (2, '2024-01-11 10:00+00', 'waived-compliant', 'b', 'approve_waiver(%w)'),
(1, '2024-01-11 09:00+00', 'disabled-failing', 'a', $$complete_task(%o, 'fail')$$), (1, '2024-01-11 18:00+00', 'disabled-failing', 'su', $$update maintsched.task set enabled = false where name = 'disabled-failing'$$),
(1, '2024-01-05 09:00+00', 't-disabled', 'su', $$update maintsched.task set enabled = false where name = 't-disabled'$$),
(1, '2024-01-11 09:00+00', 't-unknown', 'a', $$complete_task(%o, 'inconclusive')$$), (1, '2024-01-11 09:00+00', 't-failing', 'a', $$complete_task(%o, 'fail')$$),
(1, '2024-01-11 09:00+00', 't-compliant', 'a', 'complete_task(%o)'), (1, '2024-01-11 09:00+00', 'due-done', 'a', 'complete_task(%o)'), (1, '2024-01-11 09:00+00', 'waived-done', 'a', 'complete_task(%o)'),
(1, '2024-01-11 09:00+00', 't-waived', 'a', $$request_waiver(%o, 'migration', '2024-02-01')$$), (1, '2024-01-11 10:00+00', 't-waived', 'b', 'approve_waiver(%w)'),
(2, '2024-01-11 09:00+00', 'waived-done', 'a', $$request_waiver(%o, 'migration', '2024-02-01')$$), (2, '2024-01-11 10:00+00', 'waived-done', 'b', 'approve_waiver(%w)');
insert into wanted select 'task', task, 1, '2024-01-12 12:00+00', status from (values
('overdue-due', 'overdue'), ('failing-overdue', 'failing'), ('unknown-failing', 'unknown'), ('failing-unknown', 'failing'),
-- only the newest verdict counts
('pass-failing', 'compliant'), ('pass-unknown', 'compliant'),
('due-waived', 'due'), ('due-compliant', 'due'), ('overdue-compliant', 'overdue'), ('waived-compliant', 'waived'), ('disabled-failing', 'disabled'),
('t-due', 'due'), ('t-new', 'not_started'), ('t-disabled', 'disabled'), ('t-unknown', 'unknown'), ('t-failing', 'failing'), ('t-overdue', 'overdue'),
('t-waived', 'waived'), ('t-compliant', 'compliant'), ('due-done', 'due'), ('waived-done', 'waived')) v(task, status);

-- Controls: the worst of their tasks; ok with evidence of every enabled one.
update def set controls = array(select 'HIPAA ' || c.control from (values
	('164.308(a)(1)(ii)(A)', '{t-disabled,t-unknown,t-failing,t-overdue,t-due,t-waived,t-compliant,t-new}'::text[]),
	('164.308(a)(1)(ii)(B)', '{t-disabled,t-unknown,t-overdue,t-due,t-waived,t-compliant,t-new}'),
	('164.308(a)(1)(ii)(D)', '{t-disabled,t-unknown,t-due,t-waived,t-compliant,t-new}'),
	('164.308(a)(2)', '{t-disabled}'),
	('164.308(a)(3)(ii)(A)', '{t-disabled,t-due,t-waived,t-compliant,t-new}'),
	('164.308(a)(3)(ii)(B)', '{t-waived,t-compliant,t-new}'),
	('164.308(a)(3)(ii)(C)', '{t-waived,t-compliant}'),
	('164.308(a)(4)(ii)(B)', '{t-disabled,t-compliant}'),
	('164.308(a)(4)(ii)(C)', '{t-due,t-compliant}'),
	('164.308(a)(5)(i)', '{due-done,t-compliant}'),
	('164.308(a)(5)(ii)(A)', '{waived-done,t-compliant}')) c(control, tasks) where def.task = any (c.tasks))
where calendar = 'order';
insert into wanted select 'control', 'HIPAA ' || control, 1, '2024-01-12 12:00+00', value from (values
('164.308(a)(1)(ii)(A)', 'failing of 8 compliant 1 due 1 overdue 1 failing 1 unknown 1 waived 1 not_started 1 disabled 1 rate 0.25'),
('164.308(a)(1)(ii)(B)', 'overdue of 7 compliant 1 due 1 overdue 1 unknown 1 waived 1 not_started 1 disabled 1 rate 0.3333'),
('164.308(a)(1)(ii)(D)', 'unknown of 6 compliant 1 due 1 unknown 1 waived 1 not_started 1 disabled 1 rate 0.5'),
('164.308(a)(2)', 'not_covered of 1 disabled 1'),
('164.308(a)(3)(ii)(A)', 'due of 5 compliant 1 due 1 waived 1 not_started 1 disabled 1 rate 1'),
('164.308(a)(3)(ii)(B)', 'not_started of 3 compliant 1 waived 1 not_started 1 rate 1'),
-- a waiver is no evidence, nor is that it will be done
('164.308(a)(3)(ii)(C)', 'waived of 2 compliant 1 waived 1 rate 1'),
('164.308(a)(4)(ii)(B)', 'compliant ok of 2 compliant 1 disabled 1 rate 1'),
('164.308(a)(4)(ii)(C)', 'due of 2 compliant 1 due 1 rate 1'),
('164.308(a)(5)(i)', 'due ok of 2 compliant 1 due 1 rate 1'),
('164.308(a)(5)(ii)(A)', 'waived ok of 2 compliant 1 waived 1 rate 1'),
('164.308(a)(5)(ii)(B)', 'not_covered of 0')) v(control, value);
insert into wanted values
('control months', 'HIPAA 164.308(a)(1)(ii)(A)', 1, '2024-01-12 12:00+00', 'order 2024-01: 5 done 1 failed 1 inconclusive 1 overdue 1 waived 1 rate 0.25'),
-- by February those due on the 20th and the 22nd are missed as well
('control', 'HIPAA 164.308(a)(1)(ii)(A)', 1, '2024-02-01 00:00+00', 'failing of 8 compliant 1 failing 4 unknown 1 waived 1 disabled 1 rate 0.1667'),
('control months', 'HIPAA 164.308(a)(1)(ii)(A)', 1, '2024-02-01 00:00+00', 'order 2024-01: 7 done 1 failed 1 inconclusive 1 missed 3 waived 1 rate 0.1667'),
('control', 'HIPAA 164.308(a)(4)(ii)(B)', 1, '2024-02-01 00:00+00', 'compliant ok of 2 compliant 1 disabled 1 rate 1'),
-- nobody planned any further: nothing is green
('task', 't-compliant', 1, '2027-03-01 00:00+00', 'unknown'), ('task', 't-disabled', 1, '2027-03-01 00:00+00', 'disabled'),
('control', 'HIPAA 164.308(a)(4)(ii)(B)', 1, '2027-03-01 00:00+00', 'unknown of 2 unknown 1 disabled 1'),
('control', 'HIPAA 164.308(a)(2)', 1, '2027-03-01 00:00+00', 'not_covered of 1 disabled 1');

-- Figures: Mondays from 1 April, due on Tuesday, closed on Wednesday.
--  1 done  8 late  15 failed  22 done  29 waived | 6 missed  13 done  20 inconclusive  27 missed | ...
insert into def (calendar, task, rule, starts_on, due_within, grace) values
('figures', 'mondays', 'FREQ=WEEKLY;BYDAY=MO', '2024-04-01T08:00:00', 'P1D', 'P1D');
insert into op (n, at, task, who, does) values
(1, '2024-04-01 12:00+00', 'mondays', 'a', 'complete_task(%o)'), (2, '2024-04-09 12:00+00', 'mondays', 'a', 'complete_task(%o)'),
(3, '2024-04-15 12:00+00', 'mondays', 'a', $$complete_task(%o, 'fail')$$), (4, '2024-04-22 12:00+00', 'mondays', 'a', 'complete_task(%o)'),
(5, '2024-04-22 12:00+00', 'mondays', 'a', $$request_waiver(%o, 'holiday', '2024-05-02')$$), (5, '2024-04-22 13:00+00', 'mondays', 'b', 'approve_waiver(%w)'),
(7, '2024-05-13 12:00+00', 'mondays', 'a', 'complete_task(%o)'), (8, '2024-05-20 12:00+00', 'mondays', 'a', $$complete_task(%o, 'inconclusive')$$);
insert into wanted select what, case when what = 'calendar months' then 'figures' else 'mondays' end, 1, at, value from (values
('2024-04-01 12:00+00'::timestamptz, '-'), ('2024-04-02 08:00+00', '2024-04: 1 done 1 rate 1'), ('2024-04-09 08:00+00', '2024-04: 2 done 1 overdue 1 rate 0.5'),
('2024-04-09 12:00+00', '2024-04: 2 done 1 late 1 rate 0.5'), ('2024-04-16 08:00+00', '2024-04: 3 done 1 late 1 failed 1 rate 0.3333'),
('2024-05-08 08:00+00', '2024-04: 5 done 2 late 1 failed 1 waived 1 rate 0.5, 2024-05: 1 missed 1 rate 0'),
('2024-05-31 00:00+00', '2024-04: 5 done 2 late 1 failed 1 waived 1 rate 0.5, 2024-05: 4 done 1 inconclusive 1 missed 2 rate 0.25')) v(at, value),
	(values ('months'), ('calendar months')) w(what);
insert into wanted values
('figures', 'mondays', 1, '2024-04-16 08:00+00', 'fail open 1 late 1 missed 0 rate 0.3333'),
('figures', 'mondays', 1, '2024-05-31 00:00+00', 'inconclusive open 0 late 1 missed 2 rate 0.375'),
('task', 'mondays', 1, '2024-04-09 08:00+00', 'overdue'), ('task', 'mondays', 1, '2024-04-16 08:00+00', 'failing'),
('task', 'mondays', 1, '2024-04-22 08:00+00', 'failing'), ('task', 'mondays', 1, '2024-04-22 12:00+00', 'compliant'), ('task', 'mondays', 1, '2024-04-29 08:00+00', 'waived'),
-- a miss from when it closes; the next pass clears it, the month keeps it
('task', 'mondays', 1, '2024-05-08 07:59:59+00', 'overdue'), ('task', 'mondays', 1, '2024-05-08 08:00+00', 'failing'),
('task', 'mondays', 1, '2024-05-13 08:00+00', 'failing'), ('task', 'mondays', 1, '2024-05-13 12:00+00', 'compliant'), ('task', 'mondays', 1, '2024-05-20 12:00+00', 'unknown'),
('task', 'mondays', 1, '2024-05-28 08:00+00', 'unknown'), ('task', 'mondays', 1, '2024-05-31 00:00+00', 'failing'),
('missed before', 'mondays', 9, '2024-05-28 08:00+00', '0'), ('missed before', 'mondays', 10, '2024-06-03 08:00+00', '1'), ('missed before', 'mondays', 11, '2024-06-10 08:00+00', '2'),
('due', 'mondays', 3, '2024-04-16 08:00+00', 'failed'), ('due', 'mondays', 3, '2024-04-22 08:00+00', '-');

select maintsched.import_calendar(pg_temp.document(calendar, jsonb_agg(jsonb_build_object('name', task, 'title', title, 'teams', '["DBA"]'::jsonb, 'kind', 'manual',
	'rule', rule, 'starts_on', starts_on, 'due_within', due_within, 'grace', grace, 'controls', controls, 'timezone', timezone,
	'checklist', array(select jsonb_build_object('text', i) from unnest(checklist) i)))))
from def group by calendar order by calendar;
insert into ids select d.task, t.task_id from def d join maintsched.task t on t.calendar = d.calendar and t.name = d.task;
-- somebody calls tick() now and then: after the close of the first cases and
-- before what is recorded later, then once a month
insert into op (at, task, who, does) select at, 'tick', 'su', 'tick()'
from unnest('{2024-01-16 00:00+00}'::timestamptz[] || array(select generate_series(timestamptz '2024-02-01 06:00+00', '2025-01-01 06:00+00', '1 month'))) at;

-- As it goes by, then back in time, after closing and rolling up, and again
-- from nothing.
call pg_temp.live();
call pg_temp.back('back');
set maintsched.now = '2025-01-15 00:00+00';
select maintsched.tick() is not null as ticked;
call pg_temp.back('rolled up');
reset maintsched.now;
select maintsched.rebuild_rollups();
set maintsched.now = '2025-01-15 00:00+00';
call pg_temp.back('rebuilt');

-- Whatever is not as wanted: calls that went wrong or did not, then rows.
select at, task, who, does, says, error from op where (error is null) <> (says is null) or error not like says order by at;
select phase, what, task, n, to_char(at, 'YYYY-MM-DD HH24:MI:SS') as at, wanted, got from wrong order by phase, what, task, wrong.at;
-- What was refused, and how much was judged.
select task, does, error from op where says is not null order by at, seq;
select what, count(*), count(distinct task) as cases from wanted group by what order by what;

set client_min_messages = warning;
reset maintsched.now;
drop extension maintsched;
drop role regress_maintsched_a, regress_maintsched_b;
create extension maintsched;
