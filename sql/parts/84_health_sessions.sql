--
-- 84_health_sessions: what health says of sessions, transactions and standbys
--
-- One function for each group of items: judge_group() of 88_health calls them
-- with the thresholds in use, as the owner of the extension.  They look at the
-- server as it is now, whatever maintsched.now may say.  Nothing of what they
-- return is the text of a query or what somebody called his session; what is
-- named are processes, roles, databases, standbys, slots and relations.
--

create function maintsched.grade(figure double precision, warn double precision, crit double precision) returns text
language sql immutable parallel safe
return case when figure >= crit then 'CRIT' when figure >= warn then 'WARN' else 'OK' end;

comment on function maintsched.grade(double precision, double precision, double precision) is
'Internal: The status of a figure by its two thresholds; a NULL one is never reached.';

create function maintsched.seconds_of(span text) returns double precision
language sql stable
set search_path = pg_catalog, pg_temp
return extract(epoch from span::interval)::double precision;

comment on function maintsched.seconds_of(text) is
'Internal: A length of time of params in seconds.';

create function maintsched.seconds_text(seconds double precision) returns text
language sql immutable parallel safe
return case when seconds < 60 then floor(greatest(seconds, 0)) || case when floor(greatest(seconds, 0)) = 1 then ' second' else ' seconds' end
	else maintsched.age_text(make_interval(secs => seconds)) end;

comment on function maintsched.seconds_text(double precision) is
'Internal: A number of seconds for people.';

create function maintsched.list_text(names text[], shown integer default 3) returns text
language sql immutable parallel safe
return array_to_string(names[1:shown], ', ')
	|| case when cardinality(names) > shown then format(' and %s more', cardinality(names) - shown) else '' end;

comment on function maintsched.list_text(text[], integer) is
'Internal: The first names, and how many more there are.';

create function maintsched.health_connections(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with session as (
		select a.datid, a.usesysid, u.rolsuper
		from pg_stat_activity a
		left join pg_roles u on u.oid = a.usesysid
		where a.backend_type = 'client backend'
	), reach as (
		select 1 as rank, count(*) as used,
			current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
				- coalesce(current_setting('reserved_connections', true)::integer, 0) as room,
			'' as whose
		from session
		union all
		select 2, (select count(*) from session s where s.datid = d.oid), d.datconnlimit, format(' of database "%s"', d.datname)
		from pg_database d
		where d.datconnlimit >= 0 and d.datallowconn
		union all
		select 3, (select count(*) from session s where s.usesysid = r.oid), r.rolconnlimit, format(' of role "%s"', r.rolname)
		from pg_roles r
		where r.rolconnlimit > 0 and r.rolcanlogin and not r.rolsuper
	), worst as (
		select r.*, r.used / greatest(r.room, 1)::double precision as share
		from reach r
		-- a database that is closed to everybody is no shortage
		where r.room > 0 or r.used > 0
		order by 5 desc, r.rank
		limit 1
	)
	select 'connections', s.status, w.share, format('%s of %s', w.used, w.room),
		format('%s of %s connections%s are in use', w.used, w.room,
			case when w.rank = 1 then ' (those reserved for superusers left out)' else w.whose end),
		case when s.status <> 'OK' then
			'Who has them: select datname, usename, state, count(*) from pg_stat_activity group by 1, 2, 3 order by 4 desc; '
			|| case w.rank when 1 then 'A connection pool saves connections; max_connections is changed by a restart.'
				when 2 then 'The limit is changed by ALTER DATABASE ... CONNECTION LIMIT.'
				else 'The limit is changed by ALTER ROLE ... CONNECTION LIMIT.' end end
	from worst w
	cross join lateral (
		select maintsched.grade(w.share, (p ->> 'connections_warn')::double precision, (p ->> 'connections_crit')::double precision) as status) s
$$;

comment on function maintsched.health_connections(jsonb) is
'Internal: Item connections: clients against max_connections minus what is reserved, and against the limits of databases and roles; the worst counts.';

create function maintsched.health_transactions(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with session as (
		select a.pid, a.backend_type, a.state, a.usename, a.datname,
			extract(epoch from clock_timestamp() - a.xact_start)::double precision as age,
			case when a.state like 'idle in transaction%'
				then extract(epoch from clock_timestamp() - a.state_change)::double precision end as idle
		from pg_stat_activity a
		where a.xact_start is not null and a.pid <> pg_backend_pid()
		-- maintenance and replication are long, and looked at elsewhere
		and a.backend_type not in ('autovacuum worker', 'autovacuum launcher', 'walsender', 'parallel worker')
		and a.backend_type not like 'maintsched%' and a.backend_type not like 'logical replication%'
	), unseen as (
		-- (track_activities = off)
		select count(*) as sessions from pg_stat_activity a where a.state = 'disabled'
	), judged as (
		select 1 as rank, 'longest transaction' as item, s.pid, s.age as figure,
			format('process %s (%s) has been in one transaction for %s', s.pid, w.who, maintsched.seconds_text(s.age)) as detail,
			maintsched.seconds_of(p ->> 'transaction_warn') as warn, maintsched.seconds_of(p ->> 'transaction_crit') as crit,
			'no transaction is open' as nothing
		from (values (true)) x
		left join (select * from session order by age desc, pid limit 1) s on true
		cross join lateral (select concat_ws(', ', 'role "' || s.usename || '"', 'database "' || s.datname || '"',
			case when s.backend_type <> 'client backend' then s.backend_type end, s.state) as who) w
		union all
		select 2, 'idle in transaction', s.pid, s.idle,
			format('process %s (%s) has had a transaction open for %s without doing anything', s.pid, w.who, maintsched.seconds_text(s.idle)),
			maintsched.seconds_of(p ->> 'idle_warn'), maintsched.seconds_of(p ->> 'idle_crit'),
			'no session is idle in a transaction'
		from (values (true)) x
		left join (select * from session where idle is not null order by idle desc, pid limit 1) s on true
		cross join lateral (select concat_ws(', ', 'role "' || s.usename || '"', 'database "' || s.datname || '"') as who) w
	)
	select j.item, s.status, coalesce(j.figure, 0), maintsched.seconds_text(coalesce(j.figure, 0)),
		concat_ws('; ', case when j.pid is null then j.nothing else j.detail end,
			case when u.sessions > 0 then format('what %s may have open cannot be seen (track_activities is off)',
				case u.sessions when 1 then '1 session' else u.sessions || ' sessions' end) end),
		case when s.status = 'UNKNOWN' then 'Where the server has it off: alter system reset track_activities; select pg_reload_conf(); Else a role, a database or the session itself has it so.'
			when s.status <> 'OK' then format('Nothing that was deleted since is given back by VACUUM while it lasts. Ask whoever it is; to end it: select pg_terminate_backend(%s);', j.pid)
			|| case when j.rank = 2 then ' The setting idle_in_transaction_session_timeout does so by itself.' else '' end end
	from judged j
	cross join unseen u
	cross join lateral (select case when u.sessions > 0 then coalesce(nullif(maintsched.grade(j.figure, j.warn, j.crit), 'OK'), 'UNKNOWN')
		else maintsched.grade(j.figure, j.warn, j.crit) end as status) s
	order by j.rank
$$;

comment on function maintsched.health_transactions(jsonb) is
'Internal: Items longest transaction and idle in transaction; autovacuum, replication and the runs of maintsched are left out. UNKNOWN where sessions have track_activities off.';

create function maintsched.health_locks(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with waiting as (
		select l.pid, a.usename, l.database, l.relation,
			extract(epoch from clock_timestamp() - coalesce(l.waitstart, clock_timestamp()))::double precision as age
		from pg_locks l
		join pg_stat_activity a on a.pid = l.pid
		where not l.granted and a.backend_type <> 'autovacuum worker'
	), worst as (
		select w.*, pg_blocking_pids(w.pid) as held_by
		from waiting w
		order by w.age desc, w.pid
		limit 1
	), total as (
		select count(distinct w.pid) as processes from waiting w
	)
	select 'lock waits', s.status, coalesce(w.age, 0), maintsched.seconds_text(coalesce(w.age, 0)),
		case when w.pid is null then 'nobody waits for a lock'
			else format('%s for a lock; process %s%s for %s%s%s',
				case t.processes when 1 then '1 process waits' else t.processes || ' processes wait' end,
				w.pid, coalesce(' (role "' || w.usename || '")', ''), maintsched.seconds_text(w.age),
				coalesce(' on ' || case when w.database = (select d.oid from pg_database d where d.datname = current_database())
					then (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = w.relation) end, ''),
				case when 0 = any (w.held_by) then ', held up by a prepared transaction'
					when cardinality(w.held_by) > 0 then ', held up by process ' || array_to_string(w.held_by, ', ')
					else '' end) end,
		case when s.status = 'OK' then null
			when 0 = any (w.held_by) then 'The view pg_prepared_xacts lists them: commit or roll it back in its database.'
			when cardinality(w.held_by) > 0 then format('Ask whoever it is; to end it: select pg_terminate_backend(%s);', w.held_by[1])
			else 'Who waits for whom: select pid, pg_blocking_pids(pid) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0;' end
	from total t
	left join worst w on true
	cross join lateral (
		select maintsched.grade(w.age, maintsched.seconds_of(p ->> 'lock_wait_warn'), maintsched.seconds_of(p ->> 'lock_wait_crit')) as status) s
$$;

comment on function maintsched.health_locks(jsonb) is
'Internal: Item lock waits: the longest wait for a lock but of autovacuum, which makes way.';

create function maintsched.health_prepared(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with oldest as (
		select x.gid, x.owner, x.database, count(*) over () as total,
			extract(epoch from clock_timestamp() - x.prepared)::double precision as age
		from pg_prepared_xacts x
		order by x.prepared, x.gid
		limit 1
	)
	select 'prepared transactions', s.status, coalesce(o.age, 0), coalesce(o.total, 0)::text,
		case when o.gid is null then 'none is prepared'
			else format('%s prepared and not ended; the oldest, %L of role "%s" in database "%s", for %s',
				case o.total when 1 then '1 transaction is' else o.total || ' transactions are' end,
				o.gid, o.owner, o.database, maintsched.seconds_text(o.age)) end,
		case when s.status <> 'OK' then format('It holds its locks, and VACUUM back. Unless its transaction manager still ends it, in database "%s": rollback prepared %L; (or commit prepared).', o.database, o.gid) end
	from (values (true)) x
	left join oldest o on true
	cross join lateral (
		select maintsched.grade(o.age, maintsched.seconds_of(p ->> 'prepared_warn'), maintsched.seconds_of(p ->> 'prepared_crit')) as status) s
$$;

comment on function maintsched.health_prepared(jsonb) is
'Internal: Item prepared transactions: the oldest one of the server that was prepared and not ended.';

create function maintsched.health_replication(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	standby constant boolean := pg_is_in_recovery();
	-- how far the log goes that can be sent from here
	here constant pg_lsn := case when standby then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end;
	received constant pg_lsn := case when standby then pg_last_wal_receive_lsn() end;
	replayed constant pg_lsn := case when standby then pg_last_wal_replay_lsn() end;
	committed constant timestamptz := case when standby then pg_last_xact_replay_timestamp() end;
	segment constant bigint := pg_size_bytes(current_setting('wal_segment_size'));
	held_up constant boolean := standby and exists (
		select from pg_stat_activity a
		where a.backend_type = 'startup' and (a.wait_event_type in ('Lock', 'BufferPin') or a.wait_event like 'RecoveryConflict%'));
	lag_warn constant double precision := maintsched.seconds_of(p ->> 'replication_warn');
	lag_crit constant double precision := maintsched.seconds_of(p ->> 'replication_crit');
	worst record;
begin
	with standbys as (
		select format('"%s"', coalesce(nullif(r.application_name, ''), r.client_addr::text, r.pid::text)) as name,
			extract(epoch from r.replay_lag)::double precision as age,
			pg_wal_lsn_diff(here, x.lsn)::double precision as bytes, r.replay_lsn is null as keeps
		from pg_stat_replication r
		-- pg_receivewal keeps WAL, and replays none
		cross join lateral (select coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn) as lsn) x
		-- a base backup has no lag
		where r.state <> 'backup' and x.lsn is not null
	), judged as (
		select 1 as rank, greatest(
				array_position(array['OK', 'WARN', 'CRIT'], maintsched.grade(s.age, lag_warn, lag_crit)),
				array_position(array['OK', 'WARN', 'CRIT'], maintsched.grade(s.bytes,
					pg_size_bytes(p ->> 'replication_bytes_warn'), pg_size_bytes(p ->> 'replication_bytes_crit')))) as level,
			coalesce(s.age, 0) as figure,
			format('%s %s is %s%s behind', case when s.keeps then 'WAL receiver' else 'standby' end, s.name, pg_size_pretty(s.bytes::bigint), coalesce(' and ' || maintsched.seconds_text(s.age), '')) as detail,
			'The view pg_stat_replication shows where it hangs: sent, written, flushed, replayed. Its network, its disks, or a query on it that replay waits for.' as hint
		from standbys s
		union all
		select 2, 3, 0, 'synchronous_standby_names is set, and no synchronous standby is connected: whoever commits waits',
			'Bring a standby back, or take it out: alter system reset synchronous_standby_names; select pg_reload_conf();'
		where not standby and current_setting('synchronous_standby_names') <> ''
		and not exists (select from pg_stat_replication r where r.sync_state in ('sync', 'quorum'))
		union all
		select 3, 2, 0, 'replay is paused on this standby', 'To go on: select pg_wal_replay_resume();'
		where standby and (case when standby then pg_is_wal_replay_paused() end)
		union all
		select 4, 3, 0, 'this standby receives nothing from its primary',
			'The view pg_stat_wal_receiver is empty: primary_conninfo and the server log say why.'
		where standby and current_setting('primary_conninfo') <> ''
		and not exists (select from pg_stat_wal_receiver w where w.status = 'streaming')
		union all
		-- The age of the last commit replayed says how far behind this is only where
		-- there is more to replay: a primary that does nothing commits nothing.
		select 5, least(array_position(array['OK', 'WARN', 'CRIT'], maintsched.grade(x.age, lag_warn, lag_crit)), case when x.sure then 3 else 2 end),
			x.age,
			case when x.behind and committed is null
				then format('this standby has replayed no commit since it started %s ago',
					maintsched.seconds_text(extract(epoch from clock_timestamp() - pg_postmaster_start_time())::double precision))
				else format('this standby has replayed what its primary did until %s ago', maintsched.seconds_text(x.age)) end
				|| case when received is null then '; it streams from nobody, so only the primary knows whether it has done anything since' else '' end,
			case when received is null then 'Compare pg_last_wal_replay_lsn() with pg_current_wal_lsn() on the primary; the server log says what restore_command answers.'
				else 'The view pg_stat_wal_receiver says what has come; a query that replay waits for is in pg_stat_activity.' end
		from (
			select y.*,
				case when y.behind
					then greatest(0, extract(epoch from clock_timestamp() - coalesce(committed, pg_postmaster_start_time())
						- current_setting('recovery_min_apply_delay')::interval))
					else 0 end::double precision as age
			from (
				select received is not null and pg_wal_lsn_diff(received, replayed) >= segment as sure,
					received is null or pg_wal_lsn_diff(received, replayed) >= segment or received > replayed and held_up as behind) y) x
		where standby
		union all
		select 6, 2, 0, format('subscription "%s" of this database is enabled, and no process applies it', u.subname),
			'The server log says why; max_logical_replication_workers limits how many there are.'
		from pg_subscription u
		where u.subenabled and not standby
		and u.subdbid = (select d.oid from pg_database d where d.datname = current_database())
		and not exists (select from pg_stat_subscription a where a.subid = u.oid and a.pid is not null)
	)
	select j.*, count(*) over () as total into worst
	from judged j
	order by j.level desc, j.rank, j.figure desc
	limit 1;

	return query select 'replication lag', coalesce((array['OK', 'WARN', 'CRIT'])[worst.level], 'OK'), coalesce(worst.figure, 0),
		maintsched.seconds_text(coalesce(worst.figure, 0)),
		coalesce(worst.detail, case when standby then 'this standby has nothing to catch up with' else 'no standby is connected' end),
		case when worst.level > 1 then worst.hint end;
end
$$;

comment on function maintsched.health_replication(jsonb) is
'Internal: Item replication lag: standbys and WAL receivers of this server, synchronous ones that are missing, this server itself as a standby, subscriptions of this database; the worst counts.';

create function maintsched.health_slots(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	here constant pg_lsn := case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end;
	-- MB; -1: without limit
	keep constant double precision := (select s.setting::double precision * 1048576 from pg_settings s where s.name = 'max_slot_wal_keep_size');
	worst record;
begin
	with slot as (
		select s.slot_name, s.active, s.wal_status,
			greatest(pg_wal_lsn_diff(here, s.restart_lsn), 0)::double precision as bytes,
			-- of later versions
			to_jsonb(s) ->> 'invalidation_reason' as invalid,
			coalesce(to_jsonb(s) ->> 'synced', 'false') = 'true' as synced,
			greatest(age(s.xmin), age(s.catalog_xmin)) as behind
		from pg_replication_slots s
		where not s.temporary
	), judged as (
		select s.*,
			case
				when s.wal_status = 'lost' or s.invalid is not null then 3
				when s.wal_status = 'unreserved' then 3
				else greatest(
					case when not s.active and not s.synced then 2 else 1 end,
					case when keep >= 0
						then array_position(array['OK', 'WARN', 'CRIT'], maintsched.grade(s.bytes / greatest(keep, 1),
							(p ->> 'slots_warn')::double precision, (p ->> 'slots_crit')::double precision))
						else array_position(array['OK', 'WARN', 'CRIT'], maintsched.grade(s.bytes,
							pg_size_bytes(p ->> 'slots_bytes_warn'), pg_size_bytes(p ->> 'slots_bytes_crit'))) end) end as level
		from slot s
	)
	select j.*, count(*) over () as total,
		count(*) filter (where j.level > 1) over () as bad into worst
	from judged j
	order by j.level desc, j.bytes desc nulls last, j.slot_name
	limit 1;

	return query select 'replication slots', coalesce((array['OK', 'WARN', 'CRIT'])[worst.level], 'OK'),
		coalesce(worst.bytes, 0), coalesce(worst.total, 0)::text,
		case
			when worst.slot_name is null then 'there is none'
			when worst.level = 1 then format('%s; at the most %s of WAL are kept for one',
				case worst.total when 1 then '1 slot is in use' else worst.total || ' slots are in use' end, pg_size_pretty(coalesce(worst.bytes, 0)::bigint))
			else format('slot "%s" %s%s%s', worst.slot_name,
				case
					when worst.wal_status = 'lost' or worst.invalid is not null
						then 'is lost: what it is to send is gone' || coalesce(' (' || worst.invalid || ')', '')
					when worst.wal_status = 'unreserved' then 'is about to be lost: its WAL goes with the next checkpoint'
					else case when worst.active then 'is in use' when worst.synced then 'is a copy of the primary''s' else 'is not in use' end
						|| format(', %s of WAL are kept for it', pg_size_pretty(coalesce(worst.bytes, 0)::bigint))
						|| case when keep >= 0 then format(' of at the most %s', pg_size_pretty(keep::bigint)) else '' end end,
				case when worst.behind > 0 then format(', and VACUUM is held back by %s transactions', maintsched.count_text(worst.behind)) else '' end,
				case when worst.bad > 1 then format('; %s more are not in order', worst.bad - 1) else '' end) end,
		case when worst.level > 1 then format('Bring back what uses it, or give it up: select pg_drop_replication_slot(%L);', worst.slot_name)
			|| case when keep < 0 then ' The setting max_slot_wal_keep_size keeps one from filling the disk.' else '' end end;
end
$$;

comment on function maintsched.health_slots(jsonb) is
'Internal: Item replication slots: lost ones, ones without a user, and how much WAL is kept for them, against max_slot_wal_keep_size where that is set.';

create function maintsched.health_archiver(p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	mode constant text := current_setting('archive_mode');
	a record;
	waiting record;
	age double precision;
	failing boolean;
	level text;
begin
	if mode = 'off' or mode = 'on' and pg_is_in_recovery() then
		return query select 'archiver', 'OK', 0::double precision, mode,
			case when mode = 'off' then 'archive_mode is off: no WAL is archived'
				else 'on a standby only archive_mode = always archives' end, null::text;
		return;
	end if;
	select s.* into a from pg_stat_archiver s;
	select count(*) as files, min(f.modification) as since into waiting
	from pg_ls_archive_statusdir() f
	where f.name like '%.ready';
	age := coalesce(extract(epoch from clock_timestamp() - waiting.since), 0);
	failing := a.last_failed_time > coalesce(a.last_archived_time, '-infinity');
	level := case
		when current_setting('archive_command') = '' and current_setting('archive_library') = '' then 'CRIT'
		when failing and waiting.files > 0
			then coalesce(nullif(maintsched.grade(age, null, maintsched.seconds_of(p ->> 'archive_crit')), 'OK'), 'WARN')
		when waiting.files > 0
			then maintsched.grade(age, maintsched.seconds_of(p ->> 'archive_warn'), maintsched.seconds_of(p ->> 'archive_crit'))
		when a.last_archived_time is null then 'UNKNOWN'
		else 'OK' end;
	return query select 'archiver', level, age, waiting.files || case when waiting.files = 1 then ' file' else ' files' end,
		concat_ws('; ',
			case when current_setting('archive_command') = '' and current_setting('archive_library') = ''
				then 'archive_mode is on, and neither archive_command nor archive_library is set: WAL is kept for ever' end,
			case when failing then format('it has failed since its last success, last %s ago',
				maintsched.seconds_text(extract(epoch from clock_timestamp() - a.last_failed_time)::double precision)) end,
			case when waiting.files > 0 then format('%s to be archived, the oldest for %s',
				case waiting.files when 1 then '1 file waits' else waiting.files || ' files wait' end, maintsched.seconds_text(age)) end,
			case when a.last_archived_time is null then format('nothing was archived since %s',
					coalesce(to_char(a.stats_reset at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'the statistics began'))
				else format('last success %s ago', maintsched.seconds_text(extract(epoch from clock_timestamp() - a.last_archived_time)::double precision)) end),
		case
			when level = 'UNKNOWN' then 'To see whether it works: select pg_switch_wal(); and look again. Afterwards the setting archive_timeout has it work at least that often.'
			when level <> 'OK' then 'The server log says what archive_command or archive_library answered; the data directory fills up until it works again.' end;
end
$$;

comment on function maintsched.health_archiver(jsonb) is
'Internal: Item archiver: failing, late, never yet successful, or without anything to call.';
