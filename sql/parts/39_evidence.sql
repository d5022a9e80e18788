--
-- 39_evidence: the record of every occurrence, and what an auditor asks for
--

create view maintsched.occurrence_record as
select f.occurrence_id, t.calendar, t.name as task, v.title,
	array_to_string(v.teams, '/') as team, f.version,
	f.opens_at, f.due_at, f.closes_at, f.status,
	f.outcome, f.completed_at, f.performed_by, f.note, f.recorded_at, f.recorded_by,
	coalesce(tried.attempts, 0) as attempts, tried.first_failed_at,
	coalesce(f.backdated, false) as backdated,
	coalesce(f.outcome = 'pass' and not f.rejected and f.effective_at < f.closes_at
		and f.completed_clock_at >= f.closes_at, false) as recorded_late,
	f.exception_accepted,
	f.simulated or coalesce(f.completion_simulated, false) or coalesce(f.review_simulated, false) as simulated,
	case
		when f.decision is not null then f.decision
		when not v.review then 'not_required'
		when f.completion_id is not null then 'pending'
	end as review,
	f.reviewed_by, f.reviewed_at, f.evidence, f.run_id,
	nullif(array(
		select c
		from unnest(v.controls) c
		where split_part(c, ' ', 1) = any (array(select f.name from maintsched.frameworks f where f.enabled))), '{}') as controls,
	maintsched.status_rank(f.status) as status_rank,
	f.waiver_id, d.recorded_by as waived_by, w.reason as waiver_reason,
	f.task_id, f.simulated as occurrence_simulated, f.with_simulated
from maintsched.occurrence_fact f
join maintsched.task t on t.task_id = f.task_id
join maintsched.task_version v on v.task_id = f.task_id and v.version = f.version
left join lateral (
	select count(*)::integer as attempts,
		min(case when c.outcome = 'pass' then r.clock_at else c.effective_at end)
			filter (where c.outcome in ('fail', 'partial') or r.decision = 'rejected') as first_failed_at
	from maintsched.completion c
	left join maintsched.completion_review r on r.completion_id = c.completion_id
		and r.clock_at <= maintsched.clock() and (f.with_simulated or not r.simulated)
	where f.facts > 0 and c.occurrence_id = f.occurrence_id
	and c.clock_at <= maintsched.clock() and (f.with_simulated or not c.simulated)) tried on true
left join maintsched.waiver w on w.waiver_id = f.waiver_id
left join maintsched.waiver_decision d on d.waiver_id = f.waiver_id and d.decision = 'approved';

comment on view maintsched.occurrence_record is 'Internal: occurrence_status and the waiver that covers it, for evidence_for().';
comment on column maintsched.occurrence_record.occurrence_id is 'Key of the occurrence.';
comment on column maintsched.occurrence_record.calendar is 'The calendar.';
comment on column maintsched.occurrence_record.task is 'The task''s name.';
comment on column maintsched.occurrence_record.title is 'The title that it had.';
comment on column maintsched.occurrence_record.team is 'The owners that it had, joined by ''/''.';
comment on column maintsched.occurrence_record.version is 'Version of the definition.';
comment on column maintsched.occurrence_record.opens_at is 'When it opens.';
comment on column maintsched.occurrence_record.due_at is 'From here it is overdue.';
comment on column maintsched.occurrence_record.closes_at is 'From here it is missed; NULL: never.';
comment on column maintsched.occurrence_record.status is 'withdrawn, done, waived, late, inconclusive, failed, scheduled, due, overdue or missed.';
comment on column maintsched.occurrence_record.outcome is 'Outcome of the last completion; NULL: none recorded.';
comment on column maintsched.occurrence_record.completed_at is 'When it was carried out; NULL: no completion recorded.';
comment on column maintsched.occurrence_record.performed_by is 'Who carried it out.';
comment on column maintsched.occurrence_record.note is 'Note of the last completion.';
comment on column maintsched.occurrence_record.recorded_at is 'When the completion was recorded, real time.';
comment on column maintsched.occurrence_record.recorded_by is 'Who recorded it.';
comment on column maintsched.occurrence_record.attempts is 'Number of completions recorded.';
comment on column maintsched.occurrence_record.first_failed_at is 'When it first failed.';
comment on column maintsched.occurrence_record.backdated is 'Whether the completion claimed a time too far back.';
comment on column maintsched.occurrence_record.recorded_late is 'Whether a timely completion was recorded after closing.';
comment on column maintsched.occurrence_record.exception_accepted is 'Whether a waiver was approved after the due time.';
comment on column maintsched.occurrence_record.simulated is 'Whether planned or recorded under maintsched.now.';
comment on column maintsched.occurrence_record.review is 'not_required, pending, accepted or rejected.';
comment on column maintsched.occurrence_record.reviewed_by is 'Who reviewed it.';
comment on column maintsched.occurrence_record.reviewed_at is 'When it was reviewed.';
comment on column maintsched.occurrence_record.evidence is 'Evidence of the last completion.';
comment on column maintsched.occurrence_record.run_id is 'The run that carried it out.';
comment on column maintsched.occurrence_record.controls is 'The controls that it is evidence for.';
comment on column maintsched.occurrence_record.status_rank is 'For sorting, the worst first.';
comment on column maintsched.occurrence_record.waiver_id is 'The approved waiver that covers it.';
comment on column maintsched.occurrence_record.waived_by is 'Who approved it.';
comment on column maintsched.occurrence_record.waiver_reason is 'Why it was asked for.';
comment on column maintsched.occurrence_record.task_id is 'The task.';
comment on column maintsched.occurrence_record.occurrence_simulated is 'Whether the occurrence was planned under maintsched.now.';
comment on column maintsched.occurrence_record.with_simulated is 'Whether simulated facts count in this row.';

create view maintsched.occurrence_status as
select r.occurrence_id, r.calendar, r.task, r.title, r.team, r.version, r.opens_at, r.due_at,
	r.closes_at, r.status, r.outcome, r.completed_at, r.performed_by, r.note, r.recorded_at,
	r.recorded_by, r.attempts, r.first_failed_at, r.backdated, r.recorded_late,
	r.exception_accepted, r.simulated, r.review, r.reviewed_by, r.reviewed_at, r.evidence,
	r.run_id, r.controls, r.status_rank
from maintsched.occurrence_record r
where r.with_simulated;

comment on view maintsched.occurrence_status is 'Every occurrence with its status at clock() and the last completion that counts, under the definition that it opened with.';
comment on column maintsched.occurrence_status.occurrence_id is 'Key of the occurrence.';
comment on column maintsched.occurrence_status.calendar is 'The calendar.';
comment on column maintsched.occurrence_status.task is 'The task''s name.';
comment on column maintsched.occurrence_status.title is 'The title that it had.';
comment on column maintsched.occurrence_status.team is 'The owners that it had, joined by ''/''.';
comment on column maintsched.occurrence_status.version is 'Version of the definition.';
comment on column maintsched.occurrence_status.opens_at is 'When it opens.';
comment on column maintsched.occurrence_status.due_at is 'From here it is overdue.';
comment on column maintsched.occurrence_status.closes_at is 'From here it is missed; NULL: never.';
comment on column maintsched.occurrence_status.status is 'withdrawn, done, waived, late, inconclusive, failed, scheduled, due, overdue or missed.';
comment on column maintsched.occurrence_status.outcome is 'Outcome of the last completion; NULL: none recorded.';
comment on column maintsched.occurrence_status.completed_at is 'When it was carried out; NULL: no completion recorded.';
comment on column maintsched.occurrence_status.performed_by is 'Who carried it out.';
comment on column maintsched.occurrence_status.note is 'Note of the last completion.';
comment on column maintsched.occurrence_status.recorded_at is 'When the completion was recorded, real time.';
comment on column maintsched.occurrence_status.recorded_by is 'Who recorded it.';
comment on column maintsched.occurrence_status.attempts is 'Number of completions recorded, those retracted included.';
comment on column maintsched.occurrence_status.first_failed_at is 'When it first failed, kept when it passes later: the first completion fail or partial, or rejection.';
comment on column maintsched.occurrence_status.backdated is 'Whether the completion claimed a time too far back.';
comment on column maintsched.occurrence_status.recorded_late is 'Whether a timely completion was recorded after closing.';
comment on column maintsched.occurrence_status.exception_accepted is 'Whether a waiver was approved after the due time.';
comment on column maintsched.occurrence_status.simulated is 'Whether planned or recorded under maintsched.now.';
comment on column maintsched.occurrence_status.review is 'not_required, pending, accepted or rejected; NULL: required, and nothing is completed yet.';
comment on column maintsched.occurrence_status.reviewed_by is 'Who reviewed it.';
comment on column maintsched.occurrence_status.reviewed_at is 'When it was reviewed.';
comment on column maintsched.occurrence_status.evidence is 'Evidence of the last completion.';
comment on column maintsched.occurrence_status.run_id is 'The run that carried it out.';
comment on column maintsched.occurrence_status.controls is 'The controls that it is evidence for.';
comment on column maintsched.occurrence_status.status_rank is 'For sorting, the worst first.';

create function maintsched.check_control(framework text, control text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	framework_name text;
	control_name text;
begin
	select f.name into framework_name from maintsched.framework f where lower(f.name) = lower(framework);
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('framework %s does not exist', coalesce('"' || framework || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(framework, ''),
				array(select f.name from maintsched.framework f order by 1), 'Frameworks are');
	end if;
	select k.control into control_name
	from maintsched.control k
	where k.framework = framework_name
	and replace(k.control, ' ', '') = replace(control, ' ', '');
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('framework "%s" has no control %s', framework_name, coalesce('"' || control || '"', 'NULL')),
			hint = coalesce((
				select 'It has ' || string_agg(k.control, ', ' order by k.position) || '.'
				from maintsched.control k
				where k.framework = framework_name and starts_with(k.control, control)),
				maintsched.perhaps(coalesce(control, ''),
					array(select k.control from maintsched.control k where k.framework = framework_name order by k.position),
					'Its controls are'));
	end if;
	return framework_name || ' ' || control_name;
end
$$;

comment on function maintsched.check_control(text, text) is
'Internal: A control as tasks name it, "FRAMEWORK citation". Errors: undefined_object (42704).';

create type maintsched.evidence as (
	occurrence_id bigint,
	calendar text,
	task text,
	title text,
	team text,
	version integer,
	opens_at timestamptz,
	due_at timestamptz,
	closes_at timestamptz,
	status text,
	outcome text,
	completed_at timestamptz,
	performed_by text,
	note text,
	recorded_at timestamptz,
	recorded_by text,
	attempts integer,
	first_failed_at timestamptz,
	backdated boolean,
	recorded_late boolean,
	exception_accepted boolean,
	simulated boolean,
	review text,
	reviewed_by text,
	reviewed_at timestamptz,
	evidence jsonb,
	run_id bigint,
	controls text[],
	status_rank integer,
	waiver_id bigint,
	waived_by text,
	waiver_reason text
);

comment on type maintsched.evidence is 'A row of evidence_for(): the columns of occurrence_status, then the waiver that covers it.';

create function maintsched.check_span(tasks bigint[], since timestamptz, until timestamptz, include_simulated boolean) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	behind record;
begin
	if since >= until then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('the span from %s until %s is empty', since, until),
			hint = 'It holds what is due from since on and before until.';
	elsif include_simulated is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'include_simulated must be true or false';
	end if;
	select count(*) as tasks, min(p.planned_until) as planned_until into behind
	from maintsched.task t
	join maintsched.task_plan p using (task_id)
	where t.task_id = any (tasks) and t.enabled and t.retired_at is null
	and p.planned_until < least(until, maintsched.clock());
	if behind.tasks > 0 then
		raise warning 'the population is not whole: nothing is planned for % tasks from % on', behind.tasks, behind.planned_until
			using hint = 'Call maintsched.tick(), and ask again.';
	end if;
	if exists (
		select from maintsched.calendar_change h
		where h.task_id = any (tasks) and h.field = 'not planned'
		and (until is null or h.old::timestamptz < until)
		and (since is null or h.new::timestamptz > since))
	then
		raise warning 'the population is not whole: more fell due than was planned'
			using hint = 'From when to when: select * from maintsched.calendar_history where field = ''not planned'';';
	end if;
end
$$;

comment on function maintsched.check_span(bigint[], timestamptz, timestamptz, boolean) is
'Internal: Raises invalid_parameter_value (22023) for an empty span, and a WARNING where these tasks are not planned up to its end.';

-- without settings of its own, so that it becomes part of its caller's query
create function maintsched.evidence_of(
	tasks bigint[], of_control text, since timestamptz, until timestamptz, include_simulated boolean)
returns setof maintsched.evidence
language sql stable
begin atomic
	select e.*
	from (
		select r.occurrence_id, r.calendar, r.task, r.title, r.team, r.version, r.opens_at, r.due_at,
			r.closes_at, r.status, r.outcome, r.completed_at, r.performed_by, r.note, r.recorded_at,
			r.recorded_by, r.attempts, r.first_failed_at, r.backdated, r.recorded_late,
			r.exception_accepted, r.simulated, r.review, r.reviewed_by, r.reviewed_at, r.evidence,
			r.run_id, r.controls, r.status_rank, r.waiver_id, r.waived_by, r.waiver_reason
		from maintsched.occurrence_record r
		where r.task_id = any (tasks)
		and r.with_simulated = include_simulated
		and (include_simulated or not r.occurrence_simulated)
		and (since is null or r.due_at >= since)
		and (until is null or r.due_at < until)
		and (of_control is null or exists (
			select
			from maintsched.task_version v
			where v.task_id = r.task_id and v.version = r.version and of_control = any (v.controls)))
		union all
		select null, t.calendar, t.name, v.title, array_to_string(v.teams, '/'), v.version, null, null,
		null, 'imported', null, p.done_at, null, null, p.recorded_at, p.recorded_by, 0, null,
		false, false, false, p.simulated, null, null, null, p.evidence, null, v.controls, null,
		null, null, null
		from maintsched.prior_evidence p
		join maintsched.task t using (task_id)
		join lateral (
			select x.* from maintsched.task_version x
			where x.task_id = p.task_id order by x.version desc limit 1) v on true
		where p.task_id = any (tasks)
		and p.clock_at <= maintsched.clock()
		and (include_simulated or not p.simulated)
		and (since is null or p.done_at >= since)
		and (until is null or p.done_at < until)
		and (of_control is null or exists (
			select from maintsched.task_version x
			where x.task_id = p.task_id and of_control = any (x.controls)))) e
	order by coalesce(e.due_at, e.completed_at), e.calendar, e.task, e.occurrence_id;
end;

comment on function maintsched.evidence_of(bigint[], text, timestamptz, timestamptz, boolean) is
'Internal: The records of these tasks, where of_control is given of those that were evidence for it, due in [since, until).';

create function maintsched.evidence_for(
	framework text, control text, since timestamptz, until timestamptz,
	include_simulated boolean default false)
returns setof maintsched.evidence
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	cited constant text := maintsched.check_control(framework, control);
	tasks constant bigint[] := array(
		select distinct v.task_id from maintsched.task_version v where cited = any (v.controls));
begin
	perform maintsched.check_span(tasks, since, until, include_simulated);
	return query
		select * from maintsched.evidence_of(tasks, cited, since, until, include_simulated);
end
$$;

comment on function maintsched.evidence_for(text, text, timestamptz, timestamptz, boolean) is
'The whole population of a control: every occurrence due in [since, until) that was evidence for it under the definition that it opened with, done or not, by due_at; NULL: without bound. Then evidence from before, by when it was done, as status imported. What was planned or recorded under maintsched.now is left out unless include_simulated. Errors: undefined_object, invalid_parameter_value.';

create function maintsched.evidence_for_task(
	calendar text, task text, since timestamptz, until timestamptz,
	include_simulated boolean default false)
returns setof maintsched.evidence
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	tasks constant bigint[] := array[maintsched.find_task(calendar, task)];
begin
	perform maintsched.check_span(tasks, since, until, include_simulated);
	return query
		select * from maintsched.evidence_of(tasks, null, since, until, include_simulated);
end
$$;

comment on function maintsched.evidence_for_task(text, text, timestamptz, timestamptz, boolean) is
'evidence_for() of one task, whatever controls it serves. Errors: undefined_object, invalid_parameter_value.';

create view maintsched.completions as
select c.completion_id, c.occurrence_id, t.calendar, t.name as task, v.title, o.due_at, c.attempt, c.outcome,
	c.completed_at, c.effective_at, c.backdated, c.performed_by, c.recorded_at, c.recorded_by, c.acting_as,
	c.note, c.evidence,
	case
		when r.decision is not null then r.decision
		when not v.review or later.attempt is not null then 'not_required'
		else 'pending'
	end as review,
	r.recorded_by as reviewed_by, r.clock_at as reviewed_at, r.note as review_note,
	x.completion_id is not null as retracted,
	x.recorded_by as retracted_by, x.clock_at as retracted_at, x.reason as retraction_reason,
	c.simulated
from maintsched.completion c
join maintsched.occurrence o using (occurrence_id)
join maintsched.task t using (task_id)
join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
left join maintsched.completion_review r on r.completion_id = c.completion_id and r.clock_at <= maintsched.clock()
left join maintsched.completion_retraction x on x.completion_id = c.completion_id and x.clock_at <= maintsched.clock()
left join lateral (
	select n.attempt
	from maintsched.completion n
	where n.occurrence_id = c.occurrence_id and n.attempt > c.attempt and n.clock_at <= maintsched.clock()
	limit 1) later on true
where c.clock_at <= maintsched.clock();

comment on view maintsched.completions is 'Every completion ever recorded, with its review and retraction. To find what awaits review: where review = ''pending'' and not retracted.';
comment on column maintsched.completions.completion_id is 'For review_completion(), retract_completion(), record_corrective_action().';
comment on column maintsched.completions.occurrence_id is 'The occurrence.';
comment on column maintsched.completions.calendar is 'The calendar.';
comment on column maintsched.completions.task is 'The task''s name.';
comment on column maintsched.completions.title is 'The title that it had.';
comment on column maintsched.completions.due_at is 'When the occurrence was due.';
comment on column maintsched.completions.attempt is 'Counted from 1 per occurrence.';
comment on column maintsched.completions.outcome is 'pass, fail, partial or inconclusive.';
comment on column maintsched.completions.completed_at is 'When it was carried out, as claimed.';
comment on column maintsched.completions.effective_at is 'From when it counts.';
comment on column maintsched.completions.backdated is 'Whether the claim was too far back.';
comment on column maintsched.completions.performed_by is 'Who carried it out, as claimed; otherwise the acting role.';
comment on column maintsched.completions.recorded_at is 'Real time of the recording.';
comment on column maintsched.completions.recorded_by is 'Session user of the recording.';
comment on column maintsched.completions.acting_as is 'Role that the session acted as.';
comment on column maintsched.completions.note is 'What was seen.';
comment on column maintsched.completions.evidence is 'Evidence.';
comment on column maintsched.completions.review is 'not_required (also where another one has replaced it), pending, accepted or rejected.';
comment on column maintsched.completions.reviewed_by is 'Who reviewed it.';
comment on column maintsched.completions.reviewed_at is 'When it was reviewed.';
comment on column maintsched.completions.review_note is 'What the reviewer says.';
comment on column maintsched.completions.retracted is 'Whether it was recorded by mistake, and does not count.';
comment on column maintsched.completions.retracted_by is 'Who retracted it.';
comment on column maintsched.completions.retracted_at is 'When it was retracted.';
comment on column maintsched.completions.retraction_reason is 'Why.';
comment on column maintsched.completions.simulated is 'Whether recorded under maintsched.now.';

create view maintsched.waivers as
select w.waiver_id, t.calendar, t.name as task, w.occurrence_id, w.since, w.expires_at, w.reason,
	case
		when e.waiver_id is not null then 'revoked'
		when d.decision = 'rejected' then 'rejected'
		when d.decision = 'approved' then case when w.expires_at <= maintsched.clock() then 'expired' else 'approved' end
		when w.expires_at <= maintsched.clock() then 'lapsed'
		else 'requested'
	end as state,
	w.recorded_by as requested_by, w.clock_at as requested_at,
	d.recorded_by as decided_by, d.clock_at as decided_at, d.note as decision_note,
	e.recorded_by as revoked_by, e.clock_at as revoked_at, e.note as revocation_reason,
	w.simulated
from maintsched.waiver w
join maintsched.task t using (task_id)
left join maintsched.waiver_decision d on d.waiver_id = w.waiver_id and d.decision <> 'revoked' and d.clock_at <= maintsched.clock()
left join maintsched.waiver_decision e on e.waiver_id = w.waiver_id and e.decision = 'revoked' and e.clock_at <= maintsched.clock()
where w.clock_at <= maintsched.clock();

comment on view maintsched.waivers is 'Every waiver ever requested, and what was decided.';
comment on column maintsched.waivers.waiver_id is 'For approve_waiver(), reject_waiver(), revoke_waiver().';
comment on column maintsched.waivers.calendar is 'The calendar.';
comment on column maintsched.waivers.task is 'The task''s name.';
comment on column maintsched.waivers.occurrence_id is 'The occurrence; NULL: what is due in [since, expires_at).';
comment on column maintsched.waivers.since is 'Beginning of the range; NULL for one occurrence.';
comment on column maintsched.waivers.expires_at is 'From here it covers nothing.';
comment on column maintsched.waivers.reason is 'Why it was asked for.';
comment on column maintsched.waivers.state is 'requested, approved, rejected, revoked, expired (was approved) or lapsed (nobody decided in time).';
comment on column maintsched.waivers.requested_by is 'Who asked for it.';
comment on column maintsched.waivers.requested_at is 'When.';
comment on column maintsched.waivers.decided_by is 'Who approved or rejected it.';
comment on column maintsched.waivers.decided_at is 'When.';
comment on column maintsched.waivers.decision_note is 'What was said about it.';
comment on column maintsched.waivers.revoked_by is 'Who revoked it.';
comment on column maintsched.waivers.revoked_at is 'When.';
comment on column maintsched.waivers.revocation_reason is 'Why.';
comment on column maintsched.waivers.simulated is 'Whether requested under maintsched.now.';

create view maintsched.corrective_actions as
select a.action_id, a.completion_id, c.occurrence_id, t.calendar, t.name as task, c.outcome,
	a.action, a.evidence, a.recorded_at, a.recorded_by, a.simulated
from maintsched.corrective_action a
join maintsched.completion c using (completion_id)
join maintsched.occurrence o using (occurrence_id)
join maintsched.task t using (task_id)
where a.clock_at <= maintsched.clock();

comment on view maintsched.corrective_actions is 'What was done about what completions found.';
comment on column maintsched.corrective_actions.action_id is 'Key, in order of recording.';
comment on column maintsched.corrective_actions.completion_id is 'The completion.';
comment on column maintsched.corrective_actions.occurrence_id is 'The occurrence.';
comment on column maintsched.corrective_actions.calendar is 'The calendar.';
comment on column maintsched.corrective_actions.task is 'The task''s name.';
comment on column maintsched.corrective_actions.outcome is 'Outcome of the completion.';
comment on column maintsched.corrective_actions.action is 'What was done.';
comment on column maintsched.corrective_actions.evidence is 'Evidence of it.';
comment on column maintsched.corrective_actions.recorded_at is 'Real time of the recording.';
comment on column maintsched.corrective_actions.recorded_by is 'Session user of the recording.';
comment on column maintsched.corrective_actions.simulated is 'Whether recorded under maintsched.now.';
