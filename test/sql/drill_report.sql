--
-- The report of a restore drill, by drills that are written down by hand: one
-- that passed, one that failed, one that was interrupted, one that runs.  The
-- times are given, so that the digests are the same everywhere.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'Asia/Tokyo';
set datestyle = 'german';

-- nothing yet
select maintsched.drill_report();
select maintsched.drill_report_json(7);

create function pg_temp.put_step(id bigint, n integer, step text, result text, started timestamptz, seconds numeric, message text, facts jsonb default null) returns void
language sql
as $$
	insert into maintsched.drill_step (drill_id, seq, step, document_step, result, started_at, finished_at, seconds, message, facts,
		recorded_at, clock_at, recorded_by, acting_as)
	values (id, n, step, case when step in ('space', 'create') then 1 when step in ('restore', 'configure', 'start', 'promote') then 2
		when step in ('identity', 'integrity') then 3 when step in ('expectations', 'queries') then 4 when step = 'report' then 5 else 6 end,
		result, started, started + make_interval(secs => seconds::double precision), seconds, message, facts,
		started, started, 'alice', 'alice')
$$;
create function pg_temp.put_check(id bigint, level integer, result text, problems text[], facts jsonb default null) returns void
language sql
as $$
	insert into maintsched.backup_check (repository, label, level, result, problems, facts, drill_id, recorded_at, clock_at, recorded_by, acting_as)
	values ('main', 'F', level, result, problems, facts, id, '2026-01-02 03:10:00+00', '2026-01-02 03:10:00+00', 'alice', 'alice')
$$;
insert into maintsched.repository (name, kind, location) values ('main', 'pgbackrest', 'main');
insert into maintsched.backup_record (reading_id, repository, label, state, type, started_at, finished_at, start_lsn, end_lsn, timeline,
	system_identifier, pg_version, size_bytes, location, recorded_at, clock_at)
values (1, 'main', 'F', 'done', 'full', '2026-01-02 02:00:00+00', '2026-01-02 02:05:00+00', '0/2000028', '0/2000100', 1,
	18446744073709551615, '15', 1234567890, '/var/lib/backups/main', '2026-01-02 02:06:00+00', '2026-01-02 02:06:00+00');
insert into maintsched.expectation (repository, kept, restore_point, lsn, timeline, captured_at, items, recorded_at, clock_at)
values ('main', true, 'maintsched-000001-0123456789abcdef', '0/5000100', 1, '2026-01-02 02:59:00+00', '[]', '2026-01-02 02:59:00+00', '2026-01-02 02:59:00+00');
create function pg_temp.put_drill(target text, point text, expectation bigint) returns bigint
language sql
as $$
	insert into maintsched.drill (repository, label, target, restore_point, expectation_id, scratch, facts, recorded_at, clock_at, recorded_by, acting_as)
	values ('main', 'F', target, point, expectation, '/srv/drills/drill-x',
		'{"system_identifier": 18446744073709551615, "timeline": 1, "lsn": "0/6000000", "version": "15.4", "pid": 0, "at": "2026-01-02T03:00:00+00:00"}',
		'2026-01-02 03:00:00+00', '2026-01-02 03:00:00+00', 'alice', 'backup_team')
	returning drill_id
$$;

--
-- One that passed.
--
select pg_temp.put_drill('restore point', 'maintsched-000001-0123456789abcdef', 1) as passed \gset
select pg_temp.put_step(:passed, 1, 'space', 'pass', '2026-01-02 03:00:00+00', 0.01, '62979 MB are free, 2000 MB are wanted');
select pg_temp.put_step(:passed, 2, 'create', 'pass', '2026-01-02 03:00:00.1+00', 0.002, 'folder "/srv/drills/drill-x"');
select pg_temp.put_step(:passed, 3, 'restore', 'pass', '2026-01-02 03:00:01+00', 125.5, '1651 files, 1234 MB');
select pg_temp.put_step(:passed, 4, 'configure', 'pass', '2026-01-02 03:02:07+00', 0.1, null);
select pg_temp.put_step(:passed, 5, 'start', 'pass', '2026-01-02 03:02:08+00', 3.25, 'consistent, and can be asked');
select pg_temp.put_step(:passed, 6, 'promote', 'pass', '2026-01-02 03:02:12+00', 1, 'usable 132.3 s after the drill began');
select pg_temp.put_step(:passed, 7, 'identity', 'pass', '2026-01-02 03:02:13+00', 0.1, 'system 18446744073709551615, timeline 2, recovered to 0/5000100; nothing is missing',
	'{"system_identifier": "18446744073709551615", "timeline": 2, "replayed": "0/5000100"}');
select pg_temp.put_step(:passed, 8, 'integrity', 'pass', '2026-01-02 03:02:14+00', 30, 'pg_amcheck found nothing');
select pg_temp.put_step(:passed, 9, 'expectations', 'pass', '2026-01-02 03:02:44+00', 2, 'rows of 12 tables');
select pg_temp.put_step(:passed, 10, 'queries', 'not_applicable', '2026-01-02 03:02:46+00', 0, 'the repository has no sample queries: add_sample_query()');
select pg_temp.put_step(:passed, 11, 'report', 'pass', '2026-01-02 03:02:46+00', 0, null);
select pg_temp.put_step(:passed, 12, 'destroy', 'pass', '2026-01-02 03:02:47+00', 0.5, 'no process is left, and the folder is gone');
-- it runs until there is a result
select maintsched.drill_report_json() ->> 'verdict' as verdict;
insert into maintsched.drill_result (drill_id, verdict, level, rto_seconds, rpo_seconds, removed, message, recorded_at, clock_at)
values (:passed, 'pass', 12, 132.3, 0, true, 'backup "F" was restored, and is proven up to level 12', '2026-01-02 03:02:48+00', '2026-01-02 03:02:48+00');
select pg_temp.put_check(:passed, 8, 'pass', '{}'), pg_temp.put_check(:passed, 9, 'pass', '{}'), pg_temp.put_check(:passed, 10, 'pass', '{}'),
	pg_temp.put_check(:passed, 11, 'pass', '{}'), pg_temp.put_check(:passed, 12, 'pass', '{}', '{"rto": 3600, "rpo": 900, "rto_seconds": 132.3, "rpo_seconds": 0}');
\pset format unaligned
\pset tuples_only on
select maintsched.drill_report();
select jsonb_pretty(maintsched.drill_report_json(:passed) - 'steps' - 'levels' - 'server');
-- the digest is of all the rest
select j ->> 'sha256' = encode(sha256(convert_to((j - 'sha256' - 'reviews')::text, 'UTF8')), 'hex') as of_the_rest
from maintsched.drill_report_json(:passed) j;
-- and the same when more is known: of the repository, its backups, another drill
select maintsched.drill_report_json(:passed) ->> 'sha256' as sha256 \gset
update maintsched.repository set location = 'elsewhere', rto = '1 second';
insert into maintsched.backup_record (reading_id, repository, label, state) values (2, 'main', 'F', 'removed');
set timezone = 'UTC';
set datestyle = 'ISO';
set extra_float_digits = 0;
select maintsched.drill_report_json(:passed) ->> 'sha256' = :'sha256' as same;
reset extra_float_digits;
-- no line is longer than 90
select max(length(l)) <= 90 as fits, count(*) > 40 as many from regexp_split_to_table(maintsched.drill_report(:passed), E'\n') l;

--
-- One that failed, with something that stayed behind and long words.
--
select pg_temp.put_drill('latest', null, null) as failed \gset
select pg_temp.put_step(:failed, 1, 'space', 'pass', '2026-01-02 03:00:00+00', 0.01, '62979 MB are free, 2000 MB are wanted');
select pg_temp.put_step(:failed, 2, 'create', 'pass', '2026-01-02 03:00:00+00', 0.01, 'folder');
select pg_temp.put_step(:failed, 3, 'restore', 'pass', '2026-01-02 03:00:01+00', 12, '1651 files');
select pg_temp.put_step(:failed, 4, 'configure', 'pass', '2026-01-02 03:00:20+00', 0, null);
select pg_temp.put_step(:failed, 5, 'start', 'fail', '2026-01-02 03:00:21+00', 6,
	E'FATAL:  WAL ends before end of online backup;\nDETAIL: ' || repeat('x', 200) || ' and ' || repeat('word ', 30));
select pg_temp.put_step(:failed, 6, 'destroy', 'fail', '2026-01-02 03:00:30+00', 6, 'folder "/srv/drills/drill-x" could not be removed');
insert into maintsched.drill_result (drill_id, verdict, failed_step, removed, message, recorded_at, clock_at)
values (:failed, 'fail', 'start', false, 'start: FATAL:  WAL ends before end of online backup', '2026-01-02 03:00:37+00', '2026-01-02 03:00:37+00');
select pg_temp.put_check(:failed, 8, 'pass', '{}'), pg_temp.put_check(:failed, 9, 'fail', '{"start: FATAL:  WAL ends before end of online backup"}'),
	pg_temp.put_check(:failed, 10, 'not_checked', '{"the drill ended at start"}'),
	pg_temp.put_check(:failed, 12, 'not_checked', '{"how long a restore takes was not measured"}', '{"rto": 3600}');
delete from maintsched.repository;
select maintsched.drill_report(:failed);
select max(length(l)) <= 90 as fits from regexp_split_to_table(maintsched.drill_report(:failed), E'\n') l;

--
-- One that was interrupted; one without a single step, whose process is gone.
--
select pg_temp.put_drill('consistent', null, null) as interrupted \gset
select pg_temp.put_step(:interrupted, 1, 'space', 'pass', '2026-01-02 03:00:00+00', 0.01, 'enough');
insert into maintsched.drill_result (drill_id, verdict, removed, message, recorded_at, clock_at)
values (:interrupted, 'interrupted', true, 'the process that did it ended', '2026-01-03 00:00:00+00', '2026-01-03 00:00:00+00');
select maintsched.drill_report(:interrupted);
select pg_temp.put_drill('consistent', null, null) as bare \gset
select maintsched.drill_report(:bare);
select maintsched.drill_report_json() ->> 'drill_id' = :'bare' as latest;

--
-- Rights: viewers read reports.
--
create role regress_maintsched_v;
set role regress_maintsched_v;
select maintsched.drill_report(:passed);
reset role;
select maintsched.grant_access('regress_maintsched_v', 'viewer');
set role regress_maintsched_v;
select left(maintsched.drill_report(:passed), 20);
select maintsched.drill_report_json(:passed) ->> 'sha256' = :'sha256' as same;
reset role;
select maintsched.revoke_access('regress_maintsched_v');
drop role regress_maintsched_v;
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
