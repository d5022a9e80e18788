--
-- 85_health_server: what health says of the server as it is set up
--
-- Like 84_health_sessions: a function for each group, called by judge_group().
-- Of settings only those are named whose values are spelled out here; a file
-- is named only where it is at fault.
--

create function maintsched.server_certificate(
	out valid_from timestamptz, out valid_until timestamptz, out modified_at timestamptz, out problem text,
	out place integer, out certificates integer)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_server_certificate';

comment on function maintsched.server_certificate() is
'Internal: From when until when all certificates of ssl_cert_file are valid, and when the file was written; problem: why that is not known; place: which of its certificates, from 1, ends first.';

create function maintsched.disk_space(path text, out used bigint, out available bigint)
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_disk_space';

comment on function maintsched.disk_space(text) is
'Internal: Bytes used and bytes available to the server on the file system of a path in the data directory; NULL where the path is not there.';

create function maintsched.health_wraparound(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- 2^31 is where ages end; the server refuses to go on 3 million before it
	with aged as (
		select 1 as rank, 'xid wraparound' as item, 'transactions' as what, d.datname, age(d.datfrozenxid)::double precision as age,
			current_setting('autovacuum_freeze_max_age')::double precision as frozen_at
		from pg_database d
		union all
		select 2, 'multixact wraparound', 'multixacts', d.datname, mxid_age(d.datminmxid),
			current_setting('autovacuum_multixact_freeze_max_age')::double precision
		from pg_database d
	), oldest as (
		select distinct on (a.rank) a.*, 2147483648 as ends_at
		from aged a
		order by a.rank, a.age desc, a.datname
	)
	select o.item, s.status, o.age / o.ends_at, maintsched.count_text(o.age::numeric) || ' ' || o.what,
		format('database "%s" is %s %s old; autovacuum freezes from %s on, and commands that write are refused at %s',
			o.datname, maintsched.count_text(o.age::numeric), o.what,
			maintsched.count_text(o.frozen_at::numeric), maintsched.count_text(2144483648)),
		case when s.status <> 'OK' then format('In database "%s": vacuum (freeze); The oldest tables of this database are in item tables to freeze. Where vacuuming does not help, an old transaction, slot or prepared transaction keeps it from it.', o.datname) end
	from oldest o
	cross join lateral (
		select maintsched.wraparound_status(o.age, o.frozen_at, p) as status) s
	order by o.rank
$$;

comment on function maintsched.health_wraparound(jsonb) is
'Internal: Items xid wraparound and multixact wraparound: the oldest database of the server.';

create function maintsched.wraparound_status(age double precision, frozen_at double precision, p jsonb) returns text
language sql immutable parallel safe
return maintsched.grade(age,
	least(frozen_at * (p ->> 'freeze_warn')::double precision, 0.8 * 2147483648),
	least(greatest(frozen_at * (p ->> 'freeze_warn')::double precision, 2147483648 * (p ->> 'wraparound_crit')::double precision), 0.9 * 2147483648));

comment on function maintsched.wraparound_status(double precision, double precision, jsonb) is
'Internal: The status of an age in transactions or multixacts: WARN from freeze_warn times the age at which autovacuum freezes, CRIT from wraparound_crit of 2^31, and not before that.';

create function maintsched.health_durability(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with file as (
		select distinct on (f.name) f.name, f.setting
		from pg_file_settings f
		where f.applied
		order by f.name, f.seqno desc
	), risk (name, bad, level, harm) as (values
		('fsync', 'off', 3, 'a crash of the machine may destroy the whole cluster'),
		('full_page_writes', 'off', 3, 'a crash of the machine may leave torn pages'),
		('zero_damaged_pages', 'on', 3, 'damaged pages are emptied when they are read'),
		('ignore_checksum_failure', 'on', 3, 'damaged pages are read as if they were good'),
		('ignore_system_indexes', 'on', 2, 'system indexes are not used'),
		('ignore_invalid_pages', 'on', 3, 'recovery goes on over lost pages'),
		('synchronous_commit', 'off', 2, 'what was committed in the last instants is lost in a crash'),
		('session_replication_role', 'replica', 2, 'triggers and foreign keys are not carried out')
	), set_by as (
		-- a session's own SET tells nothing about the server
		select r.*, 0 as rank, '' as whose, 'alter system' as command,
			case when s.context <> 'user' and s.context <> 'superuser' or s.source in ('command line', 'environment variable') then s.setting
				-- nothing of the files is applied while there is a mistake in them: what was before is in force
				when not exists (select from file) then s.reset_val
				else coalesce(f.setting, s.boot_val) end as setting
		from risk r
		join pg_settings s on s.name = r.name
		left join file f on f.name = r.name
		union all
		select r.*, 1,
			case when x.setrole <> 0 then format(' of role "%s"', u.rolname) when x.setdatabase = 0 then ' of all roles' else '' end
				|| case when x.setdatabase <> 0 then format(' in database "%s"', d.datname) else '' end,
			case when x.setrole <> 0 then format('alter role %I', u.rolname) when x.setdatabase = 0 then 'alter role all'
					else format('alter database %I', d.datname) end
				|| case when x.setrole <> 0 and x.setdatabase <> 0 then format(' in database %I', d.datname) else '' end,
			substr(c.entry, strpos(c.entry, '=') + 1)
		from pg_db_role_setting x
		cross join lateral unnest(x.setconfig) c(entry)
		join risk r on r.name = left(c.entry, strpos(c.entry, '=') - 1)
		left join pg_roles u on u.oid = x.setrole
		left join pg_database d on d.oid = x.setdatabase
	), bad as (
		select b.*, format('%s = %s%s: %s', b.name, b.bad, b.whose, b.harm) as words,
			case when b.rank = 0 then format('alter system set %s = %s; select pg_reload_conf();', b.name,
					case b.bad when 'off' then 'on' when 'on' then 'off' else 'origin' end)
				else format('%s reset %s;', b.command, b.name) end as mend
		from set_by b
		where b.bad = case lower(b.setting)
			when 'false' then 'off' when 'no' then 'off' when '0' then 'off' when 'f' then 'off' when 'n' then 'off' when 'of' then 'off'
			when 'true' then 'on' when 'yes' then 'on' when '1' then 'on' when 't' then 'on' when 'y' then 'on'
			else lower(b.setting) end
	)
	select 'durability', (array['OK', 'WARN', 'CRIT'])[coalesce(max(b.level), 1)], count(*)::double precision, count(*)::text,
		coalesce(string_agg(b.words, '; ' order by b.level desc, b.rank, b.name, b.whose), 'no setting risks what was committed'),
		(array_agg(b.mend order by b.level desc, b.rank, b.name, b.whose))[1]
	from bad b
$$;

comment on function maintsched.health_durability(jsonb) is
'Internal: Item durability: settings that lose data, of the server (never of a session), of databases and of roles.';

create function maintsched.health_settings(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with waiting as (
		select array_agg(s.name order by s.name) as names from pg_settings s where s.pending_restart
	), wrong as (
		-- the names of settings, and where; their values may be passwords
		select array_agg(w.place order by w.place) as places
		from (
			select format('%s line %s', regexp_replace(f.sourcefile, '^.*/', ''), f.sourceline) || coalesce(' (' || f.name || ')', '') as place
			from pg_file_settings f
			-- one that only a restart can change is in the file, as it should be
			where f.error is not null
			and not exists (select from pg_settings s where s.pending_restart and s.name = lower(f.name))
			union all
			-- since 16 they may be in several files
			select format('%s line %s', coalesce(regexp_replace(to_jsonb(h) ->> 'file_name', '^.*/', ''), 'pg_hba.conf'), h.line_number)
			from pg_hba_file_rules h
			where h.error is not null
			union all
			select format('%s line %s', coalesce(regexp_replace(to_jsonb(i) ->> 'file_name', '^.*/', ''), 'pg_ident.conf'), i.line_number)
			from pg_ident_file_mappings i
			where i.error is not null) w
	)
	select 'settings', case when w.places is not null or a.names is not null then 'WARN' else 'OK' end,
		(coalesce(cardinality(a.names), 0) + coalesce(cardinality(w.places), 0))::double precision,
		(coalesce(cardinality(a.names), 0) + coalesce(cardinality(w.places), 0))::text,
		coalesce(nullif(concat_ws('; ',
			'cannot be read, and may keep the server from its next start: ' || maintsched.list_text(w.places),
			'changed, and in force only after a restart: ' || maintsched.list_text(a.names)), ''),
			'the server works with what its files say'),
		case when w.places is not null then 'The views pg_file_settings, pg_hba_file_rules and pg_ident_file_mappings say what is wrong with them; after mending: select pg_reload_conf();'
			when a.names is not null then 'Restart the server when it suits, or take the change back.' end
	from waiting a, wrong w
$$;

comment on function maintsched.health_settings(jsonb) is
'Internal: Item settings: those that wait for a restart, and lines of the configuration files that the server cannot take.';

create function maintsched.health_autovacuum(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select 'autovacuum',
		case when current_setting('autovacuum') = 'off' or t.counts = 'off' then 'CRIT' else 'OK' end, null::double precision,
		current_setting('autovacuum'),
		case when current_setting('autovacuum') = 'off' then 'autovacuum is off: nothing is vacuumed or analyzed by itself'
			when t.counts = 'off' then 'track_counts is off: autovacuum does not know what is to be done'
			else 'autovacuum is on' end,
		case when current_setting('autovacuum') = 'off' then 'alter system reset autovacuum; select pg_reload_conf();'
			when t.counts = 'off' then 'alter system reset track_counts; select pg_reload_conf();' end
	from (
		-- not what this session has set
		select coalesce((
			select f.setting from pg_file_settings f
			where f.name = 'track_counts' and f.applied and s.source not in ('command line', 'environment variable')
			order by f.seqno desc limit 1),
			case when s.source in ('command line', 'environment variable') then s.setting
				when not exists (select from pg_file_settings f where f.applied) then s.reset_val
				else s.boot_val end) as counts
		from pg_settings s where s.name = 'track_counts') t
$$;

comment on function maintsched.health_autovacuum(jsonb) is
'Internal: Item autovacuum: whether the server has it on.';

create function maintsched.health_checksums(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with failed as (
		select sum(d.checksum_failures)::bigint as total, max(d.checksum_last_failure) as last,
			array_agg(coalesce('database "' || d.datname || '"', 'the shared catalogs') order by d.checksum_failures desc, d.datname)
				filter (where d.checksum_failures > 0) as names
		from pg_stat_database d
	)
	select 'checksum failures',
		case when f.total > 0 then 'CRIT' when current_setting('data_checksums') = 'off' then 'WARN' else 'OK' end,
		coalesce(f.total, 0)::double precision, coalesce(f.total, 0)::text,
		case when f.total > 0 then format('%s in %s, last at %s', case f.total when 1 then '1 damaged page was read' else f.total || ' damaged pages were read' end,
				maintsched.list_text(f.names), to_char(f.last at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
			when current_setting('data_checksums') = 'off' then 'data checksums are off: a damaged page is not noticed when it is read'
			else 'no damaged page was read since the statistics began' end,
		case when f.total > 0 then 'The server log names files and blocks: restore what they belong to from a backup, or REINDEX where it is an index, and look for the cause. Then, in that database: select pg_stat_reset();'
			when current_setting('data_checksums') = 'off' then 'While the server is stopped: pg_checksums --enable.' end
	from failed f
$$;

comment on function maintsched.health_checksums(jsonb) is
'Internal: Item checksum failures: damaged pages that were read in any database of the server since its statistics began.';

create function maintsched.health_certificate(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := clock_timestamp();
	c record;
	rest double precision;
	level text;
	which text;
begin
	if current_setting('ssl') = 'off' then
		return query select 'server certificate', 'OK', null::double precision, null::text,
			'ssl is off: there is no certificate, and connections over a network are not encrypted', null::text;
		return;
	end if;
	select * into c from maintsched.server_certificate();
	-- the first is the server's own, and all that openssl x509 shows
	which := case when c.place > 1 then format('certificate %s of %s in the file that ssl_cert_file names', c.place, c.certificates)
		else 'the certificate of the server' end;
	rest := extract(epoch from c.valid_until - at);
	level := case
		when c.problem is not null then 'UNKNOWN'
		when rest <= 0 or c.valid_from > at then 'CRIT'
		when rest <= maintsched.seconds_of(p ->> 'certificate_crit') then 'CRIT'
		when rest <= maintsched.seconds_of(p ->> 'certificate_warn') then 'WARN'
		when c.modified_at > pg_conf_load_time() then 'WARN'
		else 'OK' end;
	return query select 'server certificate', level, floor(rest / 86400),
		to_char(c.valid_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
		case
			when c.problem is not null then 'the file that ssl_cert_file names ' || c.problem
			when rest <= 0 then format('%s expired %s ago', which, maintsched.seconds_text(-rest))
			when c.valid_from > at then format('the server has a certificate that is not valid before %s', to_char(c.valid_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
			when level = 'WARN' and c.modified_at > pg_conf_load_time() then 'the file of the certificate is newer than what the server works with'
			else format('%s expires in %s', which, maintsched.seconds_text(rest)) end,
		case
			when c.problem is not null then format('The server goes on with what it has loaded, and will not start again with this. It is to hold certificates in PEM; look at it, in the data directory: openssl x509 -noout -dates -in %s', current_setting('ssl_cert_file'))
			when level <> 'OK' and c.modified_at > pg_conf_load_time() then 'The file is new: select pg_reload_conf();'
			when level <> 'OK' then format('Put a new one into the file %s, then: select pg_reload_conf();', current_setting('ssl_cert_file')) end;
end
$$;

comment on function maintsched.health_certificate(jsonb) is
'Internal: Item server certificate: when the first of the certificates in ssl_cert_file expires. The file may be newer than the last reload, since when the server works with what it held then.';

create function maintsched.planned_release(day date, n integer) returns date
language sql immutable parallel safe
return (
	select q.thursday
	from (
		-- the second Thursday of February, May, August and November
		select (m.first + ((4 - extract(dow from m.first)::integer + 7) % 7) + 7) as thursday
		from (
			select (make_date(extract(year from day)::integer, 2, 1) + make_interval(months => 3 * k))::date as first
			from generate_series(-1, n + 4) k) m) q
	where q.thursday > day
	order by q.thursday
	offset n - 1
	limit 1);

comment on function maintsched.planned_release(date, integer) is
'Internal: The n-th planned release of minor versions after a day: the second Thursdays of February, May, August and November (postgresql.org/developer/roadmap).';

create function maintsched.judge_version(version_num integer, version text, today date, tolerated interval)
returns table (status text, figure double precision, detail text, hint text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	-- When minor versions came out, all major ones on one day, from 15.0 on
	-- (postgresql.org/docs/release, the release notes of 15 to 19).
	with released as (
		select array['2022-10-13', '2022-11-10', '2023-02-09', '2023-05-11', '2023-08-10', '2023-11-09',
			'2024-02-08', '2024-05-09', '2024-08-08', '2024-11-14', '2024-11-21', '2025-02-13', '2025-02-20',
			'2025-05-08', '2025-08-14', '2025-11-13', '2026-02-12', '2026-02-26', '2026-05-14', '2026-08-13',
			'2026-11-12']::date[] as days
	), major as (
		-- the release of the list in whose time x.0 came out
		select m.major, m.minor_offset, m.first_day
		from (values (15, 0, date '2022-10-13'), (16, 4, '2023-09-14'), (17, 8, '2024-09-26'), (18, 14, '2025-09-25')) m(major, minor_offset, first_day)
		union all
		-- later ones: four a year, the first major release of the list that is not in it follows number 19
		select v.n, 19 + 4 * (v.n - 19), null
		from (select version_num / 10000 as n) v
		where v.n >= 19
	), running as (
		select m.major, version_num % 10000 as minor, m.minor_offset + version_num % 10000 as number,
			case when version_num % 10000 = 0 then m.first_day end as first_day, r.days,
			-- five years and the next planned release: in November
			maintsched.planned_release(make_date(2012 + m.major, 11, 1), 1) as supported_until
		from major m, released r
		where m.major = version_num / 10000
	), dated as (
		select r.*, coalesce(r.first_day,
			case when r.number < cardinality(r.days) then r.days[r.number + 1]
				else maintsched.planned_release(r.days[cardinality(r.days)], r.number - cardinality(r.days) + 1) end) as released_on
		from running r
	), behind as (
		select d.*, n.newer, n.first_newer
		from dated d
		cross join lateral (
			select count(*) as newer, min(x.day) as first_newer
			from (
				select u.day from unnest(d.days) u(day)
				union
				select maintsched.planned_release(d.days[cardinality(d.days)], k)
				from generate_series(1, greatest(0, (today - d.days[cardinality(d.days)]) / 91 + 2)) k) x
			where x.day > d.released_on and x.day <= least(today, d.supported_until)) n
	)
	select case
			when version ~ '(devel|alpha|beta|rc)' then 'WARN'
			when b.major is null then 'UNKNOWN'
			when today > b.supported_until then 'CRIT'
			when today > b.supported_until - 182 then 'WARN'
			when b.first_newer + tolerated <= today then 'WARN'
			else 'OK' end,
		case when version !~ '(devel|alpha|beta|rc)' then b.newer::double precision end,
		case
			when version ~ '(devel|alpha|beta|rc)' then format('%s is a test version of PostgreSQL', version)
			when b.major is null then format('nothing is known about PostgreSQL %s', version_num / 10000)
			when today > b.supported_until then format('PostgreSQL %s is supported no more since %s', b.major, to_char(b.supported_until, 'YYYY-MM-DD'))
			else concat_ws('; ',
				case when today > b.supported_until - 182 then format('PostgreSQL %s is supported until %s only', b.major, to_char(b.supported_until, 'YYYY-MM-DD')) end,
				case when b.newer > 0 then format('%s.%s is of %s, and since then %s planned, the first for %s', b.major, b.minor, to_char(b.released_on, 'YYYY-MM-DD'),
						case b.newer when 1 then 'one minor release was' else b.newer || ' minor releases were' end, to_char(b.first_newer, 'YYYY-MM-DD'))
					else format('%s.%s is the newest minor release that was planned', b.major, b.minor) end) end,
		case
			when version ~ '(devel|alpha|beta|rc)' then 'Test versions are not for data that is to be kept.'
			when b.major is null then 'A newer version of maintsched may know it.'
			when today > b.supported_until - 182 then 'Plan the upgrade to a later major version: pg_upgrade, or logical replication.'
			when b.first_newer + tolerated <= today then 'Install the newest minor version and restart; read its release notes before: postgresql.org/docs/release.' end
	from (values (true)) x
	left join behind b on true
$$;

comment on function maintsched.judge_version(integer, text, date, interval) is
'Internal: How old a version of PostgreSQL is: by the release dates known, and after them by the calendar of planned releases. No network is asked. tolerated: how long a newer minor release may be out. Supported until the second Thursday of November five years after the first release (postgresql.org/support/versioning).';

create function maintsched.health_version(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select 'version', v.status, v.figure, split_part(current_setting('server_version'), ' ', 1), v.detail, v.hint
	from maintsched.judge_version(current_setting('server_version_num')::integer, split_part(current_setting('server_version'), ' ', 1),
		(clock_timestamp() at time zone 'UTC')::date, (p ->> 'version_warn')::interval) v
$$;

comment on function maintsched.health_version(jsonb) is
'Internal: Item version: the age of the running minor version, and whether the major one is supported.';

create function maintsched.health_disk(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	with place as (
		select 1 as rank, '.' as path, 'the data directory' as what
		union all
		select 2, 'pg_wal', 'the WAL'
		union all
		select 3, 'pg_tblspc/' || t.oid, format('tablespace "%s"', t.spcname)
		from pg_tablespace t
		where t.spcname not in ('pg_default', 'pg_global')
	), fullest as (
		select l.what, f.available, f.used::double precision / nullif(f.used + f.available, 0) as share
		from place l
		cross join lateral maintsched.disk_space(l.path) f
		where f.used is not null
		order by 3 desc nulls last, l.rank, l.path
		limit 1
	)
	select 'disk space', case when f.share is null then 'UNKNOWN' else s.status end, f.share, round(f.share * 100) || ' %',
		case when f.share is null then 'no file system says how full it is'
			else format('the file system of %s is full to %s %%; %s are left', f.what, round(f.share * 100), pg_size_pretty(f.available)) end,
		case when s.status <> 'OK' then 'What takes the space: pg_ls_waldir(), pg_database_size(), pg_tablespace_size(). A full disk stops the server.' end
	from (values (true)) x
	left join fullest f on true
	cross join lateral (
		select maintsched.grade(f.share, (p ->> 'disk_warn')::double precision, (p ->> 'disk_crit')::double precision) as status) s
$$;

comment on function maintsched.health_disk(jsonb) is
'Internal: Item disk space: the fullest file system of data directory, WAL and tablespaces.';
