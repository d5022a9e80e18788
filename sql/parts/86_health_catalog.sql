--
-- 86_health_catalog: what health says of tables, sequences and indexes
--
-- These go through the whole catalog, and are therefore called by
-- measure_health() only, which keeps what they return.  One pass each; nothing
-- is locked but the catalogs, and what others have locked is not waited for.
-- exclude_objects takes out schemas and relations by name.
--

create function maintsched.sequence_value(sequence oid) returns bigint
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_sequence_value';

comment on function maintsched.sequence_value(oid) is
'Internal: last_value of a sequence, without a lock that lasts; NULL where somebody has it locked or it is gone.';

create function maintsched.left_out(schema_name text, name text, p jsonb) returns boolean
language sql immutable parallel safe
return coalesce(maintsched.name_matches(schema_name, name, nullif(p -> 'exclude_objects', 'null')), false);

comment on function maintsched.left_out(text, text, jsonb) is
'Internal: Whether exclude_objects means a relation.';

create function maintsched.health_tables(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	xid_at constant double precision := current_setting('autovacuum_freeze_max_age')::double precision;
	multi_at constant double precision := current_setting('autovacuum_multixact_freeze_max_age')::double precision;
begin
	return query
	with aged as (
		select c.oid, c.relnamespace, c.relname, c.relpersistence,
			age(c.relfrozenxid)::double precision as xids,
			case when c.relminmxid <> '0' then mxid_age(c.relminmxid)::double precision else 0 end as multis
		from pg_class c
		where c.relkind in ('r', 'm', 't') and c.relfrozenxid <> '0'
	), oldest as (
		-- toast is named by its table, which it is frozen with
		select coalesce(h.relnamespace, a.relnamespace) as relnamespace, coalesce(h.relname, a.relname) as relname,
			a.relpersistence, o.what, o.age,
			maintsched.wraparound_status(o.age, o.frozen_at, p) as level
		from aged a
		left join pg_class h on h.reltoastrelid = a.oid
		cross join lateral (values ('transactions', a.xids, xid_at), ('multixacts', a.multis, multi_at)) o(what, age, frozen_at)
		where maintsched.wraparound_status(o.age, o.frozen_at, p) <> 'OK'
	), named as (
		select format('%I.%I', n.nspname, o.relname) as name, bool_or(o.level = 'CRIT') as critical, max(o.age) as age,
			(array_agg(o.what order by o.age desc))[1] as what, bool_or(o.relpersistence = 't') as temporary
		from oldest o
		join pg_namespace n on n.oid = o.relnamespace
		where not maintsched.left_out(n.nspname, o.relname, p)
		group by 1
	), total as (
		select count(*) as tables, coalesce(bool_or(n.critical), false) as critical, max(n.age) as age,
			array_agg(n.name order by n.age desc, n.name) as names,
			(array_agg(n.what order by n.age desc, n.name))[1] as what,
			(array_agg(n.temporary order by n.age desc, n.name))[1] as temporary
		from named n
	)
	select 'tables to freeze', case when t.critical then 'CRIT' when t.tables > 0 then 'WARN' else 'OK' end,
		t.tables::double precision, t.tables::text,
		case when t.tables = 0 then 'autovacuum keeps up with freezing'
			else format('%s older than autovacuum should let %s become, up to %s %s: %s',
				case t.tables when 1 then '1 table is' else t.tables || ' tables are' end,
				case t.tables when 1 then 'it' else 'them' end,
				maintsched.count_text(t.age::numeric), t.what, maintsched.list_text(t.names, 10)) end,
		case when t.temporary then format('It is a temporary one, which only its session can vacuum; where that is gone: drop table %s;', t.names[1])
			when t.tables > 0 then format('vacuum (freeze, verbose) %s;', t.names[1]) end
	from total t;

	return query
	with off as (
		select format('%I.%I', n.nspname, t.relname) || case when c.relkind = 't' then ' (toast)' else '' end as name,
			format('alter table %I.%I reset (%s);', n.nspname, t.relname,
				case when c.relkind = 't' then 'toast.autovacuum_enabled' else 'autovacuum_enabled' end) as mend
		from pg_class c
		left join pg_class h on h.reltoastrelid = c.oid and c.relkind = 't'
		cross join lateral (select coalesce(h.relname, c.relname) as relname, coalesce(h.relnamespace, c.relnamespace) as relnamespace) t
		join pg_namespace n on n.oid = t.relnamespace
		where c.relkind in ('r', 'm', 't') and c.reloptions is not null and c.relpersistence <> 't'
		and exists (
			select from unnest(c.reloptions) o
			where split_part(o, '=', 1) = 'autovacuum_enabled'
			and lower(split_part(o, '=', 2)) in ('false', 'off', 'no', '0', 'f', 'n', 'of', 'fa', 'fal', 'fals'))
		and not maintsched.left_out(n.nspname, t.relname, p)
	)
	select 'tables without autovacuum', case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::double precision, count(*)::text,
		case when count(*) = 0 then 'autovacuum looks after every table'
			else format('autovacuum is off for %s: %s', case count(*) when 1 then '1 table' else count(*) || ' tables' end,
				maintsched.list_text(array_agg(o.name order by o.name), 10)) end,
		(array_agg(o.mend order by o.name))[1]
	from off o;
end
$$;

comment on function maintsched.health_tables(jsonb) is
'Internal: Items tables to freeze (their own age in transactions and multixacts, toast with its table) and tables without autovacuum, of this database.';

create function maintsched.health_sequences(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	with sequence as materialized (
		select c.oid, n.nspname, c.relname, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle,
			maintsched.sequence_value(c.oid) as value
		from pg_sequence s
		join pg_class c on c.oid = s.seqrelid
		join pg_namespace n on n.oid = c.relnamespace
		where c.relpersistence <> 't'
	), used as materialized (
		-- identity and serial columns, and whatever else has it in its default
		select d.objid as oid, d.refobjid as relation, d.refobjsubid as attnum
		from pg_depend d
		join pg_sequence s on s.seqrelid = d.objid
		where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
		and d.deptype in ('a', 'i') and d.refobjsubid > 0
		union
		select d.refobjid, a.adrelid, a.adnum
		from pg_depend d
		join pg_sequence s on s.seqrelid = d.refobjid
		join pg_attrdef a on a.oid = d.objid
		where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
	), narrow as materialized (
		select distinct on (u.oid) u.oid, t.limits, format('%I', a.attname) as column_name, y.oid::regtype::text as type,
			format('%I.%I', n.nspname, c.relname) as table_name
		from used u
		join pg_class c on c.oid = u.relation
		join pg_namespace n on n.oid = c.relnamespace
		join pg_attribute a on a.attrelid = u.relation and a.attnum = u.attnum
		cross join lateral (
			with recursive base as (
				select y.oid, y.typtype, y.typbasetype from pg_type y where y.oid = a.atttypid
				union all
				select y.oid, y.typtype, y.typbasetype from base b join pg_type y on y.oid = b.typbasetype where b.typtype = 'd'
			)
			select b.oid from base b where b.typtype <> 'd') y
		join (values ('smallint'::regtype::oid, 32767::numeric), ('integer'::regtype, 2147483647)) t(type, limits) on t.type = y.oid
		order by u.oid, t.limits, c.relispartition, u.relation
	), ranged as (
		select s.*, w.limits, w.column_name, w.table_name, w.type,
			least(s.seqmax, coalesce(w.limits, s.seqmax))::numeric as top,
			greatest(s.seqmin, coalesce(-w.limits - 1, s.seqmin))::numeric as bottom
		from sequence s
		left join narrow w using (oid)
		-- what begins anew never ends, if the column can take all of it
		where not s.seqcycle or s.seqmax > w.limits or s.seqmin < -w.limits - 1
	), filled as (
		select r.*,
			case when r.seqincrement > 0 then r.top - r.value else r.value - r.bottom end as rest,
			case when r.seqincrement > 0 then r.top - greatest(r.bottom, least(r.seqstart, 1))
				else least(r.top, greatest(r.seqstart, -1)) - r.bottom end as whole
		from ranged r
	), judged as (
		select format('%I.%I', f.nspname, f.relname) as name, f.value, f.top, f.bottom, f.limits, f.column_name, f.type,
			f.table_name, case when f.seqincrement > 0 then 'maxvalue' else 'minvalue' end as bound,
			greatest(trunc(f.rest / abs(f.seqincrement)), 0) as left_over,
			case when f.value is null then null else least(1, greatest(0, 1 - f.rest / nullif(f.whole, 0)))::double precision end as share
		from filled f
		where not maintsched.left_out(f.nspname, f.relname, p)
	), graded as (
		select j.*, maintsched.grade(j.share, (p ->> 'sequences_warn')::double precision, (p ->> 'sequences_crit')::double precision) as level
		from judged j
	), total as (
		select count(*) as looked_at, count(*) filter (where g.level = 'CRIT') as crit, count(*) filter (where g.level <> 'OK') as bad,
			count(*) filter (where g.value is null) as locked,
			array_agg(g.name order by g.share desc, g.left_over, g.name) filter (where g.level <> 'OK') as names
		from graded g
	), worst as (
		select g.* from graded g where g.share is not null order by g.share desc, g.left_over, g.name limit 1
	)
	select 'sequences', case when t.crit > 0 then 'CRIT' when t.bad > 0 then 'WARN' when t.looked_at > 0 and t.locked = t.looked_at then 'UNKNOWN' else 'OK' end,
		w.share, coalesce(trunc((w.share * 100)::numeric, 1) || ' %', '0 %'),
		case when w.name is null then case when t.locked > 0 then 'others have all sequences locked' else 'there is no sequence that can end' end
			else format('%s used to %s %%, %s left%s', w.name, trunc((w.share * 100)::numeric, 1),
				case w.left_over when 0 then 'no value is' when 1 then '1 value is'
					else case when w.left_over < 1e12 then maintsched.count_text(w.left_over) else 'more than 1,000 billion' end || ' values are' end,
				case when w.limits is not null then format(' (column %s of %s is %s)', w.column_name, w.table_name, w.type) else '' end)
				|| case when t.bad > 1 then format('; %s more near their end: %s', t.bad - 1, maintsched.list_text(t.names[2:], 9)) else '' end
				|| case when t.locked > 0 then format('; others have %s locked', t.locked) else '' end end,
		case when t.bad > 0 then case
			when w.limits is not null then format('alter table %s alter column %s type bigint; (which rewrites the table, and columns that refer to it need it, too), then: alter sequence %s as bigint no %s;',
				w.table_name, w.column_name, w.name, w.bound)
			else format('alter sequence %s as bigint no %s; or begin anew where its values are free again.', w.name, w.bound) end end
	from total t
	left join worst w on true
$$;

comment on function maintsched.health_sequences(jsonb) is
'Internal: Item sequences: how much of its range the fullest one has used, or of that of the columns that take from it, where their type is smaller. Those that cycle do not end.';

create function maintsched.health_constraints(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with disabled as (
		select format('%I on %I.%I', t.tgname, n.nspname, c.relname) as name,
			format('alter table %I.%I enable trigger %I;', n.nspname, c.relname, t.tgname) as mend
		from pg_trigger t
		join pg_class c on c.oid = t.tgrelid
		join pg_namespace n on n.oid = c.relnamespace
		where t.tgenabled = 'D' and not t.tgisinternal
		and not maintsched.left_out(n.nspname, c.relname, p)
		union all
		-- those of PostgreSQL itself are foreign keys
		select distinct format('foreign key %I of %I.%I', k.conname, n.nspname, c.relname),
			format('alter table %I.%I enable trigger all;', m.nspname, h.relname)
		from pg_trigger t
		join pg_constraint k on k.oid = t.tgconstraint
		join pg_class c on c.oid = k.conrelid
		join pg_namespace n on n.oid = c.relnamespace
		join pg_class h on h.oid = t.tgrelid
		join pg_namespace m on m.oid = h.relnamespace
		where t.tgenabled = 'D' and t.tgisinternal
		and not maintsched.left_out(n.nspname, c.relname, p)
		union all
		select format('event trigger %I', e.evtname), format('alter event trigger %I enable;', e.evtname)
		from pg_event_trigger e
		where e.evtenabled = 'D'
	)
	select 'disabled triggers', case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::double precision, count(*)::text,
		case when count(*) = 0 then 'every trigger is enabled'
			else format('%s disabled: %s', case count(*) when 1 then '1 is' else count(*) || ' are' end,
				maintsched.list_text(array_agg(d.name order by d.name), 10)) end,
		(array_agg(d.mend order by d.name))[1]
	from disabled d;

	return query
	with loose as (
		select format('%I on %s', k.conname, case when y.oid is null then format('%I.%I', n.nspname, c.relname)
				else format('domain %I.%I', yn.nspname, y.typname) end) as name,
			-- since 18 one can be meant not to be enforced
			coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) as enforced,
			case when y.oid is null then format('alter table %I.%I validate constraint %I;', n.nspname, c.relname, k.conname)
				else format('alter domain %I.%I validate constraint %I;', yn.nspname, y.typname, k.conname) end as mend
		from pg_constraint k
		left join pg_class c on c.oid = k.conrelid and k.conrelid <> 0
		left join pg_namespace n on n.oid = c.relnamespace
		left join pg_type y on y.oid = k.contypid and k.contypid <> 0
		left join pg_namespace yn on yn.oid = y.typnamespace
		where not k.convalidated
		-- that of a partition is validated with its parent's
		and not exists (select from pg_constraint r where r.oid = k.conparentid and not r.convalidated)
		and not maintsched.left_out(coalesce(n.nspname, yn.nspname), coalesce(c.relname, y.typname), p)
	)
	select 'constraints not validated', case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::double precision, count(*)::text,
		case when count(*) = 0 then 'every constraint holds for every row'
			else concat_ws('; ',
				format('%s not validated: ', case count(*) filter (where l.enforced) when 1 then '1 is' else nullif(count(*) filter (where l.enforced), 0) || ' are' end)
					|| maintsched.list_text(array_agg(l.name order by l.name) filter (where l.enforced), 10),
				format('%s not enforced: ', case count(*) filter (where not l.enforced) when 1 then '1 is' else nullif(count(*) filter (where not l.enforced), 0) || ' are' end)
					|| maintsched.list_text(array_agg(l.name order by l.name) filter (where not l.enforced), 10)) end,
		case when count(*) > 0 then coalesce(
			'Rows from before may break it. To check them: ' || (array_agg(l.mend order by l.name) filter (where l.enforced))[1],
			'Nobody checks them; those that are meant so are left out by exclude_objects.') end
	from loose l;
end
$$;

comment on function maintsched.health_constraints(jsonb) is
'Internal: Items disabled triggers (also those that carry out foreign keys, and event triggers) and constraints not validated, or not enforced.';
