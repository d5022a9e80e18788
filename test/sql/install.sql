-- The first test: it leaves the extension for all others.
create extension maintsched;
select extname, nspname as schema, extrelocatable
from pg_extension e join pg_namespace n on n.oid = extnamespace
where extname = 'maintsched';
-- a second one is an error
create extension maintsched;
