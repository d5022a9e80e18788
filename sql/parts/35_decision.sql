--
-- 35_decision: what others say about it: retraction, review, corrective action,
-- waivers; and evidence from before
--

create function maintsched.take_completion(completion_id bigint, what text) returns maintsched.completion
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	taken maintsched.completion;
	retracted maintsched.completion_retraction;
begin
	perform maintsched.need_primary();
	select c.* into taken from maintsched.completion c where c.completion_id = take_completion.completion_id;
	if not found or taken.clock_at > maintsched.recorded_by_now() then
		raise exception using
			errcode = 'undefined_object',
			message = format('completion %s does not exist', coalesce(take_completion.completion_id::text, 'NULL')),
			hint = 'The view completions lists them.';
	end if;
	perform maintsched.take_occurrence(taken.occurrence_id);
	select x.* into retracted
	from maintsched.completion_retraction x
	where x.completion_id = taken.completion_id;
	if found then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('completion %s was retracted and cannot be %s', taken.completion_id, what),
			detail = format('By %s: %s', retracted.recorded_by, retracted.reason),
			hint = 'The view completions shows whether another one was recorded since.';
	end if;
	return taken;
end
$$;

comment on function maintsched.take_completion(bigint, text) is
'Internal: A completion that is not retracted, with the row of its occurrence taken. Errors: undefined_object, object_not_in_prerequisite_state.';

create function maintsched.retract_completion(completion_id bigint, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	c maintsched.completion;
begin
	perform maintsched.need_words('a reason is needed to retract a completion', reason);
	c := maintsched.take_completion(completion_id, 'retracted');
	insert into maintsched.completion_retraction (completion_id, reason)
	values (c.completion_id, reason);
	perform maintsched.note_standing(c.occurrence_id);
	raise notice 'retracted completion % of %', c.completion_id, maintsched.occurrence_text(c.occurrence_id);
end
$$;

comment on function maintsched.retract_completion(bigint, text) is
'Says that a completion was recorded by mistake: from now on it does not count, and is still shown. For managers. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.is_member_of(member oid, role oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with recursive held as (
		select is_member_of.member as oid
		union
		select m.roleid
		from pg_auth_members m
		join held h on h.oid = m.member
	)
	select exists (select from held h where h.oid = is_member_of.role)
$$;

comment on function maintsched.is_member_of(oid, oid) is
'Internal: Whether a role was granted another one, directly or through others. That a superuser counts as a member of every role does not count here.';

create function maintsched.check_another_role(
	what text, did text, by_role text, by_oid oid, recorded_at timestamptz) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	mine constant oid := maintsched.role_oid(session_user);
	other oid;
begin
	-- By name and by oid: neither a renamed role nor a new one of an old name is
	-- another.  What came with a restore has the oids of another cluster.
	foreach other in array array[
		case when recorded_at >= (select i.noted_at from maintsched.instance i) then by_oid end,
		maintsched.role_oid(by_role)]
	loop
		if session_user = by_role or mine = other
			or maintsched.is_member_of(mine, other) or maintsched.is_member_of(other, mine)
		then
			raise exception using
				errcode = 'insufficient_privilege',
				message = format('%s needs another role', what),
				detail = format('It was %s by "%s", and this session is "%s"%s.', did, by_role, session_user,
					case when session_user = by_role then ''
						when mine = other then ', the same role under another name'
						else ', of which one is a member of the other' end),
				hint = 'Somebody else has to do it, with a login of their own: SET ROLE does not make another person.';
		end if;
	end loop;
end
$$;

comment on function maintsched.check_another_role(text, text, text, oid, timestamptz) is
'Internal: Raises insufficient_privilege (42501) unless the session user is another one than who did it, and neither is a granted member of the other.';

create function maintsched.review_completion(completion_id bigint, decision text, note text default null) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	c maintsched.completion;
	reviewed maintsched.completion_review;
	id bigint;
begin
	perform maintsched.check_word('decision', decision, array['accepted', 'rejected']);
	if decision = 'rejected' then
		perform maintsched.need_words('a note is needed to reject a completion', note);
	end if;
	c := maintsched.take_completion(completion_id, 'reviewed');
	select r.* into reviewed from maintsched.completion_review r where r.completion_id = c.completion_id;
	if found then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('completion %s was %s by %s', c.completion_id, reviewed.decision, reviewed.recorded_by),
			hint = case reviewed.decision
				when 'accepted' then format('Were that a mistake, a manager retracts the completion: select maintsched.retract_completion(%s, reason);', c.completion_id)
				else 'Who carried it out completes the occurrence again.' end;
	end if;
	perform maintsched.check_another_role('a review', 'recorded', c.recorded_by, c.recorded_by_oid, c.recorded_at);
	-- a group that the session acted as is nobody: its members review each other
	perform maintsched.check_another_role('a review', 'performed', r.rolname, r.oid, c.recorded_at)
	from pg_roles r
	where lower(r.rolname) = lower(c.performed_by) and r.rolcanlogin;
	perform maintsched.check_emergency_review(c.occurrence_id);

	insert into maintsched.completion_review (completion_id, decision, note)
	values (c.completion_id, decision, note)
	returning review_id into id;
	perform maintsched.note_standing(c.occurrence_id);
	raise notice '% completion % of %', decision, c.completion_id, maintsched.occurrence_text(c.occurrence_id);
	return id;
end
$$;

comment on function maintsched.review_completion(bigint, text, text) is
'Accepts or rejects a completion, once; returns the review_id. The reviewer logs in as another role than who recorded and who performed it, neither being a granted member of the other (performed_by counts where it is a role that can log in). A rejected completion counts as failed, until another one is recorded. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state, insufficient_privilege.';

create function maintsched.record_corrective_action(completion_id bigint, text text, evidence jsonb default null) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	c maintsched.completion;
	id bigint;
begin
	perform maintsched.need_words('the corrective action is needed, in words', text);
	c := maintsched.take_completion(completion_id, 'corrected');
	insert into maintsched.corrective_action (completion_id, action, evidence)
	values (c.completion_id, text, evidence)
	returning action_id into id;
	raise notice 'recorded corrective action % for completion % (%) of %', id, c.completion_id, c.outcome,
		maintsched.occurrence_text(c.occurrence_id);
	return id;
end
$$;

comment on function maintsched.record_corrective_action(bigint, text, jsonb) is
'Records what was done about what a completion found; returns the action_id. It changes no status: a later completion does. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.share_task(task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	perform maintsched.need_primary();
	perform from maintsched.task t where t.task_id = share_task.task_id for share;
end
$$;

comment on function maintsched.share_task(bigint) is
'Internal: Keeps a task from being planned anew or retired while something is recorded about occurrences that have not opened. Taken before them.';

create function maintsched.check_expiry(expires_at timestamptz) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if expires_at is null or not isfinite(expires_at) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'a waiver expires: it needs an instant at which it does',
			hint = 'An exception for good is no exception: change, disable or retire the task.';
	elsif expires_at <= maintsched.clock() then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('the waiver would have expired at %s', expires_at),
			hint = 'What is over cannot be waived any more. What was carried out is recorded by complete_task().';
	end if;
end
$$;

comment on function maintsched.check_expiry(timestamptz) is
'Internal: Raises invalid_parameter_value (22023) unless a waiver would expire, and in future.';

create function maintsched.request_waiver(occurrence_id bigint, reason text, expires_at timestamptz) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	o maintsched.occurrence;
	id bigint;
begin
	perform maintsched.need_words('a reason is needed to request a waiver', reason);
	perform maintsched.check_expiry(expires_at);
	perform maintsched.share_task((
		select x.task_id from maintsched.occurrence x where x.occurrence_id = request_waiver.occurrence_id));
	o := maintsched.take_occurrence(occurrence_id);
	if o.withdrawn_at <= maintsched.recorded_by_now() then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s was withdrawn', maintsched.occurrence_text(o.occurrence_id)),
			hint = 'Nothing is asked of anybody here, so nothing is to be waived.';
	end if;
	if expires_at <= o.due_at then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('a waiver that expires at %s does not cover %s', expires_at,
				maintsched.occurrence_text(o.occurrence_id)),
			hint = 'It has to expire after the occurrence is due.';
	end if;
	if (maintsched.pass_of(o.occurrence_id)).completion_id is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s is done', maintsched.occurrence_text(o.occurrence_id)),
			hint = 'What is done needs no waiver.';
	end if;

	insert into maintsched.waiver (task_id, occurrence_id, expires_at, reason)
	values (o.task_id, o.occurrence_id, expires_at, reason)
	returning waiver_id into id;
	raise notice 'requested waiver % for %: another role has to approve it%', id,
		maintsched.occurrence_text(o.occurrence_id),
		case when o.due_at <= maintsched.clock() then '; it was due before, so its status will not change' else ' before it is due' end;
	return id;
end
$$;

comment on function maintsched.request_waiver(bigint, text, timestamptz) is
'Asks for an exception for one occurrence, which expires after it is due; returns the waiver_id. It counts once approve_waiver() says so, before due_at. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.request_waiver(calendar text, task text, reason text, since timestamptz, until timestamptz) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	found_task constant bigint := maintsched.find_task(calendar, task);
	id bigint;
begin
	perform maintsched.need_words('a reason is needed to request a waiver', reason);
	perform maintsched.check_expiry(until);
	perform maintsched.share_task(found_task);
	if since is null or not isfinite(since) or since >= until then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'a waiver for a range begins before it ends',
			detail = format('since is %s, until is %s.', coalesce(since::text, 'NULL'), until),
			hint = 'It covers every occurrence of the task that is due from since on and before until.';
	end if;
	insert into maintsched.waiver (task_id, since, expires_at, reason)
	values (found_task, since, until, reason)
	returning waiver_id into id;
	raise notice 'requested waiver % for what % asks for from % until %: another role has to approve it', id,
		(select format('%s/%s', t.calendar, t.name) from maintsched.task t where t.task_id = found_task), since, until;
	return id;
end
$$;

comment on function maintsched.request_waiver(text, text, text, timestamptz, timestamptz) is
'Asks for an exception for every occurrence of a task that is due in [since, until); returns the waiver_id. It counts for those that are due after approve_waiver(). Errors: undefined_object, invalid_parameter_value.';

create function maintsched.take_waiver(waiver_id bigint, what text, wanted text) returns maintsched.waiver
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	w maintsched.waiver;
	state text := 'requested';
	by_whom text;
begin
	perform maintsched.need_primary();
	select x.* into w from maintsched.waiver x where x.waiver_id = take_waiver.waiver_id for no key update;
	if not found or w.clock_at > maintsched.recorded_by_now() then
		raise exception using
			errcode = 'undefined_object',
			message = format('waiver %s does not exist', coalesce(take_waiver.waiver_id::text, 'NULL')),
			hint = 'The view waivers lists them.';
	end if;
	select d.decision, d.recorded_by into state, by_whom
	from maintsched.waiver_decision d
	where d.waiver_id = w.waiver_id
	order by d.decision_id desc limit 1;
	state := coalesce(state, 'requested');
	if state <> wanted then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('waiver %s is %s and cannot be %s', w.waiver_id, state, what),
			detail = coalesce('By ' || by_whom || '.', 'Nobody has decided about it.'),
			hint = case state when 'requested' then 'Reject it with reject_waiver().'
				when 'approved' then 'End it with revoke_waiver().'
				else 'Request another one.' end;
	elsif what <> 'rejected' and w.expires_at <= maintsched.clock() then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('waiver %s expired at %s and cannot be %s', w.waiver_id, w.expires_at, what),
			hint = 'Request another one, if it is still needed.';
	end if;
	return w;
end
$$;

comment on function maintsched.take_waiver(bigint, text, text) is
'Internal: A waiver in the wanted state, with its row taken. Errors: undefined_object, object_not_in_prerequisite_state.';

create function maintsched.decide_waiver(w maintsched.waiver, decision text, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.share_task(w.task_id);
	if w.occurrence_id is not null then
		perform maintsched.take_occurrence(w.occurrence_id);
	end if;
	insert into maintsched.waiver_decision (waiver_id, decision, note)
	values (w.waiver_id, decision, note);
	if w.occurrence_id is null then
		perform maintsched.note_waivers(w.task_id, w.since, w.expires_at);
	else
		perform maintsched.note_waivers(w.task_id, o.due_at, o.due_at + interval '1 microsecond')
		from maintsched.occurrence o
		where o.occurrence_id = w.occurrence_id;
	end if;
	raise notice '% waiver % for %', decision, w.waiver_id, case
		when w.occurrence_id is not null then maintsched.occurrence_text(w.occurrence_id)
		else (
			select format('what %s/%s asks for from %s until %s', t.calendar, t.name, w.since, w.expires_at)
			from maintsched.task t where t.task_id = w.task_id)
		end;
end
$$;

comment on function maintsched.decide_waiver(maintsched.waiver, text, text) is
'Internal: Records a decision about a waiver, after taking the row of its occurrence.';

create function maintsched.approve_waiver(waiver_id bigint, note text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	w constant maintsched.waiver := maintsched.take_waiver(waiver_id, 'approved', 'requested');
begin
	perform maintsched.check_another_role('an approval', 'requested', w.recorded_by, w.recorded_by_oid, w.recorded_at);
	perform maintsched.decide_waiver(w, 'approved', note);
end
$$;

comment on function maintsched.approve_waiver(bigint, text) is
'Approves a waiver; it covers what falls due from now on. The approver logs in as another role than who requested it, neither being a granted member of the other. For managers. Errors: undefined_object, object_not_in_prerequisite_state, insufficient_privilege.';

create function maintsched.reject_waiver(waiver_id bigint, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.need_words('a reason is needed to reject a waiver', reason);
	perform maintsched.decide_waiver(maintsched.take_waiver(waiver_id, 'rejected', 'requested'), 'rejected', reason);
end
$$;

comment on function maintsched.reject_waiver(bigint, text) is
'Rejects a requested waiver. For managers. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.revoke_waiver(waiver_id bigint, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.need_words('a reason is needed to revoke a waiver', reason);
	perform maintsched.decide_waiver(maintsched.take_waiver(waiver_id, 'revoked', 'approved'), 'revoked', reason);
end
$$;

comment on function maintsched.revoke_waiver(bigint, text) is
'Ends an approved waiver: what falls due from now on is not covered; what was due before stays waived. For managers. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.record_prior(calendar text, task text, done_at timestamptz, evidence jsonb) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	found_task constant bigint := maintsched.find_task(calendar, task);
	installed_at timestamptz;
	id bigint;
begin
	perform maintsched.need_primary();
	-- the first definition of the task is as old as its record here
	select v.made_at into strict installed_at
	from maintsched.task_version v
	where v.task_id = found_task and v.version = 1;
	if done_at is null or not isfinite(done_at) or done_at >= installed_at then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('prior evidence is from before %s, when the task was put into the calendar', installed_at),
			detail = format('done_at is %s.', coalesce(done_at::text, 'NULL')),
			hint = 'What was carried out since is recorded by complete_task().';
	elsif evidence is null or evidence in ('null', '{}', '[]', '""') then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'evidence is needed',
			hint = 'An object that says where the proof is: ''{"file": "audit-2025.pdf"}''.';
	end if;
	insert into maintsched.prior_evidence (task_id, done_at, evidence)
	values (found_task, done_at, evidence)
	returning prior_id into id;
	return id;
end
$$;

comment on function maintsched.record_prior(text, text, timestamptz, jsonb) is
'Records that a task was carried out before it was put into the calendar; returns the prior_id. Shown as imported, not counted: it makes nothing compliant. For managers. Errors: undefined_object, invalid_parameter_value, null_value_not_allowed.';
