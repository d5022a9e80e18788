--
-- Routine health: parameters, what its runs measure, the view, and who may see
-- it.  What the live items say of a server that is not well: t/044_health.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

--
-- Parameters
--
select maintsched.check_params('health', '{"connections_warn": 0.7, "connections_crit": null, "transaction_warn": "30 min", "slots_bytes_warn": "500 MB",
	"freeze_warn": 2, "exclude": ["disk space", "planning"], "exclude_objects": ["old.*"], "time_limit": "1 min"}');
select maintsched.check_params('health', '{"conections_warn": 0.7}');
select maintsched.check_params('health', '{"connections_warn": 80}');
select maintsched.check_params('health', '{"freeze_warn": 0.5}');
select maintsched.check_params('health', '{"transaction_warn": 60}');
select maintsched.check_params('health', '{"exclude": ["disc space"]}');
select maintsched.check_params('health', '{"exclude": "disk space"}');
select maintsched.check_params('health', '{"exclude": []}');
select maintsched.check_params('health', '{"exclude_objects": "old"}');
select maintsched.measure_health('{"connections_warn": "many"}');
-- the defaults are parameters that it takes
select maintsched.check_params('health', r.defaults) from maintsched.routine r where r.name = 'health';
-- and all of its items have names that exclude takes
select array_agg(h.item order by h.item collate "C") = array(select i from unnest(maintsched.health_items()) i order by i collate "C") as all_named
from maintsched.health h;

select seq, target, command, fits_window from maintsched.plan('health');
select command from maintsched.plan('health', '{"exclude": ["disk space"], "disk_warn": 0.85, "time_limit": "1 min"}');

--
-- Before the first run; what it keeps; and when that is too old.
--
create function pg_temp.report(items text[])
returns table (item text, status text, value text, detail text, hint text) language sql as $$
	select h.item, h.status, h.value, regexp_replace(h.detail, ' \(measured less than a minute ago\)', ''), h.hint
	from maintsched.health h
	where h.item = any (items)
	order by array_position(items, h.item)
$$;
select item, status, detail, hint, measured_at from maintsched.health where item = 'sequences';
select count(*) as unknown from maintsched.health where scope = 'database' and status = 'UNKNOWN';

create schema regress_maintsched_h;
create schema "regress_maintsched Odd";
set search_path = regress_maintsched_h;
select maintsched.measure_health('{"exclude_objects": ["maintsched"], "unused_after": "1 microsecond", "unused_bytes": 0}') > 0 as some_not_ok;
\x
select * from pg_temp.report('{tables to freeze,tables without autovacuum,sequences,disabled triggers,constraints not validated,invalid indexes,duplicate indexes}');

-- everything at once that can be wrong
create table parent (id integer primary key, label text);
create table child (id integer, parent_id integer references parent, label text);
create table "regress_maintsched Odd"."it's ""one"" \x" (id smallserial, "a%s" integer) with (autovacuum_enabled = off);
insert into child select i, null, 'x' from generate_series(1, 10) i;
alter table child add constraint positive check (id > 5) not valid;
create domain positive_number as integer;
alter domain positive_number add constraint above check (value > 0) not valid;
create function nothing() returns trigger language plpgsql as 'begin return null; end';
create trigger watch after insert on child for each row execute function nothing();
alter table child disable trigger watch;
alter table parent disable trigger all;
-- two in one minute leave an index that is not valid
create unique index concurrently child_label on child (label);
create index child_id on child (id);
create index child_id_again on child (id);
create index child_lower on child (lower(label)) where id > 3;
create index child_lower_again on child (lower(label)) where id > 3;
create index child_lower_else on child (lower(label)) where id > 4;
create index child_desc on child (id desc);
create index child_more on child (id) include (label);
create unique index parent_id_again on parent (id);
alter table child set (autovacuum_enabled = false);
select setval(pg_get_serial_sequence('"regress_maintsched Odd"."it''s ""one"" \x"', 'id'), 29491);
-- one that is used
insert into parent select i, 'x' from generate_series(1, 1000) i;
create index parent_label on parent (label, id);
analyze parent;
set enable_seqscan = off;
set enable_bitmapscan = off;
select count(*) from parent where label = 'x' and id = 7;
reset enable_seqscan;
reset enable_bitmapscan;
select pg_stat_force_next_flush();
select maintsched.measure_health('{"exclude_objects": ["maintsched"], "unused_after": "1 microsecond", "unused_bytes": 0}') > 0 as some_not_ok;
select * from pg_temp.report('{tables without autovacuum,sequences,disabled triggers,constraints not validated,invalid indexes,duplicate indexes}');
-- (size and age of the statistics differ)
select status, value, detail ~ 'child_desc' as child_desc, detail ~ 'parent_label' as parent_label, hint like 'An index may be new%drop index concurrently regress_maintsched_h.child%' as hint
from maintsched.health where item = 'unused indexes';
select figure > 0.9 as figure from maintsched.health where item = 'sequences';
\x

-- what is left out by name
select maintsched.measure_health('{"exclude_objects": ["maintsched", "regress_maintsched_h.child*", "regress_maintsched_h.p*", "regress_maintsched Odd"]}') is not null as measured;
select item, status, value from pg_temp.report('{tables without autovacuum,sequences,disabled triggers,constraints not validated,invalid indexes,duplicate indexes}');

-- items that are not judged stay, and say so; the verdict is without them
select maintsched.measure_health('{"exclude": ["tables without autovacuum", "planning"]}') is not null as measured;
select item, status, value, detail, hint from pg_temp.report('{tables without autovacuum,planning}');

-- each hint is a statement that mends it
select regexp_replace(hint, '^.*?((alter|drop|reindex) .*?;).*$', '\1') as mend
from maintsched.health
where item in ('tables without autovacuum', 'disabled triggers', 'constraints not validated', 'duplicate indexes', 'invalid indexes') and status <> 'OK'
order by item;
delete from child where id <= 5;
select maintsched.measure_health() is not null as measured;
select regexp_replace(hint, '^.*?((alter|drop|reindex) .*?;).*$', '\1') as mend
from maintsched.health
where item in ('tables without autovacuum', 'disabled triggers', 'constraints not validated', 'duplicate indexes', 'invalid indexes') and status <> 'OK'
order by item
\gexec
select maintsched.measure_health() is not null as measured;
select item, value from pg_temp.report('{tables without autovacuum,disabled triggers,constraints not validated,invalid indexes,duplicate indexes}');
alter table child reset (autovacuum_enabled);
alter table "regress_maintsched Odd"."it's ""one"" \x" reset (autovacuum_enabled);
-- of a toast table alone
alter table parent set (toast.autovacuum_enabled = off);
select t.status, t.detail, t.hint from maintsched.health_tables((select r.defaults from maintsched.routine r where r.name = 'health')) t
where t.item = 'tables without autovacuum';
alter table parent reset (toast.autovacuum_enabled);
alter table parent enable trigger all;
alter table child enable trigger all;
alter domain positive_number validate constraint above;
alter table child validate constraint positive;
drop index child_lower_again, child_id_again;
select maintsched.measure_health() is not null as measured;
select item, status, value, detail from pg_temp.report('{tables without autovacuum,disabled triggers,constraints not validated,invalid indexes,duplicate indexes}');

-- after two days nobody knows
update maintsched.health_result set measured_at = clock_timestamp() - interval '47 hours' where item = 'sequences';
update maintsched.health_result set measured_at = clock_timestamp() - interval '49 hours' where item = 'invalid indexes';
\x
select status, detail, hint from maintsched.health where item in ('sequences', 'invalid indexes') order by item;
\x
-- wherever maintsched.now may stand
set maintsched.now = '2036-01-01';
select item, status from maintsched.health where item in ('sequences', 'invalid indexes', 'duplicate indexes') order by item;
reset maintsched.now;

-- an error of one group is no error of the others
begin;
create or replace function maintsched.health_prepared(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
	return query select 'prepared transactions', 'OK', 0::double precision, '0', 'fine', null::text;
	raise insufficient_privilege using message = 'permission denied for view of this test';
end $$;
select item, status, value, detail, hint from maintsched.health where item in ('prepared transactions', 'lock waits') order by item;
rollback;

-- what was found is kept, a line for each item and day
select count(*) = (select count(*) from maintsched.health where scope <> 'maintsched') as all_items, count(distinct day) as days,
	count(*) filter (where item = 'duplicate indexes' and status = 'OK' and figure = 0 and value = '0') as newest
from maintsched.health_history;
update maintsched.health_day set day = day - 401 where item = 'sequences';
update maintsched.health_day set day = day - 400 where item = 'version';
select maintsched.measure_health() is not null as measured;
select item, count(*) from maintsched.health_history where item in ('sequences', 'version') group by 1 order by 1;

--
-- Sequences: of what they may give, and of what their column takes.
--
create function pg_temp.one(sequence text) returns table (status text, value text, detail text, hint text) language sql as $$
	select s.status, s.value, s.detail, s.hint
	from maintsched.health_sequences((select r.defaults from maintsched.routine r where r.name = 'health')
		|| jsonb_build_object('exclude_objects', (
			select jsonb_agg(n.nspname || '.' || c.relname)
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind = 'S' and (n.nspname <> 'regress_maintsched_h' or c.relname <> sequence)))) s
$$;
create table numbers (a serial, b integer, c bigserial, d positive_number, e smallint, f integer generated always as identity, g bigint);
create sequence plain_int as integer;
create sequence for_b;
alter table numbers alter b set default nextval('for_b');
create sequence for_d;
alter table numbers alter d set default nextval('for_d') + 1;
create sequence cycling maxvalue 10 cycle;
create sequence for_e cycle owned by numbers.e;
create sequence down increment -1 minvalue -100 maxvalue -1;
create sequence by_ten increment 10 maxvalue 100;
create sequence negative minvalue -2147483648 maxvalue 2147483647 start 1;
create sequence late as integer start 2147483640;
create sequence unused_one maxvalue 2;
select setval('numbers_a_seq', 1610612735), setval('for_b', 1610612736), setval('for_d', 2147483647), setval('numbers_c_seq', 2147483647),
	setval('cycling', 10), setval('for_e', 32767), setval('down', -90), setval('by_ten', 91), setval('negative', 1073741824), setval('numbers_f_seq', 1932735283);
select s.name, o.status, o.value, o.detail
from unnest(array['plain_int', 'numbers_a_seq', 'for_b', 'for_d', 'numbers_c_seq', 'cycling', 'for_e', 'down', 'by_ten', 'negative', 'late', 'unused_one', 'numbers_f_seq']) s(name),
	pg_temp.one(s.name) o;
select hint from pg_temp.one('for_b');
select hint from pg_temp.one('by_ten');
-- the others are named
select s.detail from maintsched.health_sequences((select r.defaults from maintsched.routine r where r.name = 'health')
	|| '{"exclude_objects": ["maintsched", "public"]}') s;
-- a hint is statements that mend it, downwards, too
create sequence down_again as smallint increment -1;
create table narrow (id integer generated by default as identity (increment -1), other smallint);
create sequence for_other owned by narrow.other;
alter table narrow alter other set default nextval('for_other');
select setval('down', -95), setval('down_again', -32000), setval('narrow_id_seq', -2000000000), setval('for_other', 32000);
select s.name, o.status, o.hint from unnest(array['down', 'down_again', 'narrow_id_seq', 'for_other']) s(name), pg_temp.one(s.name) o;
select x.statement || ';' as mend
from unnest(array['down', 'down_again', 'narrow_id_seq', 'for_other']) s(name), pg_temp.one(s.name) o,
	lateral regexp_matches(o.hint, '(alter [^;]+);', 'g') with ordinality m(words, place),
	lateral (select m.words[1] as statement) x
order by s.name, m.place
\gexec
select s.name, o.status, o.value from unnest(array['down', 'down_again', 'narrow_id_seq', 'for_other']) s(name), pg_temp.one(s.name) o;
drop table narrow;

--
-- Partitions: an index of one that belongs to its parent's is not told apart.
--
create table part (a integer, b integer) partition by range (a);
create table part_1 partition of part for values from (0) to (10);
create table part_2 partition of part for values from (10) to (20);
create index part_b on part (b);
create index part_b_again on part (b);
create index part_1_b_own on part_1 (b);
create index part_a on only part (a);
insert into part select i, i from generate_series(0, 19) i;
\x
select i.item, i.status, i.value, regexp_replace(i.detail, 'within .*, (\d+ \w+ in all)', 'within ..., \1') as detail, i.hint
from maintsched.health_indexes((select r.defaults from maintsched.routine r where r.name = 'health')
	|| '{"exclude_objects": ["maintsched", "regress_maintsched_h.parent*", "regress_maintsched_h.child*"], "unused_after": "1 microsecond", "unused_bytes": 0}') i;
\x

--
-- Indexes that are not the same: what they can answer, or forbid, differs.
--
create table alike (a integer, b text, c integer, constraint alike_now unique (a), constraint alike_later unique (a) deferrable);
create index alike_b on alike (b);
create index alike_pattern on alike (b text_pattern_ops);
create index alike_posix on alike (b collate "POSIX");
create index alike_c on alike (c);
create index alike_down on alike (c desc);
create index alike_nulls_first on alike (c nulls first);
create index alike_more on alike (c, a);
create index alike_include on alike (c) include (a);
create index alike_some on alike (c) where a > 1;
create index alike_hash on alike using hash (c);
create index alike_coarse on alike using brin (c);
create index alike_fine on alike using brin (c) with (pages_per_range = 8);
create function pg_temp.doubled() returns table (value text, names text) language sql as $$
	select i.value, regexp_replace(i.detail, '^.*in all: ', '')
	from maintsched.health_indexes((select r.defaults from maintsched.routine r where r.name = 'health')
		|| '{"exclude_objects": ["maintsched", "regress_maintsched_h.pa*", "regress_maintsched_h.child*"]}') i
	where i.item = 'duplicate indexes'
$$;
select * from pg_temp.doubled();
-- how full the pages are does not tell them apart, nor does a name
create index alike_again on alike using hash (c) with (fillfactor = 50);
select * from pg_temp.doubled();

--
-- Runs: what failed is named until one like it succeeded.
--
create function pg_temp.item(item text) returns table (status text, value text, detail text, hint text) language sql as $$
	select h.status, h.value, h.detail, h.hint from maintsched.health h where h.item = item.item
$$;
create function pg_temp.ran(routine text, state text, ago interval) returns void language sql as $$
	insert into maintsched.run (routine, params, run_as, change_class, state, requested_by, queued_at, not_before, started_at, finished_at)
	select ran.routine, '{}', current_user, 'none', ran.state, 'somebody', t, t, t, t from (select now() - ran.ago) x(t)
$$;
begin;
select * from pg_temp.item('runs');
select pg_temp.ran('vacuum', 'failed', '25 hours');
select * from pg_temp.item('runs');
select pg_temp.ran('vacuum', 'failed', '3 hours'), pg_temp.ran('vacuum', 'interrupted', '2 hours'), pg_temp.ran('reindex', 'failed', '1 hour');
select * from pg_temp.item('runs');
select pg_temp.ran('vacuum', 'succeeded', '0');
select * from pg_temp.item('runs');
select pg_temp.ran('reindex', 'partial', '0');
select status, value from pg_temp.item('runs');
select pg_temp.ran('reindex', 'succeeded', '0');
select * from pg_temp.item('runs');
rollback;

--
-- Archives: of each, its last verification counts.
--
begin;
select * from pg_temp.item('archives');
insert into maintsched.archive_file (archive_id, schema_name, table_name, owner, owner_oid, columns, time_column, before_limit, rows, oldest, newest,
	bytes, content_bytes, sha256, content_sha256, manifest_sha256, encoding, root, directory, file, manifest_file, manifest, keep_until)
select i, 'audit', 'log', 'somebody', 1, '{at}', 'at', '2021-01-01', 10, '2020-01-01', '2020-12-31',
	100, 200, repeat('0', 64), repeat('0', 64), repeat('0', 64), 'UTF8', '/srv/archive', 'shop/audit/log', format('%s.copy.gz', i), format('%s.json', i), '{}', now()
from generate_series(1, 5) i;
select * from pg_temp.item('archives');
insert into maintsched.archive_verification (archive_id, ok) values (1, true), (2, true), (3, true);
select * from pg_temp.item('archives');
insert into maintsched.archive_verification (archive_id, ok, problem) values (2, false, 'its file is not what was written'), (3, false, 'its file is gone'),
	(4, false, 'its file is gone'), (5, false, 'its file is gone');
insert into maintsched.archive_removal (archive_id, reason) values (5, 'its time was over');
insert into maintsched.archive_verification (archive_id, ok) values (4, true);
\x
select * from pg_temp.item('archives');
\x
rollback;

--
-- Versions: by dates known and dates planned.
--
select n, maintsched.planned_release(date '2026-11-12', n) from generate_series(1, 6) n;
select maintsched.planned_release('2026-02-11', 1) as the_day_before, maintsched.planned_release('2026-02-12', 1) as the_day;
select v.num, v.today, j.status, j.figure, j.detail
from (values
	(150020, '15.20', date '2026-11-22'),
	(150018, '15.18', '2026-11-22'),
	(150020, '15.20', '2027-02-11'),
	(150020, '15.20', '2027-02-12'),
	(150020, '15.20', '2027-03-13'),
	(150021, '15.21', '2027-03-13'),
	(150020, '15.20', '2027-05-13'),
	(150023, '15.23', '2027-11-11'),
	(150023, '15.23', '2027-11-12'),
	(160000, '16.0', '2023-10-01'),
	(160013, '16.13', '2026-05-01'),
	(170002, '17.2', '2024-12-01'),
	(180001, '18.1', '2025-11-14'),
	(190000, '19beta2', '2026-08-01'),
	(190001, '19.1', '2026-11-22'),
	(140020, '14.20', '2026-11-22'),
	(200000, '20.0', '2027-10-01')) v(num, name, today)
cross join lateral maintsched.judge_version(v.num, v.name, v.today, '30 days') j;

--
-- Wraparound: what autovacuum should have done, and where the end is near.
--
select x.age, x.frozen_at, maintsched.wraparound_status(x.age, x.frozen_at, '{"freeze_warn": 1.5, "wraparound_crit": 0.5}')
from (values
	(250e6, 200e6), (299e6, 200e6), (300e6, 200e6), (1073e6, 200e6), (1074e6, 200e6),
	(1500e6, 1500e6), (1717e6, 1500e6), (1718e6, 1500e6), (1932e6, 1500e6), (1933e6, 1500e6), (1933e6, 2000e6)) x(age, frozen_at);
select maintsched.wraparound_status(1e9, 200e6, '{"freeze_warn": null, "wraparound_crit": 0.5}') as not_warned;

--
-- Who may see it, and who may measure.
--
create role regress_maintsched_viewer;
create role regress_maintsched_operator;
create role regress_maintsched_manager;
create role regress_maintsched_nobody;
select maintsched.grant_access('regress_maintsched_viewer', 'viewer');
select maintsched.grant_access('regress_maintsched_operator', 'operator');
select maintsched.grant_access('regress_maintsched_manager', 'manager');
set role regress_maintsched_viewer;
select count(*) = cardinality(array_agg(distinct item)) as readable, count(*) filter (where detail like '%could not be judged%') as not_judged from maintsched.health;
select count(*) > 0 as readable from maintsched.health_history;
select maintsched.measure_health();
select * from maintsched.health_result;
select maintsched.health_locks('{}');
select maintsched.judge_group('health_locks', '{}', '{}');
set role pg_monitor;
select count(*) = cardinality(array_agg(distinct item)) as readable, count(*) filter (where detail like '%could not be judged%') as not_judged from maintsched.health;
select count(*) > 0 as readable from maintsched.health_history;
select maintsched.measure_health();
set role regress_maintsched_operator;
select maintsched.measure_health();
set role regress_maintsched_nobody;
select * from maintsched.health;
set role regress_maintsched_manager;
select maintsched.measure_health() is not null as measured;
select count(*) from maintsched.plan('health');
update maintsched.health_result set status = 'OK';
reset role;

-- the verdict names items, and nothing else
set maintsched.now = '2036-01-01';
select maintsched.measure_health('{"exclude": ["durability", "sequences", "autovacuum", "version", "disk space"]}') is not null as measured;
select maintsched.judge_health();
reset maintsched.now;
update maintsched.health_result set measured_at = '2020-01-01' where item in ('invalid indexes', 'unused indexes');
select maintsched.judge_health();
select maintsched.measure_health('{"exclude": ["durability", "autovacuum", "version", "disk space"]}') is not null as measured;
select maintsched.judge_health();

--
-- Lines of checklists: people's task, and a line that the database can tick.
--
set maintsched.now = '2036-01-01 08:00Z';
\o /dev/null
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "watch", "title": "Watch", "tasks": [
	{"name": "morning", "title": "Morning", "teams": ["On-call"], "controls": [], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T09:00:00", "due_within": "PT15H",
		"checklist": [{"text": "No alerts"}, {"text": "All checks pass", "routine": "health"}]},
	{"name": "logs", "title": "Logs", "teams": ["On-call"], "controls": [], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T09:00:00", "due_within": "PT15H",
		"checklist": [{"text": "Logs are cleaned up", "routine": "log_cleanup"}]}]}');
\o
set maintsched.now = '2036-01-01 08:59Z';
select maintsched.tick() as before;
select wanted_at from maintsched.next_lines(maintsched.clock());
set maintsched.now = '2036-01-01 09:00Z';
select maintsched.tick() as at_its_time;
select maintsched.tick() as queued_already;
select routine, run_as = current_user as as_owner, change_class, requested_by, reason, not_before, state from maintsched.run order by run_id;
-- where that fails, again in an hour
select maintsched.begin_run(max(run_id), 0, now()) is not null as begun from maintsched.run;
select maintsched.finish_run(max(run_id), 'error', 'health is CRIT: durability', '55000') from maintsched.run;
select wanted_at from maintsched.next_lines(maintsched.clock());
set maintsched.now = '2036-01-01 09:59Z';
select maintsched.tick() as too_early;
set maintsched.now = '2036-01-01 10:00Z';
select maintsched.tick() as an_hour_later;
select maintsched.begin_run(max(run_id), 0, now()) is not null as begun from maintsched.run;
select maintsched.finish_run(max(run_id), 'done') from maintsched.run;
select item, passed, note ~ '^run [0-9]+$' as by_run from maintsched.checklist where calendar = 'watch' and task = 'morning' order by item;
select maintsched.tick() as ticked;
set maintsched.now = '2036-01-01 12:00Z';
select maintsched.tick() as still_ticked;
-- the next day's is open; somebody looks at it himself
set maintsched.now = '2036-01-02 09:00Z';
select maintsched.check_item(max(o.occurrence_id), 2, false, 'a disk is full')
from maintsched.occurrence_status o where o.task = 'morning' and o.status = 'due';
select maintsched.tick() as left_to_people;
reset maintsched.now;

reset search_path;
set client_min_messages = warning;
drop schema regress_maintsched_h, "regress_maintsched Odd" cascade;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_viewer, regress_maintsched_operator, regress_maintsched_manager, regress_maintsched_nobody;
