--
-- In a copy of the database: what VACUUM FULL and REINDEX really give back.
--
\set ON_ERROR_STOP on
set maintenance_work_mem = '512MB';
select format('reindex index d.%I', relname)
from pg_class where relnamespace = 'd'::regnamespace and relkind = 'i' order by 1 \gexec
update bench.relation set given_back = 1 - pg_relation_size(oid) / 8192.0 / pages where is_index;
select format('vacuum full d.%I', relname)
from pg_class where relnamespace = 'd'::regnamespace and relkind = 'r' order by 1 \gexec
update bench.relation set given_back = 1 - pg_relation_size(oid) / 8192.0 / pages where not is_index;
