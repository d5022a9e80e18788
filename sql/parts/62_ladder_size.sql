--
-- 62_ladder_size: levels 3 and 4, and all of them together
--
-- A size is compared with those of the backups of its kind before it: of the
-- same repository, type and major version, those that were removed since
-- included.  It may differ from the median of the last seven by size_tolerance
-- or, where they vary more, by three times their median absolute deviation
-- (MAD), scaled by 1.4826 to estimate a standard deviation (F. R. Hampel 1974;
-- C. Leys et al., J. Exp. Soc. Psychol. 49 (2013), 764-766, who advise 3 as the
-- very conservative limit).  However much they vary, half and double are found.
--
-- A database that grows steadily leaves its median behind; so it is enough,
-- too, to be within size_tolerance of the last one that was like its own
-- predecessors.  One that was not vouches for no other: two halves in a row
-- are both found, until half is what most of the seven have.
--

create function maintsched.like_backups(b maintsched.backup_record) returns setof maintsched.backup_record
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := maintsched.clock();
	also_simulated constant boolean := maintsched.clock_simulated();
begin
	return query
	with seen as (
		-- a name may be used again: then these are several
		select distinct on (r.label, r.start_lsn) r.*
		from maintsched.backup_record r
		where r.repository = b.repository and r.state = 'done' and r.problem is null
		and r.clock_at <= at and (also_simulated or not r.simulated)
		order by r.label, r.start_lsn, r.record_id desc
	)
	select s.*
	from seen s
	where s.type is not distinct from b.type
	and substring(s.pg_version from '^[0-9]+') is not distinct from substring(b.pg_version from '^[0-9]+')
	and s.system_identifier is not distinct from b.system_identifier
	and (s.finished_at, coalesce(s.start_lsn, '0/0'), s.record_id) <= (b.finished_at, coalesce(b.start_lsn, '0/0'), b.record_id)
	-- one of which it was learned later where it began is no other
	and (s.start_lsn is not null or s.label = b.label and b.start_lsn is null
		or not exists (select from seen o where o.label = s.label and o.start_lsn is not null))
	order by s.finished_at desc, s.start_lsn desc nulls last, s.record_id desc
	limit 60;
end
$$;

comment on function maintsched.like_backups(maintsched.backup_record) is
'Internal: A backup and those of its kind (type, major version, system) that ended before it, the last 60, those that were removed since included; the latest first.';

create function maintsched.size_is_like(size bigint, earlier bigint[], trusted bigint, tolerance numeric, floor bigint,
	out ok boolean, out median numeric, out deviation numeric, out allowed numeric, out compared integer)
-- asked some fifty times for a backup: its plans are kept
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	select percentile_cont(0.5) within group (order by e)::numeric, count(*)
		into median, compared
	from unnest(earlier) e;
	select 1.4826 * percentile_cont(0.5) within group (order by abs(e - median)::double precision)::numeric
		into deviation
	from unnest(earlier) e;
	allowed := case
		-- too few to know how they vary: only half and double stand out
		when compared < 3 then greatest(tolerance, case when size > median then 0.9 else 0.45 end) * median
		else greatest(tolerance * median, least(3 * deviation, 0.45 * median)) end;
	ok := compared = 0
		or abs(size - median) <= allowed
		or abs(size - median) <= case when size between 0.55 * median and 1.9 * median then floor else floor / 4 end
		or (trusted is not null and abs(size - trusted) <= tolerance * trusted);
end
$$;

comment on function maintsched.size_is_like(bigint, bigint[], bigint, numeric, bigint) is
'Internal: Whether a size is like earlier ones: within tolerance of their median, or three times 1.4826 MAD (not beyond half and double), or of trusted, the last that was like its own predecessors. Differences of at most floor bytes are none; where it is half or double, of a quarter of that.';

create function maintsched.judge_size(r maintsched.repository, b maintsched.backup_record, out result text, out problems text[], out facts jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant numeric := (select s.setting::numeric * (case s.unit when '8kB' then 8192 else 1 end)
		from pg_settings s where s.name = 'wal_segment_size');
	likes maintsched.backup_record[];
	other record;
	twin record;
	verdict record;
	earlier bigint[] := '{}';
	trusted bigint;
	kind text;
begin
	problems := '{}';
	kind := case b.type when 'full' then 'full' when 'diff' then 'differential' when 'incr' then 'incremental' else 'such' end;
	if b.state is distinct from 'done' or b.problem is not null or b.finished_at is null then
		result := 'not_checked';
		problems := array[format('backup %s is not completed', b.label)];
		return;
	elsif b.size_bytes is null then
		result := 'not_checked';
		problems := array[format('it is not known how large backup %s is', b.label)];
		return;
	elsif b.size_bytes = 0 then
		problems := array[format('backup %s is empty', b.label)];
	end if;
	likes := array(select l from maintsched.like_backups(b) l);
	for other in
		-- one that was given other names is one still
		select distinct on (x.at) x.label, x.start_lsn, x.size_bytes
		from (
			select l.label, l.start_lsn, l.size_bytes, l.ordinality,
				min(l.ordinality) over (partition by coalesce(l.start_lsn::text, l.label), l.started_at) as at
			from unnest(likes) with ordinality l
			where l.size_bytes is not null) x
		order by x.at desc, x.label = b.label desc, x.ordinality
	loop
		select s.* into verdict
		from maintsched.size_is_like(other.size_bytes, earlier[greatest(cardinality(earlier) - 6, 1):], trusted, r.size_tolerance, r.size_floor) s;
		if other.label = b.label and other.start_lsn is not distinct from b.start_lsn then
			exit;
		end if;
		if verdict.ok then
			trusted := other.size_bytes;
		end if;
		earlier := earlier || other.size_bytes;
	end loop;
	facts := jsonb_build_object('size_bytes', b.size_bytes, 'stored_bytes', b.stored_bytes, 'type', b.type,
		'compared', verdict.compared, 'median_bytes', round(verdict.median), 'deviation_bytes', round(verdict.deviation),
		'allowed_bytes', round(verdict.allowed), 'earlier_bytes', to_jsonb(earlier[greatest(cardinality(earlier) - 6, 1):]));
	if not verdict.ok then
		problems := problems || format('size %s is %s the %s that %s backups have had (median of %s)',
			maintsched.bloat_size_text(b.size_bytes),
			case
				when b.size_bytes between 0.45 * verdict.median and 0.55 * verdict.median then 'half of'
				when b.size_bytes between 1.9 * verdict.median and 2.1 * verdict.median then 'double'
				when b.size_bytes >= verdict.median then round(b.size_bytes / nullif(verdict.median, 0), 1) || ' times'
				else round(100 * b.size_bytes / nullif(verdict.median, 0)) || ' % of'
			end, maintsched.bloat_size_text(round(verdict.median)), kind, verdict.compared);
	end if;
	select t.label, t.start_lsn, s.same_start into twin
	from unnest(likes) with ordinality t
	-- no two backups of a primary begin at the same position; those of a standby do, where
	-- its primary made no checkpoint between them
	cross join lateral (select t.start_lsn = b.start_lsn and coalesce(t.started_at = b.started_at, true) as same_start) s
	where (t.label <> b.label or t.start_lsn <> b.start_lsn) and (
		-- one that is gone from there was given another name
		s.same_start and exists (
			select from maintsched.backup_states(r.name) p
			where p.label = t.label and p.start_lsn = t.start_lsn and p.state <> 'removed')
		or not s.same_start and t.size_bytes = b.size_bytes and t.stored_bytes is not distinct from b.stored_bytes
			and t.delta_bytes is not distinct from b.delta_bytes and b.size_bytes > 0 and (
				b.type = 'full' and b.size_bytes >= 64 * r.size_floor
				-- a small one may have been idle, or have found room for what was written: WAL
				-- files that are switched early say little of how much that was
				or abs(b.start_lsn - t.start_lsn) > (case when b.stored_bytes <> b.size_bytes then 16 else 64 end) * segment
					and coalesce(b.delta_bytes, b.size_bytes) > r.size_floor / 16))
	order by s.same_start desc, t.ordinality
	limit 1;
	if found then
		problems := problems || case
			when twin.same_start then format('backup %s begins at %s, where backup %s does: it is the same one twice', b.label, maintsched.lsn_text(b.start_lsn), twin.label)
			else format('backup %s has exactly the size of backup %s, %s bytes (%s stored), though the database went on from %s to %s',
				b.label, twin.label, b.size_bytes, coalesce(b.stored_bytes, b.size_bytes), coalesce(maintsched.lsn_text(twin.start_lsn), 'there'), coalesce(maintsched.lsn_text(b.start_lsn), 'here'))
		end;
		facts := facts || jsonb_build_object('twin', twin.label);
	end if;
	result := case when cardinality(problems) > 0 then 'fail' when verdict.compared = 0 then 'not_applicable' else 'pass' end;
	if result = 'not_applicable' then
		problems := array[format('there is no %s backup before it to compare with', kind)];
	end if;
end
$$;

comment on function maintsched.judge_size(maintsched.repository, maintsched.backup_record) is
'Internal: Level 3 of a backup: its size_bytes against those of its kind, half, double and otherwise unlike; a twin: the same start, or the same sizes to the byte though the database went on.';

create function maintsched.matches_place(place text, pattern text) returns boolean
language sql immutable parallel safe
return (
	select place like p.p escape '!' or place like rtrim(p.p, '/') || '/%' escape '!'
	from (select replace(replace(replace(replace(replace(pattern, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%'), '?', '_') as p) p);

comment on function maintsched.matches_place(text, text) is
'Internal: Whether a path matches a pattern with * for any text and ? for a character, or is below a folder that does.';

create function maintsched.complete_backups(repository text) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- backups of their own, not parts of others, and none of them twice
	select count(distinct coalesce((g.b).start_lsn::text, (g.b).label))
	from maintsched.backup_ground(complete_backups.repository) g
	where (g.b).state = 'done' and (g.b).type is not distinct from 'full' and cardinality(g.defects) = 0
$$;

comment on function maintsched.complete_backups(text) is 'Internal: How many full backups a repository has that are completed.';

create function maintsched.missing_files(r maintsched.repository, b maintsched.backup_record) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	names constant text[] := maintsched.backup_names(b.location);
begin
	-- one that was not completed may lack anything
	if names is null or not r.pulled or b.state <> 'done' then
		return null;
	elsif names = '{}' then
		return format('nothing of backup %s is at %s any more', b.label, b.location);
	end if;
	return (
		select format('of backup %s, %s', b.label, string_agg(m.what, ' and ' order by m.what))
		from (values
			('basebackup', 'backup_manifest is missing', 'backup_manifest' = any (names)),
			('basebackup', 'both PG_VERSION and base.tar are missing', 'PG_VERSION' = any (names)
				or exists (select from unnest(names) n where n like 'base.tar%')),
			('pgbackrest', 'backup.manifest is missing', 'backup.manifest' = any (names)),
			-- others may have nothing of their own
			('pgbackrest', 'both pg_data and bundle are missing', b.type is distinct from 'full' or names && '{pg_data,bundle}'),
			('barman', 'data is missing', 'data' = any (names) or b.details ? 'snapshots')) m (kind, what, there)
		where m.kind = r.kind and not m.there
		having count(*) > 0);
end
$$;

comment on function maintsched.missing_files(maintsched.repository, maintsched.backup_record) is
'Internal: What is not there now of a completed backup that its tool still lists; NULL: nothing that could be seen from here.';

create function maintsched.judge_place(r maintsched.repository, b maintsched.backup_record, x maintsched.backup_reading, complete bigint, plain bigint,
	out result text, out problems text[], out facts jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	place text;
	encrypted constant boolean := coalesce(b.encrypted, (x.facts ->> 'encrypted')::boolean);
	unknown text[] := '{}';
begin
	problems := array_remove(array[maintsched.missing_files(r, b)], null);
	place := b.location;
	if place is null and jsonb_typeof(x.facts -> 'paths') = 'array' and jsonb_array_length(x.facts -> 'paths') = 1 then
		place := x.facts -> 'paths' ->> 0;
	end if;
	if r.expected_location is not null and place is null then
		unknown := unknown || format('it is not known where backup %s lies', b.label);
	elsif r.expected_location is not null and not maintsched.matches_place(place, r.expected_location) then
		problems := problems || format('backup %s lies at %s, not at %s', b.label, place, r.expected_location);
	end if;
	if r.encrypted and encrypted is null then
		unknown := unknown || format('it is not known whether backup %s is encrypted', b.label);
	elsif r.encrypted and not encrypted then
		problems := problems || format('backup %s is not encrypted', b.label);
	end if;
	if r.encrypted and plain > 0 then
		problems := problems || format('WAL in the archive is not encrypted: %s', case plain when 1 then '1 file' else plain || ' files' end);
	end if;
	if complete < r.copies then
		problems := problems || format('there %s of the %s that there are to be',
			case complete when 0 then 'is no full backup that is complete,' when 1 then 'is 1 full backup that is complete,'
				else format('are %s full backups that are complete,', complete) end, r.copies);
	end if;
	facts := jsonb_build_object('location', place, 'expected_location', r.expected_location,
		'encrypted', encrypted, 'encryption_expected', coalesce(r.encrypted, false), 'complete', complete, 'copies', r.copies);
	result := case when cardinality(problems) > 0 then 'fail' when cardinality(unknown) > 0 then 'not_checked' else 'pass' end;
	problems := problems || unknown;
end
$$;

comment on function maintsched.judge_place(maintsched.repository, maintsched.backup_record, maintsched.backup_reading, bigint, bigint) is
'Internal: Level 4 of a backup: that what must be of it is there now, as far as that can be seen from here, that it lies where expected_location says, is encrypted where it must be, and that there are enough complete ones. plain: how many files of the archive were seen not to be encrypted.';
