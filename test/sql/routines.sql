--
-- The routines sql, analyze and log_cleanup: parameters and plans; the view
-- running; pg_cron where there is none.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

select name, plan, defaults, change_class, built_in from maintsched.routine where name <> 'health' order by name;

--
-- Parameters: what is wrong is said, with the nearest name.
--
select maintsched.check_params('sql', '{"statement": "select 1", "timeout": "5 min", "lock_timeout": "2s", "time_limit": "1 hour"}');
select maintsched.check_params('sql', '{"statements": ["select 1", {"name": "two", "statement": "select 2", "timeout": "1 min"}]}');
select maintsched.check_params('analyze', '{}');
select maintsched.check_params('log_cleanup', '{"max_age": null, "max_size": 1000000, "keep": 0}');
-- a routine of one's own takes what it takes
select maintsched.check_params('own', '{"anything": [], "time_limit": "1 hour"}');
select maintsched.check_params('own', '{"anything": [], "time_limit": "long"}');

select maintsched.check_params('sql', '{}');
select maintsched.check_params('sql', '{"statement": "select 1", "statements": ["select 2"]}');
select maintsched.check_params('sql', '{"statment": "select 1"}');
select maintsched.check_params('sql', '{"query": "select 1"}');
select maintsched.check_params('sql', '{"statement": " "}');
select maintsched.check_params('sql', '{"statement": 1}');
select maintsched.check_params('sql', '{"statements": []}');
select maintsched.check_params('sql', '{"statements": {"statement": "select 1"}}');
select maintsched.check_params('sql', '{"statements": ["select 1", 2]}');
select maintsched.check_params('sql', '{"statements": ["select 1", ""]}');
select maintsched.check_params('sql', '{"statements": [{"statement": "select 1", "limit": "1 s"}]}');
select maintsched.check_params('sql', '{"statement": "select 1", "timeout": "soon"}');
select maintsched.check_params('sql', '{"statement": "select 1", "timeout": "0 s"}');
select maintsched.check_params('sql', '{"statement": "select 1", "timeout": 5}');
select maintsched.check_params('sql', '[]');
select maintsched.check_params('sql', null);
select maintsched.check_params('analyze', '{"includes": ["public"]}');
select maintsched.check_params('analyze', '{"include": "public"}');
select maintsched.check_params('analyze', '{"exclude": []}');
select maintsched.check_params('log_cleanup', '{"max_age": "-1 day"}');
select maintsched.check_params('log_cleanup', '{"max_size": "2 GX"}');
select maintsched.check_params('log_cleanup', '{"keep": 1.5}');

--
-- Thresholds per object: the most specific name that says anything decides.
--
select maintsched.check_params('bloat', '{"min_bloat": 0.3, "min_wasted": 0, "overrides": {"sales": {"min_bloat": 1}, "sales.orders": {"min_wasted": "1 GB", "min_bloat": null}}}');
select maintsched.check_params('bloat', '{"overrides": null}');
select maintsched.check_params('bloat', '{"overrides": {}}');
select maintsched.check_params('bloat', '{"overrides": []}');
select maintsched.check_params('bloat', '{"overrides": {"sales": 0.3}}');
select maintsched.check_params('bloat', '{"overrides": {"sales": {"min_blot": 0.3}}}');
select maintsched.check_params('bloat', '{"overrides": {"sales": {"include": ["sales"]}}}');
select maintsched.check_params('bloat', '{"overrides": {"sales": {"time_limit": "1 hour"}}}');
select maintsched.check_params('bloat', '{"overrides": {"sales": {"min_bloat": 30}}}');
select maintsched.check_params('bloat', '{"min_bloat": "0.3"}');
select maintsched.check_params('bloat', '{"min_wasted": "-1"}');
select maintsched.check_params('bloat', '{"min_wasted": "much"}');
select maintsched.check_params('log_cleanup', '{"overrides": {}}');

select n.names, maintsched.threshold('{"min_bloat": 0.3, "min_wasted": null, "overrides": {
		"s": {"min_bloat": 0.4}, "s.t": {"min_bloat": null, "min_wasted": "1 GB"}, "s.i": {"min_bloat": 0.5}}}', 'min_bloat', n.names) as min_bloat,
	maintsched.threshold('{"min_wasted": null, "overrides": {"s.t": {"min_wasted": "1 GB"}}}', 'min_wasted', n.names) as min_wasted
from (values (array['s.i', 's.t', 's']), (array['s.t', 's']), (array['s']), (array['x.t', 'x']), (array[]::text[]), (null)) n(names);

create schema "regress_maintsched A";
create schema regress_maintsched_b;
create table "regress_maintsched A"."Root" (a integer primary key, b text) partition by range (a);
create table regress_maintsched_b.part partition of "regress_maintsched A"."Root" for values from (0) to (100) partition by range (a);
create table regress_maintsched_b."leaf.1" partition of regress_maintsched_b.part for values from (0) to (10);
create table regress_maintsched_b.plain (a text primary key);
select x.relation, maintsched.threshold_names(x.relation) from unnest(array[
	'"regress_maintsched A"."Root"', 'regress_maintsched_b.part', 'regress_maintsched_b."leaf.1"', 'regress_maintsched_b."leaf.1_pkey"',
	'regress_maintsched_b.plain', 'regress_maintsched_b.plain_pkey']::regclass[]) x(relation);
-- toast, and its index, by the table; the number of either is that of the day
select regexp_replace(maintsched.threshold_names(r.oid)::text, '[0-9]+', 'N', 'g') as names
from pg_class c
cross join lateral (select c.reltoastrelid union all select i.indexrelid from pg_index i where i.indrelid = c.reltoastrelid) r(oid)
where c.oid = any (array['regress_maintsched_b.plain', 'regress_maintsched_b."leaf.1"']::regclass[])
order by c.relname collate "C", 1;
select maintsched.threshold_names(0);
drop schema "regress_maintsched A", regress_maintsched_b cascade;

--
-- sql: one's own statements, in order.
--
select * from maintsched.plan_sql('{"statement": "select 1"}');
select * from maintsched.plan_sql('{"statements": "select 1"}');
select target, command, details from maintsched.plan_sql('{"timeout": "10 min", "lock_timeout": "5 s", "statements": [
	"vacuum", {"name": "totals", "statement": "refresh materialized view totals", "timeout": "1 h"}, {"statement": "select 3", "name": null}]}');
select * from maintsched.plan_sql('{}');

--
-- analyze: every table that needs it and that the role may analyze, the most
-- changed first.
--
create role regress_maintsched_owner;
create role regress_maintsched_manager;
select maintsched.grant_access('regress_maintsched_owner', 'manager');
select maintsched.grant_access('regress_maintsched_manager', 'manager');
create schema regress_maintsched_sales;
create schema "regress_maintsched Odd";
set search_path = regress_maintsched_sales;
create table small (a integer) with (autovacuum_enabled = off);
create table large (a integer) with (autovacuum_enabled = off);
create table never (a integer) with (autovacuum_enabled = off);
create table event (a integer) partition by range (a);
create table event_p1 partition of event for values from (0) to (1000) with (autovacuum_enabled = off);
create table event_p2 partition of event for values from (1000) to (3000) with (autovacuum_enabled = off);
create view no_table as select * from small;
create materialized view totals as select count(*) from small;
create materialized view empty as select 1 as one with no data;
create table "regress_maintsched Odd"."it's ""one""" (a integer) with (autovacuum_enabled = off);
create temporary table passing (a integer);
insert into small select generate_series(1, 10);
insert into large select generate_series(1, 20000);
insert into event select generate_series(1, 2000);
select pg_stat_force_next_flush();
analyze small, large;
select pg_stat_force_next_flush();
insert into small select generate_series(1, 3);
update large set a = 0 where a <= 2500;
select pg_stat_force_next_flush();

-- (since PostgreSQL 18 a parent is analyzed without its partitions, which
-- have actions of their own)
create function pg_temp.plan(params jsonb)
returns table (target text, command text, reason text) language sql as $$
	select p.target, replace(p.command, ' ONLY', ''), p.reason
	from maintsched.plan_analyze(params) p
	where p.target !~ '_p[12]$'
$$;
select * from pg_temp.plan('{"include": ["regress_maintsched*"]}');
select * from pg_temp.plan('{"include": ["regress_maintsched*"], "all": true}');
-- what is not needed is said to have been looked at
select target = quote_ident(current_database()) as database, command, reason, details from maintsched.plan_analyze('{"include": ["regress_maintsched_sales.small"]}');
select target = quote_ident(current_database()) as database, reason from maintsched.plan_analyze('{"include": ["*.small", "*.never"]}');
-- thresholds: those of the table, of params, of overrides
alter table small set (autovacuum_analyze_threshold = 2, autovacuum_analyze_scale_factor = 0);
select target, reason from maintsched.plan_analyze('{"include": ["*.small"]}');
alter table small set (autovacuum_analyze_threshold = 2, autovacuum_analyze_scale_factor = 0.1);
select command from maintsched.plan_analyze('{"include": ["*.small"]}');
select command from maintsched.plan_analyze('{"include": ["*.small"], "threshold": 1}');
select command from maintsched.plan_analyze('{"include": ["*.small"], "scale_factor": 0}');
select command from maintsched.plan_analyze('{"include": ["*.small", "*.large"], "threshold": 0, "scale_factor": 1, "overrides": {"regress_maintsched_sales": {"scale_factor": 0.2}, "regress_maintsched_sales.large": {"scale_factor": 0.125}}}');
select command from maintsched.plan_analyze('{"include": ["*.small", "*.large"], "threshold": 0, "scale_factor": 1, "overrides": {"regress_maintsched_sales": {"scale_factor": 0.2}, "regress_maintsched_sales.large": {"scale_factor": 0.1249}}}');
alter table small reset (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor);
select target from pg_temp.plan('{"all": true, "include": ["regress_maintsched_sales"], "exclude": ["*.event", "regress_maintsched_sales.?????"]}');
select target from pg_temp.plan('{"all": true, "include": ["regress_maintsched Odd.it''s*", "regress_maintsched_sales.small"]}');
-- _ and % are themselves
select target from pg_temp.plan('{"include": ["regress%", "regress.maintsched_sales"]}');
-- the system's are not among all
select count(*) filter (where target ~ '^(pg_|information_schema)' or target ~ 'passing') as system, count(*) > 10 as tables
from maintsched.plan_analyze('{"all": true}');

-- what is measured, and whether it is needed still
select p.details ->> 'measure' as measure, p.details ->> 'still_needed' as still_needed,
	p.details ->> 'lock_timeout' as lock_timeout, p.estimated_seconds between 0.05 and 1 as quick, p.benefit_bytes is null as no_benefit
from maintsched.plan_analyze('{"include": ["regress_maintsched Odd"], "all": true}') p \gset
\echo :lock_timeout :quick :no_benefit
create temporary table measured as :measure;
select jsonb_object_keys(jsonb_build_object) as key from measured order by 1;
:still_needed;
drop table "regress_maintsched Odd"."it's ""one""";
:still_needed;

-- a partitioned table by its parts: what they had, and what they were analyzed for
select target, reason from maintsched.plan_analyze('{"include": ["*.event"]}') where command !~ '_p[12]$';
analyze event;
select pg_stat_force_next_flush();
select reason = 'none of 3 tables needs it' as none from maintsched.plan_analyze('{"include": ["*.event"]}');
insert into event select 2500 from generate_series(1, 240);
select pg_stat_force_next_flush();
-- 240 of 2,000 are less than 50 + 10 %, but not of the 1,001 of one partition
select target, reason from maintsched.plan_analyze('{"include": ["*.event"]}');
analyze event_p2;
select pg_stat_force_next_flush();
select count(*) from maintsched.plan_analyze('{"include": ["*.event"]}') where details ->> 'skip' is null;
insert into event select 2500 from generate_series(1, 60);
select pg_stat_force_next_flush();
select target, reason ~ '^2,300 rows in 2 partitions, 300 changed since .* [(]limit 274[)]$' as right
from maintsched.plan_analyze('{"include": ["*.event"]}');
analyze event;
-- an inheritance parent
create table parent (a integer) with (autovacuum_enabled = off);
create table child () inherits (parent) with (autovacuum_enabled = off);
insert into child select generate_series(1, 100);
select pg_stat_force_next_flush();
select target, replace(command, ' ONLY', '') as command, reason from maintsched.plan_analyze('{"include": ["*.parent"]}');
analyze parent, child;
insert into child select generate_series(1, 61);
select pg_stat_force_next_flush();
select target, replace(command, ' ONLY', '') as command, reason from maintsched.plan_analyze('{"include": ["*.parent", "*.child"]}');
drop table parent cascade;
-- counters that began after the table was analyzed
select pg_stat_reset_single_table_counters('large'::regclass);
select target, reason from maintsched.plan_analyze('{"include": ["*.large"]}');
analyze large;
-- and of which nothing is known: not that it is empty
create table uncounted with (autovacuum_enabled = off) as select i as a from generate_series(1, 10000) i;
select pg_stat_force_next_flush();
select pg_stat_reset_single_table_counters('uncounted'::regclass);
select target, reason, (p.details ->> 'bytes')::bigint = pg_relation_size('uncounted') as bytes
from maintsched.plan_analyze('{"include": ["*.uncounted"]}') p;
drop table uncounted;

-- A role plans what it may do.
alter table large owner to regress_maintsched_owner;
grant usage on schema regress_maintsched_sales to regress_maintsched_owner;
set role regress_maintsched_owner;
select replace(target, current_database(), 'database') as target, reason, p.details ->> 'skip' as skip
from maintsched.plan_analyze('{"all": true, "include": ["regress_maintsched_sales.?????"]}') p;
set role regress_maintsched_manager;
select target from pg_temp.plan('{"include": ["regress_maintsched_sales.large"]}');
select target, command from maintsched.plan_sql('{"statement": "select 1"}');
select * from maintsched.plan_log_cleanup('{}');
select maintsched.remove_log_file('postgresql-2026-01-01_000000.log');
reset role;

--
-- log_cleanup: this server has no files of its own.
--
select * from maintsched.plan_log_cleanup('{"max_age": "30 days"}');
select maintsched.remove_log_file('postgresql-2026-01-01_000000.log');
select name, maintsched.log_file_kind(name) as kind
from unnest(array['postgresql-2026-01-31_235959.log', 'postgresql-2026-01-31_235959.csv', 'postgresql-2026-01-31_235959.json',
	'postgresql-2026-01-31_235959.log.gz', 'postgresql-2026-01-31_235959.log.12', 'postgresql-2026-01-31_235959.csv-20260201.xz',
	'postgresql-2026-01-31_235959', 'postgresql-2026-01-31_235959.log.sh', 'postgresql-2026-01-31_235959.log-2026.gz',
	'postgresql-2026-01-31_2359590.log', 'Postgresql-2026-01-31_235959.log', '../postgresql-2026-01-31_235959.log', '.log', '']) name;

--
-- running: how far the runs are.
--
insert into maintsched.run (run_id, routine, params, run_as, change_class, state, requested_by, queued_at, not_before, started_at, window_closes_at, stop_requested, clock_offset)
select x.id, 'analyze', '{}', 'regress_maintsched_owner', 'minor', x.state, 'somebody', x.at, x.at, x.at, '2030-01-01', x.stop, x.ahead
from (values
	(101, 'running', statement_timestamp() - interval '100 s', null, null::interval),
	(102, 'running', statement_timestamp() - interval '20 s', null, null),
	(103, 'running', statement_timestamp() + interval '1 day' - interval '50 s', 'cancelled', '1 day'),
	(104, 'queued', statement_timestamp(), null, null)) x(id, state, at, stop, ahead);
insert into maintsched.run_action (run_id, seq, target, command, estimated_seconds, state, started_at)
values (101, 1, 'a', 'a', 10, 'done', now()), (101, 2, 'b', 'b', 10, 'skipped', null), (101, 3, 'c', 'c', 60, 'planned', null),
	(103, 1, 'a', 'a', null, 'done', now()), (103, 2, 'b', 'b', null, 'running', statement_timestamp() + interval '1 day' - interval '5 s');
select run_id, routine, target, phase, percent, elapsed_seconds / 10 as tens, eta_seconds / 100 as hundreds, window_closes_at
from maintsched.running order by run_id;
set role pg_monitor;
select count(*) from maintsched.running;
reset role;

select report, p ->> 'phase' as phase, maintsched.progress_share(report, p) as share
from (values
	('analyze', jsonb '{"phase": "initializing"}'),
	('analyze', '{"phase": "acquiring sample rows", "sample_blks_total": 200, "sample_blks_scanned": 50}'),
	('analyze', '{"phase": "computing statistics", "sample_blks_total": 200, "sample_blks_scanned": 200}'),
	('vacuum', '{"phase": "scanning heap", "heap_blks_total": 1000, "heap_blks_scanned": 500}'),
	('vacuum', '{"phase": "scanning heap", "heap_blks_total": 0, "heap_blks_scanned": 0}'),
	('create_index', '{"command": "CREATE INDEX", "phase": "building index: loading tuples in tree", "blocks_total": 0, "blocks_done": 0, "tuples_total": 100, "tuples_done": 100}'),
	('create_index', '{"command": "REINDEX CONCURRENTLY", "phase": "building index: scanning table", "blocks_total": 100, "blocks_done": 50, "tuples_total": 0, "tuples_done": 0}'),
	('create_index', '{"command": "REINDEX CONCURRENTLY", "phase": "waiting for old snapshots"}'),
	('cluster', '{"phase": "rebuilding index"}'),
	('copy', '{"bytes_total": 0, "bytes_processed": 7}'),
	('of a later version', '{"phase": "new"}')) x(report, p);

--
-- What a pattern means: * any text, ? one character, nothing else.
--
select schema_name, relation_name, pattern, matches,
	maintsched.name_matches(schema_name, relation_name, jsonb_build_array(pattern)) = matches as as_it_should
from (values
	('sales', 'orders', 'sales', true),
	('sales', 'orders', 'sales.orders', true),
	('sales', 'orders', 'orders', false),
	('sales', 'orders', 'Sales', false),
	('sales', 'orders', 'sale', false),
	('sales', 'orders', 'sales.', false),
	('sales', 'orders', '', false),
	('sales', 'orders', '*', true),
	('sales', 'orders', '***', true),
	('sales', 'orders', '*.orders', true),
	('sales', 'orders', '*.*', true),
	('sales', 'orders', 's*s', true),
	('sales', 'orders', 's*x', false),
	('sales', 'orders', '*.o*r*s', true),
	('sales', 'orders', '*rd*rd*', false),
	('sales', 'orders', 'sale?', true),
	('sales', 'orders', 'sales?', false),
	('sales', 'orders', 'sales?orders', true),
	('sales', 'orders', '?????', true),
	('sales', 'orders', '??????', false),
	('sales', 'aaab', 'sales.*aab', true),
	('sales', 'aaab', 'sales.*ab*b', false),
	('sa%es', 'or_ers', 'sales.orders', false),
	('sales', 'orders', 'sa%.or_ers', false),
	('sa%es', 'or_ers', 'sa%es.or_ers', true),
	('sales', 'a!b', 'sales.a!b', true),
	('a.b', 'c', 'a.b', true),
	('a.b', 'c', 'a.*', true),
	(U&'\00fcber', U&'t\00e4glich', U&'?ber.t?glich', true),
	(U&'\00fcber', U&'t\00e4glich', U&'??ber', false),
	(U&'\00fcber', U&'t\00e4glich', U&'*.t\00e4*', true)) v(schema_name, relation_name, pattern, matches)
where maintsched.name_matches(schema_name, relation_name, jsonb_build_array(pattern)) is distinct from matches;
select maintsched.name_matches('a', 'b', '[]') as no_pattern, maintsched.name_matches('a', 'b', '["x", "a", "y"]') as one_of_three,
	maintsched.name_matches('a', 'b', null) as without_patterns, maintsched.name_matches(null, 'b', '["*"]') as without_name,
	maintsched.name_matches('a', 'b', '[null, 1, true, ["a"], {"a": "a"}]') as no_texts;
select maintsched.name_matches('a', 'b', '{"a": "a"}');
select maintsched.name_matches('a', 'b', '"a"');

--
-- pg_cron is not loaded here.
--
select maintsched.enable_pg_cron();
select maintsched.disable_pg_cron();

reset search_path;
set client_min_messages = warning;
drop schema regress_maintsched_sales, "regress_maintsched Odd" cascade;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_owner, regress_maintsched_manager;
