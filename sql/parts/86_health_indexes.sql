--
-- 86_health_indexes: what health says of indexes
--
-- Called by measure_health(), like 86_health_catalog.  An index of a partition
-- that is attached to one of its parent belongs to that: it can neither be
-- dropped nor is it judged by itself.
--

create function maintsched.statistics_since() returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	since timestamptz := (select d.stats_reset from pg_stat_database d where d.datname = current_database());
begin
	-- A crash loses the statistics without a word in pg_stat_database; those of
	-- the whole server begin anew then, too, and say when.
	since := greatest(since, least(
		(select a.stats_reset from pg_stat_archiver a),
		(select b.stats_reset from pg_stat_bgwriter b),
		(select w.stats_reset from pg_stat_wal w)));
	-- the database's first file, as old as the database
	return greatest(since, (
		select (pg_stat_file(format('base/%s/PG_VERSION', d.oid), true)).modification
		from pg_database d
		where d.datname = current_database() and d.dattablespace = (select t.oid from pg_tablespace t where t.spcname = 'pg_default')));
end
$$;

comment on function maintsched.statistics_since() is
'Internal: Since when the statistics of this database have been counted, as far as that can be told: the later of their last reset, of the last crash and of the making of the database.';

create function maintsched.health_indexes(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with invalid as (
		select format('%I.%I', n.nspname, c.relname) as name, c.relkind, i.indisready, k.conname,
			format('%I.%I', hn.nspname, h.relname) as heap,
			-- NULL where somebody has it locked, who is not waited for
			coalesce(maintsched.relation_bytes(c.oid), 0) as bytes
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		join pg_class h on h.oid = i.indrelid
		join pg_namespace hn on hn.oid = h.relnamespace
		left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u', 'x')
		where not (i.indisvalid and i.indisready and i.indislive)
		and not c.relispartition and h.relpersistence <> 't'
		-- one that is being built now; REINDEX CONCURRENTLY has two
		and not exists (
			select from pg_stat_progress_create_index b
			where b.datname = current_database() and b.relid = i.indrelid)
		and not maintsched.left_out(n.nspname, c.relname, p) and not maintsched.left_out(hn.nspname, h.relname, p)
	)
	select 'invalid indexes', case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::double precision, count(*)::text,
		case when count(*) = 0 then 'every index is valid'
			else format('%s, %s in all: %s', case count(*) when 1 then '1 index is not valid' else count(*) || ' indexes are not valid' end,
				pg_size_pretty(sum(i.bytes)), maintsched.list_text(array_agg(i.name order by i.bytes desc, i.name), 10)) end,
		(array_agg(case
			when i.relkind = 'I' then format('It lacks the index of a partition: create that and attach it (alter index %s attach partition ...).', i.name)
			when i.conname is not null then format('reindex index concurrently %s;', i.name)
			else format('It is not used, and writes to %s pay for it. What began it did not end: drop index concurrently %s; or rebuild it by reindex index concurrently.', i.heap, i.name) end
			order by i.bytes desc, i.name))[1]
	from invalid i;

	return query
	with kept as materialized (
		select i.indexrelid, i.indrelid, c.relname, c.relnamespace, c.relkind, c.relispartition,
			-- the first stays, what comes after it is too much
			row_number() over w as place, first_value(i.indexrelid) over w as stays,
			exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')) as bound
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		where i.indisvalid and i.indislive and c.relpersistence <> 't'
		and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
		window w as (
			partition by i.indrelid, c.relam, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
				-- as they are stored, but for their places in the command: pg_get_expr() waits for a lock of the table
				regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g'), regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g'),
				i.indisexclusion, i.indimmediate, i.indisunique and i.indnullsnotdistinct,
				-- others than brin's are how it is stored, not what it can answer
				case when c.relam = (select m.oid from pg_am m where m.amname = 'brin') then c.reloptions::text end
			order by i.indisprimary desc, i.indisreplident desc, i.indisunique desc, c.relispartition desc, i.indisclustered desc, i.indexrelid)
	), doubled as (
		select format('%I.%I', n.nspname, k.relname) as name, format('%I.%I', n.nspname, s.relname) as as_good,
			k.bound, k.relkind, coalesce(maintsched.relation_bytes(k.indexrelid), 0) as bytes,
			format('%I.%I', hn.nspname, h.relname) as heap,
			(select c.conname from pg_constraint c where c.conindid = k.indexrelid and c.contype in ('p', 'u', 'x') limit 1) as conname
		from kept k
		join pg_class s on s.oid = k.stays
		join pg_namespace n on n.oid = k.relnamespace
		join pg_class h on h.oid = k.indrelid
		join pg_namespace hn on hn.oid = h.relnamespace
		where k.place > 1 and not k.relispartition
		and not maintsched.left_out(n.nspname, k.relname, p) and not maintsched.left_out(hn.nspname, h.relname, p)
	)
	select 'duplicate indexes', case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::double precision, count(*)::text,
		case when count(*) = 0 then 'no two indexes are the same'
			else format('%s, %s in all: %s', case count(*) when 1 then '1 index is the same as another one' else count(*) || ' indexes are the same as others' end,
				pg_size_pretty(sum(d.bytes)), maintsched.list_text(array_agg(format('%s as %s', d.name, d.as_good) order by d.bytes desc, d.name), 10)) end,
		(array_agg(case
			when d.bound then format('A constraint has it, which foreign keys may refer to: alter table %s drop constraint %I;', d.heap, d.conname)
			else format(case when d.relkind = 'I' then 'drop index %s;' else 'drop index concurrently %s;' end, d.name) end
			order by d.bytes desc, d.name))[1]
	from doubled d;

	return query
	with setting as (
		select maintsched.statistics_since() as since,
			(p ->> 'unused_after')::interval as wait,
			pg_size_bytes(p ->> 'unused_bytes') as floor,
			(select count(*) from pg_stat_replication r where r.state <> 'backup') as standbys
	), candidate as (
		select i.indrelid, c.relname, n.nspname, c.relkind, t.bytes, t.scans
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		cross join lateral (
			-- a partitioned one is as large, and as much used, as its parts (pg_partition_tree() would lock them)
			with recursive part as (
				select c.oid as relid, c.relkind
				union all
				select h.inhrelid, k.relkind from part r join pg_inherits h on h.inhparent = r.relid join pg_class k on k.oid = h.inhrelid
			)
			select sum(maintsched.relation_bytes(r.relid))::bigint as bytes, sum(coalesce(pg_stat_get_numscans(r.relid), 0)) as scans
			from part r
			where r.relkind = 'i') t
		where i.indisvalid and not i.indisunique and not i.indisreplident and not i.indisexclusion and not i.indisclustered
		and not c.relispartition and c.relpersistence <> 't'
		and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
		and coalesce(pg_stat_get_numscans(i.indexrelid), 0) = 0
	), unused as materialized (
		select format('%I.%I', c.nspname, c.relname) as name, c.relkind, c.bytes
		from candidate c
		join pg_class h on h.oid = c.indrelid
		join pg_namespace hn on hn.oid = h.relnamespace
		where coalesce(c.scans, 0) = 0 and c.bytes >= coalesce((select s.floor from setting s), 0)
		and not maintsched.left_out(c.nspname, c.relname, p) and not maintsched.left_out(hn.nspname, h.relname, p)
	), total as (
		select count(*) as indexes, coalesce(sum(u.bytes), 0)::bigint as bytes,
			array_agg(u.name order by u.bytes desc, u.name) as names,
			(array_agg(u.relkind order by u.bytes desc, u.name))[1] as relkind
		from unused u
	), judged as (
		select t.*, s.*, current_setting('track_counts') = 'on' and coalesce(s.since + s.wait <= clock_timestamp(), s.wait is null) as old_enough,
			case when s.since is not null then maintsched.seconds_text(extract(epoch from clock_timestamp() - s.since)::double precision) end as age
		from total t, setting s
	)
	select 'unused indexes',
		case when not j.old_enough then 'UNKNOWN' when j.indexes > 0 then 'WARN' else 'OK' end,
		case when j.old_enough then j.indexes::double precision end, case when j.old_enough then j.indexes::text end,
		case when current_setting('track_counts') = 'off' then 'not judged: track_counts is off, so nobody counts what is used'
			when not j.old_enough then coalesce('not judged: the statistics are ' || j.age || ' old', 'not judged: nobody knows how old the statistics are')
			when j.indexes = 0 then format('every index of %s and more was used within %s', pg_size_pretty(coalesce(j.floor, 0)), coalesce(j.age, 'the time that is known'))
			else format('%s within %s, %s in all: %s', case j.indexes when 1 then '1 index was not used' else j.indexes || ' indexes were not used' end,
				coalesce(j.age, 'the time that is known'), pg_size_pretty(j.bytes), maintsched.list_text(j.names, 10)) end,
		case when current_setting('track_counts') = 'off' then 'alter system reset track_counts; select pg_reload_conf();'
			when not j.old_enough then format('It is judged when they are %s old.', p ->> 'unused_after')
			when j.indexes > 0 then
				case when j.standbys > 0 then 'What standbys use is counted there, and not here: look at pg_stat_user_indexes of each. ' else '' end
				|| 'An index may be new, or for once a year. '
				|| format(case when j.relkind = 'I' then 'drop index %s;' else 'drop index concurrently %s;' end, j.names[1]) end
	from judged j;
end
$$;

comment on function maintsched.health_indexes(jsonb) is
'Internal: Items invalid indexes (but those being built), duplicate indexes (same table, method, columns, operator classes, order, collation, expressions and condition) and unused indexes (never scanned since the statistics began, which must be old enough; no unique one, constraint or replica identity).';
