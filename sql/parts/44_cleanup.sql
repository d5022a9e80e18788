--
-- 44_cleanup: what is done in a run after a command that left something behind
--
-- verify, a key of an action's details, is asked after its command, however that
-- ended; its cleanup are actions that come next, even if the run is to stop.
--

create function maintsched.is_cleanup(a maintsched.run_action) returns boolean
language sql immutable parallel safe
return coalesce(a.details -> 'cleanup' = 'true', false);

comment on function maintsched.is_cleanup(maintsched.run_action) is
'Internal: Whether an action cleans up after another one of its run: note_cleanup().';

-- what next_action() looks for, however many there are
create index run_action_planned on maintsched.run_action (run_id, (coalesce(details -> 'cleanup' = 'true', false)) desc, seq)
where state = 'planned';

create function maintsched.cleanup_grace() returns interval
language sql immutable parallel safe
return interval '15 seconds';

comment on function maintsched.cleanup_grace() is
'Internal: How long what cleans up may take in a run that is to stop.';

create function maintsched.cleanup_reserve(span tstzrange) returns interval
language sql stable
set search_path = pg_catalog, pg_temp
return least(maintsched.cleanup_grace(), maintsched.window_reserve(lower(span), upper(span)) / 2);

comment on function maintsched.cleanup_reserve(tstzrange) is
'Internal: How long before the end of its window a command is stopped that may leave something behind.';

create function maintsched.note_cleanup(r maintsched.run, cleanup jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	-- a routine of one's own does not get past the end of its window by this
	if jsonb_typeof(cleanup) is distinct from 'array'
		or not exists (select from maintsched.routine k where k.name = r.routine and k.built_in)
	then
		return;
	end if;
	insert into maintsched.run_action (run_id, seq, target, command, reason, benefit_bytes, details)
	select r.run_id, (select max(a.seq) from maintsched.run_action a where a.run_id = r.run_id) + e.ordinality,
		e.value ->> 'target', e.value ->> 'command', e.value ->> 'reason', (e.value ->> 'benefit_bytes')::bigint,
		coalesce(e.value -> 'details', '{}') - 'verify' || '{"cleanup": true}'
	from jsonb_array_elements(cleanup) with ordinality e
	where e.ordinality <= 100;
end
$$;

comment on function maintsched.note_cleanup(maintsched.run, jsonb) is
'Internal: Adds to a run what is to be done next to clean up after an action: objects with target, command, reason, benefit_bytes and details.';
