--
-- The routine vacuum: which tables need it, in which order, by which commands.
-- What becomes of it is in test/t/041_vacuum.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

--
-- Parameters: what is wrong is said.
--
select maintsched.check_params('vacuum', '{"include": ["public"], "exclude": ["*.log"], "all": true, "threshold": 0, "scale_factor": 0.05,
	"insert_threshold": 100, "insert_scale_factor": 0, "freeze_age": 100000, "multixact_age": 2000000000, "min_visible": 1,
	"overrides": {"sales": {"threshold": 7, "min_visible": 0}}, "freeze": false, "skip_locked": true, "analyze": null, "truncate": false,
	"process_toast": true, "index_cleanup": "auto", "parallel": 4, "cost_delay": "500us", "cost_limit": 200, "lock_timeout": "1 min", "time_limit": "1 hour"}');
select maintsched.check_params('vacuum', '{"full": true}');
select maintsched.check_params('vacuum', '{"freeze": 1}');
select maintsched.check_params('vacuum', '{"index_cleanup": true}');
select maintsched.check_params('vacuum', '{"index_cleanup": "on); drop table x; --"}');
select maintsched.check_params('vacuum', '{"parallel": 1025}');
select maintsched.check_params('vacuum', '{"parallel": -1}');
select maintsched.check_params('vacuum', '{"cost_delay": "1 s"}');
select maintsched.check_params('vacuum', '{"cost_delay": "101"}');
select maintsched.check_params('vacuum', '{"cost_delay": 2}');
select maintsched.check_params('vacuum', '{"cost_limit": 0}');
select maintsched.check_params('vacuum', '{"buffer_usage_limit": "1 kB"}');
select maintsched.check_params('vacuum', '{"threshold": -1}');
select maintsched.check_params('vacuum', '{"threshold": 1.5}');
select maintsched.check_params('vacuum', '{"scale_factor": 101}');
select maintsched.check_params('vacuum', '{"freeze_age": 99999}');
select maintsched.check_params('vacuum', '{"freeze_age": 2000000001}');
select maintsched.check_params('vacuum', '{"min_visible": 80}');
select maintsched.check_params('vacuum', '{"overrides": {"sales": {"freeze": true}}}');
select maintsched.check_params('analyze', '{"threshold": "many"}');

-- (what may hold back is another session of the day)
create function pg_temp.plan(params jsonb)
returns table (target text, command text, reason text) language sql as $$
	select replace(p.target, quote_ident(current_database()), 'database'), replace(p.command, ' ONLY', ''),
		-- what 19 knows besides is left out
		regexp_replace(regexp_replace(p.reason, '; (last|no) VACUUM.*', ''), '; due by pg_stat_autovacuum_scores', '')
	from maintsched.plan_vacuum(params) p
$$;

--
-- Dead rows, by the thresholds of the table, of params, of overrides.
--
create schema regress_maintsched_sales;
create schema "regress_maintsched Odd";
set search_path = regress_maintsched_sales;
create table small (a integer) with (autovacuum_enabled = off);
create table large (a integer) with (autovacuum_enabled = off);
create table clean (a integer) with (autovacuum_enabled = off);
create table empty (a integer) with (autovacuum_enabled = off);
create unlogged table "regress_maintsched Odd"."Ünlogged ""x"" it's" (a integer) with (autovacuum_enabled = off);
create materialized view totals as select generate_series(1, 3) as a;
create materialized view unfilled as select 1 as a with no data;
create view no_table as select * from small;
create temporary table passing (a integer);
insert into small select generate_series(1, 100);
insert into clean select generate_series(1, 100);
insert into large select generate_series(1, 10000);
insert into "regress_maintsched Odd"."Ünlogged ""x"" it's" select generate_series(1, 100);
insert into passing select generate_series(1, 10000);
select pg_stat_force_next_flush();
vacuum small, clean, large, "regress_maintsched Odd"."Ünlogged ""x"" it's";
select pg_stat_force_next_flush();
delete from small where a <= 71;
update large set a = 0 where a <= 2100;
delete from "regress_maintsched Odd"."Ünlogged ""x"" it's";
delete from passing;
select pg_stat_force_next_flush();
select * from pg_temp.plan('{"include": ["regress_maintsched*"]}');
select * from pg_temp.plan('{"include": ["regress_maintsched*"], "threshold": 70, "scale_factor": 0}');
select * from pg_temp.plan('{"include": ["regress_maintsched*"], "threshold": 71, "scale_factor": 0}');
select target from pg_temp.plan('{"include": ["regress_maintsched*"], "scale_factor": 0.3}');
select target from pg_temp.plan('{"include": ["regress_maintsched*"], "overrides": {
	"regress_maintsched Odd": {"scale_factor": 10}, "regress_maintsched_sales": {"scale_factor": 0.21, "threshold": 0}, "regress_maintsched_sales.large": {"scale_factor": 0.2099}}}');
alter table small set (autovacuum_vacuum_threshold = 72, autovacuum_vacuum_scale_factor = 0);
alter table large set (autovacuum_vacuum_threshold = 72, autovacuum_vacuum_scale_factor = 0.5);
select target, reason from pg_temp.plan('{"include": ["regress_maintsched_sales"]}');
select target, reason from pg_temp.plan('{"include": ["regress_maintsched_sales"], "scale_factor": 0.1}');
alter table small reset (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor);
alter table large reset (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor);
-- nothing is needed, and that was looked at
select * from pg_temp.plan('{"include": ["*.clean", "*.empty"]}');
select * from pg_temp.plan('{"include": ["*.clean"], "all": true}');
select * from pg_temp.plan('{"include": ["*.clean", "nothing_of_the_kind"]}');
select * from pg_temp.plan('{"include": ["nothing_of_the_kind"]}');
select target from pg_temp.plan('{"include": ["regress_maintsched*"], "exclude": ["*Odd", "*.sm*"]}');
select count(*) filter (where target ~ '^(pg_|information_schema)' or target ~ 'passing|unfilled|no_table') as wrong, count(*) > 10 as tables
from maintsched.plan_vacuum('{"all": true}');
set track_counts = off;
select * from maintsched.plan_vacuum('{"include": ["*.clean"]}');
select * from maintsched.plan_analyze('{"include": ["*.clean"]}');
select * from pg_temp.plan('{"include": ["*.clean"], "all": true}');
reset track_counts;

--
-- Inserted rows, visibility, and what the counters do not know.
--
create table inserted (a integer) with (autovacuum_enabled = off);
insert into inserted select generate_series(1, 1001);
select pg_stat_force_next_flush();
select * from pg_temp.plan('{"include": ["*.inserted"]}');
select target from pg_temp.plan('{"include": ["*.inserted"], "insert_threshold": 1001}');
alter table inserted set (autovacuum_vacuum_insert_threshold = -1);
select target from pg_temp.plan('{"include": ["*.inserted"]}');
alter table inserted reset (autovacuum_vacuum_insert_threshold);
vacuum inserted;
select target from pg_temp.plan('{"include": ["*.inserted"]}');
create table seen (a integer, b char(1000)) with (autovacuum_enabled = off);
insert into seen select i, 'x' from generate_series(1, 2000) i;
create index on seen (a) include (b);
select pg_stat_force_next_flush();
vacuum analyze seen;
update seen set b = 'y' where a % 7 = 0;
analyze seen;
select pg_stat_force_next_flush();
select target from pg_temp.plan('{"include": ["*.seen"], "threshold": 1000000}');
set enable_seqscan = off;
set enable_bitmapscan = off;
select count(*) from seen where a < 20;
reset enable_seqscan;
reset enable_bitmapscan;
select pg_stat_force_next_flush();
select target, regexp_replace(reason, '[0-9]+', 'N', 'g') as reason from pg_temp.plan('{"include": ["*.seen"], "threshold": 1000000}');
select target from pg_temp.plan('{"include": ["*.seen"], "threshold": 1000000, "overrides": {"regress_maintsched_sales.seen": {"min_visible": 0}}}');
select pg_stat_reset_single_table_counters('seen'::regclass);
select target, reason from pg_temp.plan('{"include": ["*.seen"]}');
vacuum seen;
select target from pg_temp.plan('{"include": ["*.seen"]}');

--
-- The age of transactions comes before everything.  (Age is made here: what is
-- older than it can be is only looked at.)
--
update pg_class set relfrozenxid = (((pg_current_xact_id()::text::bigint - 96000 + 4294967296) % 4294967296)::text)::xid where oid = 'clean'::regclass;
select target from pg_temp.plan('{"include": ["*.clean", "*.large"]}');
alter table clean set (autovacuum_freeze_max_age = 100000);
select target, regexp_replace(reason, '9[56],[0-9]+', 'N', 'g') as reason from pg_temp.plan('{"include": ["*.clean", "*.large"]}');
select target, p.details -> 'settings' as settings from maintsched.plan_vacuum('{"include": ["*.clean"], "freeze_age": 101000}') p where p.target ~ 'clean';
select command, p.details -> 'settings' as settings from maintsched.plan_vacuum('{"include": ["*.clean"], "cost_delay": "500us", "cost_limit": 1000}') p;
select command, p.details -> 'settings' as settings from maintsched.plan_vacuum('{"include": ["*.clean"], "freeze": true}') p;
select (maintsched.vacuum_measure('regress_maintsched_sales.clean') ->> 'relfrozenxid_age')::integer between 96000 and 97000 as age;
vacuum (freeze) clean;
select target from pg_temp.plan('{"include": ["*.clean"]}');
-- what is left of a need is said, and what did not happen
select maintsched.vacuum_shortfall('regress_maintsched_sales.clean', '{}', '{"last_vacuum": 1}', '{"last_vacuum": 2}') as done,
	maintsched.vacuum_shortfall('regress_maintsched_sales.clean', '{}', '{"last_vacuum": 1}', '{"last_vacuum": 1}') as not_done,
	maintsched.vacuum_shortfall('regress_maintsched_sales.clean', '{"skip_locked": true}', '{"last_vacuum": 1}', '{"last_vacuum": 1}') as locked,
	maintsched.vacuum_shortfall('regress_maintsched_sales.gone', '{}', '{"last_vacuum": 1}', null) as gone;

-- past the limit of the failsafe, whatever the setting
update pg_class set relfrozenxid = (((pg_current_xact_id()::text::bigint - 106000 + 4294967296) % 4294967296)::text)::xid where oid = 'clean'::regclass;
select regexp_replace(reason, '106,[0-9]+', 'N', 'g') as reason from pg_temp.plan('{"include": ["*.clean"]}');
set vacuum_failsafe_age = 0;
select target, regexp_replace(reason, '106,[0-9]+', 'N', 'g') as reason from pg_temp.plan('{"include": ["*.clean", "*.large"], "overrides": {"regress_maintsched_sales.large": {"threshold": 0, "scale_factor": 0}}}');
select details -> 'settings' as settings from maintsched.plan_vacuum('{"include": ["*.clean"]}');
reset vacuum_failsafe_age;
vacuum (freeze) clean;
alter table clean reset (autovacuum_freeze_max_age);

-- multixacts likewise
update pg_class set relminmxid = ((mxid_age('1'::xid)::bigint + 1 - 9600 + 4294967296) % 4294967296)::text::xid where oid = 'clean'::regclass;
select target from pg_temp.plan('{"include": ["*.clean"], "multixact_age": 100000}') where target <> 'database';
alter table clean set (autovacuum_multixact_freeze_max_age = 10000);
select regexp_replace(reason, '[0-9]+,[0-9]+ old', 'N old', 'g') as reason from pg_temp.plan('{"include": ["*.clean"]}');
select details -> 'settings' as settings from maintsched.plan_vacuum('{"include": ["*.clean"]}');
update pg_class set relminmxid = ((mxid_age('1'::xid)::bigint + 1 - 10600 + 4294967296) % 4294967296)::text::xid where oid = 'clean'::regclass;
set vacuum_multixact_failsafe_age = 0;
select regexp_replace(reason, '[0-9]+,[0-9]+ old', 'N old', 'g') as reason from pg_temp.plan('{"include": ["*.clean"]}');
reset vacuum_multixact_failsafe_age;
vacuum (freeze) clean;
select * from pg_temp.plan('{"include": ["*.clean"]}');
alter table clean reset (autovacuum_multixact_freeze_max_age);

--
-- Options.
--
select command from pg_temp.plan('{"include": ["*.clean"], "all": true, "freeze": true, "skip_locked": true, "analyze": true,
	"index_cleanup": "off", "truncate": true, "process_toast": false, "parallel": 2}');
select command from pg_temp.plan('{"include": ["*.clean"], "all": true, "freeze": false, "skip_locked": false, "analyze": false,
	"index_cleanup": null, "truncate": null, "process_toast": null, "parallel": 0}');
select p.details ->> 'lock_timeout' as lock_timeout from maintsched.plan_vacuum('{"include": ["*.clean"], "all": true}') p;
select p.details ->> 'lock_timeout' as lock_timeout from maintsched.plan_vacuum('{"include": ["*.clean"], "all": true, "lock_timeout": "1 min"}') p;

--
-- Partitions: the leaves, by the names and overrides of what is above them.
--
create table event (a integer) partition by range (a);
create table event_1 partition of event for values from (0) to (1000) with (autovacuum_enabled = off);
create table event_2 partition of event for values from (1000) to (2000) partition by range (a);
create table event_2a partition of event_2 for values from (1000) to (2000) with (autovacuum_enabled = off);
insert into event select generate_series(0, 1999);
select pg_stat_force_next_flush();
vacuum event;
select pg_stat_force_next_flush();
delete from event where a % 2 = 0;
select pg_stat_force_next_flush();
select target from pg_temp.plan('{"include": ["*.event"]}');
select target from pg_temp.plan('{"include": ["*.event"], "exclude": ["*.event_2"]}');
select target from pg_temp.plan('{"include": ["*.event_2"]}');
select target from pg_temp.plan('{"include": ["*.event"], "overrides": {"regress_maintsched_sales.event": {"threshold": 1000}}}');
select target from pg_temp.plan('{"include": ["*.event"], "overrides": {"regress_maintsched_sales.event": {"threshold": 1000}, "regress_maintsched_sales.event_2": {"threshold": 0}}}');
-- an inheritance parent is one table
create table heir () inherits (clean) with (autovacuum_enabled = off);
select target, command from pg_temp.plan('{"include": ["*.clean"], "all": true}');

--
-- Names that mean nothing are told; those of indexes and of schemas do.
--
create schema regress_maintsched_bare;
select * from pg_temp.plan('{"include": ["*.clean", "*.smal"], "exclude": ["*.lage", "regress_maintsched_bare"], "overrides": {"regress_maintsched_sales.celan": {"threshold": 0}, "regress_maintsched_sales": {"threshold": 1000000}}}');
select * from pg_temp.plan('{"include": ["*.clean"], "exclude": ["*.clean"]}');
select * from pg_temp.plan('{"include": ["pg_catalog"]}');
drop schema regress_maintsched_bare;

--
-- A role plans what it may vacuum.
--
create role regress_maintsched_owner;
select maintsched.grant_access('regress_maintsched_owner', 'manager');
grant usage on schema regress_maintsched_sales to regress_maintsched_owner;
alter table large owner to regress_maintsched_owner;
set role regress_maintsched_owner;
select * from pg_temp.plan('{"include": ["*.large"]}');
select target, command, reason from pg_temp.plan('{"include": ["*.large", "*.small"]}');
select * from pg_temp.plan('{"include": ["*.small"]}');
select * from maintsched.vacuum_still_needed('regress_maintsched_sales.large', '{}');
select maintsched.vacuum_still_needed('regress_maintsched_sales.gone', '{}');
reset role;

--
-- A run that goes on in the next window does nothing twice; what was of no use
-- then, and is by now, it does.
--
insert into maintsched.run (run_id, routine, params, run_as, change_class, state, requested_by, queued_at, not_before, continues)
select n, 'vacuum', '{}', 'x', 'minor', 'running', 'x', now(), now(), nullif(n, 901) - 1 from generate_series(901, 903) n;
insert into maintsched.run_action (run_id, seq, target, command, state, skip_reason)
values (901, 1, 'held', 'VACUUM held', 'skipped', 'pointless'), (901, 2, 'done', 'VACUUM done', 'done', null),
	(901, 3, 'held still', 'VACUUM held still', 'skipped', 'pointless'), (901, 4, 'late', 'VACUUM late', 'skipped', 'no_time');
select maintsched.note_actions(902, array[
	('new', 'VACUUM new', null, null, null, null), ('held', 'VACUUM held', null, null, null, '{}'), ('done', 'VACUUM done', null, null, null, '{}'),
	('held still', 'VACUUM held still', null, null, null, '{"skip": "pointless"}'), ('late', 'VACUUM late', null, null, null, '{}')]::maintsched.action[]);
select seq, target from maintsched.run_action where run_id = 902 order by seq;
update maintsched.run_action set state = 'done' where run_id = 902 and target = 'held';
update maintsched.run_action set state = 'skipped', skip_reason = 'not_needed' where run_id = 902 and target = 'late';
select maintsched.note_actions(903, array[('held', 'VACUUM held', null, null, null, '{}'), ('late', 'VACUUM late', null, null, null, '{}')]::maintsched.action[]);
select seq, target from maintsched.run_action where run_id = 903 order by seq;

--
-- Who holds back what: seen by anybody who may plan.
--
select count(*) >= 0 as seen from maintsched.horizon_holders();
select o.horizon is not null as horizon, o.pages, o.hidden, o.sampled, o.removable, o.recent, o.settable
from maintsched.vacuum_outlook('empty'::regclass, 100) o;
select o.pages > 0 as pages, o.hidden = o.sampled as sampled, o.removable + o.recent as dead from maintsched.vacuum_outlook('small'::regclass, 100) o;
select maintsched.vacuum_outlook('no_table'::regclass, 100) is null as view, maintsched.vacuum_outlook('event'::regclass, 100) is null as parent,
	maintsched.vacuum_outlook(0, 100) is null as nothing;

reset search_path;
set client_min_messages = warning;
drop schema regress_maintsched_sales, "regress_maintsched Odd" cascade;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_owner;
