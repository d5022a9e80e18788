-- Documents: import, export, and what a second import changes.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
reset client_min_messages;

-- The shipped documents are what an export writes.
select * from maintsched.available_calendars order by name;
select maintsched.install_calendar('SmartMed', timezone => 'america/new_york');
select maintsched.install_calendar('astral-core');
select * from maintsched.available_calendars order by name;
select maintsched.export_calendar('astral-core') = maintsched.shipped_document('astral-core')::jsonb as same;
select maintsched.export_calendar('smartmed') - 'timezone' = maintsched.shipped_document('smartmed')::jsonb - 'timezone' as same,
	maintsched.export_calendar('smartmed') ->> 'timezone' as timezone;
-- import(export(x)) = x, under another name
select maintsched.import_calendar(maintsched.export_calendar('smartmed')::text, as_name => 'copy');
select maintsched.export_calendar('copy') - 'name' = maintsched.export_calendar('smartmed') - 'name' as same;
select kind, bool_and(enabled) as enabled from maintsched.task where calendar = 'copy' group by 1 order by 1;
select kind, bool_and(enabled) as enabled from maintsched.task where calendar = 'smartmed' group by 1 order by 1;

-- Everything else of the documents is there, and makes no occurrences.
select 'windows' as what, count(*) from maintsched.windows where calendar <> 'copy'
union all select 'notifications', count(*) from maintsched.notifications where calendar <> 'copy'
union all select 'documentation_steps', count(*) from maintsched.documentation_steps where calendar <> 'copy'
union all select 'storage_places', count(*) from maintsched.storage_places where calendar <> 'copy'
union all select 'contacts', count(*) from maintsched.contacts where calendar <> 'copy'
union all select 'monitors', count(*) from maintsched.monitors where calendar <> 'copy'
union all select 'scripts', count(*) from maintsched.scripts
union all select 'commands', count(*) from maintsched.commands
union all select 'incident phases', count(*) from maintsched.incident_procedures
union all select 'escalation_levels', count(*) from maintsched.escalation_levels
union all select 'dashboards', count(*) from maintsched.dashboards
union all select 'kpis', count(*) from maintsched.kpis
union all select 'document_history', count(*) from maintsched.document_history where calendar <> 'copy';
select name, phase, phase_name, from_minutes, to_minutes, steps from maintsched.incident_procedures where phase = 1;
select severity, title, response, clock, within from maintsched.escalation_levels;
select title, target, comparison, value, unit from maintsched.kpis;
select title, frequency, every, threshold, tool from maintsched.monitors where calendar <> 'copy';

-- A changed, a renamed, a missing and a new task; a changed window.
create function pg_temp.document() returns text language sql as $$
	select jsonb_build_object('format', 'maintsched-calendar/1', 'name', 'small', 'title', 'Small', 'version', '1',
		'timezone', 'Europe/Berlin',
		'windows', '[{"name": "night", "title": "Night", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T02:00:00", "duration": "PT2H", "change_class": "minor"}]'::jsonb,
		'contacts', '[{"role": "DBA", "contact": "[email]", "responsibilities": "Database"}, {"role": "Lead", "responsibilities": "All"}]'::jsonb,
		'tasks', '[
			{"name": "stays", "title": "Stays", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T09:00:00", "due_within": "PT15H", "controls": []},
			{"name": "to-change", "title": "To change", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=WEEKLY;BYDAY=WE", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": ["HIPAA 164.312(b)"]},
			{"name": "to-rename", "title": "To rename", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []},
			{"name": "to-go", "title": "To go", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []}
		]'::jsonb)::text
$$;
create function pg_temp.next_document() returns text language sql as $$
	select jsonb_set(jsonb_set(jsonb_set(jsonb_set(d, '{version}', '"2"'),
		'{windows,0,duration}', '"PT3H"'),
		'{contacts}', '[{"role": "DBA", "contact": "[pager]", "responsibilities": "Database"}]'),
		'{tasks}', '[
			{"name": "stays", "title": "Stays", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T09:00:00", "due_within": "PT15H", "controls": []},
			{"name": "to-change", "title": "Changed", "teams": ["DBA", "Security"], "kind": "manual", "rule": "FREQ=WEEKLY;BYDAY=TH", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": ["HIPAA 164.312(b)"]},
			{"name": "was-renamed", "formerly": ["to-rename"], "title": "To rename", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []},
			{"name": "added", "title": "Added", "teams": ["DBA"], "kind": "routine", "routine": "vacuum", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []}
		]') ::text
	from (select pg_temp.document()::jsonb) x(d)
$$;
select maintsched.import_calendar(pg_temp.document());
select * from maintsched.plan_import(pg_temp.document());
update maintsched.contact set contact_given = 'dba@example.org' where calendar = 'small' and role = 'DBA';
update maintsched.task set enabled = false where calendar = 'small' and name = 'stays';
create temp table ids as select name, task_id from maintsched.task where calendar = 'small';
select * from maintsched.plan_import(pg_temp.next_document());
select count(*) from maintsched.calendar_history where calendar = 'small' and field = 'version';
select maintsched.import_calendar(pg_temp.next_document());
select task, field, left(old, 30) as old, left(new, 30) as new, reason from maintsched.calendar_history
where calendar = 'small' and field not in ('added', 'installed');
select t.name, t.title, t.enabled, t.retired_at is not null as retired, i.name as was
from maintsched.task t left join ids i using (task_id) where calendar = 'small' order by t.position, t.name;
select role, contact from maintsched.contacts where calendar = 'small';
select * from maintsched.plan_import(pg_temp.next_document());

-- Back to the first: the retired one is revived with its id.
select * from maintsched.plan_import(pg_temp.document());
select maintsched.import_calendar(pg_temp.document());
select i.name, i.task_id = t.task_id as same_task from ids i join maintsched.task t using (name) where t.calendar = 'small' order by 1;

-- A zone given here stays; the document's does not win.
select timezone, timezone_given from maintsched.calendar where name = 'small';
select maintsched.set_timezone('small', 'Asia/Tokyo');
select maintsched.import_calendar(pg_temp.document());
select timezone, timezone_given from maintsched.calendar where name = 'small';
select maintsched.import_calendar(pg_temp.document(), timezone => 'Europe/Paris');
select timezone, timezone_given from maintsched.calendar where name = 'small';

-- Numbers and free parameters come back exactly.
select maintsched.import_calendar(jsonb_set(pg_temp.document()::jsonb, '{tasks,0}',
	(pg_temp.document()::jsonb #> '{tasks,0}') || '{"kind": "routine", "routine": "reindex", "params": {"min_wasted": 9007199254740993, "min_bloat": 0.10, "include": ["a"], "exclude": null}}')::text);
select maintsched.export_calendar('small') #> '{tasks,0,params}';
select enabled from maintsched.task where calendar = 'small' and name = 'stays';

-- All or nothing: an error in the last task leaves nothing of the first.
select maintsched.import_calendar(jsonb_set(jsonb_set(pg_temp.document()::jsonb, '{name}', '"broken"'), '{tasks,3,controls}', '["HIPAA 164.999"]')::text);
select maintsched.import_calendar(jsonb_set(jsonb_set(pg_temp.document()::jsonb, '{name}', '"broken"'), '{tasks,3,rule}', '"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"')::text);
select count(*) from maintsched.calendar where name = 'broken';

-- Routine sql comes from no document: it is neither exported nor retired.
select maintsched.add_task('small', 'own-sql', 'FREQ=DAILY', routine => 'sql', params => '{"statement": "select 1"}') > 0 as added;
select maintsched.export_calendar('small') @? '$.tasks[*] ? (@.name == "own-sql")' as exported;
select maintsched.import_calendar(maintsched.export_calendar('small')::text);
select retired_at, enabled from maintsched.task where name = 'own-sql';

-- What can be stored can be exported and imported again.
update maintsched.task set title = E'Bell \x07' where calendar = 'small' and name = 'to-go';
update maintsched.task set rdate = '{2026-05-01 00:00, 2026-05-01 00:00}' where calendar = 'small' and name = 'to-go';

-- An import that went wrong is undone by the right one, as long as nothing fell due.
select maintsched.install_calendar('smartmed', as_name => 'oops');
create temp table due_before as select occurrence_id from maintsched.due_tasks where calendar = 'oops';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "oops", "title": "oops", "tasks": []}');
select count(*) from maintsched.due_tasks where calendar = 'oops';
select maintsched.import_calendar(maintsched.shipped_document('smartmed'), as_name => 'oops');
select count(*) as due, count(b.occurrence_id) as the_same from maintsched.due_tasks d left join due_before b using (occurrence_id) where calendar = 'oops';

-- plan_import() refuses what import_calendar() refuses.
select * from maintsched.plan_import(null);
select * from maintsched.plan_import(jsonb_set(pg_temp.document()::jsonb, '{tasks,3,controls}', '["HIPAA 9"]')::text, as_name => 'unseen');
select * from maintsched.plan_import(jsonb_set(pg_temp.document()::jsonb, '{tasks,3,rule}', '"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"')::text, as_name => 'unseen');
select * from maintsched.plan_import(jsonb_set(pg_temp.document()::jsonb, '{windows,0,rule}', '"FREQ=SECONDLY"')::text);
-- ... and sees no difference where there is none
select maintsched.import_calendar(jsonb_set(pg_temp.document()::jsonb, '{timezone}', '"europe/berlin"')::text, as_name => 'lower');
select * from maintsched.plan_import(jsonb_set(pg_temp.document()::jsonb, '{timezone}', '"europe/berlin"')::text, as_name => 'lower');
update maintsched.contact set contact_given = 'a@example.org' where calendar = 'lower' and role = 'DBA';
select * from maintsched.plan_import(maintsched.export_calendar('lower')::text);
select maintsched.import_calendar(maintsched.export_calendar('lower')::text);
select role, contact, contact_given from maintsched.contact where calendar = 'lower' order by 1;

-- A retired task keeps its name: formerly cannot give it to another.
select maintsched.retire_task('lower', 'to-go', 'gone');
select task, change, detail from maintsched.plan_import(
	(pg_temp.document()::jsonb #- '{tasks,3}' #- '{tasks,2}' || jsonb_build_object('name', 'lower', 'tasks', (pg_temp.document()::jsonb #- '{tasks,3}' #- '{tasks,2}') -> 'tasks' || '[{"name": "to-go", "formerly": ["to-rename"], "title": "To rename", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []}]'))::text)
where task = 'to-go';
select maintsched.import_calendar(
	(pg_temp.document()::jsonb || jsonb_build_object('name', 'lower', 'tasks', (pg_temp.document()::jsonb #- '{tasks,3}' #- '{tasks,2}') -> 'tasks' || '[{"name": "to-go", "formerly": ["to-rename"], "title": "To rename", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []}]'))::text);

-- Scripts and commands follow the task that they name.
select maintsched.rename_task('astral-core', 'daily-health-check', 'renamed-check');
select maintsched.retire_task('astral-core', 'weekly-security-scan', 'another tool');
select name, task from maintsched.scripts where calendar = 'astral-core';
select count(*) from maintsched.plan_import(maintsched.export_calendar('astral-core')::text) where task is not null;

-- Windows: what cannot be exported is not stored.
select maintsched.add_window('small', 'huge', 'FREQ=DAILY', '2026-01-01', '1000000 years', 'minor');
select maintsched.add_window('small', 'odd', 'FREQ=DAILY', '2026-01-01', '1 mon -1 day', 'minor');
select maintsched.add_window('small', 'on-demand', null, null, '-1 h', 'minor');
select maintsched.add_window('small', 'often', 'FREQ=MINUTELY', '2026-01-01', '1 min', 'minor');
select count(*) > 0 as works from maintsched.window_schedule;
