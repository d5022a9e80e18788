create function maintsched.corrupt_relations() returns table(schema text, relation text, kind text, found_at timestamptz, sqlstate text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select null::text, null::text, null::text, null::timestamptz, null::text where false $$;

comment on function maintsched.corrupt_relations() is 'Internal: stub.';
