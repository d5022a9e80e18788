--
-- Many small tables with two indexes each.
--
\set ON_ERROR_STOP on
create extension maintsched;
create schema m;
select format('create table m.t%s (a integer primary key, b integer, c text) with (autovacuum_enabled = off);
	insert into m.t%1$s select g, g %% 100, repeat(''x'', 50) from generate_series(1, %s) g;
	create index on m.t%1$s (b); delete from m.t%1$s where a %% 3 = 0', t, :rows)
from generate_series(1, :tables) t \gexec
vacuum analyze;
checkpoint;
