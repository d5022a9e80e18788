--
-- Every object of the extension: no privilege for PUBLIC, a pinned search
-- path, a comment on it and on each of its columns.
--
set datestyle = 'ISO, MDY';
begin;

-- CREATE EXTENSION does not check the bodies of functions
select count(*) > 100 as checked
from (
	select case l.lanname when 'plpgsql' then plpgsql_validator(p.oid) else fmgr_sql_validator(p.oid) end
	from pg_proc p
	join pg_language l on l.oid = p.prolang
	where p.pronamespace = 'maintsched'::regnamespace and l.lanname in ('plpgsql', 'sql')
	offset 0) x;

create temporary view member as
select d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) as what
from pg_depend d
join pg_extension e on e.oid = d.refobjid and e.extname = 'maintsched'
where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e';

-- relations; the sequences of identity columns belong to their tables
create temporary view member_relation as
select c.oid, c.relname, c.relkind, c.relacl, c.relowner, m.what
from member m
join pg_class c on c.oid = m.objid
where m.classid = 'pg_class'::regclass
and not exists (
	select from pg_depend i
	where i.classid = m.classid and i.objid = m.objid and i.deptype = 'i');

create temporary view member_function as
select p.*, m.what
from member m
join pg_proc p on p.oid = m.objid
where m.classid = 'pg_proc'::regclass;

-- types that are not the row type of a relation, nor an array
create temporary view member_type as
select t.*, m.what
from member m
join pg_type t on t.oid = m.objid
left join pg_class c on c.oid = t.typrelid
where m.classid = 'pg_type'::regclass
and t.typelem = 0
and (c.oid is null or c.relkind = 'c');

create temporary view offence as
select what, 'is open to PUBLIC' as offence
from member_relation
cross join lateral aclexplode(coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))) a
where a.grantee = 0
union all
select r.what || ' column ' || attname, 'is open to PUBLIC'
from member_relation r
join pg_attribute on attrelid = r.oid
cross join lateral aclexplode(attacl) a
where a.grantee = 0
union all
select what, 'is open to PUBLIC'
from member_function
cross join lateral aclexplode(coalesce(proacl, acldefault('f', proowner))) a
where a.grantee = 0
union all
select what, 'is open to PUBLIC'
from member_type
cross join lateral aclexplode(coalesce(typacl, acldefault('T', typowner))) a
where a.grantee = 0
union all
select what, 'is open to PUBLIC'
from member m
join pg_namespace n on n.oid = m.objid
cross join lateral aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
where m.classid = 'pg_namespace'::regclass and a.grantee = 0
union all
select what, 'has no pinned search path'
from member_function f
join pg_language l on l.oid = f.prolang
where f.proconfig is null or 'search_path=pg_catalog, pg_temp' <> all (f.proconfig)
group by what, f.prosecdef, f.prosqlbody::text, l.lanname
having f.prosecdef or not (f.prosqlbody::text is not null or l.lanname = 'c')
union all
select what, 'depends on standard_conforming_strings'
from member_function f
join pg_language l on l.oid = f.prolang
where l.lanname in ('sql', 'plpgsql') and f.prosqlbody is null
and regexp_replace(f.prosrc, '\mE''[^'']*''', '', 'g') like '%\\%'
union all
select what, 'has no comment'
from member m
where obj_description(objid, classid::regclass::name) is null
and case classid
	when 'pg_class'::regclass then objid in (select oid from member_relation)
	when 'pg_type'::regclass then objid in (select oid from member_type)
	else true end
union all
select r.what || ' column ' || attname, 'has no comment'
from member_relation r
join pg_attribute a on attrelid = r.oid and attnum > 0 and not attisdropped
where relkind in ('r', 'v', 'm', 'p') and col_description(r.oid, attnum) is null
union all
select m.what, 'is outside schema maintsched'
from member m
cross join lateral pg_identify_object(m.classid, m.objid, 0) i
where coalesce(i.schema, '') <> 'maintsched' and m.classid <> 'pg_namespace'::regclass
union all
-- a deferrable key is none
select r.what, 'cannot be changed where a publication is for all tables'
from member_relation r
join pg_class c on c.oid = r.oid
where r.relkind = 'r' and not (c.relreplident = 'f'
	or c.relreplident = 'd' and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate))
union all
select pg_describe_object('pg_proc'::regclass, oid, 0), 'is in the schema, but not of the extension'
from pg_proc
where pronamespace = 'maintsched'::regnamespace
and oid not in (select objid from member where classid = 'pg_proc'::regclass)
union all
select pg_describe_object('pg_class'::regclass, oid, 0), 'is in the schema, but not of the extension'
from pg_class
where relnamespace = 'maintsched'::regnamespace and relkind in ('r', 'v', 'm', 'p', 'f', 'S')
and oid not in (select objid from member where classid = 'pg_class'::regclass);

-- there is something to look at
select count(*) filter (where what like 'function %') > 20 as functions,
	count(*) filter (where what like 'table %') > 5 as tables,
	count(*) filter (where what like 'view %') > 10 as views,
	count(*) filter (where what like 'schema %') = 1 as schema
from member;

-- none
select * from offence order by what collate "C", offence;

-- these alone act with the owner's rights
select what from member_function where prosecdef order by what collate "C";

-- and the test itself sees what is wrong: each of these is listed
create function maintsched.bad_sql() returns integer language sql as 'select 1';
create function maintsched.bad_definer() returns integer language sql security definer return 1;
revoke all on function maintsched.bad_definer() from public;
comment on function maintsched.bad_definer() is 'commented';
create function maintsched.bad_escape() returns boolean language sql set search_path = pg_catalog, pg_temp as $$ select 'x' ~ '\d' $$;
revoke all on function maintsched.bad_escape() from public;
comment on function maintsched.bad_escape() is 'commented';
create function maintsched.good() returns integer language sql return 1;
revoke all on function maintsched.good() from public;
comment on function maintsched.good() is 'commented';
create table maintsched.bad_table (good integer, bad integer);
comment on column maintsched.bad_table.good is 'commented';
grant select on maintsched.bad_table to public;
grant update (bad) on maintsched.bad_table to public;
create view maintsched.bad_view as select 1 as bad;
create domain maintsched.bad_domain as text;
create sequence maintsched.bad_sequence;
grant usage on sequence maintsched.bad_sequence to public;
create table maintsched.stray ();
create function public.bad_place() returns integer language sql return 1;
alter extension maintsched add function maintsched.bad_sql();
alter extension maintsched add function maintsched.bad_definer();
alter extension maintsched add function maintsched.bad_escape();
alter extension maintsched add function maintsched.good();
alter extension maintsched add table maintsched.bad_table;
alter extension maintsched add view maintsched.bad_view;
alter extension maintsched add domain maintsched.bad_domain;
alter extension maintsched add sequence maintsched.bad_sequence;
alter extension maintsched add function public.bad_place();
grant usage on schema maintsched to public;
select * from offence order by what collate "C", offence;

rollback;
