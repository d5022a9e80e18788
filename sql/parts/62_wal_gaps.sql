--
-- 62_wal_gaps: level 6, and levels 0 to 6 together
--
-- What a backup needs of its own - the WAL written while it was made - it cannot
-- be restored without; what is missing after that bounds how far it can be
-- recovered.  Both are named, and which of them it is.
--

create function maintsched.own_wal(r maintsched.repository, b maintsched.backup_record, s jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	listing jsonb;
begin
	if r.kind <> 'basebackup' or not r.pulled or b.location is null then
		return jsonb_build_object('source', null, 'problem', null);
	end if;
	select coalesce(jsonb_agg(to_jsonb(l)), '[]') into listing
	from maintsched.list_own_wal(b.location, maintsched.backup_roots(), (s -> 'segment_size')::bigint,
		coalesce(r.system_identifier, (s -> 'system_identifier')::numeric),
		-- all of it is unpacked only where there is nothing else
		packed => r.archive is null) l;
	return maintsched.listed_wal('files', listing);
exception when undefined_file or insufficient_privilege or wrong_object_type or io_error or object_not_in_prerequisite_state then
	return jsonb_build_object('source', null, 'problem', sqlerrm);
end
$$;

comment on function maintsched.own_wal(maintsched.repository, maintsched.backup_record, jsonb) is
'Internal: The WAL that a base backup brings with it, as listed_wal(); source NULL: it brings none, or problem says why it could not be seen.';

create function maintsched.gap_text(timeline bigint, first bigint, last bigint, segment_size bigint, w jsonb, own jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select case
		when f.first <> f.last then format('WAL %s to %s missing (%s files)', f.first, f.last, gap_text.last - gap_text.first + 1)
		else format('WAL %s %s', f.first, coalesce(w -> 'damaged' ->> f.first, own -> 'damaged' ->> f.first, 'missing'))
	end
	from (
		select maintsched.wal_file(gap_text.timeline, gap_text.first, gap_text.segment_size) as first,
			maintsched.wal_file(gap_text.timeline, gap_text.last, gap_text.segment_size) as last) f
$$;

comment on function maintsched.gap_text(bigint, bigint, bigint, bigint, jsonb, jsonb) is
'Internal: WAL files that are missing, or one that is no good and why, in words.';

create function maintsched.restore_target(r maintsched.repository, b maintsched.backup_record, s jsonb, w jsonb, out timeline bigint, out history text)
returns record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- this server's; of another cluster the newest that comes from the backup's
	select t.timeline, t.history
	from (
		select (s -> 'timeline')::bigint as timeline, s ->> 'history' as history, 1 as rank
		where coalesce(r.system_identifier, (s -> 'system_identifier')::numeric) = (s -> 'system_identifier')::numeric
		and exists (
			select from maintsched.timeline_history((s -> 'timeline')::bigint, s ->> 'history') h
			where h.timeline = maintsched.wal_timeline(coalesce(b.start_wal, b.end_wal)) or h.timeline = b.timeline)
		union all
		select h.key::bigint, h.value, 2
		from jsonb_each_text(w -> 'histories') h
		where exists (select from maintsched.timeline_history(h.key::bigint, h.value) o where o.timeline = b.timeline)
		union all
		select b.timeline, null, 3
	) t
	order by t.rank, t.timeline desc
	limit 1
$$;

comment on function maintsched.restore_target(maintsched.repository, maintsched.backup_record, jsonb, jsonb) is
'Internal: The timeline to which a backup would be recovered, and its history.';

create function maintsched.wal_gaps(r maintsched.repository, b maintsched.backup_record, s jsonb, w jsonb, own jsonb)
returns table (timeline bigint, first bigint, last bigint, target bigint, until bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant bigint := s -> 'segment_size';
	begins_on constant bigint := maintsched.wal_timeline(coalesce(b.start_wal, maintsched.wal_file(b.timeline, 0, segment)));
	own_first constant bigint := coalesce(maintsched.wal_number(b.start_wal, segment), maintsched.wal_number_at(b.start_lsn, segment));
	own_last constant bigint := coalesce(maintsched.wal_number(b.end_wal, segment), maintsched.wal_number_at(b.end_lsn - 1, segment));
	claimed constant text := maintsched.claimed_file(s);
	goal record;
	ends bigint;
begin
	select t.* into goal from maintsched.restore_target(r, b, s, w) t;
	-- up to the last file that there is on the way, or is said to be
	select greatest(own_last,
		max(least(maintsched.wal_number(a ->> 'last', segment), p.last)),
		case when goal.timeline = (s -> 'timeline')::bigint and w ->> 'source' is distinct from 'none'
			and not coalesce(w -> 'arriving' ? claimed, false)
			and (r.kind <> 'barman' or coalesce((s ->> 'last_archived_at')::timestamptz < maintsched.clock() - interval '10 minutes', true))
			then maintsched.wal_number(claimed, segment) end) into ends
	from maintsched.wal_path(begins_on, own_first, goal.timeline, goal.history, segment) p
	join jsonb_array_elements(coalesce(w -> 'ranges', '[]')) a on (a -> 'timeline')::bigint = p.timeline;
	ends := coalesce(ends, own_last);
	return query
		select p.timeline, lower(g.gap), upper(g.gap) - 1, goal.timeline, ends
		from maintsched.wal_path(begins_on, own_first, goal.timeline, goal.history, segment) p
		cross join lateral unnest(int8multirange(int8range(p.first, greatest(least(p.last, ends) + 1, p.first)))
			- maintsched.archived_numbers(w, p.timeline, segment) - maintsched.archived_numbers(own, p.timeline, segment)) g(gap)
		order by 2;
end
$$;

comment on function maintsched.wal_gaps(maintsched.repository, maintsched.backup_record, jsonb, jsonb, jsonb) is
'Internal: Which WAL files, by timeline and numbers, are neither in the archive w nor with the backup itself (own), of those from its start to the end of the archive; target: the timeline to which they lead, until: the last number.';

create function maintsched.judge_continuity(r maintsched.repository, b maintsched.backup_record, s jsonb, w jsonb, own jsonb,
	out result text, out problems text[], out facts jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant bigint := s -> 'segment_size';
	own_last constant bigint := coalesce(maintsched.wal_number(b.end_wal, segment), maintsched.wal_number_at(b.end_lsn - 1, segment));
	gap record;
	found text;
	gaps integer := 0;
	bounded boolean := false;
	crosses record;
begin
	problems := '{}';
	if coalesce(b.start_wal, b.start_lsn::text) is null or own_last is null or coalesce(b.timeline::text, b.start_wal) is null then
		result := 'not_checked';
		problems := array[format('it is not known which WAL backup %s needs', b.label)];
		return;
	elsif w ->> 'source' is null then
		result := 'not_checked';
		problems := array[w ->> 'problem'];
		return;
	elsif w ->> 'source' = 'none' and own ->> 'source' is null then
		result := 'not_checked';
		problems := array[coalesce(own ->> 'problem', format('there is no archive, and it was not seen what WAL backup %s brings with it', b.label))];
		return;
	end if;
	for gap in select g.* from maintsched.wal_gaps(r, b, s, w, own) g loop
		gaps := gaps + 1;
		found := maintsched.gap_text(gap.timeline, gap.first, gap.last, segment, w, own);
		if gaps > 5 then
			continue;
		elsif gap.first <= own_last then
			problems := problems || format('%s, needed by %s', found, b.label);
		elsif not bounded then
			problems := problems || format('%s: %s can be restored only up to %s, not to now', found, b.label,
				maintsched.lsn_text(maintsched.wal_start(gap.first, segment) - 1));
			bounded := true;
		else
			problems := problems || found;
		end if;
	end loop;
	if gaps > 5 then
		problems := problems || format('and %s more gaps', gaps - 5);
	end if;
	select t.timeline, t.timeline <> b.timeline and w ->> 'source' <> 'none' and not w -> 'histories' ? t.timeline::text as unmarked into crosses
	from maintsched.restore_target(r, b, s, w) t;
	if crosses.unmarked then
		problems := problems || format('%s.history missing: a restore of %s would not leave timeline %s for this server''s, %s',
			upper(lpad(to_hex(crosses.timeline), 8, '0')), b.label, b.timeline, crosses.timeline);
	end if;
	facts := jsonb_build_object('seen', w -> 'source', 'place', w -> 'place', 'files', w -> 'files', 'start', maintsched.lsn_text(b.start_lsn),
		'timeline', b.timeline, 'target_timeline', crosses.timeline, 'gaps', gaps, 'own_wal', own -> 'files',
		'damaged', (select count(*) from jsonb_object_keys(w -> 'damaged')));
	result := case when cardinality(problems) > 0 then 'fail' else 'pass' end;
end
$$;

comment on function maintsched.judge_continuity(maintsched.repository, maintsched.backup_record, jsonb, jsonb, jsonb) is
'Internal: Level 6 of a backup: every WAL file from its start to the end of the archive, on the way to this server''s timeline; without an archive, what it needs itself.';

create function maintsched.judge_backups(repository text, labels text[])
returns table (label text, level smallint, result text, problems text[], facts jsonb)
language plpgsql volatile
set jit = off
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r constant maintsched.repository := maintsched.need_repository(repository);
	x constant maintsched.backup_reading := (
		select y from maintsched.backup_reading y
		where y.repository = repository and y.ok
		and y.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not y.simulated)
		order by y.reading_id desc
		limit 1);
	newest constant text := (maintsched.newest_usable(repository)).label;
	complete constant bigint := maintsched.complete_backups(repository);
	s constant jsonb := maintsched.server_wal();
	unread constant text := maintsched.reading_problem(repository);
	-- archives that were looked at, by what leads to them
	seen jsonb := '{}';
	place text;
	w jsonb;
	one text;
	states maintsched.backup_record[];
	b maintsched.backup_record;
begin
	-- of those that are there
	return query select v.* from maintsched.live_levels(repository) v where v.label = any (labels) order by v.level;
	states := array(select y from maintsched.backup_states(repository) y where y.label = any (labels));
	foreach one in array labels loop
		select y.* into b from unnest(states) y where y.label = one;
		if b.label is null or b.state = 'removed' then
			return query
			select one, l.level,
				case when l.level = 0 and unread is null then 'fail' else 'not_checked' end,
				array[case
					when unread is not null then unread
					when b.label is null then format('there is no backup %s in repository %s', one, repository)
					else format('backup %s is not in repository %s any more', one, repository) end], null::jsonb
			from maintsched.backup_levels() l where l.level <= 6;
			continue;
		end if;
		return query select one, 3::smallint, j.* from maintsched.judge_size(r, b) j;
		place := concat_ws(' ', b.details ->> 'repository', b.details ->> 'archive');
		if not seen ? place then
			seen := jsonb_set(seen, array[place], maintsched.archive_wal(r, b, x, s));
		end if;
		w := seen -> place;
		return query select one, 4::smallint, j.* from maintsched.judge_place(r, b, x, complete, (w -> 'plain')::bigint) j;
		if b.state <> 'done' then
			return query select one, l, 'not_checked', array[format('backup %s is not completed', one)], null::jsonb
			from unnest(array[5, 6]::smallint[]) l;
			continue;
		end if;
		return query select one, 5::smallint, j.* from maintsched.judge_archive(r, b, newest, x, s, w) j;
		return query select one, 6::smallint, j.* from maintsched.judge_continuity(r, b, s, w, maintsched.own_wal(r, b, s)) j;
	end loop;
end
$$;

comment on function maintsched.judge_backups(text, text[]) is
'Internal: Levels 0 to 6 of backups of a repository as of now, by its latest reading, the files of its archive, which are listed once, and this server: pass, fail, not_applicable or not_checked, the last three with problems in words. Records nothing. Error: undefined_object (42704) for an unknown repository; what is wrong with a backup is no error.';

create function maintsched.judge_backup(repository text, label text)
returns table (level smallint, result text, problems text[], facts jsonb)
language sql volatile rows 7
set search_path = pg_catalog, pg_temp
as $$
	select j.level, j.result, j.problems, j.facts
	from maintsched.judge_backups(judge_backup.repository, array[judge_backup.label]) j
$$;

comment on function maintsched.judge_backup(text, text) is 'Internal: judge_backups() of one.';

create function maintsched.judge_others(repository text, judged text[], reading_id bigint default null, run_id bigint default null)
returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	-- counted one by one, as the function returns nothing
	select count(*)
	from (
		select maintsched.record_check(judge_others.repository, j.label, j.level, j.result, j.problems, j.facts, null,
			judge_others.reading_id, null, judge_others.run_id)
		from maintsched.judge_backups(judge_others.repository, array(
			select (g.b).label from maintsched.backup_ground(judge_others.repository) g
			where (g.b).label <> all (judge_others.judged) and (g.b).state in ('done', 'failed', 'waiting'))) j
	) c
$$;

comment on function maintsched.judge_others(text, text[], bigint, bigint) is
'Internal: Judges levels 0 to 6 of all backups of a repository but those named, with one look at the archive, and records them; returns how many checks these were.';
