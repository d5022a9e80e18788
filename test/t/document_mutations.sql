-- A text with some bytes changed, or slices dropped, doubled or swapped.
create function pg_temp.mutate_bytes(document text) returns text language plpgsql as $$
declare
	bytes bytea := convert_to(document, getdatabaseencoding());
	n integer;
	a integer;
	b integer;
begin
	for i in 1 .. 1 + floor(random() * 3) loop
		n := length(bytes);
		exit when n < 10;
		a := 1 + floor(random() * n);
		b := least(n - a, floor(random() * 40));
		bytes := case floor(random() * 6)
			when 0 then set_byte(bytes, a - 1, 1 + floor(random()
				* case when getdatabaseencoding() = 'UTF8' then 127 else 255 end)::integer)
			when 1 then overlay(bytes placing '' from a for b)
			when 2 then overlay(bytes placing substring(bytes from a for b) from 1 + floor(random() * n)::integer for 0)
			when 3 then overlay(bytes placing substring(bytes from 1 + floor(random() * n)::integer for b) from a for b)
			when 4 then substring(bytes from 1 for n - b)
			else overlay(bytes placing convert_to(substr('{}[]",:\0123456789truefalsnx-+eE.', 1 + floor(random() * 33)::integer, 1),
				getdatabaseencoding()) from a for floor(random() * 2)::integer)
		end;
	end loop;
	return convert_from(bytes, getdatabaseencoding());
end
$$;

-- The same, of whole tokens.
create function pg_temp.mutate_tokens(tokens text[]) returns text language plpgsql as $$
declare
	strange constant text[] := array['null', 'true', '[]', '{}', '""', '0', '-0', '1e99', '1E-5', '0.10',
		'99999999999999999999', '"\u0000"', '"\ud800"', '"\u0041"', '"\u00e4"', '"\ud83d\ude00"', '"a\tb"', '"P1D"', '"PT0S"', '"FREQ=DAILY"',
		'"2026-02-30T00:00:00"', '"UTC"', '"name"', '"rule"', '"kind"', '"routine"', '{"a":', ',', ':', ']', '}',
		repeat('[', 40), repeat('{"x":', 40), '"' || repeat('x', 600) || '"', '"' || repeat('x', 50000) || '"'];
	n constant integer := cardinality(tokens);
	a integer;
	b integer;
begin
	for i in 1 .. 1 + floor(random() * 2) loop
		a := 1 + floor(random() * n);
		b := 1 + floor(random() * n);
		case floor(random() * 4)
			when 0 then tokens[a] := '';
			when 1 then tokens[a] := tokens[a] || tokens[a];
			when 2 then tokens[a] := tokens[b];
			else tokens[a] := strange[1 + floor(random() * cardinality(strange))];
		end case;
	end loop;
	return array_to_string(tokens, ' ');
end
$$;

-- The same document with values replaced, moved or left out: always JSON.
create function pg_temp.mutate_values(document jsonb, paths text[]) returns text language plpgsql as $$
declare
	strange constant jsonb[] := array['null', 'true', '[]', '{}', '""', '" "', '"a"', '0', '-1', '1.0', '1e9', '[null]',
		'{"a": 1}', '["a", "a"]', '"P1D"', '"PT0S"', '"P99Y"', '"PT0.000001S"', '"FREQ=DAILY"', '"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"',
		'"FREQ=MONTHLY;BYMONTHDAY=31"', '"FREQ=DAILY;UNTIL=20200101"', '"FREQ=SECONDLY"', '"0001-01-01T00:00:00"',
		'"9999-12-31T23:59:59"', '["2026-06-01T00:00:00"]', '"UTC"', '"Europe/Dublin"', '"manual"', '"routine"', '"vacuum"',
		'["HIPAA 164.312(b)"]', '["HIPAA 1"]', '"major"', '"none"'];
begin
	for i in 1 .. 1 + floor(random() * 2) loop
		-- the first one may have taken away what the second one's path leads to
		begin
			case floor(random() * 4)
			when 0 then document := document #- paths[1 + floor(random() * cardinality(paths))]::text[];
			when 1 then document := jsonb_set(document, paths[1 + floor(random() * cardinality(paths))]::text[],
				coalesce(document #> paths[1 + floor(random() * cardinality(paths))]::text[], 'null'));
			else document := jsonb_set(document, paths[1 + floor(random() * cardinality(paths))]::text[],
				strange[1 + floor(random() * cardinality(strange))]);
			end case;
		exception when invalid_text_representation or invalid_parameter_value then
			null;
		end;
	end loop;
	return document::text;
end
$$;

-- The paths of all values of a document.
create function pg_temp.paths(document jsonb) returns text[] language sql as $$
	with recursive v(path, value) as (
		select '{}'::text[], document
		union all
		select v.path || m.key, m.value
		from v, lateral (
			select e.key, e.value from jsonb_each(case when jsonb_typeof(v.value) = 'object' then v.value else '{}' end) e
			union all
			select (e.ordinality - 1)::text, e.value
			from jsonb_array_elements(case when jsonb_typeof(v.value) = 'array' then v.value else '[]' end) with ordinality e) m)
	select array_agg(path::text order by path) from v where path <> '{}'
$$;

-- The code with which the reader answers, checked against the server's jsonb.
create function pg_temp.judge(document text) returns text language plpgsql as $$
declare
	expected jsonb;
	result jsonb;
begin
	begin
		expected := document::jsonb;
	exception when others then
		null;
	end;
	result := maintsched.check_document(document);
	return case when result = expected and result::text = expected::text then 'accepted' else 'wrong' end;
exception when others then
	return sqlstate;
end
$$;

create function pg_temp.mutate_all(name text, kind text, n integer) returns table (code text, times bigint)
language plpgsql as $$
declare
	document constant text := maintsched.shipped_document(name);
	tokens text[];
	paths text[];
begin
	perform setseed(0.26);
	if kind = 'bytes' then
		return query
		select pg_temp.judge(pg_temp.mutate_bytes(document)) c, count(*)
		from generate_series(1, n) group by c;
	elsif kind = 'values' then
		paths := pg_temp.paths(document::jsonb);
		return query
		select pg_temp.judge(pg_temp.mutate_values(document::jsonb, paths)) c, count(*)
		from generate_series(1, n) group by c;
	else
		tokens := array(select t[1] from regexp_matches(document, '"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"\s]+', 'g') t);
		return query
		select pg_temp.judge(pg_temp.mutate_tokens(tokens)) c, count(*)
		from generate_series(1, n) group by c;
	end if;
end
$$;
