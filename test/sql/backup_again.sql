--
-- Evidence is of the backup that was looked at: not of another one that was made
-- under its name since, nor of one elsewhere; and only a drill that passed is one.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set maintsched.now = '2026-11-20 03:00:00+00';

-- a folder that every night's backup is written to anew
create function pg_temp.made(hours integer, size bigint default 2000000000) returns bigint
language sql as $$
	select maintsched.import_backup_catalog('again', jsonb_build_array(jsonb_build_object(
		'label', 'latest', 'system_identifier', maintsched.own_system()::text, 'pg_version', '15',
		'started_at', maintsched.clock() - interval '10 minutes', 'finished_at', maintsched.clock(), 'timeline', 1,
		'start_lsn', pg_lsn '0/0' + hours * 160000000::numeric + 40, 'end_lsn', pg_lsn '0/0' + hours * 160000000::numeric + 256,
		'size_bytes', size, 'stored_bytes', size + hours)))
$$;

create function pg_temp.checked(first integer, last integer, reading bigint, result text default 'pass') returns void
language sql as $$
	select maintsched.record_check('again', 'latest', l, result, case result when 'pass' then '{}' else array['a file is wrong'] end, reading_id => reading)
	from generate_series(first, last) l
$$;

create view pg_temp.standing as
select s.label, s.level, s.verdict, array_to_string(s.problems, '; ') as problems from maintsched.backup_status s where s.repository = 'again';

select maintsched.add_repository('again', 'basebackup', '/srv/backup', pulled => false);
select pg_temp.made(0) as reading \gset
select pg_temp.checked(3, 12, :reading);
select * from pg_temp.standing;

-- the next night: what was checked was another backup
set maintsched.now = '2026-11-21 03:00:00+00';
select pg_temp.made(24) as reading \gset
select level, verdict from pg_temp.standing;
select level, result, problems[1] from maintsched.backup_climbs('again') where level in (3, 7, 12) order by 1;
-- a drill that had begun before was of the other one, and so was a check that ended late
select pg_temp.checked(7, 7, :reading - 1);
insert into maintsched.drill (repository, label, target, scratch, clock_at) values ('again', 'latest', 'latest', '/srv/drill/1', '2026-11-21 02:00:00+00');
select maintsched.record_check('again', 'latest', l, 'pass', drill_id => 1) from generate_series(8, 12) l;
select level, result from maintsched.backup_climbs('again') where level > 6 order by 1;
select pg_temp.checked(3, 7, :reading);
select level, verdict from pg_temp.standing;

-- one that is read again is the same
select pg_temp.made(24) > 0 as read;
select level, verdict from pg_temp.standing;

-- what is known to be broken stays so, unless it is another one
select pg_temp.checked(7, 7, :reading, 'fail');
set maintsched.now = '2026-11-21 04:00:00+00';
select pg_temp.made(24) > 0 as read;
select level, verdict, problems from pg_temp.standing;
set maintsched.now = '2026-11-22 03:00:00+00';
select pg_temp.made(48) as reading \gset
select pg_temp.checked(3, 6, :reading);
select level, verdict from pg_temp.standing;

-- sizes have a history, whatever the name
set maintsched.now = '2026-11-23 03:00:00+00';
select pg_temp.made(72, 1000000000) as reading \gset
select l.label, l.size_bytes, l.start_lsn
from maintsched.current_backups('again') b
cross join lateral maintsched.like_backups(b) l
order by l.ordinal;
select j.result, j.problems from maintsched.judge_backup('again', 'latest') j where j.level = 3;
set maintsched.now = '2026-11-24 03:00:00+00';
select pg_temp.made(96, 2000000000) as reading \gset
select j.result, j.problems from maintsched.judge_backup('again', 'latest') j where j.level = 3;

-- a repository that is elsewhere now: nothing is known of it
select pg_temp.checked(3, 12, :reading);
select level, verdict from pg_temp.standing;
set maintsched.now = '2026-11-24 03:10:00+00';
select maintsched.change_repository('again', '{"location": "/srv/elsewhere"}');
select level, verdict, problems from pg_temp.standing;
select pg_temp.made(96) as reading \gset
select verdict from pg_temp.standing;
select pg_temp.checked(3, 6, :reading);
select level, verdict, problems from pg_temp.standing;
select maintsched.change_repository('again', '{"max_age": "2 days"}');
select level, verdict from pg_temp.standing;
set maintsched.now = '2026-11-24 03:20:00+00';
select maintsched.remove_repository('again', 'test');
set maintsched.now = '2026-11-24 03:30:00+00';
select maintsched.add_repository('again', 'basebackup', '/srv/third', pulled => false);
select level, verdict, split_part(problems, ';', 1) as problem from pg_temp.standing;

-- only a drill that passed is one, with or without RTO and RPO
select pg_temp.made(97) as reading \gset
select pg_temp.checked(3, 7, :reading);
insert into maintsched.drill (repository, label, target, scratch) values ('again', 'latest', 'latest', '/srv/drill/2');
select maintsched.record_check('again', 'latest', l, case l when 11 then 'not_checked' else 'pass' end,
	case l when 11 then array['nothing was captured'] end, drill_id => 2) from generate_series(8, 12) l;
insert into maintsched.drill_result (drill_id, verdict, removed) values (2, 'inconclusive', true);
select level, verdict, problems from pg_temp.standing;
insert into maintsched.drill (repository, label, target, scratch) values ('again', 'latest', 'latest', '/srv/drill/3');
select maintsched.record_check('again', 'latest', l, case l when 12 then 'not_applicable' else 'pass' end,
	case l when 12 then array['neither rto nor rpo is set'] end, drill_id => 3) from generate_series(8, 12) l;
select maintsched.record_check('again', 'latest', 7, 'pass', reading_id => :reading);
insert into maintsched.drill_result (drill_id, verdict, removed) values (3, 'pass', true);
select level, verdict, problems from pg_temp.standing;

-- no backup has no age, nor has one of which it is not known when it ended
select maintsched.add_repository('none', 'basebackup', '/srv/none', pulled => false);
select maintsched.import_backup_catalog('none', '[]') is not null as read;
select label, age_seconds, verdict from maintsched.backup_status where repository = 'none';
select maintsched.import_backup_catalog('none', '[{"label": "x", "state": "running"}]') is not null as read;
select label, age_seconds, verdict from maintsched.backup_status where repository = 'none';
select label, age, age_seconds from maintsched.backups where repository = 'none';
select facts -> 'age_seconds' as age from maintsched.judge_backup('none', 'x') where level = 2;
-- nor is it nothing that would be lost, where it is not known: the server's WAL says nothing of it
select seconds, how from maintsched.unarchived_since('{"lsn": "FFFFFF/0"}', 'FFFFFE/28', null);

-- of a stanza with two repositories one cannot be read: what was in that is not known
create function pg_temp.stanza(code integer, backups jsonb) returns boolean
language sql as $$
	select maintsched.import_backup_catalog('two', jsonb_build_array(jsonb_build_object('name', 'two', 'cipher', 'none',
		'status', jsonb_build_object('code', case code when 0 then 0 else 4 end, 'message', case code when 0 then 'ok' else 'different across repos' end),
		'repo', jsonb_build_array(
			'{"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}'::jsonb,
			jsonb_build_object('key', 2, 'cipher', 'none', 'status', jsonb_build_object('code', code, 'message', case code when 0 then 'ok'
				else '[FormatError] unable to load info file HINT: has a stanza-create been performed?' end))),
		'db', '[{"id": 1, "repo-key": 1, "system-id": 1, "version": "15"}, {"id": 1, "repo-key": 2, "system-id": 1, "version": "15"}]'::jsonb,
		'archive', '[]'::jsonb, 'backup', backups))) is not null
$$;
create function pg_temp.full_backup(repo integer, label text, ago interval) returns jsonb
language sql as $$
	select jsonb_build_object('label', label, 'type', 'full', 'error', false, 'database', jsonb_build_object('id', 1, 'repo-key', repo),
		'timestamp', jsonb_build_object('start', extract(epoch from maintsched.clock() - ago)::bigint - 60, 'stop', extract(epoch from maintsched.clock() - ago)::bigint),
		'info', '{"size": 100, "delta": 100, "repository": {"delta": 10}}'::jsonb)
$$;
select maintsched.add_repository('two', 'pgbackrest', 'two', pulled => false);
select pg_temp.stanza(0, jsonb_build_array(pg_temp.full_backup(1, '20261124-010000F', '2 hours'), pg_temp.full_backup(2, '20261124-020000F', '1 hour')));
select label, result, problems[1] from maintsched.live_levels('two') where level = 0 order by 1;
select pg_temp.stanza(99, jsonb_build_array(pg_temp.full_backup(1, '20261124-010000F', '2 hours')));
select label, result, problems[1] from maintsched.live_levels('two') where level = 0 order by 1;
select label, level, verdict from maintsched.backup_status where repository = 'two' order by 1;

drop view pg_temp.standing;
set client_min_messages = warning;
drop extension maintsched;
reset maintsched.now;
create extension maintsched;
