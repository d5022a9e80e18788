--
-- Routines reindex and optimize: parameters, what is planned and why, what is
-- not.  What they do is tested in test/t/042_reindex.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

select name, plan, defaults, change_class from maintsched.routine where name in ('reindex', 'optimize') order by name;

--
-- Parameters
--
select maintsched.check_params('reindex', '{}');
select maintsched.check_params('reindex', '{"include": ["sales"], "exclude": ["*.small"], "min_bloat": 0.5, "min_wasted": "1 GB", "min_interval": "1 month",
	"min_free": 0, "lock_timeout": "1 min", "sample_pages": 300, "overrides": {"sales": {"min_bloat": 0, "min_wasted": 0, "min_interval": "1 day"}}}');
select maintsched.check_params('reindex', '{"min_blot": 0.5}');
select maintsched.check_params('reindex', '{"min_bloat": 30}');
select maintsched.check_params('reindex', '{"min_free": "-1 GB"}');
select maintsched.check_params('reindex', '{"min_interval": "now"}');
select maintsched.check_params('reindex', '{"sample_pages": 0}');
select maintsched.check_params('reindex', '{"lock_timeout": "0 s"}');
select maintsched.check_params('reindex', '{"overrides": {"sales": {"min_free": 0}}}');
select maintsched.check_params('optimize', '{"include": ["sales"], "min_bloat": 0.5, "analyze": {"exclude": ["sales.log"]}, "bloat": null, "reindex": {"min_free": 0, "overrides": {"sales.log": {"min_bloat": 1}}}}');
select maintsched.check_params('optimize', '{"reindex": {"min_blot": 0.5}}');
select maintsched.check_params('optimize', '{"reindex": false}');
select maintsched.check_params('optimize', '{"analyze": {"min_bloat": 0.5}}');
select maintsched.check_params('optimize', '{"bloat": {"time_limit": "1 h"}}');
select maintsched.check_params('optimize', '{"min_free": 0}');

--
-- What is bloated, in order of what a second wins.
--
create role regress_maintsched_owner;
create role regress_maintsched_manager;
select maintsched.grant_access('regress_maintsched_owner', 'manager');
select maintsched.grant_access('regress_maintsched_manager', 'manager');
create schema regress_maintsched_r;
set search_path = regress_maintsched_r;
create table big (id integer primary key, note text, only_one integer, exclude using btree (only_one with =)) with (autovacuum_enabled = off);
insert into big select i, md5(i::text), i from generate_series(1, 60000) i;
create index big_note on big (note);
create table fine (id integer primary key) with (autovacuum_enabled = off);
insert into fine select generate_series(1, 60000);
create table empty (id integer primary key);
create table parted (id integer primary key) partition by range (id);
create table parted_1 partition of parted for values from (0) to (100000) with (autovacuum_enabled = off);
insert into parted select generate_series(1, 60000);
create temporary table passing (id integer primary key);
insert into passing select generate_series(1, 60000);
delete from big where id % 4 <> 0;
delete from parted where id % 5 <> 0;
vacuum big, parted, fine;

-- what changes from machine to machine is left out
create function pg_temp.plan(params jsonb, routine text default 'reindex')
returns table (seq integer, target text, command text, reason text, skip text) language sql as $$
	select p.seq, replace(p.target, current_database(), 'DATABASE'), replace(p.command, p.target, '...'),
		regexp_replace(regexp_replace(p.reason, '[0-9.]+ (kB|MB) of [0-9.]+ (kB|MB) reclaimable [(][0-9.]+ % [^)]*[)]', 'much reclaimable'), ' [0-9.]+ (kB|MB|bytes)', ' N', 'g'),
		p.details ->> 'skip'
	from maintsched.plan(routine, case routine when 'reindex' then jsonb '{"min_wasted": "100 kB", "min_free": 0}' else '{}' end || params) p
	order by p.seq
$$;
select * from pg_temp.plan('{"include": ["regress_maintsched_r"]}');
select target, benefit_bytes between 500000 and 5000000 as benefit, estimated_seconds between 0.2 and 1 as seconds, fits_window, details - 'still_needed' - 'measure' - 'verify' - 'bytes' - 'lock_timeout' as rest
from maintsched.plan('reindex', '{"include": ["regress_maintsched_r.parted"], "min_wasted": "100 kB", "min_free": 0}') order by seq limit 1;
-- by the table, the index, or the partitioned table above it
select target from pg_temp.plan('{"include": ["*.big_note", "*.parted"]}') where skip is null;
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "exclude": ["*.big_*", "*.parted"]}') where skip is null;
select target from pg_temp.plan('{"include": ["*.parted_pkey"]}') where skip is null;
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "exclude": ["*.parted_pkey", "*.big"]}') where skip is null;
-- thresholds: of all, of one
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "min_bloat": 0.78}') where skip is null;
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "min_wasted": "100 MB"}') where skip is null;
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "overrides": {"regress_maintsched_r.big": {"min_wasted": "100 MB"}, "regress_maintsched_r.big_note": {"min_wasted": 0}}}') where skip is null;
select target from pg_temp.plan('{"include": ["regress_maintsched_r"], "min_bloat": 1, "overrides": {"regress_maintsched_r.parted": {"min_bloat": 0.1}}}') where skip is null;
-- what has no interval is not said to have one
select maintsched.bloat_text(29360128, 0.365, 10716446, 0.36, 0.37), maintsched.bloat_text(29360128, 0.365, 10716446, null, null);
-- no room
select target, substring(reason from ', [0-9]+ TB are to stay free') as reason from maintsched.plan('reindex', '{"include": ["*.big_note"], "min_wasted": "100 kB", "min_free": "1000 TB"}') where details ->> 'skip' is null;

-- nothing that is meant, nothing that the role may
select * from pg_temp.plan('{"include": ["no.such"]}');
select target, skip from pg_temp.plan('{"include": ["regress_maintsched_r.empty", "no.such"]}');
select * from pg_temp.plan('{"include": ["*.parted"], "exclude": ["*.parted*"]}');
select * from pg_temp.plan('{"include": ["pg_catalog"]}');
-- names that mean nothing
select skip from pg_temp.plan('{"include": ["*.fine"], "exclude": ["*.smal", "public", "*.big_note"],
	"overrides": {"regress_maintsched_r.parted_pkey": {"min_bloat": 1}, "regress_maintsched_r.bog": {"min_bloat": 1}, "regress_*": {"min_bloat": 1}}}');
-- dead rows that are not vacuumed: what an index says is a lower bound
create table unvacuumed (id integer primary key) with (autovacuum_enabled = off);
insert into unvacuumed select generate_series(1, 60000);
delete from unvacuumed where id % 4 <> 0;
select regexp_replace(reason, '7[456] %', 'three quarters') as reason from pg_temp.plan('{"include": ["*.unvacuumed"], "min_wasted": 0, "min_bloat": 0.5}');
select regexp_replace(reason, '7[456] %', 'three quarters') as reason from pg_temp.plan('{"include": ["*.unvacuumed"], "min_wasted": 0, "min_bloat": 0}');
drop table unvacuumed;
-- whoever takes the commands from the plan carries out nothing that a run would not
select bool_and(p.command ~ '^-- ' = (p.details ? 'skip')) as commented, count(*) filter (where p.details ? 'skip') as skipped
from maintsched.plan('reindex', '{"include": ["regress_maintsched_r"], "min_wasted": "100 kB", "min_free": 0}') p;
alter table fine owner to regress_maintsched_owner;
grant usage on schema regress_maintsched_r to regress_maintsched_owner, regress_maintsched_manager;
set role regress_maintsched_manager;
select count(*) from maintsched.plan('reindex', '{"include": ["regress_maintsched_r"]}');
set role regress_maintsched_owner;
select target, command, reason, skip from pg_temp.plan('{"include": ["regress_maintsched_r"], "min_bloat": 0, "min_wasted": 0}') where target = 'DATABASE';
select target from maintsched.plan('reindex', '{"include": ["regress_maintsched_r"], "min_bloat": 0, "min_wasted": 0}') where details ->> 'skip' is null;
select count(*) > 0 as planned, count(*) filter (where target ~ 'fine_pkey') as rebuilt
from maintsched.plan('optimize', '{"include": ["*.fine"], "min_bloat": 0, "min_wasted": 0}');
reset role;

--
-- Invalid indexes: what they are of decides, not how they are called.
--
create index big_note_ccnew on big (note);
create index big_note_ccold on big (note);
create index "another ""name""" on big (note) with (fillfactor = 50);
create index no_twin on big (only_one);
create index no_twin_ccnew on big (only_one);
create index ends_in_ccnew on big (note desc);
create index double_1 on big ((id + 1));
create index double_2 on big ((id + 1));
create index big_part on big (note) where id > 100;
create index big_expression on big (lower(note));
create unique index big_unique on big (note);
update pg_index set indisvalid = false
where indexrelid in (select c.oid from pg_class c where c.relnamespace = 'regress_maintsched_r'::regnamespace
	and c.relname in ('big_note_ccnew', 'big_note_ccold', 'another "name"', 'no_twin', 'no_twin_ccnew', 'ends_in_ccnew', 'double_1', 'double_2'));
update pg_index set indisready = false, indislive = false where indexrelid = 'big_note_ccold'::regclass;
select index_name, kind, twin_name, rebuilt, writes from maintsched.invalid_indexes() where schema_name = 'regress_maintsched_r' order by index_name collate "C";
select * from pg_temp.plan('{"include": ["regress_maintsched_r.big"], "min_wasted": "1 GB"}') where target !~ 'DATABASE';
-- one that is bound to a constraint or to a partitioned index is never dropped
create index parted_1_pkey_ccnew on parted_1 (id);
update pg_index set indisvalid = false where indexrelid = 'parted_1_pkey'::regclass;
select index_name, kind from maintsched.invalid_indexes() where schema_name = 'regress_maintsched_r' and index_name ~ 'parted';
update pg_index set indisvalid = true where indexrelid = 'parted_1_pkey'::regclass;
drop index parted_1_pkey_ccnew;
create index on only parted ((id + 1));
select target, skip, reason from pg_temp.plan('{"include": ["*.parted"]}') where seq > 1;

-- what is asked right before, and measured
select p.details ->> 'still_needed' as still_needed, p.details ->> 'verify' as verify, p.details ->> 'measure' as measure
from maintsched.plan('reindex', '{"include": ["*.big_note"], "min_wasted": "100 kB", "min_free": 0}') p where p.command like 'REINDEX%' and p.details ->> 'skip' is null \gset
\o /dev/null
select :still_needed as needed, :verify as verdict, :measure as measured \gset
\o
select :'needed'::jsonb as needed, :'verdict'::jsonb - 'cleanup' as verdict, jsonb_path_query_array(:'verdict'::jsonb, '$.cleanup[*].target') as cleanup, :'measured'::jsonb - 'size_bytes' as measured;
reindex index big_note;
select :still_needed as needed, :verify - 'cleanup' as verdict;
drop index big_note;
select :still_needed as needed, :verify - 'cleanup' as verdict, :measure as measured;
select maintsched.space_problem('big_pkey'::regclass, 1000, 0) as room,
	maintsched.space_problem('big_pkey'::regclass, 1000, 9000000000000000) ~ '^the copy, what is sorted for it and its write-ahead log take 2000 bytes, ' as no_room;
select volume is not null and free_bytes >= 0 as known from unnest(array[0, 1663, 1664, null]::oid[]) x, maintsched.volume(x);
select * from maintsched.volume(1);

--
-- Found corrupt by amcheck: before all else, and once.  What is found in the
-- index of a toast table goes by the name of the table.
--
create table "Toasted" (id integer, long text);
create or replace function maintsched.corrupt_relations()
returns table(schema text, relation text, kind text, found_at timestamptz, sqlstate text,
	rewritten boolean, first_found_at timestamptz, run_id bigint, seq integer)
language sql stable as $$
	select v.*, v.column2 = 'big_pkey', v.column4, 1::bigint, 1 from (values ('regress_maintsched_r', 'fine_pkey', 'index', now() - interval '3 days', 'XX002'),
		('regress_maintsched_r', 'fine_pkey', 'index', now() - interval '2 days', 'XX002'),
		('regress_maintsched_r', 'big_only_one_excl', 'index', now() - interval '1 day', 'XX002'),
		('regress_maintsched_r', 'Toasted', 'toast index', now() - interval '4 days', 'XX002'),
		('regress_maintsched_r', 'fine', 'toast', now() - interval '4 days', 'XX001'),
		('pg_catalog', 'pg_proc', 'toast index', now() - interval '5 days', 'XX002'),
		('regress_maintsched_r', 'big', 'table', now() - interval '1 day', 'XX001'),
		('pg_catalog', 'pg_class_oid_index', 'index', now() - interval '5 days', 'XX002'),
		('regress_maintsched_r', 'gone', 'index', now() - interval '5 days', 'XX002'),
		('regress_maintsched_r', 'big_pkey', 'index', now() - interval '5 days', 'XX002')) v
$$;
select target, regexp_replace(command, '_[0-9]+_', '_N_') as command, reason, skip from pg_temp.plan('{"exclude": ["public", "maintsched*"], "min_wasted": "1 GB"}') where reason ~ 'corrupt';

-- what can still be seen of a damaged table through a bloated index is kept
select target, command, reason, skip from pg_temp.plan('{"include": ["*.big_pkey", "*.parted"]}') where target ~ 'big';

--
-- What has come back: by the rebuilds on record.
--
create function pg_temp.put_rebuild(age interval, before bigint, after bigint) returns void language plpgsql as $$
declare
	id bigint := (select coalesce(max(run_id), 0) + 1 from maintsched.run);
begin
	insert into maintsched.run (run_id, routine, params, run_as, change_class, state, requested_by, queued_at, not_before, started_at)
	values (id, 'reindex', '{}', 'x', 'major', 'running', 'x', now() - age, now() - age, now() - age);
	insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at, before, after)
	values (id, 1, 'a.b', 'REINDEX INDEX CONCURRENTLY a.b', 'done', now() - age, now() - age,
		jsonb_build_object('size_bytes', before), jsonb_build_object('size_bytes', after));
end $$;
select maintsched.churn('a.b', 100000, 60000, '7 days');
select pg_temp.put_rebuild('40 days', 100000, 40000);
select maintsched.churn('a.b', 100000, 60000, '7 days') as long_ago, maintsched.churn('a.b', 100000, 60000, '50 days') as too_early,
	maintsched.churn('a.b', 70000, 30000, '50 days') as half_back, maintsched.churn('a.b', 100000, 60000, null) as not_asked;
-- it took 30 days to come back: not within 60
select pg_temp.put_rebuild('10 days', 100000, 40000);
select maintsched.churn('a.b', 100000, 60000, '7 days') as twice, maintsched.churn('a.b', 70000, 30000, '7 days') as half_back;
-- it gave back nothing
select pg_temp.put_rebuild('2 days', 100000, 99000);
select maintsched.churn('a.b', 100000, 60000, '7 days') as nothing, maintsched.churn('a.b', 200000, 120000, '7 days') as grown;
select count(*) from maintsched.last_rebuilds('a.b');
-- what was rebuilt since is not corrupt any more
insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at, before, after)
select max(run_id), 2, 'regress_maintsched_r.fine_pkey', 'REINDEX INDEX CONCURRENTLY regress_maintsched_r.fine_pkey', 'done', now(), now(), '{"size_bytes": 1}', '{"size_bytes": 1}'
from maintsched.run;
select target from pg_temp.plan('{"include": ["*.fine"], "min_wasted": "1 GB"}') where reason ~ 'corrupt';

--
-- optimize: the three, in order
--
set search_path = pg_catalog;
drop index regress_maintsched_r.big_note_ccnew, regress_maintsched_r.big_note_ccold;
select seq, target, regexp_replace(command, ' ONLY|[(].*', '') as command, skip from pg_temp.plan('{"include": ["regress_maintsched_r"], "exclude": ["*.fine"], "min_wasted": "300 kB", "analyze": {"include": ["*.big"]},
	"bloat": {"include": ["*.big"]}, "reindex": {"include": ["*.big", "*.parted"], "min_free": 0}}'::jsonb - 'min_free', 'optimize') where target !~ 'DATABASE' and skip is null;
-- thresholds are those of bloat and reindex; a partitioned table stands for its partitions in all
select target, regexp_replace(command, ' ONLY|[(].*', '') as command, skip
from pg_temp.plan('{"include": ["*.parted"], "overrides": {"regress_maintsched_r.parted": {"min_bloat": 0.1, "min_wasted": 0}}, "analyze": {"all": true}}', 'optimize')
where skip is null and not (command ~ '^ANALYZE' and target ~ '_1$') order by seq;
select count(*) filter (where command ~ 'measure_bloat') as measured from pg_temp.plan('{"include": ["*.parted", "*.fine"], "exclude": ["*.parted"]}', 'optimize');
select target from maintsched.plan('bloat', '{"include": ["*.parted_pkey"]}');
-- the task of the shipped calendar has no parameters
select count(*) > 3 as some from maintsched.plan('optimize');
select maintsched.install_calendar('smartmed');
select routine, params, kind, enabled from maintsched.task where name = 'database-optimization';

set client_min_messages = warning;
drop schema regress_maintsched_r cascade;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_owner, regress_maintsched_manager;
