--
-- 10_core: clock, identity, names
--

create function maintsched.clock() returns timestamptz
language c stable parallel safe
as 'MODULE_PATHNAME', 'maintsched_clock';

comment on function maintsched.clock() is
'The time by which everything is due: the start of the current statement, or the setting maintsched.now (superusers, in a session only).';

create function maintsched.clock_simulated() returns boolean
language c stable parallel safe
as 'MODULE_PATHNAME', 'maintsched_clock_simulated';

comment on function maintsched.clock_simulated() is
'True while clock() is the setting maintsched.now; what is recorded then is marked as simulated.';

create function maintsched.acting_role() returns text
language c stable parallel restricted
as 'MODULE_PATHNAME', 'maintsched_acting_role';

comment on function maintsched.acting_role() is
'The role that the session acts as, by login or SET ROLE, also inside functions that run as the owner of the extension.';

create function maintsched.note_caller() returns oid
language c volatile
as 'MODULE_PATHNAME', 'maintsched_note_caller';

comment on function maintsched.note_caller() is
'Internal: Notes the role as which this is called, for take_caller(). Error: insufficient_privilege (42501) within a security-restricted operation.';

create function maintsched.note_caller_of_row() returns trigger
language c
as 'MODULE_PATHNAME', 'maintsched_note_caller_of_row';

comment on function maintsched.note_caller_of_row() is
'Internal: Trigger: note_caller() for the trigger that follows.';

create function maintsched.take_caller() returns oid
language c volatile
as 'MODULE_PATHNAME', 'maintsched_take_caller';

comment on function maintsched.take_caller() is
'Internal: The role that note_caller() has just noted, once. Error: insufficient_privilege (42501) where none is.';

create function maintsched.caller_role() returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	caller constant oid := maintsched.take_caller();
begin
	-- a function of the extension: whoever called that
	return case when caller = current_user::regrole then maintsched.acting_role()
		else pg_get_userbyid(caller) end;
end
$$;

comment on function maintsched.caller_role() is
'Internal: For functions that run as the owner: the role with whose rights they were called, which is another one than acting_role() inside a SECURITY DEFINER function of somebody.';

create function maintsched.session_role() returns text
language c stable parallel restricted
as 'MODULE_PATHNAME', 'maintsched_session_role';

comment on function maintsched.session_role() is
'Internal: session_user, and words where that role was dropped since it logged in.';

create function maintsched.nearest_name(word text, candidates text[]) returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_nearest_name';

comment on function maintsched.nearest_name(text, text[]) is
'Internal: The candidate with the smallest Levenshtein distance to word, without regard to case; NULL when none is nearer than half the length of word. For hints.';

create function maintsched.perhaps(word text, candidates text[], known text) returns text
language sql immutable parallel safe
return coalesce(
	'Perhaps you meant "' || maintsched.nearest_name(word, candidates) || '".',
	known || case
		when cardinality(candidates) = 0 then ': none.'
		when cardinality(candidates) > 20 then ': ' || array_to_string(candidates[1:20], ', ') || ', ...'
		else ': ' || array_to_string(candidates, ', ') || '.'
	end);

comment on function maintsched.perhaps(text, text[], text) is
'Internal: The hint for an unknown name: the nearest candidate, else the sentence known with the list of candidates.';

create function maintsched.check_word(what text, word text, allowed text[]) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if word is null or word <> all (allowed) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s is not valid: %s', what, coalesce('"' || word || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(word, ''), allowed, 'Valid are');
	end if;
end
$$;

comment on function maintsched.check_word(text, text, text[]) is
'Internal: Raises invalid_parameter_value (22023), naming what, unless word is one of allowed.';

create function maintsched.need_primary() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if pg_is_in_recovery() then
		raise exception using
			errcode = 'read_only_sql_transaction',
			message = 'this server is a standby, and records nothing',
			hint = 'Connect to the primary server. What is due can be read here.';
	end if;
end
$$;

comment on function maintsched.need_primary() is
'Internal: Raises read_only_sql_transaction (25006) on a standby.';

create function maintsched.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception using
		errcode = 'object_not_in_prerequisite_state',
		message = format('%s of table %s is refused', tg_op, tg_table_name),
		detail = 'What was recorded is kept as it was recorded.',
		hint = coalesce(tg_argv[0], 'A mistake is corrected by a later record.');
end
$$;

comment on function maintsched.refuse_change() is
'Internal: Trigger of append-only tables: refuses UPDATE, DELETE and TRUNCATE with object_not_in_prerequisite_state (55000).';
