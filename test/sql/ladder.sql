--
-- Levels 0 to 6 of hand-made records, the statuses, the log, health and notices.
-- Real archives are in test/t/064_ladder.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set maintsched.now = '2026-11-22 12:00:00+00';

select level, name from maintsched.backup_levels() order by 1;

create function pg_temp.repository(name text, changes jsonb default '{}', kind text default 'pgbackrest') returns text
language sql as $$
	insert into maintsched.repository
	select r.* from jsonb_populate_record(null::maintsched.repository, jsonb_build_object(
		'name', name, 'kind', kind, 'location', '/srv/backup', 'pulled', false, 'max_age', '25 hours', 'copies', 1,
		'size_tolerance', 0.4, 'size_floor', 16777216, 'read_within', '26 hours', 'verify_within', '8 days',
		'drill_within', '100 days') || changes) r
	returning repository.name
$$;

create function pg_temp.reading(repository text, ok boolean default true, ago interval default '0', message text default null) returns bigint
language sql as $$
	insert into maintsched.backup_reading (repository, source, ok, sqlstate, message, facts, clock_at)
	values (repository, 'import', ok, case when not ok then '58030' end, message, case when ok then '{"tool": "pgBackRest"}'::jsonb end, maintsched.clock() - ago)
	returning reading_id
$$;

-- a backup that ended so many hours ago; its position is made of that
create function pg_temp.backup(repository_name text, backup_label text, hours numeric, changes jsonb default '{}') returns void
language sql as $$
	insert into maintsched.backup_record (reading_id, repository, label, state, type, prior, depends_on, started_at, finished_at,
		start_lsn, end_lsn, timeline, start_wal, end_wal, system_identifier, pg_version, size_bytes, delta_bytes, stored_bytes,
		encrypted, location, problem)
	select 0, repository_name, backup_label, coalesce(r.state, 'done'), coalesce(r.type, 'full'), r.prior, coalesce(r.depends_on, '{}'),
		coalesce(r.started_at, f.at - interval '1 hour'), case when changes ? 'finished_at' then r.finished_at else f.at end,
		case when changes ? 'start_lsn' then r.start_lsn else f.lsn + 40 end,
		case when changes ? 'end_lsn' then r.end_lsn else f.lsn + 256 end, coalesce(r.timeline, 1), r.start_wal, r.end_wal,
		case when changes ? 'system_identifier' then r.system_identifier else 7710705250984166260 end,
		coalesce(r.pg_version, '15'), coalesce(r.size_bytes, 2400000000), coalesce(r.delta_bytes, r.size_bytes, 2400000000),
		r.stored_bytes, r.encrypted, r.location, r.problem
	from jsonb_populate_record(null::maintsched.backup_record, changes) r
	cross join lateral (
		select maintsched.clock() - make_interval(secs => hours::double precision * 3600) as at,
			pg_lsn '0/0' + (100000 - hours) * 1000 * 16777216 as lsn) f
$$;

create function pg_temp.judged(repository text, label text, level integer) returns text
language sql as $$
	select concat_ws(': ', j.result, nullif(array_to_string(j.problems, '; '), ''))
	from maintsched.judge_backup(repository, label) j where j.level = judged.level
$$;

-- Level 0: known

select pg_temp.repository('known');
select pg_temp.judged('known', 'a', 0);
select pg_temp.reading('known', ago => '27 hours') is not null;
select pg_temp.judged('known', 'a', 0);
select pg_temp.reading('known') is not null;
select pg_temp.judged('known', 'a', 0);
select pg_temp.backup('known', 'a', 3);
select pg_temp.judged('known', 'a', 0);
select pg_temp.backup('known', 'a', 3, '{"state": "removed"}');
select pg_temp.judged('known', 'a', 0);
select pg_temp.judged('known', 'a', 0) from pg_temp.reading('known', false, message => 'the tool hangs');
select * from maintsched.judge_backup('knwon', 'a');

-- Level 1: completed, with all that it needs

select pg_temp.repository('chain'), pg_temp.reading('chain') is not null;
select pg_temp.backup('chain', 'full', 20);
select pg_temp.backup('chain', 'incr1', 19, '{"type": "incr", "prior": "full", "depends_on": ["full"]}');
select pg_temp.backup('chain', 'incr2', 18, '{"type": "incr", "prior": "incr1", "depends_on": ["full", "incr1"]}');
select pg_temp.backup('chain', 'diff', 17, '{"type": "diff", "prior": "gone", "depends_on": ["gone"]}');
select pg_temp.backup('chain', 'orphan', 16, '{"type": "incr"}');
select pg_temp.backup('chain', 'self', 16, '{"type": "incr", "prior": "self"}');
select pg_temp.backup('chain', 'failed', 15, '{"state": "failed", "problem": "disk full"}');
select pg_temp.backup('chain', 'pages', 14, '{"problem": "page checksums"}');
select pg_temp.backup('chain', 'running', 13, '{"state": "running", "finished_at": null}');
select pg_temp.backup('chain', 'stuck', 48, '{"state": "running", "finished_at": null}');
select pg_temp.backup('chain', 'waiting', 12, '{"state": "waiting", "end_wal": "00000001000000000000000A"}');
select pg_temp.backup('chain', 'endless', 11, '{"finished_at": null}');
select pg_temp.backup('chain', 'future', -2);
select pg_temp.backup('chain', 'backwards', 10, jsonb_build_object('started_at', maintsched.clock()));
select label, pg_temp.judged('chain', label, 1) as level_1
from unnest(array['full', 'incr1', 'incr2', 'diff', 'orphan', 'self', 'failed', 'pages', 'running', 'stuck', 'waiting', 'endless', 'future', 'backwards']) label;
-- the full one that two build on is not in order any more
select pg_temp.backup('chain', 'full', 20, '{"problem": "page checksums"}');
select label, pg_temp.judged('chain', label, 1) as level_1 from unnest(array['full', 'incr1', 'incr2']) label;
-- one that waits longer than a backup may be old has failed
select pg_temp.judged('chain', 'late', 1)
from pg_temp.backup('chain', 'late', 30, '{"state": "waiting"}');

-- Level 2: age, of the newest that can be used

select pg_temp.repository('age', '{"max_age": "24 hours"}'), pg_temp.reading('age') is not null;
select pg_temp.backup('age', 'old', 30), pg_temp.backup('age', 'broken', 1, '{"state": "failed"}');
select label, pg_temp.judged('age', label, 2) as level_2 from unnest(array['old', 'broken']) label;
select pg_temp.backup('age', 'new', 23.9), pg_temp.backup('age', 'future', -2);
select label, pg_temp.judged('age', label, 2) as level_2 from unnest(array['old', 'new', 'broken', 'future']) label;

-- a month is one of the calendar, and a day has 24 hours, wherever one looks from: in New
-- York the clocks were set back on 1 November
select pg_temp.repository('zones', '{"max_age": "1 mon", "read_within": "30 days"}');
select pg_temp.reading('zones', ago => '720:30:00') is not null;
select pg_temp.backup('zones', 'a', 744);
set timezone = 'America/New_York';
select pg_temp.judged('zones', 'a', 0);
select pg_temp.judged('zones', 'a', 2);
set timezone = 'UTC';
select pg_temp.judged('zones', 'a', 0);
select pg_temp.judged('zones', 'a', 2) from pg_temp.backup('zones', 'a', 745);

-- Level 3: sizes in MB, the last one being judged; one a day

create function pg_temp.sizes(sizes numeric[], changes jsonb default '{}') returns text
language plpgsql as $$
declare
	name constant text := 'size' || (select count(*) from maintsched.repository);
	last constant integer := cardinality(sizes);
begin
	perform pg_temp.repository(name, changes), pg_temp.reading(name);
	for i in 1 .. last loop
		perform pg_temp.backup(name, 'b' || i, 24 * (last - i), jsonb_build_object('size_bytes', (sizes[i] * 1048576)::bigint,
			'stored_bytes', (sizes[i] * 1048576 / 4)::bigint + i));
	end loop;
	return pg_temp.judged(name, 'b' || last, 3);
end
$$;

select what, pg_temp.sizes(sizes) as level_3
from (values
	('the first', array[1000]),
	('half of the one before', array[1000, 500]),
	('double the one before', array[1000, 2000]),
	('half as much again, with few to compare with', array[1000, 1300, 1450]),
	('1.8 times the only one before', array[1000, 1800]),
	('1 % growth a day', array(select 1000 * 1.01 ^ i from generate_series(0, 59) i)),
	('7 % growth each time', array(select 1000 * 1.07 ^ i from generate_series(0, 29) i)),
	('shrinking by 3 % each time', array(select 1000 * 0.97 ^ i from generate_series(0, 29) i)),
	('noise of 10 %', array[1000, 930, 1080, 1010, 905, 1090, 960, 1100]),
	('noise of 25 %', array[1000, 760, 1240, 1010, 800, 1200, 960, 1250]),
	('half after seven steady ones', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 1203]),
	('double after seven steady ones', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 4812]),
	('a third', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 800]),
	('half after noise of 25 %', array[1000, 760, 1240, 1010, 800, 1200, 960, 500]),
	('half after growth', array(select 1000 * 1.01 ^ i from generate_series(0, 59) i) || 900.0),
	('half for the second time', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 1203, 1204]),
	('half for the fifth time', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 1203, 1204, 1205, 1206, 1207]),
	('back after a half', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 1203, 2407]),
	('one after a double', array[2400, 2401, 2402, 2403, 2404, 2405, 2406, 4812, 2407]),
	('20 to 22 MB', array[20, 20, 20, 22]),
	('20 to 30 MB', array[20, 20, 20, 30]),
	('24 to 12 MB', array[24, 24, 24, 12]),
	('1 to 3 MB', array[1, 1, 1, 3]),
	('nothing', array[1000, 1001, 1002, 0]),
	('45 % more', array[1000, 1000, 1000, 1450])) t(what, sizes);
-- tolerance and floor of one's own
select pg_temp.sizes(array[1000, 1000, 1000, 1450], '{"size_tolerance": 0.5}');
select pg_temp.sizes(array[1000, 1000, 1000, 1100], '{"size_tolerance": 0.05}');
select pg_temp.sizes(array[20, 20, 20, 30], '{"size_floor": 1048576}');

-- like with like: types, major versions and clusters apart, removed ones count
select pg_temp.repository('like'), pg_temp.reading('like') is not null;
select pg_temp.backup('like', 'old' || i, 24 * (20 - i), '{"size_bytes": 9000000000, "pg_version": "14.9"}') from generate_series(1, 5) i;
select pg_temp.backup('like', 'other' || i, 24 * (15 - i), '{"size_bytes": 9000000000, "system_identifier": 1}') from generate_series(1, 5) i;
select pg_temp.backup('like', 'full' || i, 24 * (10 - i), jsonb_build_object('size_bytes', 2400000000 + i)) from generate_series(1, 5) i;
select pg_temp.backup('like', 'full' || i, 24 * (10 - i), jsonb_build_object('size_bytes', 2400000000 + i, 'state', 'removed')) from generate_series(1, 5) i;
select pg_temp.backup('like', 'bad', 24 * 4, '{"size_bytes": 1, "state": "failed"}');
select pg_temp.backup('like', 'new', 24, '{"size_bytes": 2410000000}');
select pg_temp.backup('like', 'incr', 12, '{"size_bytes": 5000000000, "type": "incr", "prior": "new"}');
select label, pg_temp.judged('like', label, 3) as level_3 from unnest(array['new', 'incr', 'bad']) label;
select facts ->> 'compared' as compared, facts -> 'earlier_bytes' as earlier from maintsched.judge_backup('like', 'new') where level = 3;

-- twins
select pg_temp.repository('twin'), pg_temp.reading('twin') is not null;
select pg_temp.backup('twin', 'a', 48, '{"size_bytes": 2400000000, "stored_bytes": 600000000}');
select pg_temp.backup('twin', 'b', 24, '{"size_bytes": 2400000000, "stored_bytes": 600000000}');
select pg_temp.backup('twin', 'c', 12, '{"size_bytes": 2400000000, "stored_bytes": 600000001}');
select pg_temp.backup('twin', 'd', 6, '{"size_bytes": 2400008192, "stored_bytes": 600000002}');
select pg_temp.backup('twin', 'copy', 5, (select jsonb_build_object('size_bytes', 2400008192, 'start_lsn', start_lsn, 'started_at', started_at) from maintsched.backup_states('twin') where label = 'd'));
select label, pg_temp.judged('twin', label, 3) as level_3 from unnest(array['a', 'b', 'c', 'd', 'copy']) label;
-- a standby begins two backups at one position, when its primary made no checkpoint in between
select pg_temp.backup('twin', 'standby', 4, (select jsonb_build_object('size_bytes', 2400016384, 'start_lsn', start_lsn) from maintsched.backup_states('twin') where label = 'd'));
select pg_temp.judged('twin', 'standby', 3) as level_3;
-- one that was given another name is none, nor one that another backup has taken the place of
select pg_temp.repository('renamed'), pg_temp.reading('renamed') is not null;
select pg_temp.backup('renamed', 'backup.0', 24);
select pg_temp.backup('renamed', 'backup.1', 24);
select label, pg_temp.judged('renamed', label, 3) as level_3 from unnest(array['backup.0', 'backup.1']) label;
select pg_temp.backup('renamed', 'backup.0', 24, '{"state": "removed"}');
select pg_temp.judged('renamed', 'backup.1', 3) as level_3;
select pg_temp.backup('renamed', 'backup.0', 6, '{"size_bytes": 2400016384}');
select label, pg_temp.judged('renamed', label, 3) as level_3 from unnest(array['backup.0', 'backup.1']) label;
-- a small database in which nothing happens is not suspicious
select pg_temp.repository('idle'), pg_temp.reading('idle') is not null;
select pg_temp.backup('idle', 'a', 48, '{"size_bytes": 24000000, "stored_bytes": 3000000, "start_lsn": "0/3000028"}');
select pg_temp.backup('idle', 'b', 24, '{"size_bytes": 24000000, "stored_bytes": 3000000, "start_lsn": "0/5000028"}');
select pg_temp.backup('idle', 'c', 12, '{"size_bytes": 24000000, "stored_bytes": 3000000, "start_lsn": "0/C000028"}');
select pg_temp.backup('idle', 'd', 6, '{"size_bytes": 24000000, "stored_bytes": 3000000, "start_lsn": "0/1D000028"}');
select pg_temp.backup('idle', 'e', 5, '{"size_bytes": 24000000, "stored_bytes": 24000000, "start_lsn": "1/3000028"}');
select pg_temp.backup('idle', 'f', 4, '{"size_bytes": 24000000, "stored_bytes": 24000000, "start_lsn": "1/40000028"}');
select pg_temp.backup('idle', 'g', 3, '{"size_bytes": 24000000, "stored_bytes": 24000000, "start_lsn": "1/81000028"}');
select label, pg_temp.judged('idle', label, 3) as level_3 from unnest(array['b', 'c', 'd', 'e', 'f', 'g']) label;

-- Level 4: place, encryption, copies

select place, pattern, maintsched.matches_place(place, pattern)
from (values
	('/srv/backup/main', '/srv/backup'), ('/srv/backup/main', '/srv/backup/'), ('/srv/backup/main', '/srv/*/main'),
	('/srv/backup2', '/srv/backup'), ('/srv/backup2', '/srv/backup?'), ('/srv/backup', '/srv/back_p'),
	('/srv/backup', '/srv/%'), ('/srv/100%/a', '/srv/100%'), ('/srv/a!b', '/srv/a!b'), ('s3:bucket/pg', 's3:bucket/*'),
	('/other/srv/backup', '/srv/backup')) t(place, pattern);
select pg_temp.repository('place', '{"expected_location": "/srv/backup/*", "encrypted": true, "copies": 2}'), pg_temp.reading('place') is not null;
select pg_temp.backup('place', 'unknown', 4), pg_temp.backup('place', 'wrong', 3, '{"location": "/tmp/x", "encrypted": false}');
select label, pg_temp.judged('place', label, 4) as level_4 from unnest(array['unknown', 'wrong']) label;
select pg_temp.backup('place', 'right', 2, '{"location": "/srv/backup/right", "encrypted": true}');
select pg_temp.judged('place', 'right', 4);
-- neither a part of another nor the same one twice is a copy
select pg_temp.repository('copies', '{"copies": 3}'), pg_temp.reading('copies') is not null;
select pg_temp.backup('copies', 'a', 4), pg_temp.backup('copies', 'b', 3), pg_temp.backup('copies', 'c', 2, '{"type": "diff", "prior": "b"}'),
	pg_temp.backup('copies', 'd', 3), pg_temp.backup('copies', 'e', 1, '{"state": "failed"}');
select pg_temp.judged('copies', 'c', 4);

-- Levels 5 and 6: this server is on timeline 3, which left 1 at 0/5800000 and 2
-- at 0/9000000, the boundary of two files of 16 MB

create function pg_temp.server(changes jsonb default '{}') returns jsonb
language sql as $$
	select jsonb_build_object('system_identifier', 7710705250984166260, 'version', 15, 'standby', false, 'segment_size', 16777216,
		'timeline', 3, 'lsn', '0/C000100', 'history', E'1\t0/5800000\tno recovery target specified\n\n2\t0/9000000\tno recovery target specified\n',
		'archive_mode', 'on', 'archives', true, 'last_archived', '00000003000000000000000B', 'last_archived_at', maintsched.clock(),
		'done', '00000003000000000000000B', 'failures', 0, 'ready', 0) || changes
$$;

create function pg_temp.range(first text, last text) returns jsonb
language sql as $$
	select jsonb_build_object('item', 'range', 'timeline', maintsched.wal_timeline(first), 'first', first, 'last', last, 'files', 1, 'modified', maintsched.clock())
$$;

create function pg_temp.archive(ranges jsonb, changes jsonb default '{}') returns jsonb
language sql as $$
	select jsonb_build_object('source', 'files', 'problem', null, 'ranges', ranges, 'damaged', '{}'::jsonb, 'arriving', '[]'::jsonb,
		'partial', '[]'::jsonb, 'histories', jsonb_build_object('2', E'1\t0/5800000\tx\n', '3', pg_temp.server() ->> 'history'), 'files', 9) || changes
$$;

-- names and numbers
select maintsched.wal_number('00000001000000A200000031', 16777216), maintsched.wal_file(1, 41521, 16777216),
	maintsched.wal_number('000000010000000200000003', 1073741824), maintsched.wal_file(1, 11, 1073741824),
	maintsched.wal_number('0000000A0000000100000FFF', 1048576), maintsched.wal_file(10, 8191, 1048576),
	maintsched.wal_start(11, 1073741824), maintsched.wal_number_at('2/C0000000', 1073741824), maintsched.wal_number_at('2/BFFFFFFF', 1073741824);
select timeline, maintsched.lsn_text(until) as until from maintsched.timeline_history(3, pg_temp.server() ->> 'history');
select * from maintsched.timeline_history(1, null);
select timeline, maintsched.lsn_text(until) as until from maintsched.timeline_history(2, E'# comment\n\n  1\t0/5800000\r\nnonsense');
-- from the third file of timeline 1; from the file in which it was left; on 3 itself; no way
select maintsched.wal_path(1, 2, 3, pg_temp.server() ->> 'history', 16777216);
select maintsched.wal_path(1, 5, 3, pg_temp.server() ->> 'history', 16777216);
select maintsched.wal_path(3, 11, 3, pg_temp.server() ->> 'history', 16777216);
select maintsched.wal_path(4, 11, 3, pg_temp.server() ->> 'history', 16777216);

create function pg_temp.level_6(w jsonb, start_at pg_lsn default '0/2000028', end_at pg_lsn default '0/3000100', timeline bigint default 1, s jsonb default pg_temp.server(), own jsonb default '{"source": null}')
returns text
language sql as $$
	select concat_ws(': ', j.result, nullif(array_to_string(j.problems, '; '), ''))
	from jsonb_populate_record(null::maintsched.backup_record, jsonb_build_object('label', 'b', 'start_lsn', start_at, 'end_lsn', end_at,
		'timeline', timeline, 'system_identifier', 7710705250984166260)) b
	cross join jsonb_populate_record(null::maintsched.repository, '{"name": "r", "kind": "basebackup", "archive": "/x"}') r
	cross join lateral maintsched.judge_continuity(r, b, s, w, own) j
$$;

select what, pg_temp.level_6(pg_temp.archive(ranges)) as level_6
from (values
	('all of it', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('more than that', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000007'),
		pg_temp.range('000000020000000000000005', '000000020000000000000009'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('the first one', jsonb_build_array(pg_temp.range('000000010000000000000003', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('the last that it needs, and one more', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000002'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('the last before the switch', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000003'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('the first after it, though the old timeline has one of that number', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000005'),
		pg_temp.range('000000020000000000000006', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('all of a timeline', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000030000000000000009', '00000003000000000000000B'))),
	('the last one', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000A'))),
	('two gaps', jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000006'), pg_temp.range('000000020000000000000008', '000000020000000000000008'),
		pg_temp.range('00000003000000000000000A', '00000003000000000000000B'))),
	('all', '[]')) t(what, ranges);
-- what is said by others of the end does not count where nothing is
select pg_temp.level_6('{"source": null, "problem": "the files of the archive were not seen: permission denied"}');
select pg_temp.level_6('{"source": "none"}'), pg_temp.level_6('{"source": "none"}', own => '{"source": null, "problem": "there is no WAL with it"}');
select pg_temp.level_6('{"source": "none"}', own => pg_temp.archive(jsonb_build_array(pg_temp.range('000000010000000000000002', '000000010000000000000003'))));
select pg_temp.level_6('{"source": "none"}', own => pg_temp.archive(jsonb_build_array(pg_temp.range('000000010000000000000002', '000000010000000000000002'))));
-- an own one stands in, a damaged one does not count, one that arrives is not missed yet, a history is
select pg_temp.level_6(pg_temp.archive(jsonb_build_array(pg_temp.range('00000003000000000000000A', '00000003000000000000000B'))), '0/9000028', '0/9000100', 3,
	own => pg_temp.archive(jsonb_build_array(pg_temp.range('000000030000000000000009', '000000030000000000000009'))));
select pg_temp.level_6(pg_temp.archive(jsonb_build_array(pg_temp.range('000000030000000000000009', '000000030000000000000009'), pg_temp.range('00000003000000000000000B', '00000003000000000000000B')),
	'{"damaged": {"00000003000000000000000A": "has 8192 bytes instead of 16777216"}}'), '0/9000028', '0/9000100', 3);
select pg_temp.level_6(pg_temp.archive(jsonb_build_array(pg_temp.range('000000030000000000000009', '00000003000000000000000A')),
	'{"arriving": ["00000003000000000000000B"]}'), '0/9000028', '0/9000100', 3);
select pg_temp.level_6(pg_temp.archive(jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', '00000003000000000000000B')),
	'{"histories": {"2": "1\t0/5800000\tx"}}'));
-- promoted just now, and nothing archived of it yet
select pg_temp.level_6(pg_temp.archive(jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'))), s => pg_temp.server('{"last_archived": null, "done": null}'));
-- where it is not known what it needs
select pg_temp.level_6(pg_temp.archive('[]'), null, null), pg_temp.level_6(pg_temp.archive('[]'), timeline => null);

create function pg_temp.level_5(w jsonb, backup jsonb default '{}', s jsonb default pg_temp.server(), place jsonb default '{}', seen jsonb default '{}')
returns text
language sql as $$
	select concat_ws(': ', j.result, nullif(array_to_string(j.problems, '; '), ''))
	from jsonb_populate_record(null::maintsched.backup_record, jsonb_build_object('label', 'b', 'start_lsn', '0/2000028', 'end_lsn', '0/3000100',
		'timeline', 1, 'system_identifier', 7710705250984166260, 'pg_version', '15', 'finished_at', maintsched.clock() - interval '3 hours') || backup) b
	cross join jsonb_populate_record(null::maintsched.repository, '{"name": "r", "kind": "basebackup", "archive": "/x", "max_age": "25 hours"}'::jsonb || place) r
	cross join jsonb_populate_record(null::maintsched.backup_reading, '{"source": "tool", "facts": {"tool": "pgBackRest", "archives": []}}'::jsonb || seen) x
	cross join lateral maintsched.judge_archive(r, b, 'b', x, s, w) j
$$;

create function pg_temp.whole(last text default '00000003000000000000000B', changes jsonb default '{}') returns jsonb
language sql as $$
	select pg_temp.archive(jsonb_build_array(pg_temp.range('000000010000000000000001', '000000010000000000000004'),
		pg_temp.range('000000020000000000000005', '000000020000000000000008'), pg_temp.range('000000030000000000000009', last)), changes)
$$;

-- a position that this server has not reached is at the end of its WAL
select pg_temp.level_5(pg_temp.whole(), s => pg_temp.server('{"lsn": "0/C000000"}'));
-- identity
select pg_temp.level_5(pg_temp.whole(), '{"system_identifier": 7710705250984166400}', pg_temp.server('{"lsn": "0/C000000"}'));
select pg_temp.level_5(pg_temp.whole(), '{"system_identifier": 18446744073709551615}', pg_temp.server('{"lsn": "0/C000000"}'), '{"system_identifier": 18446744073709551615}');
select pg_temp.level_5(pg_temp.whole(), '{"pg_version": "14.9"}', pg_temp.server('{"lsn": "0/C000000"}'));
select pg_temp.level_5(pg_temp.whole(changes => '{"damaged": {"000000030000000000000009": "is of another cluster, with system identifier 1", "00000003000000000000000A": "is of another cluster, with system identifier 1"}}'),
	s => pg_temp.server('{"lsn": "0/C000000"}'));
select pg_temp.level_5(pg_temp.whole(), '{"system_identifier": null}', pg_temp.server('{"lsn": "0/C000000"}'));
select pg_temp.level_5(pg_temp.whole(changes => '{"source": "pgBackRest"}'), '{"system_identifier": null}', pg_temp.server('{"lsn": "0/C000000"}'));
-- timelines
select pg_temp.level_5(pg_temp.whole(), backup, pg_temp.server('{"lsn": "0/C000000"}'))
from (values
	('{"timeline": 1, "end_lsn": "0/5800000"}'::jsonb),
	('{"timeline": 1, "end_lsn": "0/5800001"}'),
	('{"timeline": 2, "end_lsn": "0/9000000"}'),
	('{"timeline": 2, "end_lsn": "0/9000001"}'),
	('{"timeline": 3, "end_lsn": "0/C000000"}'),
	('{"timeline": 3, "end_lsn": "0/C000001"}'),
	('{"timeline": 4}'),
	('{"timeline": null}'),
	('{"timeline": null, "end_wal": "000000020000000000000009"}')) t(backup);
select pg_temp.level_5(pg_temp.whole(changes => jsonb_build_object('histories', jsonb_build_object('4', E'1\t0/5800000\tx\n2\t0/8000000\tx\n'))), s => pg_temp.server('{"lsn": "0/C000000"}'));
-- a standby is behind a timeline that it will follow
select pg_temp.level_5(pg_temp.whole(changes => jsonb_build_object('histories', jsonb_build_object('4', E'1\t0/5800000\tx\n2\t0/8000000\tx\n'))), s => pg_temp.server('{"lsn": "0/C000000", "standby": true}'));
-- sources that do not agree
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A'), s => pg_temp.server('{"lsn": "0/B000000"}'));
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A'), s => pg_temp.server('{"lsn": "0/B000000", "last_archived": "00000003.history", "done": null}'));
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A'), s => pg_temp.server('{"lsn": "0/B000000", "last_archived": "00000003000000000000000B.00000028.backup", "done": null}'));
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A'), s => pg_temp.server('{"lsn": "0/B000000", "last_archived": "00000003000000000000000B.partial", "done": null}'));
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A', '{"damaged": {"00000003000000000000000B": "is empty"}}'), s => pg_temp.server('{"lsn": "0/B000000"}'));
select pg_temp.level_5(pg_temp.whole('00000003000000000000000A', '{"arriving": ["00000003000000000000000B"]}'), s => pg_temp.server('{"lsn": "0/B000000"}'));
select pg_temp.level_5(pg_temp.whole(), s => pg_temp.server('{"lsn": "0/C000000"}'),
	seen => '{"facts": {"tool": "pgBackRest", "archives": [{"id": "15-1", "last": "00000003000000000000000C"}]}}');
select pg_temp.level_5(pg_temp.archive('[]'), s => pg_temp.server('{"lsn": "0/C000000", "last_archived": null, "done": null}'));
-- the archiver fails, and more than that is there to archive
select pg_temp.level_5(pg_temp.whole(), s => pg_temp.server('{"lsn": "0/C000000", "last_failed": "00000003000000000000000C", "last_failed_at": "2026-11-22 12:00:01+00", "failures": 3}'));
select pg_temp.level_5(pg_temp.whole(), s => pg_temp.server('{"lsn": "0/C000000", "last_archived_at": "2026-11-22 11:00:00+00", "last_failed": "00000003000000000000000C", "last_failed_at": "2026-11-22 10:00:00+00", "failures": 3}'));
-- where the files are not seen, two others must agree
select pg_temp.level_5('{"source": null, "problem": "the files of the archive were not seen: they are not here"}', s => pg_temp.server('{"lsn": "0/C000000"}'));
select pg_temp.level_5('{"source": null, "problem": "the files of the archive were not seen: they are not here"}', s => pg_temp.server('{"lsn": "0/C000000"}'),
	seen => '{"facts": {"tool": "Barman", "archives": [{"id": "main", "last": "00000003000000000000000B"}]}}');
select pg_temp.level_5('{"source": null, "problem": "the files of the archive were not seen: they are not here"}', s => pg_temp.server('{"lsn": "0/C000000"}'),
	seen => '{"facts": {"tool": "Barman", "archives": [{"id": "main", "last": "00000003000000000000000A"}]}}');
-- without an archive, the age of the newest backup is what counts
select pg_temp.level_5('{"source": "none"}'), pg_temp.level_5('{"source": "none"}', place => '{"rpo": "3 hours"}'),
	pg_temp.level_5('{"source": "none"}', place => '{"rpo": "2 hours"}'), pg_temp.level_5('{"source": "none"}', '{"label": "older"}', place => '{"rpo": "2 hours"}');

-- What was recorded, and what counts of it now

select pg_temp.repository('status', '{"system_identifier": 7710705250984166260}'), pg_temp.reading('status') is not null;
select repository, label, level, verdict, problems from maintsched.backup_status where repository = 'status';
select pg_temp.backup('status', 'old', 20), pg_temp.backup('status', 'new', 2);
create function pg_temp.status() returns table (label text, level smallint, level_name text, verdict text, newest boolean, problems text)
language sql as $$
	select s.label, s.level, s.level_name, s.verdict, s.newest, array_to_string(s.problems, '; ')
	from maintsched.backup_status s where s.repository = 'status'
$$;
select * from pg_temp.status();
select maintsched.record_check('status', 'new', l, 'pass') from generate_series(0, 6) l;
select maintsched.record_check('status', 'old', l, case when l = 5 then 'fail' else 'pass' end, case when l = 5 then array['the archive is gone'] else '{}' end)
from generate_series(0, 12) l;
select * from pg_temp.status();
select maintsched.record_check('status', 'old', 5, 'pass');
select * from pg_temp.status();
select maintsched.record_check('status', 'new', 3, 'not_applicable', array['the first of its kind']);
select maintsched.record_check('status', 'new', 7, 'not_checked', array['its files cannot be read here']);
select * from pg_temp.status();
select maintsched.record_check('status', 'new', 7, 'fail', array['base/1/1259 differs']);
select * from pg_temp.status();
select maintsched.record_check('status', 'new', 7, 'pass', seconds => 1.23456);
select * from pg_temp.status();
\set VERBOSITY terse
-- neither without words, nor what is no result, nor beyond the ladder
select maintsched.record_check('status', 'new', 7, 'fail');
select maintsched.record_check('status', 'new', 7, 'ok');
select maintsched.record_check('status', 'new', 13, 'pass');
\set VERBOSITY default
select item, status, value, detail, hint from maintsched.health where item in ('backups', 'repositories');
select title, sentence from maintsched.status_page where title = 'Backups' and sentence ~ 'status';

-- time goes by: a day
set maintsched.now = '2026-11-23 15:00:00+00';
select * from pg_temp.status();
select pg_temp.reading('status') is not null;
select * from pg_temp.status();
-- nine days: what was verified then is not verified now; a failure stays one
set maintsched.now = '2026-12-01 15:00:00+00';
select pg_temp.reading('status') is not null, pg_temp.backup('status', 'newer', 1);
select maintsched.record_check('status', 'newer', l, 'pass') from generate_series(0, 6) l;
select maintsched.record_check('status', 'old', 10, 'fail', array['amcheck found something']);
select * from pg_temp.status();
set maintsched.now = '2026-12-11 15:00:00+00';
select pg_temp.reading('status') is not null, pg_temp.backup('status', 'newer', 1, '{"state": "removed"}'), pg_temp.backup('status', 'new', 2, '{"state": "removed"}');
select * from pg_temp.status();
-- an earlier clock does not know of it
set maintsched.now = '2026-11-22 12:00:00+00';
select * from pg_temp.status();

-- The log: in order, as one would have it in a file

copy (
	select checked_at, label, level, check_name, result, problems, calendar, task, run_id, seconds
	from maintsched.backup_log where label = 'new' and level > 5) to stdout (format csv, header);

-- Notices: once, when it begins to fail

set maintsched.now = '2026-12-11 15:00:00+00';
select kind, subject, body from maintsched.notices where kind in ('backup_failed', 'repository_unread', 'drill_failed');
select maintsched.install_calendar('smartmed') is not null;
select maintsched.send_notices() is not null;
set maintsched.now = '2026-12-11 15:20:00+00';
select maintsched.record_check('status', 'old', l, 'fail', array['WAL is missing']) from generate_series(5, 6) l;
select pg_temp.reading('chain', false, message => 'the tool hangs') is not null;
insert into maintsched.drill (repository, label, target, scratch) values ('status', 'old', 'latest', '/srv/drill/1');
insert into maintsched.drill_result (drill_id, verdict, failed_step, removed, message) values (1, 'fail', 'start', false, 'the server did not start.');
select maintsched.send_notices() is not null;
select kind, subject, body from maintsched.notices where kind in ('backup_failed', 'repository_unread', 'drill_failed') order by notice_id;
set maintsched.now = '2026-12-11 15:40:00+00';
select maintsched.record_check('status', 'old', 6, 'fail', array['WAL is missing']);
select maintsched.send_notices() is not null;
select count(*) from maintsched.notices where kind = 'backup_failed';
-- mended, and broken again
set maintsched.now = '2026-12-11 16:00:00+00';
select maintsched.record_check('status', 'old', 6, 'pass');
set maintsched.now = '2026-12-11 16:20:00+00';
select maintsched.record_check('status', 'old', 6, 'fail', array['WAL is missing again']);
select maintsched.send_notices() is not null;
select kind, subject, body from maintsched.notices where kind = 'backup_failed' order by notice_id desc limit 1;

-- pg_monitor sees no words of tools

create role regress_monitor;
grant pg_monitor to regress_monitor;
set role regress_monitor;
select label, level, verdict from maintsched.backup_status where repository = 'status';
select problems from maintsched.backup_status;
select count(problems) from maintsched.backup_standing();
select problems from maintsched.backup_log;
select count(*) > 0 from maintsched.health;
reset role;
drop owned by regress_monitor;
drop role regress_monitor;
select count(problems) > 0 from maintsched.backup_standing();

set client_min_messages = warning;
drop extension maintsched;
reset maintsched.now;
create extension maintsched;
