-- What the catalogs say of every object of the extension, one line for each
-- fact: two installs that print the same are the same.
with member as (
	select d.classid, d.objid
	from pg_depend d
	join pg_extension e on e.oid = d.refobjid and e.extname = 'maintsched'
	where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
), relation as (
	select c.*, c.oid::regclass::text as id
	from member m join pg_class c on c.oid = m.objid
	where m.classid = 'pg_class'::regclass
), fact (id, what, value) as (
	select i.type || ' ' || i.identity, 'comment', coalesce(obj_description(m.objid, m.classid::regclass::name), '')
	from member m cross join lateral pg_identify_object(m.classid, m.objid, 0) i
	union all
	select p.oid::regprocedure::text, 'definition', pg_get_functiondef(p.oid)
	from member m join pg_proc p on p.oid = m.objid
	where m.classid = 'pg_proc'::regclass and p.prokind in ('f', 'p')
	union all
	select p.oid::regprocedure::text, 'privileges', p.proacl::text
	from member m join pg_proc p on p.oid = m.objid
	where m.classid = 'pg_proc'::regclass
	union all
	select n.nspname, 'privileges', n.nspacl::text
	from member m join pg_namespace n on n.oid = m.objid
	where m.classid = 'pg_namespace'::regclass
	union all
	select t.oid::regtype::text, 'type', concat_ws(' ', t.typtype, t.typbasetype::regtype, t.typnotnull, t.typdefault, t.typacl,
		(select string_agg(conname || ' ' || pg_get_constraintdef(oid), ' ' order by conname) from pg_constraint where contypid = t.oid),
		(select string_agg(enumlabel, ' ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
	from member m join pg_type t on t.oid = m.objid
	where m.classid = 'pg_type'::regclass
	union all
	select id, 'relation', concat_ws(' ', relkind, relpersistence, reloptions, relacl, relrowsecurity, relreplident)
	from relation
	union all
	select id, 'view', pg_get_viewdef(oid)
	from relation where relkind in ('v', 'm')
	union all
	select r.id || '.' || a.attname, 'column', concat_ws(' | ',
		row_number() over (partition by r.oid order by a.attnum), format_type(a.atttypid, a.atttypmod),
		a.attcollation::regcollation, a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attacl,
		-- pg_attver counts what the server did, not what the script says
		(select array_agg(o order by o) from unnest(a.attoptions) o where o not like 'pg\_attver=%'),
		pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
	from relation r
	join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
	left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
	union all
	select r.id, 'constraint ' || c.conname, concat_ws(' | ', pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint'))
	from relation r join pg_constraint c on c.conrelid = r.oid
	union all
	select r.id, 'index', pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid
	from relation r join pg_index i on i.indrelid = r.oid
	union all
	select r.id, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
	from relation r join pg_trigger t on t.tgrelid = r.oid
	where not t.tgisinternal
	union all
	select r.id, 'rule ' || w.rulename, pg_get_ruledef(w.oid) || ' ' || w.ev_enabled::text
	from relation r join pg_rewrite w on w.ev_class = r.oid
	where r.relkind not in ('v', 'm')
	union all
	select r.id, 'policy ' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid))
	from relation r join pg_policy p on p.polrelid = r.oid
	union all
	select r.id, 'sequence', concat_ws(' ', s.seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
	from relation r join pg_sequence s on s.seqrelid = r.oid
	union all
	select 'dumped ' || config::regclass, 'condition', e.extcondition[n]
	from pg_extension e
	cross join lateral unnest(e.extconfig) with ordinality u (config, n)
	where extname = 'maintsched'
	union all
	select 'initial privileges', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.initprivs::text
	from pg_init_privs i
	where (i.classoid, i.objoid) in (select classid, objid from member)
	union all
	select 'settings', name, concat_ws(' ', context, vartype, boot_val, short_desc)
	from pg_settings where name like 'maintsched.%'
	union all
	-- rows that the script itself put in
	select r.id, 'rows', md5(query_to_xml('select * from ' || r.id || ' t order by t::text', true, false, '')::text)
	from relation r
	where r.relkind = 'r'
)
select id || ' | ' || what || ' | ' || coalesce(replace(value, E'\n', '\n'), '')
from fact
order by 1;
