--
-- 64_drill_judge: what the steps of a drill prove, and the lists of drills
--

create function maintsched.judge_drill_identity(
	drill_id bigint, said jsonb, rto_seconds numeric, out result text, out message text, out facts jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	d maintsched.drill;
	r maintsched.repository;
	e maintsched.expectation;
	b jsonb;
	wrong text[] := '{}';
	replayed pg_lsn := judge_drill_identity.said ->> 'replayed';
	began timestamptz;
	as_of timestamptz;
	how text;
	rpo numeric;
begin
	select x.* into strict d from maintsched.drill x where x.drill_id = judge_drill_identity.drill_id;
	select x.* into r from maintsched.repository x where x.name = d.repository;
	select x.* into e from maintsched.expectation x where x.expectation_id = d.expectation_id;
	b := d.facts -> 'backup';
	began := d.facts ->> 'at';

	if said ->> 'system_identifier' is distinct from coalesce(r.system_identifier, (d.facts ->> 'system_identifier')::numeric)::text then
		wrong := wrong || format('its system identifier is %s, and %s was expected', said ->> 'system_identifier',
			coalesce(r.system_identifier, (d.facts ->> 'system_identifier')::numeric));
	end if;
	if replayed is null then
		wrong := wrong || 'it does not say how far it was recovered'::text;
	end if;
	if replayed < (b ->> 'end_lsn')::pg_lsn then
		wrong := wrong || format('it was recovered to %s, and the backup ends at %s', maintsched.lsn_text(replayed), b ->> 'end_lsn');
	end if;
	if d.restore_point is not null and replayed < e.lsn then
		wrong := wrong || format('it was recovered to %s, and restore point "%s" is at %s', maintsched.lsn_text(replayed), d.restore_point, maintsched.lsn_text(e.lsn));
	end if;
	if (said ->> 'timeline')::bigint < (b ->> 'timeline')::bigint then
		wrong := wrong || format('it is on timeline %s, and the backup on %s', said ->> 'timeline', b ->> 'timeline');
	end if;

	-- what is missing began at the last commit that was replayed, or later; without
	-- one, at the end of the backup
	as_of := greatest((said ->> 'last_commit')::timestamptz, (b ->> 'finished_at')::timestamptz);
	if said ->> 'system_identifier' is distinct from d.facts ->> 'system_identifier' then
		how := 'unknown: the backup is of another cluster, of which it is not known how far it is';
	elsif replayed >= (d.facts ->> 'lsn')::pg_lsn then
		rpo := 0;
		how := 'exact: it has all that this server had written when the drill began';
	elsif as_of is not null then
		rpo := greatest(0, round(extract(epoch from began - as_of), 3));
		how := (case when as_of = (said ->> 'last_commit')::timestamptz then 'at most: since the last commit that was replayed'
			else 'at most: since the end of the backup' end);
	else
		how := 'unknown: neither a commit nor the end of the backup has a time';
	end if;

	facts := said || jsonb_build_object('rto_seconds', rto_seconds, 'rpo_seconds', rpo, 'rpo_how', how,
		'began_at', began, 'began_lsn', d.facts ->> 'lsn', 'as_of', as_of);
	result := (case when cardinality(wrong) > 0 then 'fail' else 'pass' end);
	message := (case when cardinality(wrong) > 0 then array_to_string(wrong, '; ')
		else format('system %s, timeline %s, recovered to %s; %s', said ->> 'system_identifier', said ->> 'timeline', maintsched.lsn_text(replayed),
			(case when rpo = 0 and how like 'exact%' then 'nothing is missing'
				when rpo is not null then format('at most %s s of work are missing', rpo)
				else 'how much is missing is not known' end)) end);
end
$$;

comment on function maintsched.judge_drill_identity(bigint, jsonb, numeric) is
'Internal: Whether a restored server is the one that was backed up, and recovered far enough; how much work is missing in it. said: what it says of itself; rto_seconds: how long it took.';

create function maintsched.says_nothing_of_backup(step text, sqlstate text) returns boolean
language sql immutable parallel safe
return step in ('space', 'create')
	-- a wrong answer to a question has none
	or coalesce(left(sqlstate, 2) in ('28', '53', '57', '0A', '42') or sqlstate in ('39000', 'P0002'), false);

comment on function maintsched.says_nothing_of_backup(text, text) is
'Internal: Whether a step of a drill failed for a reason that proves nothing against the backup: room, memory, a cancel request, its time, rights, a name to log in by, a tool that does not end (PostgreSQL manual, appendix A).';

create function maintsched.judge_drill_steps(drill_id bigint, steps text[])
returns table (result text, problems text[], facts jsonb, seconds numeric)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with wanted as (
		select w.step, w.ordinality, s.seq, s.result, s.message, s.facts, s.seconds
		from unnest(judge_drill_steps.steps) with ordinality w (step, ordinality)
		left join maintsched.drill_step s on s.drill_id = judge_drill_steps.drill_id and s.step = w.step
	), ended as (
		select s.step, s.message
		from maintsched.drill_step s
		where s.drill_id = judge_drill_steps.drill_id and s.result = 'fail'
		order by s.seq
		limit 1
	), found as (
		select (case
				when bool_or(w.result = 'fail' and not maintsched.says_nothing_of_backup(w.step, w.facts ->> 'sqlstate')) then 'fail'
				when bool_or(w.result is null or w.result in ('fail', 'not_checked')) then 'not_checked'
				when bool_and(w.result = 'not_applicable') then 'not_applicable'
				else 'pass'
			end) as result,
			array_agg(w.step || ': ' || coalesce(w.message, w.result) order by w.ordinality)
				filter (where w.result <> 'pass') as problems,
			jsonb_object_agg(w.step, w.facts) filter (where w.facts is not null) as facts,
			sum(w.seconds) as seconds
		from wanted w
	)
	select f.result,
		(case
			when f.problems is not null then f.problems
			when f.result = 'pass' then '{}'
			else array[coalesce((select format('the drill ended at %s: %s', e.step, coalesce(e.message, 'failed')) from ended e), 'the drill did not come to it')]
		end),
		f.facts, f.seconds
	from found f
$$;

comment on function maintsched.judge_drill_steps(bigint, text[]) is
'Internal: What steps of a drill prove together.';

create function maintsched.judge_drill_objectives(drill_id bigint)
returns table (result text, problems text[], facts jsonb, seconds numeric)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with d as (
		select r.rto, r.rpo, p.facts,
			(p.facts ->> 'rto_seconds')::numeric as rto_seconds,
			(p.facts ->> 'rpo_seconds')::numeric as rpo_seconds,
			(select format('the drill ended at %s', s.step) from maintsched.drill_step s
				where s.drill_id = x.drill_id and s.result = 'fail' order by s.seq limit 1) as ended
		from maintsched.drill x
		left join maintsched.repository r on r.name = x.repository
		left join maintsched.drill_step p on p.drill_id = x.drill_id and p.step = 'identity'
		where x.drill_id = judge_drill_objectives.drill_id
	), judged as (
		select d.*,
			array_remove(array[
				(case when d.rto_seconds > extract(epoch from d.rto) then
					format('restoring took %s s, and may take %s s', d.rto_seconds, extract(epoch from d.rto)) end),
				(case when d.rpo_seconds > extract(epoch from d.rpo) then
					format('up to %s s of work may be missing, and %s s may', d.rpo_seconds, extract(epoch from d.rpo)) end)], null) as wrong,
			array_remove(array[
				(case when d.rto is not null and d.rto_seconds is null then 'how long a restore takes was not measured' end),
				(case when d.rpo is not null and d.rpo_seconds is null then 'how much work was missing was not measured' end)], null) as unknown
		from d
	)
	select (case
			when cardinality(j.wrong) > 0 then 'fail'
			when cardinality(j.unknown) > 0 then 'not_checked'
			when j.rto is null and j.rpo is null then (case when j.ended is not null and j.rto_seconds is null then 'not_checked' else 'not_applicable' end)
			else 'pass'
		end),
		j.wrong || j.unknown || (case when j.ended is not null and j.rto_seconds is null then array[j.ended] else '{}' end)
			|| (case when (j.rto is null or j.rpo is null) and j.rto_seconds is not null then array[format('%s; measured were %s s until it could be used, and %s',
				(case when j.rto is null and j.rpo is null then 'neither rto nor rpo is set' when j.rto is null then 'rto is not set' else 'rpo is not set' end),
				j.rto_seconds, coalesce('at most ' || j.rpo_seconds || ' s of work missing', 'work missing of unknown extent'))] else '{}' end),
		jsonb_build_object('rto_seconds', j.rto_seconds, 'rpo_seconds', j.rpo_seconds,
			'rto', extract(epoch from j.rto), 'rpo', extract(epoch from j.rpo), 'rpo_how', j.facts ->> 'rpo_how'),
		null::numeric
	from judged j
$$;

comment on function maintsched.judge_drill_objectives(bigint) is
'Internal: Whether a drill kept within the RTO and RPO of its repository.';

create function maintsched.judge_drill(drill_id bigint)
returns table (level smallint, result text, problems text[], facts jsonb, seconds numeric)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select l.level::smallint, j.*
	from (values
		(8, array['space', 'create', 'restore', 'configure']),
		(9, array['start', 'promote', 'identity']),
		(10, array['integrity']),
		(11, array['expectations', 'queries'])) l (level, steps)
	cross join lateral maintsched.judge_drill_steps(judge_drill.drill_id, l.steps) j
	union all
	select 12::smallint, o.*
	from maintsched.judge_drill_objectives(judge_drill.drill_id) o
	order by 1
$$;

comment on function maintsched.judge_drill(bigint) is
'Internal: What a drill proves of its backup, levels 8 to 12.';

create view maintsched.drills as
select d.drill_id, d.repository, d.label, d.recorded_at as began_at,
	(case when r.drill_id is null then (case when maintsched.backend_alive((d.facts ->> 'pid')::integer, (d.facts ->> 'backend_start')::timestamptz)
		then 'running' else 'interrupted' end) else r.verdict end) as verdict,
	coalesce(r.failed_step, (case when r.drill_id is null then s.last_step end)) as step,
	r.level, r.rto_seconds, r.rpo_seconds, d.target, d.restore_point,
	r.recorded_at as ended_at, s.seconds, coalesce(r.removed, false) as removed, d.run_id, d.recorded_by, r.message, d.simulated
from maintsched.drill d
left join maintsched.drill_result r on r.drill_id = d.drill_id and r.clock_at <= maintsched.clock()
left join lateral (
	select sum(x.seconds) as seconds, (array_agg(x.step order by x.seq desc))[1] as last_step
	from maintsched.drill_step x
	where x.drill_id = d.drill_id) s on true
where d.clock_at <= maintsched.clock();

comment on view maintsched.drills is 'Restore drills, with their verdicts.';
comment on column maintsched.drills.drill_id is 'The drill.';
comment on column maintsched.drills.repository is 'The repository.';
comment on column maintsched.drills.label is 'The backup that was restored.';
comment on column maintsched.drills.began_at is 'When it began, in real time.';
comment on column maintsched.drills.verdict is 'running; pass; fail; inconclusive: no step failed, but something could not be checked; interrupted: the process that did it ended.';
comment on column maintsched.drills.step is 'The step that failed; of one that runs or was interrupted the last one that ended.';
comment on column maintsched.drills.level is 'Up to which level it proved the backup; NULL: none.';
comment on column maintsched.drills.rto_seconds is 'How long it took, in seconds, until the restored server could be used.';
comment on column maintsched.drills.rpo_seconds is 'How much time of work was missing in it at most, in seconds.';
comment on column maintsched.drills.target is 'Up to where it was recovered: latest, consistent or restore point.';
comment on column maintsched.drills.restore_point is 'The restore point, where that was the target.';
comment on column maintsched.drills.ended_at is 'When it ended, in real time.';
comment on column maintsched.drills.seconds is 'How long its steps took together.';
comment on column maintsched.drills.removed is 'True: server and folder are gone, which was looked at.';
comment on column maintsched.drills.run_id is 'The run that did it.';
comment on column maintsched.drills.recorded_by is 'Session user of the one who did it.';
comment on column maintsched.drills.message is 'What there is to say.';
comment on column maintsched.drills.simulated is 'True when recorded under maintsched.now.';

create view maintsched.drill_steps as
select s.drill_id, d.repository, d.label, s.seq, s.step, s.document_step, s.result, s.seconds, s.started_at, s.message, s.simulated
from maintsched.drill_step s
join maintsched.drill d on d.drill_id = s.drill_id
where s.clock_at <= maintsched.clock();

comment on view maintsched.drill_steps is 'The steps of restore drills, each as it ended.';
comment on column maintsched.drill_steps.drill_id is 'The drill.';
comment on column maintsched.drill_steps.repository is 'The repository.';
comment on column maintsched.drill_steps.label is 'The backup that was restored.';
comment on column maintsched.drill_steps.seq is 'Order, from 1.';
comment on column maintsched.drill_steps.step is 'space, create, restore, configure, start, promote, identity, integrity, expectations, queries, report or destroy.';
comment on column maintsched.drill_steps.document_step is 'Which step of the document''s "Backup Restoration Test" it belongs to, 1 to 6.';
comment on column maintsched.drill_steps.result is 'pass, fail, not_applicable or not_checked.';
comment on column maintsched.drill_steps.seconds is 'How long it took.';
comment on column maintsched.drill_steps.started_at is 'When it began, in real time.';
comment on column maintsched.drill_steps.message is 'What was seen or went wrong.';
comment on column maintsched.drill_steps.simulated is 'True when recorded under maintsched.now.';
