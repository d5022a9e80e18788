create function maintsched.corrupt_relations() returns table(schema text, relation text, kind text, found_at timestamptz, sqlstate text)
language sql stable as $$ select null::text, null::text, null::text, null::timestamptz, null::text where false $$;
