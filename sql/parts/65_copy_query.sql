--
-- 65_copy_query: what is read of a database and of its restored copy
--
-- The same texts read the database on the primary, as the owner of the
-- extension or of the table, and its copy, as the superuser of that.  What is
-- read of a table must not run code of its owner's there: its name is put into
-- a statement only where it is a table at that moment (query_to_xml(), which
-- plans what it is given when it is called), never a view; values become text
-- by the functions of their types alone, not by casts; generated columns that
-- are not stored are left out.
--

create function maintsched.rows_query(schema_name text, relation_name text) returns text
language sql immutable parallel safe
return format('select pg_catalog.count(*) as n, null::pg_catalog.text as d from only %I.%I', schema_name, relation_name);

comment on function maintsched.rows_query(text, text) is
'Internal: A statement that counts the rows of a table: n.';

create function maintsched.digest_query(schema_name text, relation_name text, columns text[]) returns text
language sql immutable parallel safe
return format($q$select pg_catalog.count(*) as n, pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
	pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(h.a), pg_catalog.sum(h.b)), 'UTF8')), 'hex'), 32) as d
from (
	select (pg_catalog.concat('x', pg_catalog.substr(s.h, 1, 16)))::pg_catalog.bit(64)::pg_catalog.int8 as a,
		(pg_catalog.concat('x', pg_catalog.substr(s.h, 17, 16)))::pg_catalog.bit(64)::pg_catalog.int8 as b
	from (
		select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
			pg_catalog.textin(pg_catalog.record_out(row(%s))), pg_catalog.getdatabaseencoding())), 'hex') as h
		from only %I.%I t) s) h$q$,
	(select string_agg(format('t.%I', c.name), ', ' order by c.ordinality) from unnest(columns) with ordinality c(name, ordinality)),
	schema_name, relation_name);

comment on function maintsched.digest_query(text, text, text[]) is
'Internal: A statement that makes a digest of the rows of a table, in whatever order: n, their number, and d, the first 128 bits of the SHA-256 of the number and of the sums of the first and second 64 bits of the SHA-256 of each row''s text.';

create function maintsched.copy_query(schema_name text, relation_name text, query text) returns text
language sql immutable parallel safe
return format($q$select x.kind, pg_catalog.substring(x.answer, '<n>([0-9]+)</n>') as n, pg_catalog.substring(x.answer, '<d>([0-9a-f]+)</d>') as d
from (
	select c.relkind as kind,
		case when c.relkind operator(pg_catalog.=) any (array['r', 'm']::pg_catalog."char"[])
			and c.relpersistence operator(pg_catalog.=) 'p'
			and pg_catalog.num_nonnulls(
				pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
				pg_catalog.set_config('datestyle', 'ISO, YMD', true),
				pg_catalog.set_config('intervalstyle', 'postgres', true),
				pg_catalog.set_config('timezone', 'UTC', true),
				pg_catalog.set_config('bytea_output', 'hex', true),
				pg_catalog.set_config('extra_float_digits', '3', true),
				pg_catalog.set_config('xmloption', 'content', true),
				pg_catalog.set_config('lc_monetary', 'C', true),
				pg_catalog.set_config('quote_all_identifiers', 'off', true),
				pg_catalog.set_config('row_security', 'off', true)) operator(pg_catalog.=) 10
		then pg_catalog.query_to_xml(%3$L, false, false, '')::pg_catalog.text end as answer
	from pg_catalog.pg_class c
	join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
	where n.nspname operator(pg_catalog.=) %1$L and c.relname operator(pg_catalog.=) %2$L
	offset 0) x$q$,
	schema_name, relation_name, query);

comment on function maintsched.copy_query(text, text, text) is
'Internal: The query that is asked in a restored copy for what rows_query() or digest_query() says there: no row where the relation is not there, NULL where it is no table.';

create function maintsched.catalog_query(item text) returns text
language sql immutable parallel safe
return case item
	when 'extensions' then $q$select e.extname as name, e.extversion as version
from pg_catalog.pg_extension e$q$
	when 'tables' then $q$select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
where c.relkind operator(pg_catalog.=) any (array['r', 'p', 'm']::pg_catalog."char"[])
and c.relpersistence operator(pg_catalog.<>) 't'
-- a database may say otherwise
and pg_catalog.set_config('quote_all_identifiers', 'off', true) operator(pg_catalog.=) 'off'
and n.nspname operator(pg_catalog.<>) 'information_schema' and n.nspname operator(pg_catalog.!~) '^pg_'
order by c.oid
limit 20000$q$
	when 'databases' then $q$select d.datname as name, pg_catalog.pg_get_userbyid(d.datdba) as owner,
	pg_catalog.pg_encoding_to_char(d.encoding) as encoding, d.datcollate as collation
from pg_catalog.pg_database d$q$
	when 'roles' then $q$select r.rolname as name, r.rolcanlogin as login, r.rolsuper as superuser, r.rolcreaterole as createrole,
	r.rolcreatedb as createdb, r.rolreplication as replication, r.rolbypassrls as bypassrls, r.rolinherit as inherit,
	r.rolconnlimit as connection_limit, pg_catalog.date_part('epoch', r.rolvaliduntil)::pg_catalog.text as valid_until,
	array(
		select g.rolname
		from pg_catalog.pg_auth_members m
		join pg_catalog.pg_roles g on g.oid operator(pg_catalog.=) m.roleid
		where m.member operator(pg_catalog.=) r.oid
		group by g.rolname
		order by g.rolname collate pg_catalog."C") as member_of
from pg_catalog.pg_roles r
where r.rolname operator(pg_catalog.!~) '^pg_'$q$
end;

comment on function maintsched.catalog_query(text) is
'Internal: The query that lists extensions with their versions, tables (the 20,000 that were made first), databases or roles with their attributes and memberships, without passwords.';
