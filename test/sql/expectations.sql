--
-- What a restored backup is to hold: expected tables, sample queries, capturing,
-- asking and judging.  The copy here is this database itself, asked as a drill
-- asks; that a real one is recovered to the restore point: 068_expectations.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';

insert into maintsched.repository (name, kind, location) values ('main', 'pgbackrest', 'main'), ('folder', 'basebackup', '/nowhere');
create schema regress_maintsched_x;
create schema "regress_maintsched Y.z";
set search_path = regress_maintsched_x;
create table patients (id integer primary key, name text, weight float8, born timestamptz, more jsonb);
insert into patients
select i, 'name ' || i, i / 7.0, timestamptz '2000-01-01 12:00:00+00' + i * interval '1 day', jsonb_build_object('k', i)
from generate_series(1, 10000) i;
create table "regress_maintsched Y.z"."odd ""<n>7</n>'" ("a b" bytea, "c""d" interval);
insert into "regress_maintsched Y.z"."odd ""<n>7</n>'" values ('\x00ff', '1 mon 2 days'), (null, '0'), ('', null);
create table nothing ();
create table visits (id integer, at date) partition by range (at);
create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
insert into visits select i, date '2025-06-01' + i from generate_series(1, 300) i;
create unlogged table scratch (i integer);
create view everybody as select * from patients;
create materialized view names as select name from patients where id <= 10;

--
-- Expected tables.
--
select maintsched.add_expected_table('main', 'regress_maintsched_x.patients');
select maintsched.add_expected_table('main', 'regress_maintsched_x.patients', 'digest');
select maintsched.add_expected_table('main', 'regress_maintsched_x.patients', 'digest');
select maintsched.add_expected_table('main', '"regress_maintsched Y.z"."odd ""<n>7</n>''"', 'digest');
select maintsched.add_expected_table('main', 'regress_maintsched_x.visits');
select maintsched.add_expected_table('main', 'regress_maintsched_x.na*s');
select maintsched.add_expected_table('main', 'regress_maintsched_x.nothing', 'digest');
select maintsched.add_expected_table('main', 'regress_maintsched_x.later*');
select repository, database = current_database() as here, schema, relation, method from maintsched.expected_tables order by 3, 4;
-- refused
select maintsched.add_expected_table('mian', 'regress_maintsched_x.patients');
select maintsched.add_expected_table('main', 'regress_maintsched_x.patient');
select maintsched.add_expected_table('main', 'patients');
select maintsched.add_expected_table('main', null);
select maintsched.add_expected_table('main', '');
select maintsched.add_expected_table('main', '"a');
select maintsched.add_expected_table('main', 'regress_maintsched_x.patients', 'row');
select maintsched.add_expected_table('main', 'regress_maintsched_x.everybody');
select maintsched.add_expected_table('main', 'regress_maintsched_x.scratch');
select maintsched.add_expected_table('main', 'pg_catalog.pg_class');
do $$
begin
	perform maintsched.add_expected_table('main', 'regress_maintsched_x.patients', database => 'postgres');
exception when feature_not_supported then
	raise notice '%', replace(sqlerrm, current_database(), 'here');
end
$$;
select maintsched.drop_expected_table('main', 'regress_maintsched_x.later*');
select maintsched.drop_expected_table('main', 'regress_maintsched_x.later*');

--
-- Capturing.
--
create function captured(out item text, out name text, out value jsonb) returns setof record
language sql
begin atomic
	select i.value ->> 'item', i.value ->> 'name', case when i.value ? 'table' then i.value -> 'value' end
	from maintsched.expectation e
	cross join jsonb_array_elements(e.items) with ordinality i
	where e.expectation_id = (select max(x.expectation_id) from maintsched.expectation x)
	order by i.ordinality;
end;
select maintsched.capture_expectations('main');
select * from captured();
select kept, tables, rows, message, timeline, captured_by = current_user as by_me, restore_point ~ '^maintsched-000001-[0-9a-f]{16}$' as named
from maintsched.expectations;
-- the point is before what is written now, and after all that was captured
select lsn < pg_current_wal_insert_lsn() as before_now from maintsched.expectations;
-- the same again, under whatever settings and in whatever order
set datestyle = 'german';
set intervalstyle = 'iso_8601';
set timezone = 'Asia/Tokyo';
set bytea_output = 'escape';
set extra_float_digits = 0;
update patients set weight = weight where id <= 5000;
select maintsched.capture_expectations('main');
reset datestyle;
reset intervalstyle;
set timezone = 'UTC';
reset bytea_output;
reset extra_float_digits;
create function same(a bigint, b bigint, out name text, out same boolean) returns setof record
language sql
begin atomic
	select i.value ->> 'name', i.value -> 'value' = j.value -> 'value'
	from maintsched.expectation e
	cross join jsonb_array_elements(e.items) i
	join maintsched.expectation f on f.expectation_id = b
	cross join jsonb_array_elements(f.items) j
	where e.expectation_id = a and i.value ->> 'name' = j.value ->> 'name'
	order by 1;
end;
select * from same(1, 2);
-- one bit of one row
update patients set weight = weight + 1e-16 where id = 1;
select maintsched.capture_expectations('main');
select * from same(1, 3);
-- refused
begin;
insert into patients values (0);
select maintsched.capture_expectations('main');
rollback;
begin isolation level repeatable read;
select maintsched.capture_expectations('main');
rollback;
begin read only;
select maintsched.capture_expectations('main');
rollback;
select maintsched.capture_expectations('nowhere');
select maintsched.capture_expectations(null);
update maintsched.repository set system_identifier = 1 where name = 'folder';
select maintsched.capture_expectations('folder');
update maintsched.repository set system_identifier = null where name = 'folder';
update maintsched.expectation set kept = false;
-- what cannot be read is named, and the rest is kept
create role regress_maintsched_o;
create table hidden (i integer);
alter table hidden owner to regress_maintsched_o;
alter table hidden enable row level security, force row level security;
create table wrong (i integer check (i > 0), j integer);
alter table scratch rename to later_logged;
alter table later_logged set logged;
select maintsched.add_expected_table('folder', 'regress_maintsched_x.hidden');
select maintsched.add_expected_table('folder', 'regress_maintsched_x.later_logged');
select maintsched.add_expected_table('folder', 'regress_maintsched_x.wrong');
alter table later_logged set unlogged;
drop table wrong;
create view wrong as select 1 as i;
select maintsched.capture_expectations('folder');
drop view wrong;
select maintsched.capture_expectations('folder');
select * from captured();
-- code of an owner does not run: neither in casts, nor as somebody else
create function regress_maintsched_x.shout() returns text language plpgsql as $$begin raise exception 'code of the owner runs'; end$$;
create type pair as (a integer, b integer);
create function shout(pair) returns text language plpgsql as $$begin raise exception 'code of the owner runs'; end$$;
create cast (pair as text) with function shout(pair) as assignment;
create table pairs (p pair);
insert into pairs values ((1, 2));
select maintsched.add_expected_table('folder', 'regress_maintsched_x.pairs', 'digest');
select maintsched.capture_expectations('folder');
select * from captured() where name is not null;
drop cast (pair as text);

-- who may: managers, and of tables whose owners' privileges they have
create role regress_maintsched_m;
select maintsched.grant_access('regress_maintsched_m', 'manager');
set role regress_maintsched_m;
select maintsched.capture_expectations('folder');
select * from maintsched.expectation;
reset role;
grant regress_maintsched_o to regress_maintsched_m;
alter table hidden no force row level security;
alter table pairs owner to regress_maintsched_o;
grant usage, create on schema regress_maintsched_x to regress_maintsched_o;
set role regress_maintsched_m;
select maintsched.capture_expectations('folder');
reset role;
select * from captured() where name is not null;

--
-- Sample queries.
--
select maintsched.add_sample_query('main', 'count', E'select count(*) as n from regress_maintsched_x.patients;\n', '[{"n": 10000}]');
select maintsched.add_sample_query('main', 'oldest', 'select id, name from regress_maintsched_x.patients order by born limit 3 -- the first', min_rows => 3, max_rows => 3, columns => '{name,id}');
select maintsched.add_sample_query('main', 'elsewhere', 'select a from no.where', database => 'postgres');
select repository, name, database = current_database() as here, query, expected, min_rows, max_rows, columns, timeout from maintsched.sample_queries order by 1, 2;
select maintsched.drop_sample_query('main', 'elsewhere');
select maintsched.drop_sample_query('main', 'elsewhere');
select maintsched.add_sample_query('main', 'q', 'select count(*) from patients');
select maintsched.add_sample_query('main', 'q', 'select 1 as a; select 2 as a');
select maintsched.add_sample_query('main', 'q', 'select 1 as a) q; drop table regress_maintsched_x.patients; select * from (select 1 as a');
select maintsched.add_sample_query('main', 'q', 'delete from regress_maintsched_x.patients');
select maintsched.add_sample_query('main', 'q', 'with d as (delete from regress_maintsched_x.patients returning id) select id from d');
select maintsched.add_sample_query('main', 'q', 'commit');
select maintsched.add_sample_query('main', 'q', 'copy regress_maintsched_x.patients to stdout');
select maintsched.add_sample_query('main', 'q', 'select 1 as a into regress_maintsched_x.q union select 2');
select maintsched.add_sample_query('main', 'q', 'select id from regress_maintsched_x.patients for update');
select maintsched.add_sample_query('main', 'q', 'select $1 as a');
select maintsched.add_sample_query('main', 'q', 'select 1 as a, 2 as a');
select maintsched.add_sample_query('main', 'q', 'select');
select maintsched.add_sample_query('main', 'q', '');
select maintsched.add_sample_query('main', 'q', null);
select maintsched.add_sample_query('main', 'q', 'select ''' || repeat('x', 30000) || ''' as a');
select maintsched.add_sample_query('main', E'q\n', 'select 1 as a');
select maintsched.add_sample_query('main', null, 'select 1 as a');
select maintsched.add_sample_query('main', 'q', 'select 1 as a', '{"a": 1}');
select maintsched.add_sample_query('main', 'q', 'select 1 as a', min_rows => 2, max_rows => 1);
select maintsched.add_sample_query('main', 'q', 'select 1 as a', columns => '{b}');
select maintsched.add_sample_query('main', 'q', 'select 1 as a', timeout => '0');
select maintsched.add_sample_query('main', 'q', 'select 1 as a', database => 'regress_maintsched_none');
select maintsched.add_sample_query('main', 'q', 'select 1 as a', database => 'template0');
select maintsched.add_sample_query('mian', 'q', 'select 1 as a');
-- who may: managers who may read everything
set role regress_maintsched_m;
select maintsched.add_sample_query('main', 'q', 'select 1 as a');
reset role;
grant pg_read_all_data to regress_maintsched_m;
set role regress_maintsched_m;
select maintsched.add_sample_query('main', 'q', 'select 1 as a');
select maintsched.add_sample_query('main', 'q', 'select rolpassword from pg_authid');
select maintsched.drop_sample_query('main', 'q');
reset role;
select repository, field, old, new, acting_as = current_user as by_me from maintsched.repository_change order by change_id;

--
-- Asking and judging: this database stands for its copy.
--
create function regress_maintsched_x.ask(id bigint, step text) returns jsonb
language plpgsql
as $$
declare
	q record;
	a jsonb;
	answers jsonb := '[]';
begin
	for q in select * from maintsched.drill_questions(id) x where x.step = ask.step loop
		begin
			execute format('select coalesce(jsonb_agg(to_jsonb(q)), ''[]'') from (%s) q', q.query) into a;
			answers := answers || jsonb_build_object('seq', q.seq, 'answer', a, 'seconds', 0.5);
		exception when others then
			answers := answers || jsonb_build_object('seq', q.seq, 'error', format('psql: ERROR:  %s: %s', sqlstate, sqlerrm), 'seconds', 0.5);
		end;
	end loop;
	return answers;
end
$$;
insert into maintsched.backup_record (reading_id, repository, label, state, start_lsn, end_lsn, timeline) values
	(1, 'main', 'F', 'done', '0/10', '0/20', 1), (1, 'folder', 'b1', 'done', '0/10', '0/20', 1);
select maintsched.capture_expectations('main') as expectation_id \gset
insert into maintsched.drill (repository, label, target, restore_point, expectation_id, scratch)
select 'main', 'F', 'restore point', e.restore_point, e.expectation_id, '/nowhere'
from maintsched.expectation e where e.expectation_id = :expectation_id
returning drill_id \gset
select seq, step, name, timeout, database = current_database() as here from maintsched.drill_questions(:drill_id);
select result, regexp_replace(message, '[0-9]+ databases, [0-9]+ roles, [0-9]+ extensions?, [0-9]+ tables as captured at .* UTC [(].*', '...') as message,
	facts - array['captured_at', 'restore_point'] as facts
from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
select * from maintsched.judge_answers(:drill_id, 'queries', regress_maintsched_x.ask(:drill_id, 'queries'));
-- with other settings
set datestyle = 'german';
set timezone = 'Asia/Tokyo';
set extra_float_digits = 0;
select result from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
reset datestyle;
set timezone = 'UTC';
reset extra_float_digits;
-- what is missing, more, other, or of another kind
begin;
delete from patients where id <= 129;
update "regress_maintsched Y.z"."odd ""<n>7</n>'" set "a b" = '\x00fe' where "a b" = '\x00ff';
drop table visits_2026;
drop materialized view names;
create view names as select 1 as i;
select result, message, facts -> 'problem_count' as problems
from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
select * from maintsched.judge_answers(:drill_id, 'queries', regress_maintsched_x.ask(:drill_id, 'queries'));
rollback;
-- a relation that has come to be a view of somebody's is not run
begin;
drop table patients cascade;
create view patients as select shout() as name;
select message from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
select message from maintsched.judge_answers(:drill_id, 'queries', regress_maintsched_x.ask(:drill_id, 'queries'));
rollback;
-- answers that are not there, or make no sense
select result, message from maintsched.judge_answers(:drill_id, 'expectations', '[]');
select result, message from maintsched.judge_answers(:drill_id, 'expectations', null);
select result, message from maintsched.judge_answers(:drill_id, 'expectations', '[{"seq": 5, "error": "ERROR:  57014: canceling statement due to statement timeout\nDETAIL: x"}]');
select result, message from maintsched.judge_answers(:drill_id, 'queries', '[{"seq": 1000001, "answer": "x"}, {"seq": 1000002, "error": "ERROR:  22012"}]');
-- a result that is too long to be read proves nothing, either way
select result, message from maintsched.judge_answers(:drill_id, 'queries', '[{"seq": 1000001, "answer": [{"n": 10000}]}, {"seq": 1000002, "error": "the answer is longer than 16777216 bytes"}]');
select result, message from maintsched.judge_answers(:drill_id, 'queries', '[{"seq": 1000001, "answer": [{"n": 10000}]}, {"seq": 1000002, "error": "ERROR:  54000: total size of jsonb array elements exceeds the maximum of 268435455 bytes"}]');
select result, message from maintsched.judge_answers(:drill_id, 'queries', '[{"seq": 7, "name": "oldest", "answer": [{"id": 1, "name": "a"}]}, {"seq": 8, "name": "count", "answer": []}]');
select result, message from maintsched.judge_answers(:drill_id, 'queries', '[{"seq": 1000001, "answer": [{"n": 10000.0}]}, {"seq": 1000002, "answer": []}]');
select * from maintsched.judge_answers(:drill_id, 'reports', '[]');
select * from maintsched.judge_answers(0, 'queries', '[]');
-- lists
select maintsched.judge_list('{"item": "roles", "value": [{"name": "app_user", "login": true, "member_of": ["a", "b"]}, {"name": "gone"}]}',
	'[{"name": "app_user", "login": false, "member_of": []}, {"name": "more"}]');
select maintsched.judge_list('{"item": "extensions", "value": [{"name": "postgis", "version": "3.4.0"}, {"name": "plpgsql", "version": "1.0"}]}',
	'[{"name": "plpgsql", "version": "1.1"}]');
select maintsched.judge_list('{"item": "databases", "value": [{"name": "app", "owner": "a"}]}', '[]');

--
-- Without an archive: what was the same before and after the backup.
--
select maintsched.drop_expected_table('folder', 'regress_maintsched_x.hidden');
select maintsched.drop_expected_table('folder', 'regress_maintsched_x.wrong');
create table quiet as select i from generate_series(1, 7) i;
create table busy as select i from generate_series(1, 7) i;
select maintsched.add_expected_table('folder', 'regress_maintsched_x.quiet', 'digest');
select maintsched.add_expected_table('folder', 'regress_maintsched_x.busy');
alter table later_logged set logged;
select maintsched.capture_expectations('folder');
insert into maintsched.backup_record (reading_id, repository, label, state, start_lsn, end_lsn, timeline)
select 1, 'folder', 'b2', 'done', pg_current_wal_insert_lsn(), pg_current_wal_insert_lsn(), 1;
-- in and out again: their number is the same
insert into busy values (8);
delete from busy where i = 8;
select target, restore_point, expectation_id from maintsched.drill_target('folder', 'b2');
select maintsched.capture_expectations('folder') as after \gset
select target, restore_point, expectation_id = :after as after from maintsched.drill_target('folder', 'b2');
insert into maintsched.drill (repository, label, target, expectation_id, scratch) values ('folder', 'b2', 'consistent', :after, '/nowhere')
returning drill_id \gset
select name from maintsched.drill_questions(:drill_id) where name like 'regress%' order by 1;
select result, regexp_replace(message, '[0-9]+ databases.* UTC', '...') as message
from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
select result, message from maintsched.judge_answers(:drill_id, 'queries', regress_maintsched_x.ask(:drill_id, 'queries'));
insert into quiet values (8);
select result, message from maintsched.judge_answers(:drill_id, 'expectations', regress_maintsched_x.ask(:drill_id, 'expectations'));
-- b1 ended before anything was captured
insert into maintsched.drill (repository, label, target, expectation_id, scratch)
select 'folder', 'b1', t.target, t.expectation_id, '/nowhere' from maintsched.drill_target('folder', 'b1') t
returning drill_id, target, expectation_id \gset
select result, message from maintsched.judge_answers(:drill_id, 'expectations', '[]');

--
-- With one: the newest that is archived, on a timeline that fits.
--
insert into maintsched.backup_record (reading_id, repository, label, state, start_lsn, end_lsn, timeline) values
	(2, 'main', 'A', 'done', '7F000000/10', '7F000000/1000', 1), (2, 'main', 'B', 'done', '7F000000/10', '7F000000/1000', 2);
insert into maintsched.expectation (expectation_id, repository, kept, restore_point, lsn, timeline, captured_at, items) values
	(100, 'main', true, 'before', '7F000000/800', 1, now(), '[]'),
	(101, 'main', true, 'first', '7F000000/2000', 1, now(), '[]'),
	(102, 'main', false, 'not kept', '7F000001/2000', 1, now(), '[]'),
	(103, 'main', true, 'second', '7F000002/0', 1, now(), '[]'),
	(104, 'main', true, 'third', '7F000003/2000', 1, now(), '[]'),
	(105, 'folder', true, 'elsewhere', '7F000003/2000', 1, now(), '[]');
select maintsched.wal_file(1, '7F000000/2000') as first, maintsched.wal_file(1, '7F000002/0') as second, maintsched.wal_file(26, 'FFFFFFFF/FFFFFFFF') as last;
select * from maintsched.drill_target('main', 'A');
insert into maintsched.backup_reading (repository, source, ok, facts)
values ('main', 'tool', true, jsonb_build_object('archives', jsonb_build_array(jsonb_build_object('id', '15-1', 'last', maintsched.wal_file(1, '7F000002/0')))));
select target, restore_point, expectation_id, lsn = '7F000002/0' as to_it from maintsched.drill_target('main', 'A');
-- what one of another timeline had is not for this one
select * from maintsched.drill_target('main', 'B');
insert into maintsched.backup_reading (repository, source, ok, facts) values ('main', 'tool', true, '{"archives": null}');
select * from maintsched.drill_target('main', 'A');
select * from maintsched.drill_target('main', 'F2');
select * from maintsched.drill_target('mian', 'F');

--
-- The routine.
--
select target, command, reason, estimated_seconds, details from maintsched.plan('restore_drill', '{"repository": "main"}');
select target, command from maintsched.plan('restore_drill', '{"repository": "main", "backup": "random", "within": "10 days", "deadline": "2 hours", "amcheck": false, "capture": false}');
select target, command from maintsched.plan('restore_drill', '{"repository": "folder", "backup": "it''s"}');
select target, command from maintsched.plan('restore_drill');
select target, command from maintsched.plan('restore_drill', '{"backup": "F"}');
select target, command from maintsched.plan('restore_drill', '{"repository": "mian"}');
select target, command from maintsched.plan('restore_drill', '{"repo": "main"}');
select target, command from maintsched.plan('restore_drill', '{"within": "soon"}');
call maintsched.await_archive('folder');
begin;
call maintsched.await_archive('main');
rollback;

-- with the repository goes what is asked of it; what was captured stays
delete from maintsched.repository;
select count(*) from maintsched.expected_tables;
select count(*) from maintsched.sample_queries;
select count(*) > 5 as stays from maintsched.expectations;
select target, command from maintsched.plan('restore_drill');

select maintsched.revoke_access('regress_maintsched_m');
reset search_path;
set client_min_messages = warning;
drop schema regress_maintsched_x, "regress_maintsched Y.z" cascade;
drop owned by regress_maintsched_m, regress_maintsched_o;
drop role regress_maintsched_m, regress_maintsched_o;
drop extension maintsched;
create extension maintsched;
