--
-- bloat: estimates against what a rewrite really gives back, what is not
-- judged and why, measurements, the report and the routine.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '';
create role regress_maintsched_owner;
create role regress_maintsched_reader;
create role regress_maintsched_nobody;
select maintsched.grant_access('regress_maintsched_owner', 'manager');
select maintsched.grant_access('regress_maintsched_nobody', 'manager');
create schema regress_maintsched_b;
create schema "regress_maintsched Odd";
set search_path = regress_maintsched_b;

--
-- Relations of fewer pages than the sample: the estimate is to the page what
-- VACUUM FULL and REINDEX give back.
--
create table narrow (id integer primary key, a integer, t text) with (autovacuum_enabled = off);
insert into narrow select g, g % 50, repeat('x', g % 90) from generate_series(1, 20000) g;
create index narrow_a on narrow (a);
create index narrow_at on narrow (a, t) with (fillfactor = 60);
create index narrow_nodedup on narrow (a) with (deduplicate_items = off);
delete from narrow where id % 3 = 0 or id between 5000 and 9000;
create table loose (id integer primary key, t text) with (fillfactor = 50, autovacuum_enabled = off);
insert into loose select g, 'some text' from generate_series(1, 10000) g;
create table altered (a integer, b text, c text) with (autovacuum_enabled = off);
insert into altered select g, repeat('b', 200), 'c' from generate_series(1, 5000) g;
alter table altered drop column b;
alter table altered add column d bigint default 4;
alter table altered add column e text;
insert into altered select g, 'c', g, 'e' from generate_series(1, 1000) g;
create table added (a integer) with (autovacuum_enabled = off);
insert into added select generate_series(1, 20000);
alter table added add b text, add c text, add d text, add e text, add f text, add g text, add h text, add i text, add j text;
delete from added where a % 8 = 1 or a between 1000 and 13000;
create table gone (id integer primary key) with (autovacuum_enabled = off);
insert into gone select generate_series(1, 10000);
delete from gone;
create materialized view totals as select g as n, repeat('y', 100) as y from generate_series(1, 5000) g;
create table "regress_maintsched Odd"."It's ""one""" (a integer) with (autovacuum_enabled = off);
insert into "regress_maintsched Odd"."It's ""one""" select generate_series(1, 10000);
delete from "regress_maintsched Odd"."It's ""one""" where a % 2 = 0;
create unlogged table quick (a integer) with (autovacuum_enabled = off);
insert into quick select generate_series(1, 5000);
delete from quick where a > 1000;
vacuum analyze;

create temporary table judged as
select c.oid, e.*
from pg_class c
cross join lateral maintsched.bloat_estimate(c.oid) e
where c.relnamespace in ('regress_maintsched_b'::regnamespace, '"regress_maintsched Odd"'::regnamespace)
and c.relkind in ('r', 'm', 'i');
select schema, relation, kind, access_method, bloat_ratio > 0.001 as bloated, dead_bytes, method, detail
from judged order by schema collate "C", relation collate "C";
-- what is said is consistent
select count(*) as inconsistent
from judged
where bloat_ratio is not null
and not (bloat_bytes = round(bloat_ratio * size_bytes) and ci_low <= bloat_ratio and bloat_ratio <= ci_high
	and ci_low >= 0 and ci_high <= 1 and sampled_pages between 1 and size_bytes / 8192
	and size_bytes = pg_relation_size(oid) and dead_bytes between 0 and size_bytes);
-- indexes first: VACUUM FULL rebuilds them
select format('reindex index %s', oid::regclass) from judged where kind = 'index' order by 1 \gexec
create temporary table rebuilt as
select j.oid, pg_relation_size(j.oid) as size from judged j where kind = 'index';
select format('vacuum full %s', oid::regclass) from judged where kind <> 'index' and bloat_ratio is not null order by 1 \gexec
insert into rebuilt select j.oid, pg_relation_size(j.oid) from judged j where kind <> 'index';
select j.relation, (j.size_bytes - j.bloat_bytes - r.size) / 8192 as pages_off
from judged j join rebuilt r using (oid)
where j.bloat_ratio is not null and j.size_bytes - j.bloat_bytes <> r.size
order by 1;

-- toast bears the name of its table; the order of values may move a page or two
create table toasted (id integer, t text) with (autovacuum_enabled = off);
alter table toasted alter t set storage external;
insert into toasted select g, repeat('t', 3000 + (g * 37) % 5000) from generate_series(1, 600) g;
delete from toasted where id % 3 = 0;
vacuum toasted;
select schema, relation, kind, access_method, method, size_bytes - bloat_bytes as estimate, size_bytes as size
from maintsched.bloat_estimate((select reltoastrelid from pg_class where oid = 'toasted'::regclass)) \gset
\echo :schema :relation :kind :access_method :method
vacuum full toasted;
select abs(:estimate - pg_relation_size(reltoastrelid)) < 0.02 * :size as near from pg_class where oid = 'toasted'::regclass;
select relation, kind from maintsched.bloat_estimate((
	select indexrelid from pg_index where indrelid = (select reltoastrelid from pg_class where oid = 'toasted'::regclass)));

--
-- Dead rows: seen in the table, a lower bound in its indexes.
--
create table dead (id integer primary key, v integer) with (autovacuum_enabled = off);
insert into dead select g, g from generate_series(1, 20000) g;
vacuum dead;
delete from dead where id % 4 = 0;
-- (how many of the entries it concerns is from a sample)
select relation, round(bloat_ratio::numeric, 2) as bloat_ratio, round(dead_bytes::numeric / size_bytes, 2) as dead, method, detail
from maintsched.bloat_estimate('dead') union all
select relation, round(bloat_ratio::numeric, 2), dead_bytes, method, regexp_replace(detail, '2[0-9] %', '2N %') from maintsched.bloat_estimate('dead_pkey');
vacuum dead;
select relation, round(bloat_ratio::numeric, 2) as bloat_ratio, dead_bytes, method, detail
from maintsched.bloat_estimate('dead') union all
select relation, round(bloat_ratio::numeric, 2), dead_bytes, method, detail from maintsched.bloat_estimate('dead_pkey');
-- rows of one's own transaction, and of one that was rolled back
begin;
delete from dead;
select dead_bytes < 0.1 * size_bytes as deleted_now_are_not from maintsched.bloat_estimate('dead');
rollback;
begin;
insert into dead select g, g from generate_series(20001, 40000) g;
rollback;
select dead_bytes > 0.4 * size_bytes as aborted_are_dead from maintsched.bloat_estimate('dead');

--
-- What is not judged.
--
create table empty (a integer primary key);
create table tiny (a integer primary key);
insert into tiny values (1);
create table parent (a integer primary key) partition by range (a);
create table child partition of parent for values from (0) to (10);
create view looking as select * from tiny;
create sequence counting;
create type pair as (a integer, b integer);
create foreign data wrapper regress_maintsched_fdw;
create server regress_maintsched_server foreign data wrapper regress_maintsched_fdw;
create foreign table away (a integer) server regress_maintsched_server;
create table words (w text, tags text[], box box);
insert into words select md5(g::text), array[md5(g::text), (g % 100)::text], box(point(g, g), point(g + 1, g + 1)) from generate_series(1, 5000) g;
create index words_gin on words using gin (tags);
create index words_hash on words using hash (w);
create materialized view unfilled as select 1 as one with no data;
select e.relation, e.kind, e.access_method, e.bloat_ratio, e.method, e.detail
from unnest(array['empty', 'empty_pkey', 'tiny', 'tiny_pkey', 'parent', 'parent_pkey', 'child', 'looking', 'counting', 'pair',
	'away', 'words_gin', 'unfilled']::regclass[]) with ordinality r(oid, n)
cross join lateral maintsched.bloat_estimate(r.oid) e
order by r.n;
update pg_index set indisvalid = false where indexrelid = 'narrow_a'::regclass;
select bloat_ratio, detail from maintsched.bloat_estimate('narrow_a');
update pg_index set indisvalid = true where indexrelid = 'narrow_a'::regclass;
select * from maintsched.bloat_estimate(0);
select * from maintsched.bloat_estimate(null);
select * from maintsched.bloat_estimate('narrow', 0);
select * from maintsched.bloat_estimate('narrow', null);
-- a handful of pages says little, and says so
select sampled_pages > 2, ci_high - ci_low > 0.01 from maintsched.bloat_estimate('narrow', 2);
-- the same seed, the same pages
select count(distinct (bloat_ratio, ci_low, ci_high)) as answers
from generate_series(1, 5), maintsched.bloat_sample(array['narrow'::regclass::oid], array[0], 30, 7);
select * from maintsched.bloat_sample(array[1], array[0, 1], 10, null);
select * from maintsched.bloat_sample(null, array[0, 1], 10, null);

-- whose it is
grant usage on schema regress_maintsched_b to public;
grant select on narrow to regress_maintsched_reader;
grant execute on function maintsched.bloat_sample, maintsched.bloat_estimate to regress_maintsched_reader;
grant usage on schema maintsched to regress_maintsched_reader;
alter table loose owner to regress_maintsched_owner;
set role regress_maintsched_owner;
select relation, bloat_ratio is null as unknown, detail from maintsched.bloat_estimate('regress_maintsched_b.loose') union all
select relation, bloat_ratio is null as unknown, detail from maintsched.bloat_estimate('regress_maintsched_b.loose_pkey') union all
select relation, bloat_ratio is null as unknown, detail from maintsched.bloat_estimate('regress_maintsched_b.narrow') union all
select relation, bloat_ratio is null as unknown, detail from maintsched.bloat_estimate('regress_maintsched_b.narrow_a');
reset role;

--
-- The routine: few actions; what they measure is in the report.
--
reset client_min_messages;
select target, command, reason, estimated_seconds > 0 as timed, details ? 'bytes' as bytes
from maintsched.plan_bloat('{"include": ["regress_maintsched_b.narrow", "regress_maintsched_b.words*"], "min_wasted": 0}');
select target, command from maintsched.plan_bloat('{"include": ["regress_maintsched Odd"], "time_limit": "1 h", "overrides": {"regress_maintsched Odd": {"min_wasted": "1 kB"}}}');
select * from maintsched.plan_bloat('{"include": ["nowhere"]}');
select count(*) from maintsched.plan_bloat('{"include": ["regress_maintsched_b.narrow", "nowhere.*"]}');
select count(*) filter (where target ~ 'pg_') as system, count(*) between 1 and 5 as few from maintsched.plan_bloat('{}');
set role regress_maintsched_nobody;
select count(*) from maintsched.plan_bloat('{"include": ["regress_maintsched_b"]}');
set role regress_maintsched_owner;
\set VERBOSITY terse
select target from maintsched.plan_bloat('{"include": ["regress_maintsched_b"]}');
\set VERBOSITY default
reset role;

insert into narrow select g, g % 50, 'n' from generate_series(30000, 50000) g;
delete from narrow where id >= 30000;
vacuum analyze narrow, words;
analyze dead;
set client_min_messages = warning;
select maintsched.measure_bloat('{regress_maintsched_b,dead}', '{regress_maintsched_b,words}', '{"min_wasted": 0, "min_bloat": 0.2, "overrides": {"regress_maintsched_b.narrow_nodedup": {"min_bloat": 0.99}}}');
select relation, kind, bloat_ratio is not null as judged, method,
	regexp_replace(wanted, '[0-9.]+ ([kM]B|bytes|%)', 'N', 'g') as wanted, regexp_replace(detail, '[0-9]+ ([kM]?B(ytes)?|%)', 'N') as detail
from maintsched.bloat_report
where schema = 'regress_maintsched_b' and measured_at is not null
order by relation collate "C", kind;
-- what was not looked at is there, and not as 0 %
select relation, kind, bloat_ratio, wanted, detail
from maintsched.bloat_report
where schema = 'regress_maintsched_b' and relation in ('altered', 'empty') order by 1, 2;

-- other index types: against the smallest size per row
insert into words select md5(g::text), array[md5(g::text), (g % 100)::text], box(point(g, g), point(g + 1, g + 1)) from generate_series(5001, 20000) g;
delete from words where ctid in (select ctid from words order by md5(w) limit 16000);
vacuum analyze words;
\set QUIET on
select maintsched.measure_bloat(params => '{"include": ["regress_maintsched_b.words"], "min_wasted": 0, "min_bloat": 0.3}') as n \gset
\set QUIET off
select relation, bloat_ratio > 0.5 as much, bloat_bytes > 0.5 * size_bytes as bytes, ci_low, ci_high, method,
	regexp_replace(detail, '[0-9-]{10}', 'DATE') as detail, wanted like 'reindex: % reclaimable, last rebuilt never' as wanted,
	size_change_bytes > 0 as grown
from maintsched.bloat_report where schema = 'regress_maintsched_b' and relation like 'words\_%' order by 1;
select relation, bloat_ratio > 0.5 as much, method from maintsched.bloat_estimate('words_gin');
-- rewritten since: the figures are of before
reindex index words_gin;
select relation, bloat_ratio is not null as judged, wanted, detail from maintsched.bloat_report where relation = 'words_gin';

-- measurements only grow, and are nobody's to write
delete from maintsched.bloat_measurement;
truncate maintsched.bloat_measurement;
select maintsched.measure_bloat(params => '{"min_bloat": 2}');
select maintsched.measure_bloat(params => '{"sample_pages": 0}');
set role regress_maintsched_nobody;
select maintsched.measure_bloat(params => '{"include": ["regress_maintsched_b"], "min_wasted": 0}');
reset role;
select count(*) as rows, count(distinct measured_at) > 0 as timed from maintsched.bloat_measurement where relation = 'narrow_a';

set client_min_messages = warning;
drop schema regress_maintsched_b, "regress_maintsched Odd" cascade;
drop server regress_maintsched_server;
drop foreign data wrapper regress_maintsched_fdw;
select maintsched.revoke_access('regress_maintsched_owner');
select maintsched.revoke_access('regress_maintsched_nobody');
revoke all on all functions in schema maintsched from regress_maintsched_reader;
revoke all on schema maintsched from regress_maintsched_reader;
drop role regress_maintsched_owner;
drop role regress_maintsched_reader;
drop role regress_maintsched_nobody;
