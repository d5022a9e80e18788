--
-- The routine archive: parameters, limits and plans where there is no folder.
-- What it does is tested in test/t/043_archive.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';

--
-- Parameters: what is wrong is said.
--
select maintsched.check_params('archive', '{}');
select maintsched.check_params('archive', '{"tables": [{"table": "a.b", "column": "at", "older_than": "90 days", "unit": "seconds", "timezone": "Europe/Berlin", "retention": "10 years", "batch": 1000, "directory": "audit", "drop_partitions": true}], "older_than": "1 year", "time_limit": "1 hour"}');
select maintsched.check_params('archive', '{"tables": null, "timezone": "UTC", "directory": null}');
select maintsched.check_params('archive', '{"tables": []}');
select maintsched.check_params('archive', '{"tables": {"table": "a.b"}}');
select maintsched.check_params('archive', '{"tables": ["a.b"]}');
select maintsched.check_params('archive', '{"tables": [{"table": "a.b", "column": "at"}, {"table": "a.b"}]}');
select maintsched.check_params('archive', '{"tables": [{"column": "at"}]}');
select maintsched.check_params('archive', '{"tables": [{"table": "a.b", "column": "at", "older_then": "1 day"}]}');
select maintsched.check_params('archive', '{"tables": [{"table": "a.b", "column": "at", "older_than": "-1 day"}]}');
select maintsched.check_params('archive', '{"tables": [{"table": "a.b", "column": "at", "unit": "hours"}]}');
select maintsched.check_params('archive', '{"timezone": "EST5"}');
select maintsched.check_params('archive', '{"timezone": 1}');
select maintsched.check_params('archive', '{"batch": 0}');
select maintsched.check_params('archive', '{"batch": 1.5}');
select maintsched.check_params('archive', '{"retention": "infinity"}');
select maintsched.check_params('archive', '{"drop_partitions": "yes"}');
select maintsched.check_params('archive', '{"unit": "seconds"}');

--
-- Before which value a row is old: calendar arithmetic in the zone.
--
select t.type::regtype, z.zone, maintsched.archive_limit(t.type, '2026-08-31 22:30:15.5+00', '6 months', z.zone, null)
from unnest(array['timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype]) t(type)
cross join (values ('UTC'), ('Europe/Berlin'), ('America/New_York')) z(zone)
order by 1, 2;
select u.unit, maintsched.archive_limit('bigint'::regtype, '1970-01-31 00:00:10.9+00', '30 days', 'UTC', u.unit)
from unnest(array['seconds', 'milliseconds', 'microseconds']) u(unit);
-- what nothing is older than
select i.i, t.type::regtype, maintsched.archive_limit(t.type, '2026-08-31 22:30:15.5+00', i.i::interval, 'UTC', 'seconds')
from unnest(array['2025 years', '2026 years', '5000 years', '9999 years']) i(i)
cross join unnest(array['timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype, 'bigint'::regtype]) t(type)
order by i.i, t.type::text;
select x.value::timestamptz < '0001-01-01' as before from (select maintsched.archive_limit('timestamptz'::regtype, '2026-08-31 22:30:15.5+00', '5000 years', 'UTC', null)) x(value);
-- and which time a number stands for
select t.type::regtype, t.value, t.unit, maintsched.archive_time(t.type, t.value, t.unit)
from (values
	(1, 'bigint'::regtype, '1000000000', 'seconds'),
	(2, 'integer'::regtype, '0', 'seconds'),
	(3, 'bigint'::regtype, '1000000000', 'milliseconds'),
	(4, 'bigint'::regtype, '1000000000000000', 'microseconds'),
	(5, 'bigint'::regtype, '9223372036854775807', 'seconds'),
	(6, 'date'::regtype, '2020-02-29', null)) t(i, type, value, unit)
order by t.i;

--
-- Which tables a name means, and which partitions are wholly old.
--
create schema arch;
create table arch.plain (id integer, at timestamptz);
create table arch."Odd.Name" (at date);
create table arch.part (at date, id integer) partition by range (at);
create table arch.part_1 partition of arch.part for values from (minvalue) to ('2020-01-01');
create table arch.part_2 partition of arch.part for values from ('2020-01-01') to ('2021-01-01') partition by range (id);
create table arch.part_2a partition of arch.part_2 for values from (1) to (10);
create table arch.part_3 partition of arch.part for values from ('2021-01-01') to (maxvalue);
create table arch.part_4 partition of arch.part default;
create table arch.heir () inherits (arch.plain);
create view arch.seen as select 1 as at;
select n.name, r.qualified, r.kind, r.is_partition
from unnest(array['arch.plain', 'ARCH.Plain', 'arch.Odd.Name', 'arch."Odd.Name"', 'arch.part', 'arch.part_2', 'arch.seen', 'plain', 'arch.nothing', 'a.b.c', '']) with ordinality n(name, i)
left join lateral maintsched.archive_relations(n.name) r on true
order by n.i, r.qualified collate "C";
select c.relname, b.before, maintsched.is_old_partition(c.oid, 'at', b.before)
from pg_class c cross join (values ('2020-12-31'), ('2021-01-01')) b(before)
where c.relnamespace = 'arch'::regnamespace and c.relkind = 'r'
order by c.relname collate "C", b.before;
select maintsched.is_old_partition('arch.part_1'::regclass, 'id', '2030-01-01');

--
-- Without a folder nothing is archived; without tables nothing is looked at.
--
select * from maintsched.plan('archive');
select * from maintsched.plan('archive', '{"tables": [{"table": "arch.plain", "column": "at"}]}');
insert into arch.plain values (1, '2020-01-01');
select maintsched.archive_batch('arch.plain', 'at', '2021-01-01');
select maintsched.archive_batch('arch.plain', 'at', '2021-01-01', 0);
select maintsched.archive_batch('arch.plain', 'at', null);
select maintsched.archive_batch('plain', 'at', '2021-01-01');
select maintsched.archive_batch('arch.part', 'at', '2021-01-01');
select maintsched.archive_batch('arch.plain', 'id', 'x');
select count(*) from arch.plain;
select * from maintsched.archive_has_old('arch.plain', 'at', '2020-01-01');
select * from maintsched.archive_has_old('arch.plain', 'at', '2020-01-02');
select * from maintsched.archive_survey('arch.plain', 'at', '2020-01-02');
select maintsched.drop_archived_partition('arch.plain', 'at');
select maintsched.drop_archived_partition('arch.part_1', 'at');
insert into arch.part values ('2022-01-01', 1);
select maintsched.drop_archived_partition('arch.part_3', 'at');
select * from maintsched.archives;
select maintsched.restore_archive(1);
select maintsched.verify_archive(1);
select maintsched.remove_archive(1, 'old');
select * from maintsched.archive_leftovers();
begin read only;
select maintsched.archive_batch('arch.plain', 'at', '2021-01-01');
rollback;
insert into maintsched.archive_removal (archive_id, reason) values (1, 'test');
delete from maintsched.archive_removal;
update maintsched.archive_removal set reason = 'x';
truncate maintsched.archive_file;

set client_min_messages = warning;
drop schema arch cascade;
