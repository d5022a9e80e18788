--
-- 64_drill: restore drills
--
-- drill() is C (src/backup/drill*.c): it restores, starts, asks and removes.
-- What it records, which backup it takes and what its steps prove is here.  The
-- functions are called by it as the owner of the extension, each in a
-- transaction of its own.
--

create procedure maintsched.drill(
	repository text,
	backup text default 'latest',
	within interval default null,
	options jsonb default '{}')
language c
as 'MODULE_PATHNAME', 'maintsched_drill';

comment on procedure maintsched.drill(text, text, interval, jsonb) is
'Restores a backup below maintsched.drill_root, starts a server on it, checks what is in it, and removes all of it; each step is recorded and committed. backup: latest, random, or a label; within: of those that are no older. options: timeout (of all of it, text such as "2 h"; default: maintsched.drill_timeout), superuser (its name in the backup, where it is another one than here), amcheck (false: the slowest check is left out and level 10 is not checked), space_factor (how much room is wanted per byte of the backup; 1.1). It is ended by a cancel request, removing what it made. Errors: active_sql_transaction (25001) in a transaction block, insufficient_privilege (42501) except for superusers and roles with privileges of pg_execute_server_program, pg_read_server_files and pg_write_server_files, no_data_found (P0002) where there is no such backup, or where nothing failed but not all could be checked, object_not_in_prerequisite_state (55000) where maintsched.drill_root is not fit, or where the drill failed: see drills and drill_report().';

create function maintsched.document_step(step text) returns integer
language sql immutable parallel safe
return (case
	when step in ('space', 'create') then 1
	when step in ('restore', 'configure', 'start', 'promote') then 2
	when step in ('identity', 'integrity') then 3
	when step in ('expectations', 'queries') then 4
	when step = 'report' then 5
	when step = 'destroy' then 6
end);

comment on function maintsched.document_step(text) is
'Internal: Which step of the document''s "Backup Restoration Test" a step of a drill belongs to.';

create function maintsched.choose_backup(repository text, backup text, within interval) returns maintsched.backup_record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	chosen maintsched.backup_record;
begin
	if backup in ('latest', 'random') then
		select b.* into chosen
		from maintsched.current_backups(repository) b
		where b.state = 'done'
		and (within is null or b.finished_at >= maintsched.clock() - within)
		order by (case when backup = 'random' then random() end), b.finished_at desc nulls last, b.record_id desc
		limit 1;
	else
		select b.* into chosen
		from maintsched.current_backups(repository) b
		where b.label = backup
		limit 1;
		if chosen.state <> 'done' then
			raise exception 'backup "%" of repository "%" is not complete', backup, repository
				using errcode = 'no_data_found', detail = format('Its state is %s.', chosen.state);
		end if;
	end if;
	if chosen.record_id is null then
		raise exception 'there is no backup to restore in repository "%"', repository
			using errcode = 'no_data_found',
			detail = (case
				when backup in ('latest', 'random') and within is not null then format('None is complete and younger than %s.', within)
				when backup in ('latest', 'random') then 'No complete one is known.'
				else format('No backup "%s" is known.', backup) end),
			hint = 'read_repository() reads what there is.';
	end if;
	return chosen;
end
$$;

comment on function maintsched.choose_backup(text, text, interval) is
'Internal: The backup that a drill is to restore: latest, random, or a label. Error: no_data_found (P0002).';

create function maintsched.check_drill_options(options jsonb) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	wrong text;
begin
	begin
		wrong := (case
			when coalesce(jsonb_typeof(options -> 'superuser'), 'null') not in ('string', 'null') or options ->> 'superuser' = ''
				or options ->> 'superuser' ~ '[[:cntrl:]]'
				then 'superuser is to be the name of a role'
			when coalesce(jsonb_typeof(options -> 'amcheck'), 'null') not in ('boolean', 'null') then 'amcheck is to be true or false'
			when coalesce(jsonb_typeof(options -> 'space_factor'), 'null') not in ('number', 'null')
				or not coalesce((options ->> 'space_factor')::numeric between 0 and 1000, true)
				then 'space_factor is to be a number from 0 to 1000'
			when coalesce(jsonb_typeof(options -> 'timeout'), 'null') not in ('string', 'null')
				or not coalesce((options ->> 'timeout')::interval > '0', true)
				then 'timeout is to be an interval above 0, such as "2 h"'
		end);
	exception when data_exception then
		wrong := 'timeout is to be an interval above 0, such as "2 h"';
	end;
	if wrong is not null then
		raise exception 'a wrong option of a drill: %', wrong using errcode = 'invalid_parameter_value';
	end if;
end
$$;

comment on function maintsched.check_drill_options(jsonb) is
'Internal: That the options of a drill have values that they may have. Errors: invalid_parameter_value (22023), or that of an interval.';

create function maintsched.begin_drill(
	repository text, backup text, within interval, root text, options jsonb,
	out drill_id bigint, out kind text, out location text, out config text, out archive text,
	out label text, out path text, out target text, out restore_point text,
	out size_bytes bigint, out end_lsn pg_lsn, out system_identifier numeric, out pg_version text,
	out chain text[], out scratch text, out system_here numeric, out problem text, out timeout_ms bigint,
	out parts_bytes bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	r maintsched.repository;
	b maintsched.backup_record;
	t record;
	unknown text;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(begin_drill.repository);
	if jsonb_typeof(begin_drill.options) is distinct from 'object' then
		raise exception 'the options of a drill are no JSON object' using errcode = 'invalid_parameter_value';
	end if;
	select k into unknown from jsonb_object_keys(begin_drill.options) k
	where k not in ('timeout', 'superuser', 'amcheck', 'space_factor') limit 1;
	if found then
		raise exception 'a drill has no option "%"', unknown
			using errcode = 'invalid_parameter_value', hint = 'Options are timeout, superuser, amcheck and space_factor.';
	end if;
	perform maintsched.check_drill_options(begin_drill.options);
	if not r.pulled then
		raise exception 'repository "%" is not on this server', r.name
			using errcode = 'object_not_in_prerequisite_state',
			detail = 'Its catalogue is imported; a drill needs the backups themselves.';
	end if;

	if exists (
		select from maintsched.repository x
		where x.kind = 'basebackup' and (begin_drill.root = x.location or starts_with(begin_drill.root, x.location || '/'))) then
		raise exception 'maintsched.drill_root "%" is in a folder of backups', begin_drill.root
			using errcode = 'object_not_in_prerequisite_state', hint = 'Name a folder beside it.';
	end if;
	b := maintsched.choose_backup(r.name, begin_drill.backup, begin_drill.within);
	select x.* into t from maintsched.drill_target(r.name, b.label) x;
	drill_id := nextval(pg_get_serial_sequence('maintsched.drill', 'drill_id'));
	kind := r.kind;
	location := r.location;
	config := r.config;
	archive := r.archive;
	label := b.label;
	path := (case when r.kind = 'basebackup' then coalesce(b.location, r.location || '/' || b.label) end);
	target := t.target;
	restore_point := t.restore_point;
	-- of a chain becomes what its largest backup was, and what is in archives is unpacked before
	select max(x.size_bytes), sum(x.size_bytes) filter (where r.kind = 'basebackup' and cardinality(b.depends_on) > 0 and x.details ->> 'format' = 'tar')
	into size_bytes, parts_bytes
	from maintsched.current_backups(r.name) x
	where x.label = b.label or (r.kind = 'basebackup' and x.label = any (b.depends_on));
	end_lsn := b.end_lsn;
	system_here := (select (s.system_identifier::numeric + 18446744073709551616) % 18446744073709551616 from pg_control_system() s);
	system_identifier := coalesce(r.system_identifier, system_here);
	pg_version := b.pg_version;
	chain := array(
		select (case when r.kind = 'basebackup' then coalesce(x.location, r.location || '/' || x.label) else x.label end)
		from maintsched.current_backups(r.name) x
		where x.label = any (b.depends_on)
		order by x.finished_at, x.record_id);
	if cardinality(chain) < cardinality(b.depends_on) then
		problem := format('it builds on backups that are not there: %s', array_to_string(b.depends_on, ', '));
	end if;
	timeout_ms := (extract(epoch from (begin_drill.options ->> 'timeout')::interval) * 1000)::bigint;
	scratch := format('%s/drill-%s-%s', begin_drill.root, drill_id, substr(md5(random()::text || clock_timestamp()), 1, 6));

	insert into maintsched.drill (
		drill_id, repository, label, target, restore_point, expectation_id, scratch, run_id, facts)
	values (
		drill_id, r.name, label, target, restore_point, t.expectation_id, scratch,
		(select max(u.run_id) from maintsched.run u where u.state = 'running' and u.pid = pg_backend_pid()),
		jsonb_build_object(
			'pid', pg_backend_pid(),
			'backend_start', (select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a),
			'system_identifier', system_here,
			'timeline', (select c.timeline_id from pg_control_checkpoint() c),
			'lsn', maintsched.lsn_text(pg_current_wal_lsn()),
			'at', clock_timestamp(),
			'version', current_setting('server_version'),
			'backup', jsonb_build_object('type', b.type, 'finished_at', b.finished_at, 'size_bytes', b.size_bytes,
				'end_lsn', maintsched.lsn_text(b.end_lsn), 'timeline', b.timeline, 'system_identifier', b.system_identifier,
				'pg_version', b.pg_version)));
end
$$;

comment on function maintsched.begin_drill(text, text, interval, text, jsonb) is
'Internal: Chooses the backup of a drill and how far it is recovered, and records that the drill begins. root: maintsched.drill_root. Errors: undefined_object (42704), invalid_parameter_value (22023), object_not_in_prerequisite_state (55000), no_data_found (P0002).';

create function maintsched.note_drill_step(
	drill_id bigint, step text, result text, started_at timestamptz, seconds numeric, message text, facts jsonb) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.drill_step (drill_id, seq, step, document_step, result, started_at, finished_at, seconds, message, facts)
	select note_drill_step.drill_id,
		1 + (select count(*) from maintsched.drill_step s where s.drill_id = note_drill_step.drill_id),
		note_drill_step.step, maintsched.document_step(note_drill_step.step), note_drill_step.result,
		note_drill_step.started_at, note_drill_step.started_at + make_interval(secs => note_drill_step.seconds::double precision),
		round(note_drill_step.seconds, 3), note_drill_step.message, note_drill_step.facts
$$;

comment on function maintsched.note_drill_step(bigint, text, text, timestamptz, numeric, text, jsonb) is
'Internal: Records how a step of a drill ended.';

create function maintsched.end_drill(
	drill_id bigint, removed boolean, out verdict text, out failed_step text, out message text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	d maintsched.drill;
	f maintsched.drill_step;
	j record;
	reached integer;
	stopped boolean := false;
	steps text[];
	o jsonb;
begin
	select x.* into strict d from maintsched.drill x where x.drill_id = end_drill.drill_id;
	for j in select * from maintsched.judge_drill(d.drill_id) loop
		perform maintsched.record_check(d.repository, d.label, j.level, j.result, j.problems, j.facts, j.seconds, null, d.drill_id, d.run_id);
		stopped := stopped or j.result not in ('pass', 'not_applicable');
		if not stopped then
			reached := j.level;
		end if;
		if j.level = 12 then
			o := j.facts;
		end if;
	end loop;

	select s.* into f
	from maintsched.drill_step s
	where s.drill_id = d.drill_id and s.result in ('fail', 'not_checked')
	order by s.result = 'not_checked', s.seq
	limit 1;
	steps := array(select s.step from maintsched.drill_step s where s.drill_id = d.drill_id);
	failed_step := coalesce(f.step, (case when not end_drill.removed then 'destroy' end));
	verdict := (case
		when not end_drill.removed or f.result = 'fail' or 'report' <> all (steps) then 'fail'
		when f.result = 'not_checked' then 'inconclusive'
		else 'pass' end);
	message := (case
		when verdict = 'pass' then format('backup "%s" was restored, and is proven up to level %s', d.label, reached)
		when verdict = 'inconclusive' then format('backup "%s" was restored, and is proven up to level %s; %s: %s', d.label, reached, f.step, coalesce(f.message, f.result))
		when f.step is not null then format('%s: %s', f.step, coalesce(f.message, f.result))
		else 'what was restored could not be removed' end);
	insert into maintsched.drill_result (drill_id, verdict, failed_step, level, rto_seconds, rpo_seconds, removed, message)
	values (d.drill_id, verdict, failed_step, reached, (o ->> 'rto_seconds')::numeric, (o ->> 'rpo_seconds')::numeric,
		end_drill.removed, message);
end
$$;

comment on function maintsched.end_drill(bigint, boolean) is
'Internal: Records the verdict of a drill, and what it proves of its backup. removed: server and folder are gone.';

create function maintsched.close_dead_drills() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	d record;
	closed bigint := 0;
begin
	for d in
		select x.drill_id, x.scratch, x.repository, x.label, x.run_id,
			(select s.step from maintsched.drill_step s where s.drill_id = x.drill_id order by s.seq desc limit 1) as last_step
		from maintsched.drill x
		where not exists (select from maintsched.drill_result r where r.drill_id = x.drill_id)
		and not maintsched.backend_alive((x.facts ->> 'pid')::integer, (x.facts ->> 'backend_start')::timestamptz)
		order by x.drill_id
	loop
		-- nobody else is at it
		continue when not pg_try_advisory_xact_lock(hashtextextended('maintsched drill', d.drill_id));
		if maintsched.drill_folder_exists(d.scratch) then
			perform maintsched.remove_dead_drills();
		end if;
		insert into maintsched.drill_result (drill_id, verdict, failed_step, level, removed, message)
		values (d.drill_id, 'interrupted', null, null, not maintsched.drill_folder_exists(d.scratch),
			format('the process that did it ended %s', coalesce('after ' || d.last_step, 'before its first step had')))
		on conflict do nothing;
		closed := closed + 1;
	end loop;
	return closed;
end
$$;

comment on function maintsched.close_dead_drills() is
'Internal: Closes drills whose process is gone as interrupted; how many.';

create function maintsched.drill_folder_exists(scratch text) returns boolean
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_drill_folder_exists';

comment on function maintsched.drill_folder_exists(text) is
'Internal: Whether the folder of a drill is still there; true also where that cannot be told.';

create function maintsched.remove_dead_drills() returns integer
language c volatile
as 'MODULE_PATHNAME', 'maintsched_remove_dead_drills';

comment on function maintsched.remove_dead_drills() is
'Internal: Ends what drills left running whose process is gone, and removes their folders below maintsched.drill_root; how many.';
