--
-- Routines of one's own: one function, one INSERT; add_routine() is that, too.
-- What a run makes of their actions: t/034_outcomes.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
create role regress_maintsched_owner;
create role regress_maintsched_manager;
select maintsched.grant_access('regress_maintsched_owner', 'manager');
select maintsched.grant_access('regress_maintsched_manager', 'manager');
create schema regress_maintsched_tools;
set search_path = regress_maintsched_tools;
create table touched (a integer);
create function plan_one(params jsonb) returns setof maintsched.action language sql stable as $$
	select 'one', 'select 1', 'wanted', null::bigint, null::numeric, params -> 'details'
$$;
comment on function plan_one(jsonb) is 'Selects 1.';
create function plan_json(params json) returns setof maintsched.action language sql stable as 'select null::maintsched.action';
create function plan_text(params jsonb) returns setof text language sql stable as $$select 'select 1'$$;
create function plan_single(params jsonb) returns maintsched.action language sql stable as 'select null::maintsched.action';
create function plan_writes(params jsonb) returns setof maintsched.action language plpgsql as $$
begin
	insert into regress_maintsched_tools.touched values (1);
	return query select * from regress_maintsched_tools.plan_one(params);
end $$;
create function plan_nothing(params jsonb) returns setof maintsched.action language sql stable as 'select null::maintsched.action';
reset search_path;
insert into maintsched.routine (name, plan, description) values ('one', 'regress_maintsched_tools.plan_one', 'What selects 1');
-- what it says, as regprocedure shows it; its comment, where no description is given
insert into maintsched.routine (name, plan, defaults, change_class)
values ('one_more', 'regress_maintsched_tools.plan_one(jsonb)', '{"time_limit": "1 hour", "details": {"skip": "pointless"}}', 'none');
select maintsched.add_routine('another', 'regress_maintsched_tools."plan_one"', 'By a call', defaults => '{"a": 1}');
select name, plan, description, defaults, change_class from maintsched.routines where not built_in order by name;
select seq, target, command, details, fits_window from maintsched.plan('one_more');

-- either says the same of what is wrong
insert into maintsched.routine (name, plan, description) values ('one', 'regress_maintsched_tools.plan_one', 'Again');
select maintsched.add_routine('one', 'regress_maintsched_tools.plan_one', 'Again');
insert into maintsched.routine (name, plan, description) values ('vacuum', 'regress_maintsched_tools.plan_one', 'x');
insert into maintsched.routine (name, plan, description) values ('Two', 'regress_maintsched_tools.plan_one', 'x');
insert into maintsched.routine (name, plan, description) values ('two', 'regress_maintsched_tools.plan_nowhere', 'x');
insert into maintsched.routine (name, plan, description) values ('two', 'plan_one', 'x');
insert into maintsched.routine (name, plan, description) values ('two', 'regress_maintsched_tools."plan_one', 'x');
select maintsched.add_routine('two', 'a.b.c.d', 'x');
select maintsched.add_routine('two', '', 'x');
select maintsched.add_routine('two', null, 'x');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_json', 'x');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_text', 'x');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_single', 'x');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_writes', null);
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_one', 'x', 'huge');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_one', 'x', defaults => '[]');
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_one', 'x', defaults => null);
select maintsched.add_routine('two', 'regress_maintsched_tools.plan_one', 'x', defaults => '{"time_limit": "long"}');

-- a manager adds what he owns, in the same way
grant usage, create on schema regress_maintsched_tools to regress_maintsched_manager;
set role regress_maintsched_manager;
insert into maintsched.routine (name, plan, description) values ('not_his', 'regress_maintsched_tools.plan_one', 'x');
set check_function_bodies = off;
insert into maintsched.routine (name, plan, description) values ('not_his', 'regress_maintsched_tools.plan_one', 'x');
reset check_function_bodies;
insert into maintsched.routine (name, plan, description, built_in) values ('not_his', 'regress_maintsched_tools.plan_one', 'x', true);
create function regress_maintsched_tools.plan_his(params jsonb) returns setof maintsched.action language sql stable as $$
	select 'his', 'select 2', null, null::bigint, null::numeric, null::jsonb
$$;
insert into maintsched.routine (name, plan, description) values ('his', 'regress_maintsched_tools.plan_his', 'His own');
update maintsched.routine set plan = 'regress_maintsched_tools.plan_one' where name = 'his';
delete from maintsched.routine where name = 'his';
reset role;
select maintsched.plan('his');
set role regress_maintsched_owner;
select maintsched.plan('his');
reset role;

-- a restore brings what was looked at before
begin;
set check_function_bodies = off;
insert into maintsched.routine (name, plan, description) values ('restored', 'regress_maintsched_tools.plan_nowhere', 'x');
select maintsched.plan('restored');
rollback;

-- what it returns is looked at, and it writes nothing
select maintsched.add_routine('writes', 'regress_maintsched_tools.plan_writes', 'Writes', 'none');
select maintsched.add_routine('nothing', 'regress_maintsched_tools.plan_nothing', 'Returns nothing', 'none');
select maintsched.plan('writes');
insert into regress_maintsched_tools.touched values (2);
table regress_maintsched_tools.touched;
select maintsched.plan('nothing');
select d.details, (select p.command from maintsched.plan('one', jsonb_build_object('details', d.details)) p)
from (values (null::jsonb), ('null'), ('{"lock_timeout": 5000, "statement_timeout": "5 min", "skip": null, "own": [1]}')) d(details);
select maintsched.plan('one', '{"details": []}');
select maintsched.plan('one', '{"details": {"skip": true}}');
select maintsched.plan('one', '{"details": {"change_class": "huge"}}');
select maintsched.plan('one', '{"details": {"settings": ["work_mem"]}}');
select maintsched.plan('one', '{"details": {"lock_timeout": "patient 4711"}}');
select maintsched.plan('one', '{"details": {"statement_timeout": -5}}');
select maintsched.check_actions(array[('a', 'select 1', null, null, 1, null), ('b', ' ', null, null, 1, null)]::maintsched.action[]);
select maintsched.check_actions(array[('a', 'select 1', null, null, -1, null)]::maintsched.action[]);

-- the next action of many is found without looking at all
begin;
set local enable_seqscan = off;
set local enable_sort = off;
create temporary table explained (line text);
do $$
declare
	line text;
begin
	for line in explain (costs off) select x.* from maintsched.run_action x
		where x.run_id = 1 and x.state = 'planned' order by maintsched.is_cleanup(x) desc, x.seq limit 1
	loop
		insert into explained values (line);
	end loop;
end $$;
select string_agg(line, ' ' order by ctid) ~ 'Index Scan using run_action_planned' as by_index, bool_or(line ~ 'Sort') as sorted from explained;
rollback;

select maintsched.run_routine('one');
select maintsched.drop_routine(name) from maintsched.routines where not built_in;

set client_min_messages = warning;
drop schema regress_maintsched_tools cascade;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_owner, regress_maintsched_manager;
