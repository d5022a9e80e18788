--
-- The routine amcheck: its parameters and plan, rights, and the functions that
-- check.  What they find in damaged files: 045_amcheck.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

-- not installed: an error, and nothing is green
select * from maintsched.plan('amcheck');
select maintsched.check_index('pg_catalog.pg_class_oid_index');
select verdict, count(*) > 100 as many from maintsched.amcheck_report group by 1;
select * from maintsched.corrupt_relations();
select status, value, detail, hint from maintsched.health where item = 'corruption';

-- in whatever schema it is
create schema "regress_maintsched Ext";
create extension amcheck schema "regress_maintsched Ext";
-- and however the session writes names
set quote_all_identifiers = on;
select count(*) > 100 as planned from maintsched.plan('amcheck');
reset quote_all_identifiers;

--
-- Parameters.
--
select maintsched.check_params('amcheck', '{"include": ["a"], "exclude": ["a.b"], "tables": true, "toast": false, "indexes": true, "catalogs": false, "parents": true, "heapallindexed": false, "rootdescend": true, "checkunique": null, "recheck_after": "7 days", "time_limit": "1 hour"}');
select maintsched.check_params('amcheck', '{"parent": true}');
select maintsched.check_params('amcheck', '{"parents": "yes"}');
select maintsched.check_params('amcheck', '{"recheck_after": 7}');
select maintsched.check_params('amcheck', '{"overrides": {"a.b": {"recheck_after": "1 day", "heapallindexed": false}}}');
select maintsched.check_params('amcheck', '{"overrides": {"a.b": {"parents": true}}}');
select maintsched.plan('amcheck', '{"include": []}');

--
-- The plan.
--
create schema regress_maintsched_a;
create schema "regress_maintsched B";
set search_path = regress_maintsched_a;
create table plain (id integer primary key, note text);
alter table plain alter note set storage external;
insert into plain select i, 'n' from generate_series(1, 3000) i;
insert into plain values (0, repeat('x', 5000));
create index plain_note on plain (lower(note)) where id > 5;
create index plain_brin on plain using brin (id);
create table "regress_maintsched B"."It's ""odd"", \ 中" ("Id" integer primary key);
create table parted (a integer, b text) partition by list (a);
create index on parted (a);
create table parted_1 partition of parted for values in (1);
create foreign data wrapper regress_maintsched_wrapper;
create server regress_maintsched_server foreign data wrapper regress_maintsched_wrapper;
create foreign table far (a integer) server regress_maintsched_server;
create view looked as select 1 as a;
create materialized view kept as select 1 as a;
create materialized view bare as select 1 as a with no data;
create sequence counted;
create temporary table passing (a integer primary key);
create unlogged table fast (a integer);

-- (checkunique is there since amcheck 1.4, of PostgreSQL 17)
create function pg_temp.plan(params jsonb)
returns table (seq integer, target text, command text, reason text) language sql as $$
	select p.seq, p.target, replace(p.command, ', checkunique => true', ''), p.reason from maintsched.plan('amcheck', params) p
$$;
select target, command, reason from pg_temp.plan('{"include": ["regress_maintsched*"]}') order by seq;
select count(*) filter (where target ~ 'passing|far|looked|counted|parted$') as never,
	count(*) filter (where target ~ '^(pg_toast|pg_temp)') as no_toast,
	count(*) filter (where target ~ '^pg_catalog') > 150 as catalogs
from maintsched.plan('amcheck');
select count(*) from maintsched.plan('amcheck', '{"catalogs": false}') where target ~ '^(pg_catalog|information_schema)';
select target from pg_temp.plan('{"include": ["regress_maintsched*"], "indexes": false, "toast": false}');
select target from pg_temp.plan('{"include": ["regress_maintsched*"], "tables": false}');
select target, command from pg_temp.plan('{"include": ["regress_maintsched_a.plain"], "toast": false}');
-- partitions by the names of their parents
select target from pg_temp.plan('{"include": ["*.parted"]}');
select target from pg_temp.plan('{"include": ["*.parted_a_idx"]}');
select count(*) from pg_temp.plan('{"include": ["*.parted*"], "exclude": ["*.parted"]}');
-- an index by its own name, and not that of its table
select target from pg_temp.plan('{"include": ["*.plain_note"]}');
select target from pg_temp.plan('{"include": ["regress_maintsched_a"], "exclude": ["*.plain", "*.parted_1"]}');
select target, command, details ->> 'change_class' as class from maintsched.plan('amcheck', '{"include": ["*.plain"], "parents": true, "tables": false, "checkunique": false, "rootdescend": true, "heapallindexed": false}');
-- by object: the index, its table, the partitioned table
select target, command from pg_temp.plan('{"include": ["*.plain", "*.parted"], "toast": false, "tables": false, "overrides": {"regress_maintsched_a.plain": {"heapallindexed": false}, "regress_maintsched_a.plain_pkey": {"heapallindexed": true}, "regress_maintsched_a.parted": {"heapallindexed": false}}}') order by target;
-- there is no window of class major
select details ->> 'change_class' as class, fits_window, count(*) from maintsched.plan('amcheck', '{"include": ["*.plain"], "parents": true}') group by 1, 2 order by 1;
select count(*) from maintsched.plan('amcheck', '{"include": ["*.plain", "no.such"]}');
select * from maintsched.plan('amcheck', '{"include": ["no.such"]}');
select * from maintsched.plan('amcheck', '{"include": ["*.plain_brin"]}');
select * from maintsched.plan('amcheck', '{"tables": false, "indexes": false}');
-- in parts
create or replace function maintsched.check_part_pages() returns bigint language sql immutable parallel safe return 8;
select target, command, reason from pg_temp.plan('{"include": ["*.plain"], "indexes": false, "toast": false}');
create or replace function maintsched.check_part_pages() returns bigint language sql immutable parallel safe return 131072;

-- what an action asks and measures
select distinct p.details ->> 'amcheck' as item, p.details ->> 'lock_timeout' as lock_timeout, p.details ->> 'statement_timeout' as statement_timeout, p.estimated_seconds > 0 as estimated,
	p.details ->> 'still_needed' as still_needed
from maintsched.plan('amcheck', '{"include": ["regress_maintsched B", "*.plain"]}') p order by 5;
select x.item, s ->> 'valid' as valid, (s ->> 'pages')::integer > 0 as pages, s ->> 'filenode' = pg_relation_filenode(x.relation::regclass)::text as filenode
from (values
	('table', 'plain'),
	('index', 'plain_pkey'),
	('parents', 'plain_pkey'),
	('table', 'plain_pkey'),
	('index', 'plain'),
	('toast', 'plain_pkey'),
	('table', 'looked')) x(item, relation)
cross join lateral maintsched.check_storage('regress_maintsched_a', x.relation, x.item) s;
select s ->> 'valid' as valid, s ->> 'filenode' = pg_relation_filenode((select reltoastrelid from pg_class where oid = 'plain'::regclass))::text as filenode
from maintsched.check_storage('regress_maintsched_a', 'plain', 'toast') s;
select maintsched.check_storage('regress_maintsched_a', 'gone', 'table') is null as gone;

--
-- The functions that check.
--
select maintsched.check_table('regress_maintsched_a.plain') = pg_relation_size('plain') / 8192 as all_pages,
	maintsched.check_table('regress_maintsched_a.plain', first_block => 2, blocks => 3) as three,
	maintsched.check_table('regress_maintsched_a.plain', first_block => 1000000, blocks => 8) as none,
	maintsched.check_toast('regress_maintsched_a.plain') as toast,
	maintsched.check_table('"regress_maintsched B"."It''s ""odd"", \ 中"') as empty;
select maintsched.check_index('regress_maintsched_a.plain_pkey');
select maintsched.check_index('regress_maintsched_a.plain_note', parents => true, rootdescend => true);
select maintsched.check_toast_index('regress_maintsched_a.plain');
select maintsched.check_table(null);
select maintsched.check_index(null);
select maintsched.check_table('plain');
select maintsched.check_table('regress_maintsched_a.gone');
select maintsched.check_table('regress_maintsched_a.far');
select maintsched.check_table('regress_maintsched_a.plain', first_block => -1);
select maintsched.check_index('regress_maintsched_a.plain');
select maintsched.check_index('regress_maintsched_a.plain_brin');
select maintsched.check_toast('regress_maintsched_a.fast');
-- a function of an index has changed: its rows are not where they are looked for
create function shape(text) returns text language plpgsql immutable as 'begin return lower($1); end';
create index plain_shape on plain (shape(note)) where id > 2990;
create or replace function shape(text) returns text language plpgsql immutable as 'begin return upper($1); end';
select maintsched.check_index('regress_maintsched_a.plain_shape', heapallindexed => false);
select maintsched.check_index('regress_maintsched_a.plain_shape');
-- an error of the function is not a finding, and its words may be anybody's
create or replace function shape(text) returns text language plpgsql immutable as $$ begin raise 'Jane Doe has the flu' using errcode = 'XX002'; end $$;
select maintsched.check_index('regress_maintsched_a.plain_shape');
drop index plain_shape;

--
-- Rights.
--
create role regress_maintsched_viewer;
create role regress_maintsched_checker;
select maintsched.grant_access('regress_maintsched_viewer', 'viewer');
select maintsched.grant_access('regress_maintsched_checker', 'manager');
set role regress_maintsched_checker;
select * from maintsched.plan('amcheck');
select maintsched.check_table('regress_maintsched_a.plain');
reset role;
grant usage on schema "regress_maintsched Ext" to regress_maintsched_checker;
grant execute on function "regress_maintsched Ext".verify_heapam(regclass, boolean, boolean, text, bigint, bigint) to regress_maintsched_checker;
set role regress_maintsched_checker;
select count(*) from maintsched.plan('amcheck', '{"include": ["regress_maintsched*"], "checkunique": false}');
select count(*) from maintsched.plan('amcheck', '{"include": ["regress_maintsched*"], "indexes": false}');
select maintsched.check_toast('regress_maintsched_a.plain');
set role regress_maintsched_viewer;
select count(*) > 5 as report from maintsched.amcheck_report where schema like 'regress_maintsched%';
select maintsched.check_table('regress_maintsched_a.plain');
reset role;

--
-- Verdicts: what stands in run_action, as a runner would have put it there.
--
create function pg_temp.put_checks(outcome text, variadic names text[]) returns void language plpgsql as $$
declare
	id bigint;
begin
	insert into maintsched.run (routine, params, run_as, change_class, state, requested_by, queued_at, not_before, finished_at)
	values ('amcheck', '{}', current_user, 'none', 'succeeded', 'test', now(), now(), clock_timestamp()) returning run_id into id;
	insert into maintsched.run_action (run_id, seq, target, command, details, state, started_at, finished_at, before, sqlstate, message)
	select id, p.seq, p.target, p.command, p.details, case outcome when 'sound' then 'done' else 'failed' end, clock_timestamp(), clock_timestamp(),
		maintsched.check_storage(p.details ->> 'schema', p.details ->> 'relation', p.details ->> 'amcheck'),
		nullif(outcome, 'sound'), case when outcome <> 'sound' then 'what was found' end
	from maintsched.plan('amcheck', jsonb_build_object('include', to_jsonb(names), 'parents', outcome = 'parents')) p
	where p.target = any (names);
end $$;
create function pg_temp.standing() returns table (relation text, kind text, verdict text, "check" text, parts text, message text) language sql as $$
	select r.relation, r.kind, r.verdict, r.check_kind, r.parts_checked || '/' || r.parts, r.message
	from maintsched.amcheck_report r
	where r.schema = 'regress_maintsched_a' and r.verdict <> 'never checked'
	order by r.relation collate "C"
$$;
select * from pg_temp.standing();
select pg_temp.put_checks('XX001', 'regress_maintsched_a.plain', 'regress_maintsched_a.kept');
select pg_temp.put_checks('XX002', 'regress_maintsched_a.plain_pkey');
select pg_temp.put_checks('38000', 'regress_maintsched_a.parted_1');
select pg_temp.put_checks('sound', 'regress_maintsched_a.fast');
select * from pg_temp.standing();
select schema, relation, kind, sqlstate, rewritten from maintsched.corrupt_relations() order by relation, kind;
select status, value, detail from maintsched.health where item = 'corruption';
-- the oldest first, after what was never checked; rebuilt before all
reindex index plain_pkey;
select target, details ->> 'amcheck' as item, regexp_replace(reason, '(.*)(,.*)', '\1') as reason
from maintsched.plan('amcheck', '{"include": ["regress_maintsched_a"]}') order by seq;
select relation, kind, rewritten from maintsched.corrupt_relations() order by relation, kind;
select pg_temp.put_checks('sound', 'regress_maintsched_a.plain');
select relation, kind, rewritten from maintsched.corrupt_relations() order by relation, kind;
refresh materialized view kept;
select status, value, detail from maintsched.health where item = 'corruption';
select pg_temp.put_checks('sound', 'regress_maintsched_a.plain_pkey', 'regress_maintsched_a.kept');
select count(*) from maintsched.corrupt_relations();
select status, value, detail ~ '^nothing that was checked is corrupt; the last check was on 20' as detail from maintsched.health where item = 'corruption';
-- a routine of somebody's own cannot say so
insert into maintsched.run (routine, params, run_as, change_class, state, requested_by, queued_at, not_before, finished_at)
values ('sql', '{}', current_user, 'none', 'succeeded', 'test', now(), now(), clock_timestamp());
insert into maintsched.run_action (run_id, seq, target, command, details, state, started_at, finished_at, sqlstate)
select max(run_id), 1, 'regress_maintsched_a.fast', 'select 1', '{"amcheck": "table", "part": 0, "schema": "regress_maintsched_a", "relation": "fast"}', 'failed', now(), now(), 'XX001' from maintsched.run;
select count(*) from maintsched.corrupt_relations();
-- what was dropped is no longer there
select pg_temp.put_checks('XX001', 'regress_maintsched_a.fast');
select relation, kind from maintsched.corrupt_relations();
drop table fast;
select count(*) from maintsched.corrupt_relations();

reset search_path;
set client_min_messages = warning;
drop schema regress_maintsched_a, "regress_maintsched B" cascade;
drop server regress_maintsched_server;
drop foreign data wrapper regress_maintsched_wrapper;
drop extension amcheck;
drop schema "regress_maintsched Ext";
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_viewer, regress_maintsched_checker;
