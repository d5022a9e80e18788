--
-- 62_wal_judge: levels 5 and 6
--
-- Several sources must agree: the files of the archive, what the tool lists, what
-- this server's archiver was told, this server's own position, timeline and
-- identity.  A tool's word alone passes nothing.
--
-- A restore to now follows a path: from the first WAL file of the backup along
-- its timeline to where that was left, and so on to the timeline of this server.
-- The file in which a timeline was left is needed of the new one, which has its
-- beginning; of the old one there may be a partial one, or none.
--

create function maintsched.wal_path(timeline bigint, number bigint, target bigint, history text, segment_size bigint)
returns table (timeline bigint, first bigint, last bigint)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	with line as (
		select h.timeline, coalesce(lag(h.until) over (order by h.timeline), pg_lsn '0/0') as since, h.until
		from maintsched.timeline_history(wal_path.target, wal_path.history) h
	)
	select l.timeline,
		greatest(maintsched.wal_number_at(l.since, wal_path.segment_size), wal_path.number),
		-- the file in which it was left is the next one's
		case when l.until is not null then maintsched.wal_number_at(l.until, wal_path.segment_size) - 1 end
	from line l
	where l.timeline >= wal_path.timeline
	and (l.until is null or maintsched.wal_number_at(l.until, wal_path.segment_size) - 1 >= wal_path.number)
	order by l.timeline
$$;

comment on function maintsched.wal_path(bigint, bigint, bigint, text, bigint) is
'Internal: Which WAL files lead from one of a timeline to the end of timeline target, by the history of that: numbers of the first and last of each timeline; last NULL: no end.';

create function maintsched.archived_numbers(w jsonb, timeline bigint, segment_size bigint) returns int8multirange
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(range_agg(int8range(maintsched.wal_number(a ->> 'first', archived_numbers.segment_size),
		maintsched.wal_number(a ->> 'last', archived_numbers.segment_size), '[]')), '{}')
	from jsonb_array_elements(w -> 'ranges') a
	where (a -> 'timeline')::bigint = archived_numbers.timeline
$$;

comment on function maintsched.archived_numbers(jsonb, bigint, bigint) is
'Internal: The numbers of the WAL files of a timeline that an archive has.';

create function maintsched.archive_end(w jsonb, s jsonb, out number bigint, out timeline bigint, out modified timestamptz)
returns record
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	-- the last file on the way to where this server is
	select least(maintsched.wal_number(a ->> 'last', (s -> 'segment_size')::bigint), p.last), p.timeline, (a ->> 'modified')::timestamptz
	from maintsched.wal_path(1, 0, (s -> 'timeline')::bigint, s ->> 'history', (s -> 'segment_size')::bigint) p
	join jsonb_array_elements(w -> 'ranges') a on (a -> 'timeline')::bigint = p.timeline
	where p.last is null or maintsched.wal_number(a ->> 'first', (s -> 'segment_size')::bigint) <= p.last
	order by p.timeline desc, 1 desc
	limit 1
$$;

comment on function maintsched.archive_end(jsonb, jsonb) is
'Internal: The last WAL file in an archive on the path to where the server is, when it came; NULL: there is none.';

create function maintsched.claimed_file(s jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
return (
	select max(f.name collate "C")
	from unnest(array[
		case when s ->> 'last_archived' ~ '^[0-9A-F]{24}($|[.])' and s ->> 'last_archived' !~ '[.]partial$'
			then left(s ->> 'last_archived', 24) end,
		s ->> 'done']) f(name)
	where maintsched.wal_timeline(f.name) = (s -> 'timeline')::bigint);

comment on function maintsched.claimed_file(jsonb) is
'Internal: The last WAL file of its timeline of which the server''s archiver was told that it is archived; NULL: none is known.';

create function maintsched.timeline_problem(b maintsched.backup_record, timeline bigint, s jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	target constant bigint := s -> 'timeline';
	left_at pg_lsn;
	known boolean;
begin
	if timeline = target then
		if b.end_lsn > (s ->> 'lsn')::pg_lsn then
			return format('backup %s ends at %s, and this server is at %s on the same timeline, %s: it was set back, or is another one',
				b.label, maintsched.lsn_text(b.end_lsn), s ->> 'lsn', target);
		end if;
		return null;
	end if;
	select h.until, true into left_at, known
	from maintsched.timeline_history(target, s ->> 'history') h
	where h.timeline = timeline_problem.timeline;
	if known is null then
		return format('backup %s is of timeline %s, and this server is on timeline %s, which does not come from it', b.label, timeline, target);
	elsif b.end_lsn > left_at then
		return format('backup %s ends at %s on timeline %s, which this server left at %s: it cannot be recovered to what this server has',
			b.label, maintsched.lsn_text(b.end_lsn), timeline, maintsched.lsn_text(left_at));
	end if;
	return null;
end
$$;

comment on function maintsched.timeline_problem(maintsched.backup_record, bigint, jsonb) is
'Internal: Why a backup cannot be recovered to where this server is; NULL: it can, as far as timelines tell.';

create function maintsched.newer_timeline(w jsonb, s jsonb) returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select max(t.key::bigint)
	from jsonb_each_text(w -> 'histories') t
	where t.key::bigint > (s -> 'timeline')::bigint and not (s -> 'standby')::boolean
	and exists (
		select from maintsched.timeline_history(t.key::bigint, t.value) h
		join maintsched.timeline_history((s -> 'timeline')::bigint, s ->> 'history') o on o.timeline = h.timeline
		where h.timeline <> t.key::bigint)
$$;

comment on function maintsched.newer_timeline(jsonb, jsonb) is
'Internal: The newest timeline in an archive that branched off from what this server comes from, but is not in its past; NULL: none.';

create function maintsched.judge_identity(r maintsched.repository, b maintsched.backup_record, s jsonb, w jsonb,
	out problems text[], out unknown text[])
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant bigint := s -> 'segment_size';
	expected constant numeric := coalesce(r.system_identifier, (s -> 'system_identifier')::numeric);
	here constant boolean := expected = (s -> 'system_identifier')::numeric;
	timeline constant bigint := coalesce(b.timeline, maintsched.wal_timeline(coalesce(b.end_wal, b.start_wal)));
	newer constant bigint := maintsched.newer_timeline(w, s);
	foreign_file record;
begin
	problems := '{}';
	unknown := '{}';
	if b.system_identifier <> expected then
		problems := problems || format('backup %s is of another cluster: its system identifier is %s, not %s', b.label, b.system_identifier, expected);
	elsif b.system_identifier is null and not (coalesce(w ->> 'source', '') = 'files' and coalesce(
		maintsched.wal_number_at(b.start_lsn, segment) <@ maintsched.archived_numbers(w, timeline, segment), false))
	then
		-- else its WAL says so
		unknown := unknown || format('the system identifier of backup %s is not known', b.label);
	end if;
	select count(*) as files, min(d.key) as file, min(d.value) as detail into foreign_file
	from jsonb_each_text(w -> 'damaged') d
	where d.value like 'is of another cluster%';
	if foreign_file.files > 0 then
		problems := problems || format('WAL %s in the archive %s%s', foreign_file.file, foreign_file.detail,
			case foreign_file.files when 1 then '' when 2 then ', as is 1 more' else format(', as are %s more', foreign_file.files - 1) end);
	end if;
	if here and substring(b.pg_version from '^[0-9]+')::integer <> (s -> 'version')::integer then
		problems := problems || format('backup %s is of PostgreSQL %s, and this server is of version %s', b.label, b.pg_version, s ->> 'version');
	end if;
	if here and timeline is null then
		unknown := unknown || format('the timeline of backup %s is not known', b.label);
	elsif here and (b.system_identifier is null or b.system_identifier = expected) then
		problems := problems || maintsched.timeline_problem(b, timeline, s);
	end if;
	if here and newer is not null then
		problems := problems || format('the archive has timeline %s, which branched off from what this server, on timeline %s, comes from: a restore to the latest position would follow that',
			newer, s ->> 'timeline');
	end if;
	problems := array_remove(problems, null);
end
$$;

comment on function maintsched.judge_identity(maintsched.repository, maintsched.backup_record, jsonb, jsonb) is
'Internal: The part of level 5 that is about what a backup and the archive are of: system identifier, version, timeline.';

create function maintsched.unarchived_since(s jsonb, until pg_lsn, came_at timestamptz, out seconds numeric, out how text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	found record;
begin
	if until >= (s ->> 'lsn')::pg_lsn then
		seconds := 0;
		how := 'everything is archived';
		return;
	end if;
	begin
		select f.* into found from maintsched.first_commit(until, 67108864) f;
		if found.at is not null then
			how := 'the first commit that is not archived';
			seconds := extract(epoch from maintsched.clock() - found.at);
		elsif found.until >= (s ->> 'lsn')::pg_lsn then
			how := 'nothing was committed since';
			seconds := 0;
		end if;
	exception when undefined_file or io_error or data_corrupted then
		null;
	end;
	if how is null and came_at is not null then
		how := 'when the last file came';
		seconds := extract(epoch from maintsched.clock() - came_at);
	end if;
	-- what is not known is not nothing: greatest() passes over NULL
	seconds := case when seconds is not null then round(greatest(seconds, 0), 1) end;
end
$$;

comment on function maintsched.unarchived_since(jsonb, pg_lsn, timestamptz) is
'Internal: How many seconds of work would be lost with this server if only what is before a position is archived, and how that is known; NULL: it is not. came_at: when the last archived file came.';

create function maintsched.waiting_wal(x maintsched.backup_reading, s jsonb, archived text, out words text, out came_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	select case when sum(l.files) = 1
			then format('WAL %s was streamed, and is not taken in by "barman cron"', min(l.first collate "C"))
			else format('WAL %s to %s (%s files) were streamed, and are not taken in by "barman cron"',
				min(l.first collate "C"), max(l.last collate "C"), sum(l.files)) end, max(l.modified)
		into words, came_at
	from maintsched.list_wal(x.facts ->> 'streaming_path', maintsched.backup_roots(), (s -> 'segment_size')::bigint) l
	where l.item = 'range' and l.last > coalesce(archived, '')
	having count(*) > 0;
exception when undefined_file or insufficient_privilege or wrong_object_type or io_error or object_not_in_prerequisite_state then
	-- it is not seen from here
	null;
end
$$;

comment on function maintsched.waiting_wal(maintsched.backup_reading, jsonb, text) is
'Internal: The WAL files that Barman has received by streaming after the last archived one and has not archived, in words, and when the last of them came; NULL: none, or they cannot be seen.';

create function maintsched.judge_distance(r maintsched.repository, b maintsched.backup_record, newest text, x maintsched.backup_reading,
	s jsonb, w jsonb, out problems text[], out unknown text[], out facts jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant bigint := s -> 'segment_size';
	timeline constant bigint := s -> 'timeline';
	at_lsn constant pg_lsn := s ->> 'lsn';
	allowed constant interval := coalesce(r.rpo, r.max_age);
	claimed constant text := maintsched.claimed_file(s);
	-- Barman takes files in once a minute
	settled constant boolean := r.kind <> 'barman' or coalesce((s ->> 'last_archived_at')::timestamptz < maintsched.clock() - interval '10 minutes', true);
	-- archive_command has nothing to do with it
	streamed constant boolean := coalesce((x.facts ->> 'streamed')::boolean, false);
	waiting_words text;
	waiting_at timestamptz;
	listed text;
	end_number bigint;
	end_timeline bigint;
	end_at timestamptz;
	until pg_lsn;
	lost_seconds numeric;
	lost_by text;
begin
	problems := '{}';
	unknown := '{}';
	select max((a ->> 'last') collate "C") into listed
	from jsonb_array_elements(x.facts -> 'archives') a
	where a ->> 'last' ~ '^[0-9A-F]{24}$' and maintsched.wal_timeline(a ->> 'last') = timeline
	and (b.details ->> 'archive' is null or a ->> 'id' = b.details ->> 'archive')
	and coalesce(a ->> 'repository', '') = coalesce(b.details ->> 'repository', '');
	if w ->> 'source' is not null then
		select e.number, e.timeline, e.modified into end_number, end_timeline, end_at from maintsched.archive_end(w, s) e;
		until := maintsched.wal_start(end_number + 1, segment);
		if end_number is null then
			problems := problems || format('the archive has no WAL of the timelines of this server (%s)', timeline);
		end if;
		if claimed > coalesce(maintsched.wal_file(end_timeline, end_number, segment), '') and settled and not streamed
			and not w -> 'arriving' ? claimed and not w -> 'damaged' ? claimed
		then
			problems := problems || format('archive_command returned success for %s, which is not in the archive', claimed);
		elsif w -> 'damaged' ? claimed then
			problems := problems || format(case when streamed then '%s %s in the archive' else 'archive_command returned success for %s, which %s in the archive' end,
				claimed, w -> 'damaged' ->> claimed);
		end if;
		if streamed then
			select v.words, v.came_at into waiting_words, waiting_at from maintsched.waiting_wal(x, s, maintsched.wal_file(end_timeline, end_number, segment)) v;
		end if;
		if listed > coalesce(maintsched.wal_file(end_timeline, end_number, segment), '') and not w -> 'arriving' ? listed
			and not w -> 'damaged' ? listed and listed is distinct from claimed
		then
			problems := problems || format('%s lists %s, which is not in the archive', x.facts ->> 'tool', listed);
		end if;
	elsif listed is not null and claimed is not null then
		-- two words agree
		until := maintsched.wal_start(maintsched.wal_number(least(listed, claimed), segment) + 1, segment);
		if claimed > listed and settled and x.source <> 'import' and not streamed then
			problems := problems || format('archive_command returned success for %s, which %s does not list', claimed, x.facts ->> 'tool');
		end if;
	else
		unknown := unknown || (w ->> 'problem');
	end if;
	if (s -> 'archives')::boolean and (s ->> 'last_failed_at')::timestamptz > coalesce((s ->> 'last_archived_at')::timestamptz, '-infinity')
		and (until is null or until < at_lsn)
	then
		problems := problems || format('archiving fails: %s could not be archived at %s, and nothing was since (%s failures)',
			s ->> 'last_failed', maintsched.utc_text((s ->> 'last_failed_at')::timestamptz), s ->> 'failures');
	end if;
	if until is not null then
		select u.seconds, u.how into lost_seconds, lost_by from maintsched.unarchived_since(s, until, coalesce(end_at, (s ->> 'last_archived_at')::timestamptz)) u;
		if lost_seconds is null then
			unknown := unknown || format('it is not known since when work is not archived: the archive ends at %s', maintsched.lsn_text(until));
		elsif lost_seconds > extract(epoch from allowed) then
			problems := problems || format('the archive ends at %s, and this server is at %s: work of %s would be lost; %s is %s%s', maintsched.lsn_text(until), maintsched.lsn_text(at_lsn),
				maintsched.age_text(make_interval(secs => lost_seconds::double precision)),
				case when r.rpo is null then 'no RPO is set, and max_age' else 'the RPO' end, maintsched.age_text(allowed),
				case when s ->> 'archive_mode' = 'off' and not streamed then '; archive_mode is off' else '' end);
			if waiting_words is not null then
				problems := problems || waiting_words;
			end if;
		elsif waiting_at < maintsched.clock() - interval '10 minutes' then
			problems := problems || waiting_words;
		end if;
	end if;
	facts := jsonb_build_object('position', maintsched.lsn_text(at_lsn), 'archived_until', maintsched.lsn_text(until), 'behind_bytes', case when until is not null then greatest(at_lsn - until, 0) end,
		'distance_seconds', lost_seconds, 'distance_by', lost_by, 'rpo_seconds', extract(epoch from r.rpo)::bigint,
		'files_last', maintsched.wal_file(end_timeline, end_number, segment), 'tool_last', listed, 'archiver_last', claimed,
		'archiver_failures', s -> 'failures', 'waiting_for_archiver', s -> 'ready', 'seen', w -> 'source', 'place', w -> 'place');
end
$$;

comment on function maintsched.judge_distance(maintsched.repository, maintsched.backup_record, text, maintsched.backup_reading, jsonb, jsonb) is
'Internal: The part of level 5 that is about how far the archive is behind this server, by its files, the tool and the archiver.';

create function maintsched.judge_archive(r maintsched.repository, b maintsched.backup_record, newest text, x maintsched.backup_reading,
	s jsonb, w jsonb, out result text, out problems text[], out facts jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	here constant boolean := coalesce(r.system_identifier, (s -> 'system_identifier')::numeric) = (s -> 'system_identifier')::numeric;
	identity record;
	distance record;
	unknown text[];
	age interval;
begin
	select i.* into identity from maintsched.judge_identity(r, b, s, w) i;
	problems := identity.problems;
	unknown := identity.unknown;
	facts := jsonb_build_object('system_identifier', b.system_identifier, 'timeline', b.timeline, 'server_timeline', s -> 'timeline');
	if w ->> 'source' = 'none' then
		age := maintsched.clock() - b.finished_at;
		facts := facts || jsonb_build_object('archive', 'none', 'distance_seconds', case when age is not null then greatest(extract(epoch from age), 0)::bigint end,
			'distance_by', 'the age of the backup', 'rpo_seconds', extract(epoch from r.rpo)::bigint);
		if b.label = newest and age > r.rpo then
			problems := problems || format('there is no archive, and backup %s is %s old: the work since would be lost; the RPO is %s',
				b.label, maintsched.age_text(age), maintsched.age_text(r.rpo));
		end if;
	elsif not here then
		unknown := unknown || format('this server is not the cluster with system identifier %s: how far that has written is not known here', r.system_identifier);
	else
		select d.* into distance from maintsched.judge_distance(r, b, newest, x, s, w) d;
		problems := problems || distance.problems;
		unknown := unknown || distance.unknown;
		facts := facts || distance.facts;
	end if;
	result := case when cardinality(problems) > 0 then 'fail' when cardinality(unknown) > 0 then 'not_checked' else 'pass' end;
	problems := problems || unknown;
end
$$;

comment on function maintsched.judge_archive(maintsched.repository, maintsched.backup_record, text, maintsched.backup_reading, jsonb, jsonb) is
'Internal: Level 5 of a backup: s is server_wal(), w archive_wal(), newest the newest usable backup. Without an RPO, max_age is the limit; without an archive the age of the newest backup is the distance.';
