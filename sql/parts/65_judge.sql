--
-- 65_judge: what the answers of a restored copy are worth
--
-- Only figures, names and conditions are kept of answers, never rows, or what an
-- error of a sample query says: both may hold what is nobody's business here.
--

create function maintsched.exact_text(n numeric) returns text
language sql immutable parallel safe
return btrim(to_char(n, '999,999,999,999,999,999,999'));

comment on function maintsched.exact_text(numeric) is 'Internal: A whole number for people, every digit of it.';

create function maintsched.error_state(error text) returns text
language sql immutable parallel safe
return coalesce(
	substring(error from '^([0-9A-Z]{5})$'),
	substring(error from '[[:upper:]]+:[ ]+([0-9A-Z]{5})(?:$|[:[:space:]])'),
	case when error ~* 'timeout|timed out' then 'timeout' end,
	-- program_limit_exceeded
	case when error ~ 'the answer is longer than' then '54000' end);

comment on function maintsched.error_state(text) is
'Internal: The condition out of what psql printed of an error, with VERBOSITY verbose or sqlstate; NULL: it is not in it.';

create function maintsched.plain_text(value jsonb) returns text
language sql immutable parallel safe
return coalesce(nullif(case jsonb_typeof(value)
	when 'array' then (select string_agg(x.value, ' ' order by x.ordinality) from jsonb_array_elements_text(value) with ordinality x)
	else value #>> '{}' end, ''), 'none');

comment on function maintsched.plain_text(jsonb) is 'Internal: A value of a list for people.';

create function maintsched.judge_table(item jsonb, answer jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	found_rows constant numeric := (answer -> 0 ->> 'n')::numeric;
	expected_rows constant numeric := case item ->> 'item'
		when 'digest' then item -> 'value' ->> 'rows' else item ->> 'value' end::numeric;
begin
	if jsonb_array_length(answer) = 0 then
		return format('table %s is missing', item ->> 'name');
	elsif found_rows is null then
		return format('%s is no table with rows of its own there', item ->> 'name');
	elsif found_rows <> expected_rows then
		return format('%s: %s %s, %s expected', item ->> 'name', maintsched.exact_text(found_rows),
			case found_rows when 1 then 'row' else 'rows' end, maintsched.exact_text(expected_rows));
	elsif item ->> 'item' = 'digest' and answer -> 0 ->> 'd' is distinct from item -> 'value' ->> 'digest' then
		return format('%s: %s %s as expected, but what is in them differs', item ->> 'name', maintsched.exact_text(found_rows),
			case found_rows when 1 then 'row' else 'rows' end);
	end if;
	return null;
end
$$;

comment on function maintsched.judge_table(jsonb, jsonb) is
'Internal: What is wrong with a table in a restored copy; NULL: nothing.';

create function maintsched.judge_list(item jsonb, answer jsonb) returns setof text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select case
			when a.value is null then format('%s %s is missing', w.word, coalesce(e.value ->> 'name', '?'))
			else format('%s %s: %s', w.word, e.value ->> 'name', (
				select string_agg(format('%s %s, %s expected', replace(k.key, '_', ' '),
					maintsched.plain_text(a.value -> k.key), maintsched.plain_text(k.value)), ', ' order by k.key collate "C")
				from jsonb_each(e.value) k
				where a.value -> k.key is distinct from e.value -> k.key)) end
	from (select case item ->> 'item' when 'extensions' then 'extension' when 'tables' then 'table'
		when 'databases' then 'database' else 'role' end as word) w
	cross join jsonb_array_elements(item -> 'value') e
	left join jsonb_array_elements(answer) a on a.value ->> 'name' = e.value ->> 'name'
	where a.value is distinct from e.value
	order by e.value ->> 'name' collate "C"
$$;

comment on function maintsched.judge_list(jsonb, jsonb) is
'Internal: What is missing of a list in a restored copy, or is other than expected there. What there is besides is no matter.';

create function maintsched.judge_sample(q maintsched.sample_query, answer jsonb) returns text
language sql immutable parallel safe
return (
	select format('sample query "%s": ', q.name) || case
		when q.min_rows > n.n then format('%s %s, at least %s expected', maintsched.exact_text(n.n), n.word, maintsched.exact_text(q.min_rows))
		when q.max_rows < n.n then format('%s %s, at most %s expected', maintsched.exact_text(n.n), n.word, maintsched.exact_text(q.max_rows))
		when jsonb_array_length(q.expected) <> n.n
			then format('%s %s, %s expected', maintsched.exact_text(n.n), n.word, maintsched.exact_text(jsonb_array_length(q.expected)))
		when q.expected <> answer then format('its result (%s %s) is not the expected one', maintsched.exact_text(n.n), n.word)
		when q.columns is not null and n.n = 0 then 'no row came, so that its columns could not be seen'
		when q.columns is not null and (
			select array_agg(k order by k collate "C") from jsonb_object_keys(answer -> 0) k)
			is distinct from (select array_agg(distinct c collate "C" order by c collate "C") from unnest(q.columns) c)
			then format('its columns are %s, %s expected',
				(select string_agg(k, ', ' order by k collate "C") from jsonb_object_keys(answer -> 0) k),
				array_to_string(q.columns, ', '))
		end
	from (
		select jsonb_array_length(answer) as n, case jsonb_array_length(answer) when 1 then 'row' else 'rows' end as word) n);

comment on function maintsched.judge_sample(maintsched.sample_query, jsonb) is
'Internal: What is wrong with the answer to a sample query; NULL: nothing.';

create function maintsched.judged_questions(drill_id bigint, step text, answers jsonb)
returns table (seq integer, name text, answered boolean, seconds numeric, rows bigint, problems text[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with answer as materialized (
		-- who changes sample queries during a drill changes their numbers
		select distinct on (x.key) x.key, x.value, x.by_name
		from (
			select a.value, n.by_name, case when n.by_name then a.value ->> 'name' else a.value ->> 'seq' end as key
			from jsonb_array_elements(answers) a
			cross join (
				select judged_questions.step = 'queries' and bool_and(b.value ? 'name') as by_name
				from jsonb_array_elements(answers) b) n) x
		where x.key is not null
		order by x.key
	)
	select q.seq, q.name,
		a.value is not null
			and not coalesce(u.unanswered, false),
		(a.value ->> 'seconds')::numeric,
		case when jsonb_typeof(a.value -> 'answer') = 'array' then jsonb_array_length(a.value -> 'answer') end::bigint,
		case
			when a.value is null then '{}'
			when u.unanswered then '{}'
			when jsonb_typeof(a.value -> 'answer') is distinct from 'array' then array[case
				when q.step <> 'queries' then format('%s could not be read (%s)',
					case when i.item ? 'table' then q.name else format('the list of %s', q.name) end,
					left(regexp_replace(split_part(a.value ->> 'error', E'\n', 1), '^.*(ERROR|FATAL): *', ''), 300))
				when e.state in ('timeout', '57014') then format('sample query "%s" took longer than %s', q.name,
					maintsched.seconds_text(extract(epoch from s.timeout)::double precision))
				else format('sample query "%s" failed (%s)', q.name, coalesce(e.state, 'its condition is not known')) end]
			when q.step = 'queries' then array(
				select p.problem from (select maintsched.judge_sample(s, a.value -> 'answer') as problem) p where p.problem is not null)
			when i.item ? 'table' then array(
				select p.problem from (select maintsched.judge_table(i.item, a.value -> 'answer') as problem) p where p.problem is not null)
			else array(select p from maintsched.judge_list(i.item, a.value -> 'answer') p) end
	from maintsched.drill_questions(judged_questions.drill_id) q
	join maintsched.drill d on d.drill_id = judged_questions.drill_id
	left join maintsched.expected_items(judged_questions.drill_id) i on q.step = 'expectations' and i.seq = q.seq
	left join maintsched.sample_query s on q.step = 'queries' and s.repository = d.repository and s.name = q.name
	left join answer a on a.key = case when (select bool_and(x.by_name) from answer x) then q.name else q.seq::text end
	cross join lateral (select maintsched.error_state(a.value ->> 'error') as state) e
	-- its time, its length or the room for it, which says nothing of what was restored;
	-- of a sample query it is asked to be in time
	cross join lateral (select left(e.state, 2) in ('53', '54')
		or q.step = 'expectations' and (e.state = 'timeout' or left(e.state, 2) = '57') as unanswered) u
	where q.step = judged_questions.step
	order by q.seq
$$;

comment on function maintsched.judged_questions(bigint, text, jsonb) is
'Internal: Each question of a step of a drill, and what is wrong with its answer.';

create function maintsched.missed_tables(repository text, e maintsched.expectation) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
	with named as materialized (
		select x.* from maintsched.expected_table x
		where x.repository = missed_tables.repository and x.database = current_database()
		and exists (select from jsonb_array_elements(e.items) i where i.value ->> 'database' = x.database)
	)
	select array_remove(array[
		-- they were read then, and nothing else
		case when exists (select from named)
			-- none at all: lists alone say nothing of what is in tables
			or not exists (select from jsonb_array_elements(e.items) i where i.value ? 'table')
			then e.message end,
		(
			select 'named since: ' || maintsched.list_text(array_agg(s.name order by s.name collate "C"), 5)
			from (
				select format('%I.%I', n.schema_name, n.table_name) as name
				from named n
				-- partitions are read by themselves
				join pg_class c on c.relname = n.table_name and c.relkind in ('r', 'm')
				join pg_namespace p on p.oid = c.relnamespace and p.nspname = n.schema_name
				where not exists (
					select from jsonb_array_elements(e.items) i
					where i.value ->> 'database' = n.database and i.value ->> 'schema' = n.schema_name and i.value ->> 'table' = n.table_name)) s
			where strpos(coalesce(e.message, ''), s.name || ' (') = 0
			having count(*) > 0)], null)
$$;

comment on function maintsched.missed_tables(text, maintsched.expectation) is
'Internal: Which of the tables that add_expected_table() named, and where no table at all is among what was captured which, are not, and why, in words.';

create function maintsched.judge_answers(
	drill_id bigint, step text, answers jsonb,
	out result text, out message text, out facts jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	d maintsched.drill;
	e maintsched.expectation;
	n record;
	changed text[];
	missed text[] := '{}';
	others integer;
begin
	perform maintsched.check_word('step', step, array['expectations', 'queries']);
	select x.* into d from maintsched.drill x where x.drill_id = judge_answers.drill_id;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('drill %s does not exist', coalesce(drill_id::text, 'NULL'));
	end if;
	select count(*) as asked, count(*) filter (where j.answered) as answered, coalesce(sum(j.seconds), 0) as seconds,
		coalesce((
			-- a table that is missing is so in the list of them, too
			select array_agg(x.problem order by x.seq, x.problem collate "C")
			from (
				select p.problem, min(j2.seq) as seq
				from maintsched.judged_questions(d.drill_id, step, coalesce(answers, '[]')) j2
				cross join unnest(j2.problems) p(problem)
				group by p.problem) x), '{}') as problems,
		array_agg(j.name order by j.seq) filter (where not j.answered) as unanswered,
		coalesce(jsonb_agg(jsonb_build_object('name', j.name, 'rows', j.rows, 'ok', j.answered and cardinality(j.problems) = 0,
			'seconds', j.seconds) order by j.seq) filter (where step = 'queries'), '[]') as queries
	into n
	from maintsched.judged_questions(d.drill_id, step, coalesce(answers, '[]')) j;
	changed := array(
		select coalesce(i.item ->> 'name', i.item ->> 'item')
		from maintsched.expected_items(d.drill_id) i
		where i.changed and step = 'expectations' order by i.seq);
	select x.* into e from maintsched.expectation x where x.expectation_id = d.expectation_id;
	if step = 'expectations' and d.target = 'restore point' then
		missed := maintsched.missed_tables(d.repository, e);
	end if;

	facts := jsonb_build_object('asked', n.asked, 'answered', n.answered, 'seconds', n.seconds,
		'problems', to_jsonb(n.problems[1:1000]), 'problem_count', cardinality(n.problems));
	facts := facts || case when step = 'queries' then jsonb_build_object('queries', n.queries)
		else jsonb_build_object('expectation_id', d.expectation_id, 'captured_at', e.captured_at,
			'restore_point', e.restore_point, 'changed', to_jsonb(changed[1:1000])) end;
	result := case
		when cardinality(n.problems) > 0 then 'fail'
		when n.answered < n.asked or cardinality(missed) > 0 then 'not_checked'
		when n.asked > 0 then 'pass'
		when step = 'queries' then 'not_applicable'
		when d.expectation_id is null and d.target = 'latest' then 'not_checked'
		else 'not_applicable' end;
	message := case
		when cardinality(n.problems) > 0 then array_to_string(n.problems[1:10], '; ')
			|| case when cardinality(n.problems) > 10 then format('; %s more', maintsched.exact_text(cardinality(n.problems) - 10)) else '' end
		when n.answered < n.asked then format('%s of %s questions have no answer, or none in time or of a length that can be read: %s',
			maintsched.exact_text(n.asked - n.answered), maintsched.exact_text(n.asked), maintsched.list_text(n.unanswered, 5))
		when cardinality(missed) > 0 then format('%s, but not what matters: %s', maintsched.expectation_text(d.drill_id), array_to_string(missed, '; '))
		when step = 'queries' and n.asked > 0 then format('%s sample %s as expected', maintsched.exact_text(n.asked),
			case n.asked when 1 then 'query' else 'queries' end)
		when step = 'queries' then 'the repository has no sample queries: add_sample_query()'
		when n.asked > 0 then maintsched.expectation_text(d.drill_id)
		when d.target = 'latest' and exists (
			select from maintsched.expectation x
			where x.repository = d.repository and x.kept and x.lsn > (d.facts #>> '{backup,end_lsn}')::pg_lsn
			and x.recorded_at <= d.recorded_at and x.simulated <= d.simulated)
		then format('the archive has nothing yet of what was captured since the backup: call maintsched.await_archive(%L) waits for it', d.repository)
		when d.target = 'latest' then format('nothing was captured since the backup that the archive has: select maintsched.capture_expectations(%L)', d.repository)
		when d.target = 'consistent' and d.expectation_id is null then 'there is no archive to recover to a restore point, and nothing was captured after the backup'
		when d.target = 'consistent' and cardinality(changed) = 0 then 'there is no archive to recover to a restore point, and nothing was captured before the backup'
		else 'there is no archive to recover to a restore point, and nothing that was captured stayed the same during the backup' end;
	if step = 'expectations' and cardinality(missed) = 0 and n.asked > 0 and e.message is not null then
		message := message || '; ' || left(e.message, 500);
	end if;
	if cardinality(changed) > 0 and n.asked > 0 then
		message := message || format('; not compared, for it changed during the backup: %s', maintsched.list_text(changed, 5));
	end if;
end
$$;

comment on function maintsched.judge_answers(bigint, text, jsonb) is
'Internal: Judges what a restored copy answered to drill_questions(): answers is an array of objects with seq, perhaps name, answer (an array of rows) or error (what psql printed), and seconds. step: expectations or queries. not_checked: some have no answer, or nothing was captured that the archive has; not_applicable: nothing can be compared, or there are no sample queries. Errors: undefined_object (42704), invalid_parameter_value (22023).';

create function maintsched.expectation_text(drill_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format('%s as captured at %s%s',
		array_to_string(array[
			case when n.counted > 0 then format('rows of %s %s', maintsched.exact_text(n.counted), case n.counted when 1 then 'table' else 'tables' end) end,
			case when n.digests > 0 then format('contents of %s %s', maintsched.exact_text(n.digests), case n.digests when 1 then 'table' else 'tables' end) end,
			n.lists], ', '),
		to_char(e.captured_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC',
		case when d.target = 'restore point' then format(' (restore point %s)', e.restore_point) else ', as before the backup' end)
	from maintsched.drill d
	join maintsched.expectation e using (expectation_id)
	cross join lateral (
		select count(*) filter (where i.item ->> 'item' = 'rows') as counted,
			count(*) filter (where i.item ->> 'item' = 'digest') as digests,
			string_agg(format('%s %s', maintsched.exact_text(jsonb_array_length(i.item -> 'value')), i.item ->> 'item'), ', ' order by i.seq)
				filter (where not i.item ? 'table') as lists
		from maintsched.expected_items(d.drill_id) i
		where not i.changed) n
	where d.drill_id = expectation_text.drill_id
$$;

comment on function maintsched.expectation_text(bigint) is
'Internal: What was compared in a drill, in words.';
