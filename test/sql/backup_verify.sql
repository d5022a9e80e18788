-- Routine backup_verify: its parameters, its plan, and what its runs tick.
create extension if not exists maintsched;
\set VERBOSITY terse
set client_min_messages = warning;
begin;
-- nothing is known without a repository, which is no pass
select * from maintsched.plan('backup_verify', '{}');
rollback;
call maintsched.verify_repository();
call maintsched.verify_repository('nightly');
call maintsched.verify_repository(level => -1);
call maintsched.verify_repository(level => null);
call maintsched.verify_repository(backups => null);

begin;
insert into maintsched.repository (name, kind, location) values ('nightly', 'pgbackrest', 'main'), ('folder', 'basebackup', '/nowhere');
select seq, target, command, reason, estimated_seconds, details from maintsched.plan('backup_verify', '{}');
select target, command, reason from maintsched.plan('backup_verify', '{"repository": "nightly", "level": 6, "backups": "all"}');
-- of a role that is to write nothing: the extension keeps what is found
set default_transaction_read_only = on;
select details -> 'settings' as settings from maintsched.plan('backup_verify', '{}');
select details -> 'settings' as settings from maintsched.plan('restore_drill', '{"repository": "nightly"}');
set default_transaction_read_only = off;
select target, command from maintsched.plan('backup_verify', '{"repository": ["nightly", "folder", "nightly"], "backups": "it''s"}');
-- what was verified is second, and its speed is known
insert into maintsched.backup_check (repository, label, level, result, facts, seconds)
	values ('folder', 'a', 7, 'pass', '{"bytes_read": 50000000}', 10);
select target, reason from maintsched.plan('backup_verify', '{}');
rollback;

-- which is the latest: Barman says no times of what failed, nor when it began
begin;
set local maintsched.now = '2026-03-10 12:00+00';
select maintsched.add_repository('elsewhere', 'barman', 'demo', pulled => false, max_age => '1 day');
select maintsched.import_backup_catalog('elsewhere', '{"demo": [
	{"backup_id": "20260307T000000", "status": "FAILED"},
	{"backup_id": "20260308T000000", "end_time_timestamp": "1772930000", "status": "DONE"},
	{"backup_id": "20260309T000000", "end_time_timestamp": "1773014460", "status": "DONE"},
	{"backup_id": "20260310T000000", "status": "FAILED"},
	{"backup_id": "20260310T110000", "status": "EMPTY"}]}') is not null as read;
select * from maintsched.backups_to_verify('elsewhere', 'latest');
select * from maintsched.backups_to_verify('elsewhere', 'all');
select result, problems from maintsched.judge_backup('elsewhere', '20260310T110000') where level = 1;
-- one that is there half done a day later was killed
set local maintsched.now = '2026-03-11 13:00+00';
select result, problems from maintsched.judge_backup('elsewhere', '20260310T110000') where level = 1;
rollback;

-- wrong parameters are refused when they are written
do $$
declare
	params jsonb;
begin
	foreach params in array array['{"repository": 1}', '{"repository": []}', '{"repository": ""}', '{"repository": ["a", 2]}',
		'{"level": 8}', '{"level": -1}', '{"level": 6.5}', '{"level": "7"}', '{"backups": 1}', '{"backups": ""}', '{"labels": "all"}']::jsonb[]
	loop
		begin
			perform maintsched.check_params('backup_verify', params);
			raise notice '% was taken', params;
		exception when invalid_parameter_value then
			raise warning '%', sqlerrm;
		end;
	end loop;
	perform maintsched.check_params('backup_verify', '{"repository": null, "level": 0, "backups": "latest", "time_limit": "2 hours"}');
end
$$;

-- a checklist line that asks for a level is ticked by a run of that level alone
begin;
set local maintsched.now = '2026-03-01 12:00+00';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "regress-lines", "title": "Lines", "version": "1",
	"tasks": [{"name": "audit", "title": "Audit", "teams": ["Auditors"], "kind": "manual", "rule": "FREQ=DAILY",
		"starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": [],
		"checklist": [{"text": "any", "routine": "backup_verify"},
			{"text": "seven", "routine": "backup_verify", "params": {"level": 7}}, {"text": "people"}]}]}');
savepoint s;
update maintsched.task set checklist = '[{"text": "x", "params": {"level": 7}}]' where name = 'audit';
rollback to s;
update maintsched.task set checklist = '[{"text": "x", "routine": "backup_verify", "params": 7}]' where name = 'audit';
rollback to s;
update maintsched.task set checklist = '[{"text": "x", "routine": "backup_verify", "params": {"level": 12}}]' where name = 'audit';
rollback to s;
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "other", "title": "Lines", "version": "1",
	"tasks": [{"name": "audit", "title": "Audit", "teams": ["Auditors"], "kind": "manual", "rule": null, "controls": [],
		"checklist": [{"text": "any", "params": {"level": 7}}]}]}');
rollback to s;
select jsonb_path_query(maintsched.export_calendar('regress-lines')::jsonb, '$.tasks[*].checklist[*]');
create function pg_temp.ticked(level integer) returns text language plpgsql as $$
declare
	r maintsched.run;
	o maintsched.occurrence;
	ticked boolean;
begin
	select x.* into o from maintsched.occurrence x join maintsched.task t using (task_id) where t.name = 'audit' order by x.opens_at limit 1;
	r.run_id := 1;
	r.routine := 'backup_verify';
	r.params := maintsched.routine_params('backup_verify', jsonb_strip_nulls(jsonb_build_object('level', level)));
	ticked := maintsched.tick_items(o, r);
	return ticked || ': ' || (select string_agg(item::text, ' ' order by item) from maintsched.checklist_mark m where m.occurrence_id = o.occurrence_id);
end
$$;
select pg_temp.ticked(6);
select pg_temp.ticked(6);
select pg_temp.ticked(null);
select item, text, routine, params, passed from maintsched.checklist order by item;
rollback;
-- what a completion by a run holds besides it
begin;
insert into maintsched.backup_check (repository, label, level, result, problems, reading_id, run_id)
select 'nightly', 'a', l, case l when 3 then 'not_applicable' when 5 then 'fail' when 6 then 'not_checked' else 'pass' end,
	case when l in (3, 5, 6) then '{x}'::text[] else '{}' end, 9, 77
from generate_series(0, 7) l;
insert into maintsched.backup_check (repository, label, level, result, run_id) select 'folder', 'b', l, 'pass', 77 from generate_series(0, 7) l;
select jsonb_pretty(maintsched.run_evidence(77)), maintsched.run_evidence(78);
rollback;
