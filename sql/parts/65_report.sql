--
-- 65_report: the report of a restore drill, for who has to file it
--
-- It is made from the facts, which do not change, at any time; the digest at its
-- end is of these alone.  Whether it was reviewed, and what the repository is
-- like now, is told besides.
--

create function maintsched.drill_verdict(drill_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(r.verdict, v.verdict)
	from maintsched.drills v
	left join maintsched.drill_result r using (drill_id)
	where v.drill_id = drill_verdict.drill_id
$$;

comment on function maintsched.drill_verdict(bigint) is
'Internal: pass, fail, interrupted, or running.';

create function maintsched.drill_findings(drill_id bigint) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(array_agg(f.words order by f.rank, f.place), '{}')
	from (
		select distinct on (x.words) x.*
		from (
			select case s.result when 'fail' then 0 when 'not_checked' then 1 else 2 end as rank, s.seq as place,
				format('%s (%s): %s', s.step, replace(s.result, '_', ' '), coalesce(s.message, 'nothing is said')) as words
			from maintsched.drill_step s
			where s.drill_id = drill_findings.drill_id and s.result <> 'pass'
			union all
			select case c.result when 'fail' then 0 when 'not_checked' then 1 else 2 end, 100 + c.level,
				format('level %s (%s): %s', c.level, replace(c.result, '_', ' '), p)
			from maintsched.backup_check c
			cross join unnest(c.problems) p
			where c.drill_id = drill_findings.drill_id
			-- what a step said is not said again
			and not exists (
				select from maintsched.drill_step s
				where s.drill_id = c.drill_id and s.message is not null and strpos(p, s.message) > 0)
			union all
			select 0, 1000, 'not done: ' || string_agg(format('step %s (%s)', t.step, t.title), ', ' order by t.step)
			from maintsched.document_steps() t
			where not exists (
				select from maintsched.drill_step s
				where s.drill_id = drill_findings.drill_id and s.document_step = t.step)
			having count(*) > 0
			union all
			select 0, 1001, 'destroy (fail): the test instance was not seen to be gone'
			from maintsched.drill_result r
			where r.drill_id = drill_findings.drill_id and not r.removed) x
		order by x.words, x.rank) f
$$;

comment on function maintsched.drill_findings(bigint) is
'Internal: What a drill found that was not as it should be, or could not be looked at, the worst first.';

create function maintsched.document_steps()
returns table (step integer, title text)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	values (1, 'Create test database instance'), (2, 'Restore backup to test instance'), (3, 'Verify data integrity'),
		(4, 'Run sample queries'), (5, 'Document results'), (6, 'Destroy test instance')
$$;

comment on function maintsched.document_steps() is
'Internal: The steps of the document''s "Backup Restoration Test".';

create function maintsched.drill_facts(drill_id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
	select jsonb_build_object(
		'report', 'maintsched restore drill, format 1',
		'drill_id', d.drill_id,
		'verdict', maintsched.drill_verdict(d.drill_id),
		'failed_step', r.failed_step,
		'message', r.message,
		'level', r.level,
		'repository', d.repository,
		'backup', jsonb_build_object('label', d.label, 'type', b.type, 'started_at', b.started_at, 'finished_at', b.finished_at,
			'size_bytes', b.size_bytes, 'start_lsn', maintsched.lsn_text(b.start_lsn), 'end_lsn', maintsched.lsn_text(b.end_lsn), 'timeline', b.timeline,
			'system_identifier', b.system_identifier, 'pg_version', b.pg_version, 'location', b.location),
		'server', jsonb_build_object('system_identifier', d.facts -> 'system_identifier', 'version', d.facts -> 'version',
			'timeline', d.facts -> 'timeline', 'lsn', d.facts -> 'lsn', 'facts', d.facts),
		'carried_out_by', d.recorded_by, 'acting_as', d.acting_as, 'run_id', d.run_id,
		'began_at', d.recorded_at, 'ended_at', r.recorded_at,
		'seconds', (select sum(s.seconds) from maintsched.drill_step s where s.drill_id = d.drill_id),
		'target', d.target, 'restore_point', d.restore_point, 'expectation_id', d.expectation_id,
		'expected', case when e.expectation_id is not null then jsonb_build_object('captured_at', e.captured_at, 'lsn', maintsched.lsn_text(e.lsn), 'timeline', e.timeline,
			'items', jsonb_array_length(e.items), 'left_out', e.message) end,
		'steps', (
			select jsonb_agg(jsonb_build_object('step', t.step, 'title', t.title,
				'result', coalesce(x.result, 'not_done'), 'seconds', x.seconds, 'parts', coalesce(x.parts, '[]')) order by t.step)
			from maintsched.document_steps() t
			left join lateral (
				select case when bool_or(s.result = 'fail') then 'fail' when bool_or(s.result = 'not_checked') then 'not_checked'
						when bool_or(s.result = 'pass') then 'pass' when count(*) > 0 then 'not_applicable' end as result,
					sum(s.seconds) as seconds,
					jsonb_agg(jsonb_build_object('step', s.step, 'result', s.result, 'started_at', s.started_at,
						'finished_at', s.finished_at, 'seconds', s.seconds, 'message', s.message, 'facts', s.facts) order by s.seq) as parts
				from maintsched.drill_step s
				where s.drill_id = d.drill_id and s.document_step = t.step) x on true),
		'levels', coalesce((
			select jsonb_agg(jsonb_build_object('level', c.level, 'name', l.name, 'result', c.result, 'problems', to_jsonb(c.problems),
				'facts', c.facts) order by c.level, c.check_id)
			from maintsched.backup_check c
			left join maintsched.backup_levels() l using (level)
			where c.drill_id = d.drill_id), '[]'),
		'rto_seconds', r.rto_seconds, 'rpo_seconds', r.rpo_seconds,
		'rto_allowed', o.facts -> 'rto', 'rpo_allowed', o.facts -> 'rpo',
		'findings', to_jsonb(maintsched.drill_findings(d.drill_id)),
		'removed', r.removed,
		'simulated', d.simulated)
	from maintsched.drill d
	left join maintsched.drill_result r using (drill_id)
	left join maintsched.expectation e using (expectation_id)
	left join lateral (
		select c.facts
		from maintsched.backup_check c
		where c.drill_id = d.drill_id and c.level = 12
		order by c.check_id desc
		limit 1) o on true
	left join lateral (
		-- as it was known then
		select x.*
		from maintsched.backup_record x
		where x.repository = d.repository and x.label = d.label and x.recorded_at <= d.recorded_at
		order by x.record_id desc
		limit 1) b on true
	where d.drill_id = drill_facts.drill_id
$$;

comment on function maintsched.drill_facts(bigint) is
'Internal: What is recorded of a drill, which does not change once it has ended.';

create function maintsched.drill_reviews(drill_id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
	select coalesce(jsonb_agg(jsonb_build_object('calendar', t.calendar, 'task', t.name, 'title', v.title, 'occurrence_id', o.occurrence_id,
		'due_at', o.due_at, 'teams', to_jsonb(v.teams), 'review', case
			when not v.review then 'not_required'
			when c.completion_id is null then 'not_completed'
			else c.review end,
		'completion_id', c.completion_id, 'outcome', c.outcome, 'completed_by', c.performed_by,
		'reviewed_by', c.reviewed_by, 'reviewed_at', c.reviewed_at) order by o.occurrence_id), '[]')
	from maintsched.drill d
	join maintsched.run_occurrence w using (run_id)
	join maintsched.occurrence o using (occurrence_id)
	join maintsched.task t using (task_id)
	join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
	left join lateral (
		select x.*
		from maintsched.completions x
		where x.occurrence_id = o.occurrence_id and not x.retracted
		order by x.attempt desc
		limit 1) c on true
	where d.drill_id = drill_reviews.drill_id
$$;

comment on function maintsched.drill_reviews(bigint) is
'Internal: The tasks that a drill was done for, and whether that was reviewed.';

create function maintsched.find_drill(drill_id bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	found_id bigint;
begin
	select d.drill_id into found_id
	from maintsched.drills d
	where drill_id is null or d.drill_id = find_drill.drill_id
	order by d.drill_id desc
	limit 1;
	if found_id is null then
		raise exception using
			errcode = 'undefined_object',
			message = case when drill_id is null then 'there was no restore drill yet' else format('drill %s does not exist', drill_id) end,
			hint = case when drill_id is null then 'Carry one out: call maintsched.drill(...), or the routine restore_drill.'
				else 'They are listed by the view drills.' end;
	end if;
	return found_id;
end
$$;

comment on function maintsched.find_drill(bigint) is
'Internal: A drill, the latest for NULL. Error: undefined_object (42704).';

create function maintsched.drill_report_json(drill_id bigint default null) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	found_id constant bigint := maintsched.find_drill(drill_id);
	facts constant jsonb := maintsched.drill_facts(found_id);
begin
	return facts || jsonb_build_object('reviews', maintsched.drill_reviews(found_id),
		'sha256', encode(sha256(convert_to(facts::text, 'UTF8')), 'hex'));
end
$$;

comment on function maintsched.drill_report_json(bigint) is
'The report of a restore drill, the latest for NULL, as an object: drill_id, verdict (pass, fail, interrupted, running), failed_step, message, level, repository, backup, server, who did it and when, target, expected, steps (those of the document''s "Backup Restoration Test", each with its parts), levels (8 to 12), rto_seconds, rpo_seconds and what is allowed, findings, removed, reviews; sha256: of all of it but reviews and itself, as jsonb is printed, and so the same as long as the records are. Times are of UTC. Error: undefined_object (42704).';

create function maintsched.wrap_words(words text, width integer, indent text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	lines text[] := '{}';
	line text := '';
	word text;
begin
	foreach word in array regexp_split_to_array(btrim(regexp_replace(coalesce(words, ''), '[[:cntrl:]]+', ' ', 'g')), '[ ]+') loop
		-- what has no blanks is broken anywhere
		while length(word) > width loop
			if line <> '' then
				lines := lines || line;
				line := '';
			end if;
			lines := lines || left(word, width);
			word := substr(word, width + 1);
		end loop;
		if line <> '' and length(line) + 1 + length(word) > width then
			lines := lines || line;
			line := word;
		else
			line := line || case when line = '' or word = '' then '' else ' ' end || word;
		end if;
	end loop;
	return array_to_string(case when line <> '' or cardinality(lines) = 0 then lines || line else lines end, E'\n' || indent);
end
$$;

comment on function maintsched.wrap_words(text, integer, text) is
'Internal: Words in lines of at most so many characters; indent: what comes before each line but the first.';

create function maintsched.report_line(name text, words text) returns text
language sql immutable parallel safe
return rpad(name, 15) || maintsched.wrap_words(words, 75, repeat(' ', 15));

comment on function maintsched.report_line(text, text) is
'Internal: A line of a report: a name, and words beside it.';

create function maintsched.report_time(at text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
return to_char(at::timestamptz at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC';

comment on function maintsched.report_time(text) is
'Internal: A time of a report.';

create function maintsched.report_seconds(seconds text) returns text
language sql immutable parallel safe
return case when seconds is not null then to_char(seconds::numeric, 'FM999,999,990.0') || ' s' else '' end;

comment on function maintsched.report_seconds(text) is
'Internal: A length of time of a report.';

create function maintsched.report_steps(j jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select string_agg(
		rtrim(rpad(format('%s. %s', s.value ->> 'step', s.value ->> 'title'), 52)
			|| rpad(replace(s.value ->> 'result', '_', ' '), 16)
			|| lpad(maintsched.report_seconds(s.value ->> 'seconds'), 12))
			|| coalesce((
				select string_agg(
					E'\n   ' || rpad(p.value ->> 'step', 14) || rpad(replace(p.value ->> 'result', '_', ' '), 15)
						|| to_char((p.value ->> 'started_at')::timestamptz at time zone 'UTC', 'HH24:MI:SS')
						|| lpad(maintsched.report_seconds(p.value ->> 'seconds'), 13)
						|| coalesce(E'\n      ' || nullif(maintsched.wrap_words(p.value ->> 'message', 84, repeat(' ', 6)), ''), ''),
					'' order by p.ordinality)
				from jsonb_array_elements(s.value -> 'parts') with ordinality p), ''),
		E'\n' order by s.ordinality)
	from jsonb_array_elements(j -> 'steps') with ordinality s
$$;

comment on function maintsched.report_steps(jsonb) is
'Internal: The steps of a report.';

create function maintsched.report_objective(name text, measured text, allowed text, at_most boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
return maintsched.report_line(name, case
	when measured is null then 'not measured'
	else case when at_most then 'at most ' else '' end || maintsched.report_seconds(measured) end
	|| case
		when allowed is null then ', no objective is set'
		when measured is null then format(', allowed are %s', maintsched.report_seconds(allowed))
		when measured::numeric <= allowed::numeric then format(', within the %s allowed', maintsched.report_seconds(allowed))
		else format(', more than the %s allowed', maintsched.report_seconds(allowed)) end);

comment on function maintsched.report_objective(text, text, text, boolean) is
'Internal: A recovery objective in a report.';

create function maintsched.report_reviews(j jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce((
		select string_agg('  ' || maintsched.wrap_words(format('%s (calendar %s, %s): %s', coalesce(r.value ->> 'title', r.value ->> 'task'),
			r.value ->> 'calendar', (select string_agg(t.value, '/') from jsonb_array_elements_text(r.value -> 'teams') t),
			case r.value ->> 'review'
				when 'not_required' then 'asks for no review'
				when 'not_completed' then 'asks for a review, once it is completed'
				when 'pending' then format('awaits review by another role than %s', r.value ->> 'completed_by')
				else format('%s by %s at %s', r.value ->> 'review', r.value ->> 'reviewed_by', maintsched.report_time(r.value ->> 'reviewed_at')) end),
			88, '    '), E'\n' order by r.ordinality)
		from jsonb_array_elements(j -> 'reviews') with ordinality r),
		'  It was done for no task; nobody is asked to review it.')
$$;

comment on function maintsched.report_reviews(jsonb) is
'Internal: Who has to review what a report tells of.';

create function maintsched.drill_report(drill_id bigint default null) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	rule constant text := repeat('-', 90);
	j constant jsonb := maintsched.drill_report_json(drill_id);
	b constant jsonb := j -> 'backup';
	r maintsched.repository;
	run record;
	identity_facts jsonb;
begin
	select x.* into r from maintsched.repository x where x.name = j ->> 'repository';
	select u.routine, u.requested_by, u.reason into run from maintsched.run u where u.run_id = (j ->> 'run_id')::bigint;
	select p.value -> 'facts' into identity_facts
	from jsonb_array_elements(j -> 'steps') s
	cross join jsonb_array_elements(s.value -> 'parts') p
	where p.value ->> 'step' = 'identity';
	return concat_ws(E'\n',
		rpad('RESTORE DRILL REPORT', 70) || lpad('drill ' || (j ->> 'drill_id'), 20),
		repeat('=', 90),
		case when (j ->> 'simulated')::boolean then maintsched.report_line('Simulated', 'under maintsched.now: no evidence') end,
		maintsched.report_line('Verdict', upper(j ->> 'verdict') || coalesce(': ' || (j ->> 'message'), case j ->> 'verdict'
			when 'interrupted' then ': the process that did it ended' when 'running' then ': it has not ended' else '' end)),
		maintsched.report_line('Proven', case when j ->> 'level' is null then 'no level of 8 to 12'
			else format('up to level %s of 12', j ->> 'level') || coalesce(
				', where ' || (select string_agg(format('%s (%s)', l.level, l.name), ' and ' order by l.level) || ' did not apply'
					from jsonb_array_elements(j -> 'levels') c join maintsched.backup_levels() l on l.level = (c ->> 'level')::smallint
					where c ->> 'result' = 'not_applicable' and l.level <= (j ->> 'level')::smallint),
				': ' || (select l.name from maintsched.backup_levels() l where l.level = (j ->> 'level')::smallint), '') end),
		maintsched.report_line('Repository', (j ->> 'repository') || case when r.name is not null then format(' (%s, %s)', r.kind, r.location)
			else ' (it is not configured any more)' end),
		maintsched.report_line('Backup', concat_ws(', ', b ->> 'label', b ->> 'type', 'ended ' || maintsched.report_time(b ->> 'finished_at'),
			pg_size_pretty((b ->> 'size_bytes')::bigint), 'PostgreSQL ' || (b ->> 'pg_version'),
			'timeline ' || (b ->> 'timeline'), 'WAL position ' || (b ->> 'end_lsn'), b ->> 'location')),
		maintsched.report_line('Server', concat_ws(', ', 'system identifier ' || (j -> 'server' ->> 'system_identifier'),
			'PostgreSQL ' || (j -> 'server' ->> 'version'), 'timeline ' || (j -> 'server' ->> 'timeline'),
			'WAL position ' || (j -> 'server' ->> 'lsn'))),
		maintsched.report_line('Carried out', concat_ws(', ',
			maintsched.report_time(j ->> 'began_at') || coalesce(' to ' || maintsched.report_time(j ->> 'ended_at'), ''),
			'by ' || (j ->> 'carried_out_by') || case when j ->> 'acting_as' <> j ->> 'carried_out_by' then ' as ' || (j ->> 'acting_as') else '' end,
			case when run.routine is not null then format('in run %s of routine %s, requested by %s', j ->> 'run_id', run.routine, run.requested_by) end)),
		maintsched.report_line('Recovery to', case j ->> 'target'
			when 'restore point' then format('restore point %s, at %s', j ->> 'restore_point', j -> 'expected' ->> 'lsn')
			when 'latest' then 'the end of the archive'
			else 'the end of the backup: there is no archive' end),
		maintsched.report_line('Restored copy', case when identity_facts is null then 'it did not come to be looked at'
			else concat_ws(', ', 'system identifier ' || (identity_facts ->> 'system_identifier'), 'timeline ' || (identity_facts ->> 'timeline'),
				'WAL position ' || (identity_facts ->> 'replayed')) end),
		maintsched.report_line('Test instance', case (j ->> 'removed')::boolean when true then 'gone, which was looked at'
			when false then 'not seen to be gone' else 'whether it is gone is not recorded' end),
		'',
		rpad('BACKUP RESTORATION TEST', 52) || rpad('result', 16) || lpad('time', 12),
		rule,
		maintsched.report_steps(j),
		'',
		'LEVELS',
		rule,
		coalesce((
			select string_agg(lpad(l.value ->> 'level', 3) || '  ' || rpad(coalesce(l.value ->> 'name', ''), 24) || replace(l.value ->> 'result', '_', ' '), E'\n' order by l.ordinality)
			from jsonb_array_elements(j -> 'levels') with ordinality l), '  none was judged'),
		'',
		'RECOVERY OBJECTIVES',
		rule,
		maintsched.report_objective('Time (RTO)', j ->> 'rto_seconds', j ->> 'rto_allowed', false),
		maintsched.report_objective('Loss (RPO)', j ->> 'rpo_seconds', j ->> 'rpo_allowed', true),
		'',
		'FINDINGS',
		rule,
		coalesce((
			select string_agg('- ' || maintsched.wrap_words(f.value, 88, '  '), E'\n' order by f.ordinality)
			from jsonb_array_elements_text(j -> 'findings') with ordinality f), '  none'),
		'',
		'REVIEW',
		rule,
		maintsched.report_reviews(j),
		'',
		'  Reviewed by ______________________________    Date ______________',
		'',
		rule,
		'SHA-256 of these facts, without the review, as drill_report_json() has it:',
		j ->> 'sha256');
end
$$;

comment on function maintsched.drill_report(bigint) is
'The report of a restore drill, the latest for NULL, as text of 90 columns that can be filed: verdict, backup, server, who and when (UTC), each step of the document''s "Backup Restoration Test", levels, objectives, findings and who has to review it; in the end a digest of the facts, by which a filed copy is compared: drill_report_json(). Error: undefined_object (42704).';
