--
-- Documents that are refused, and why; then documents at the edge of what is
-- accepted.  What the server's own JSON parser says in DETAIL differs between
-- its versions, so only code and message are shown of syntax errors.
--
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
begin;

-- a small complete document
create function pg_temp.small() returns jsonb language sql return '{
  "format": "maintsched-calendar/1",
  "name": "small",
  "title": "Small",
  "tasks": [
    {"name": "a", "title": "A", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY",
     "starts_on": "2026-01-01T09:00:00", "due_within": "PT15H", "controls": []},
    {"name": "b", "title": "B", "teams": ["All"], "kind": "routine", "routine": "vacuum",
     "params": {}, "rule": null, "controls": ["HIPAA 164.312(b)"]}
  ]
}'::jsonb;

-- code, message, detail and hint of the error, or "accepted"
create function pg_temp.read(document text, short boolean default false) returns text
language plpgsql as $$
declare
	code text;
	message text;
	detail text;
	hint text;
begin
	perform maintsched.check_document(document);
	return 'accepted';
exception when others then
	get stacked diagnostics code = returned_sqlstate, message = message_text,
		detail = pg_exception_detail, hint = pg_exception_hint;
	return code || ' ' || message
		|| case when short or detail = '' then '' else E'\n      ' || detail end
		|| case when hint = '' then '' else E'\n      ' || hint end;
end
$$;

-- the same, of the small document with one value replaced
create function pg_temp.read_with(path text[], value jsonb) returns text language sql
return pg_temp.read(jsonb_set(pg_temp.small(), path, value)::text);

-- and of the small document with an entry in one of its optional arrays
create function pg_temp.read_entry(key text, entry jsonb) returns text language sql
return pg_temp.read((pg_temp.small() || jsonb_build_object(key, jsonb_build_array(entry)))::text);

-- and of the small document with members added to its second task
create function pg_temp.read_task(members jsonb) returns text language sql
return pg_temp.read(jsonb_set(pg_temp.small(), '{tasks,1}', pg_temp.small() #> '{tasks,1}' || members)::text);

\pset format unaligned
\pset tuples_only on

-- syntax
select what || ': ' || pg_temp.read(document, true) from (values
	(1, 'nothing', ''),
	(2, 'blanks', E' \n\t '),
	(3, 'not closed', '{"format": "maintsched-calendar/1"'),
	(4, 'comma missing', E'{"name": "a"\n"title": "A"}'),
	(5, 'comma too many', E'{"tasks": [1, 2, ]}'),
	(6, 'colon missing', '{"name" "a"}'),
	(7, 'bare key', '{name: "a"}'),
	(8, 'single quotes', '{''name'': ''a''}'),
	(9, 'comment', E'{\n// a comment\n"name": "a"}'),
	(10, 'trailing garbage', pg_temp.small()::text || ' x'),
	(11, 'two documents', '{}{}'),
	(12, 'byte order mark', U&'\FEFF' || pg_temp.small()::text),
	(13, 'leading zero', '{"tasks": [{"x": 01}]}'),
	(14, 'plus', '{"tasks": [{"x": +1}]}'),
	(15, 'no digit before the point', '{"tasks": [{"x": .5}]}'),
	(16, 'NaN', '{"tasks": [{"x": NaN}]}'),
	(17, 'True', '{"tasks": [{"x": True}]}'),
	(18, 'line break in a string', E'{"title": "two\nlines"}'),
	(19, 'tab in a string', E'{"title": "a\tb"}'),
	(20, 'string not closed', '{"title": "A'),
	(21, 'unknown escape', '{"title": "\x41"}'),
	(22, 'short \u', '{"title": "\u12"}'),
	(23, 'NUL', '{"title": "a\u0000b"}'),
	(24, 'NUL in a key', '{"ti\u0000tle": "a"}'),
	(25, 'high surrogate alone', '{"title": "\ud83d."}'),
	(26, 'low surrogate alone', '{"title": "\ude00"}'),
	(27, 'surrogates in the wrong order', '{"title": "\ude00\ud83d"}')
) t (n, what, document) order by n;

-- duplicate keys
select what || ': ' || pg_temp.read(document) from (values
	(1, 'at the top', E'{"name": "a",\n"title": "A",\n"name": "b"}'),
	(2, 'in a task', E'{"tasks": [{}, {"rule": null,\n"rule": null}]}'),
	(3, 'in disguise', '{"tasks": [{"rule": null, "r\u0075le": null}]}'),
	(4, 'deep in params', '{"tasks": [{"params": {"a": {"b c": {"x": 1, "y": [], "x": 1}}}}]}'),
	(5, 'beyond ASCII', '{"\u00e4": 1, "a": 2, "\u00E4": 3}')
) t (n, what, document) order by n;

-- too much of it
select what || ': ' || pg_temp.read(document) from (values
	(1, 'too deep', '{"tasks": ' || repeat('[', 32) || repeat(']', 32) || '}'),
	(2, 'far too deep', repeat('[', 1000000)),
	(3, 'far too deep, in objects', repeat('{"a":', 100000)),
	(4, 'too many bytes', pg_temp.small()::text || repeat(' ', 4 * 1024 * 1024)),
	(5, 'too many values', '{"x": [' || repeat('1,', 100000) || '1]}'),
	(6, 'too many keys', (select json_object_agg('k' || i, i)::text from generate_series(1, 257) i)),
	(7, 'key too long', '{"' || repeat('k', 257) || '": 1}'),
	(8, 'number too long', '{"x": ' || repeat('1', 61) || '}'),
	(9, 'exponent too long', '{"x": 1e100}')
) t (n, what, document) order by n;

-- not such a document
select what || ': ' || pg_temp.read(document) from (values
	(1, 'null', 'null'),
	(2, 'array', '[]'),
	(3, 'string', '"maintsched-calendar/1"'),
	(4, 'number', '42'),
	(5, 'empty', '{}'),
	(6, 'no tasks', (pg_temp.small() - 'tasks')::text),
	(7, 'another format', jsonb_set(pg_temp.small(), '{format}', '"maintsched-calendar/2"')::text),
	(8, 'a framework', '{"format": "maintsched-framework/1", "name": "F"}'),
	(9, 'wrong case of a key', (pg_temp.small() || '{"Title": "A"}')::text),
	(10, 'unknown key', (pg_temp.small() || '{"tittle": "A"}')::text),
	(11, 'unknown key like none', (pg_temp.small() || '{"zzzzzzzzzzzz": 1}')::text),
	(12, 'unknown key with blanks', (pg_temp.small() || '{"a \u00e4 \"b\"": 1}')::text)
) t (n, what, document) order by n;

-- types
select path::text || ' = ' || value || ': ' || pg_temp.read_with(path, value::jsonb) from (values
	(1, '{title}'::text[], '42'),
	(2, '{title}', 'null'),
	(3, '{title}', '""'),
	(4, '{title}', '"  "'),
	(5, '{title}', '" A"'),
	(6, '{title}', '"a\u0007b"'),
	(7, '{title}', '"a\nb"'),
	(8, '{title}', '"\u202egnp.exe"'),
	(9, '{title}', '"a\u0085b"'),
	(10, '{timezone}', 'null'),
	(11, '{name}', '"SmartMed"'),
	(12, '{name}', '"smart_med"'),
	(13, '{name}', '"smart--med"'),
	(14, '{name}', '"-smart"'),
	(15, '{name}', '"smart-"'),
	(16, '{name}', '"sm\u00e4rt"'),
	(17, '{name}', '""'),
	(18, '{tasks}', '{}'),
	(19, '{tasks}', 'null'),
	(20, '{tasks,0}', '[]'),
	(21, '{tasks,0}', 'null'),
	(22, '{tasks,1}', '"b"'),
	(23, '{windows}', '{}'),
	(24, '{kpis}', 'null'),
	(25, '{tasks,0,teams}', '[]'),
	(26, '{tasks,0,teams}', '"DBA"'),
	(27, '{tasks,0,teams}', '["DBA", ""]'),
	(28, '{tasks,0,teams}', '["DBA", "DevOps", "DBA"]'),
	(29, '{tasks,0,teams}', '[["DBA"]]'),
	(30, '{tasks,0,controls}', '["164.312(b)"]'),
	(31, '{tasks,0,controls}', '["HIPAA  164.312(b)"]'),
	(32, '{tasks,0,controls}', '[312]'),
	(33, '{tasks,0,controls}', '["HIPAA 164.312(b)", "HIPAA 164.312(b)"]'),
	(34, '{tasks,1,review}', '"true"'),
	(35, '{tasks,1,review}', '1'),
	(36, '{tasks,1,params}', '[]'),
	(37, '{tasks,1,source}', '["S1.1", "S1.1"]')
) t (n, path, value) order by n;

select 'a long name: ' || pg_temp.read_with('{name}', to_jsonb(repeat('n', 64)));
select 'a long title: ' || pg_temp.read_with('{title}', to_jsonb(repeat('t', 501)));

-- words, rules, times, durations, zones
select path || ' = ' || value || ': ' || pg_temp.read_with(('{tasks,0,' || path || '}')::text[], value::jsonb) from (values
	(1, 'kind', '"Manual"'),
	(2, 'kind', '"automatic"'),
	(3, 'change_class', '"huge"'),
	(4, 'catch_up', '"lastest"'),
	(5, 'rule', '""'),
	(6, 'rule', '"daily"'),
	(7, 'rule', '"FREQ=DAYLY"'),
	(8, 'rule', '"FREQ=WEEKLY;BYDAY=1MO"'),
	(9, 'rule', '"RRULE:FREQ=DAILY"'),
	(10, 'rule', '5'),
	(11, 'starts_on', '"2026-01-01"'),
	(12, 'starts_on', '"2026-01-01 09:00:00"'),
	(13, 'starts_on', '"2026-01-01T09:00"'),
	(14, 'starts_on', '"2026-01-01T09:00:00Z"'),
	(15, 'starts_on', '"2026-01-01T09:00:00.5"'),
	(16, 'starts_on', '"2026-02-29T00:00:00"'),
	(17, 'starts_on', '"1900-02-29T00:00:00"'),
	(18, 'starts_on', '"2026-13-01T00:00:00"'),
	(19, 'starts_on', '"2026-01-01T24:00:00"'),
	(20, 'starts_on', '"0000-01-01T00:00:00"'),
	(21, 'starts_on', '"10000-01-01T00:00:00"'),
	(22, 'starts_on', '"infinity"'),
	(23, 'starts_on', 'null'),
	(24, 'rdate', '["tomorrow"]'),
	(25, 'exdate', '["2026-01-02T09:00:00", "2026-01-02T09:00:00"]'),
	(26, 'due_within', '"15 hours"'),
	(27, 'due_within', '"P"'),
	(28, 'due_within', '"PT"'),
	(29, 'due_within', '"P1DT"'),
	(30, 'due_within', '"P1H"'),
	(31, 'due_within', '"PT1D"'),
	(32, 'due_within', '"P1D1M"'),
	(33, 'due_within', '"P1W2D"'),
	(34, 'due_within', '"-P1D"'),
	(35, 'due_within', '"P-1D"'),
	(36, 'due_within', '"p1d"'),
	(37, 'due_within', '"P0D"'),
	(38, 'due_within', '"P1.5D"'),
	(39, 'due_within', '"PT1.2345678S"'),
	(40, 'due_within', '"P101Y"'),
	(41, 'due_within', '"P9999999999D"'),
	(42, 'due_within', '7'),
	(43, 'timezone', '"Mars/Olympus"'),
	(44, 'timezone', '"America/NewYork"'),
	(45, 'timezone', '"america/new_york"'),
	(46, 'timezone', '"+02:00"')
) t (n, path, value) order by n;

-- what the members of a task mean together
select members || ': ' || pg_temp.read_task(members::jsonb) from (values
	(1, '{"kind": "manual"}'),
	(2, '{"kind": "external", "routine": "vacuum"}'),
	(3, '{"routine": null}'),
	(4, '{"routine": "sql"}'),
	(5, '{"routine": "vacum"}'),
	(6, '{"rule": "FREQ=DAILY"}'),
	(7, '{"rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00"}'),
	(8, '{"rdate": ["2026-01-01T00:00:00"], "due_within": "P1D"}'),
	(9, '{"name": "a"}'),
	(10, '{"formerly": ["b"]}'),
	(11, '{"formerly": ["a"]}'),
	(12, '{"formerly": ["c", "c"]}'),
	(13, '{"formerly": ["C"]}'),
	(14, '{"enabled": true}'),
	(15, '{"run_as": "postgres"}'),
	(16, '{"checklist": ["Look"]}'),
	(17, '{"checklist": [{"text": "Look"}, {"text": "Listen", "routine": "look"}]}'),
	(18, '{"checklist": [{"routine": "health"}]}'),
	(19, '{"instructions": [{"style": "steps", "lines": []}]}'),
	(20, '{"instructions": [{"style": "markdown", "lines": ["x"]}]}')
) t (n, members) order by n;

select 'a former name twice: ' || pg_temp.read((jsonb_set(jsonb_set(pg_temp.small(),
	'{tasks,0,formerly}', '["old"]'), '{tasks,1,formerly}', '["older", "old"]'))::text);

-- the other entries
select key || ' ' || entry || ': ' || pg_temp.read_entry(key, entry::jsonb) from (values
	(1, 'windows', '{"name": "w", "title": "W", "rule": null}'),
	(2, 'windows', '{"name": "w", "title": "W", "rule": null, "change_class": "none"}'),
	(3, 'windows', '{"name": "w", "title": "W", "rule": "FREQ=DAILY", "change_class": "major"}'),
	(4, 'windows', '{"name": "w", "title": "W", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00", "duration": "PT0S", "change_class": "major"}'),
	(5, 'notifications', '{"name": "n", "title": "N", "applies_to": "planned", "moment": "before_start", "channel": "users"}'),
	(6, 'notifications', '{"name": "n", "title": "N", "applies_to": "planned", "moment": "at_start", "lead_time": "PT1H", "channel": "users"}'),
	(7, 'documentation_steps', '{"phase": "during", "text": "Write"}'),
	(8, 'contacts', '{"role": "DBA"}'),
	(9, 'scripts', '{"name": "s", "title": "S", "command": "true", "task": "aa"}'),
	(10, 'commands', '{"topic": "T", "command": "true", "task": "nowhere"}'),
	(11, 'commands', '{"topic": "T", "command": "rm -rf /tmp/x\u202e"}'),
	(12, 'incident_procedures', '{"name": "i", "title": "I", "phases": []}'),
	(13, 'incident_procedures', '{"name": "i", "title": "I", "phases": [{"name": "P", "from_minutes": 15, "to_minutes": 15, "steps": ["Act"]}]}'),
	(14, 'incident_procedures', '{"name": "i", "title": "I", "phases": [{"name": "P", "from_minutes": -1, "to_minutes": 15, "steps": ["Act"]}]}'),
	(15, 'incident_procedures', '{"name": "i", "title": "I", "phases": [{"name": "P", "from_minutes": 0, "to_minutes": 15.0, "steps": ["Act"]}]}'),
	(16, 'incident_procedures', '{"name": "i", "title": "I", "phases": [{"name": "P", "from_minutes": 0, "to_minutes": 99999999999, "steps": ["Act"]}]}'),
	(17, 'incident_procedures', '{"name": "i", "title": "I", "phases": [{"name": "P", "from_minutes": 0, "to_minutes": 15, "steps": []}]}'),
	(18, 'escalation_levels', '{"severity": 0, "title": "T", "response": "R", "clock": "wall"}'),
	(19, 'escalation_levels', '{"severity": "1", "title": "T", "response": "R", "clock": "wall"}'),
	(20, 'dashboards', '{"name": "d", "title": "D", "items": []}'),
	(21, 'kpis', '{"name": "k", "title": "K", "target": "> 1", "value": 1}'),
	(22, 'kpis', '{"name": "k", "title": "K", "target": "> 1", "comparison": ">"}'),
	(23, 'kpis', '{"name": "k", "title": "K", "target": "> 1", "comparison": "!=", "value": 1}'),
	(24, 'history', '{"version": 1.0, "date": "today", "changes": "none"}')
) t (n, key, entry) order by n;

select 'one severity twice: ' || pg_temp.read((pg_temp.small() || '{"escalation_levels": [
	{"severity": 1, "title": "T", "response": "R", "clock": "wall"},
	{"severity": 1, "title": "U", "response": "R", "clock": "wall"}]}')::text);

-- frameworks are read the same way
select maintsched.check_framework('{"format": "maintsched-framework/1", "name": "F", "title": "F",
	"source": "a law", "enabled": false, "controls": [{"control": "1", "title": "One", "requirement": "required"}]}');
savepoint here;
select maintsched.check_framework('{"format": "maintsched-framework/1", "name": "F", "title": "F",
	"source": "a law", "enabled": "yes", "controls": []}');
rollback to here;
select maintsched.check_framework('{"format": "maintsched-framework/1", "name": "F", "title": "F",
	"source": "a law", "enabled": true, "controls": [{"control": "1", "title": "One", "requirement": "required"},
	{"control": "1", "title": "Two", "requirement": "wanted"}]}');
rollback to here;
select maintsched.check_framework(pg_temp.small()::text);
rollback to here;

-- accepted
select what || ': ' || pg_temp.read(document) from (values
	(1, 'the small one', pg_temp.small()::text),
	(2, 'no task at all', '{"format": "maintsched-calendar/1", "name": "a", "title": "A", "tasks": []}'),
	(3, 'blanks around it', E'\n\t ' || pg_temp.small()::text || E'\r\n '),
	(4, 'optional arrays may be empty', (pg_temp.small() || '{"windows": [], "kpis": []}')::text),
	(5, 'as deep as may be', jsonb_set(pg_temp.small(), '{tasks,1,params,x}',
		(repeat('[', 28) || repeat(']', 28))::jsonb)::text),
	(6, 'one deeper', jsonb_set(pg_temp.small(), '{tasks,1,params,x}',
		(repeat('[', 29) || repeat(']', 29))::jsonb)::text),
	(7, 'as many bytes as may be', rpad(pg_temp.small()::text, 4 * 1024 * 1024)),
	(8, 'as many keys as may be', jsonb_set(pg_temp.small(), '{tasks,1,params}',
		(select jsonb_object_agg('k' || i, i) from generate_series(1, 256) i))::text),
	(9, 'other scripts', jsonb_set(pg_temp.small(), '{title}', '"\u00c4rzte \u65e5\u672c \ud83d\ude00"')::text),
	(10, 'no grace', jsonb_set(pg_temp.small(), '{tasks,0,grace}', '"PT0S"')::text),
	(11, 'weeks', jsonb_set(pg_temp.small(), '{tasks,0,due_within}', '"P2W"')::text),
	(12, 'all of a duration', jsonb_set(pg_temp.small(), '{tasks,0,due_within}', '"P1Y2M3DT4H5M6.789S"')::text),
	(13, 'a long duration', jsonb_set(pg_temp.small(), '{tasks,0,due_within}', '"P100Y"')::text),
	(14, 'leap day', jsonb_set(pg_temp.small(), '{tasks,0,starts_on}', '"2024-02-29T23:59:59"')::text),
	(15, 'first year', jsonb_set(pg_temp.small(), '{tasks,0,starts_on}', '"0001-01-01T00:00:00"')::text),
	(16, 'last year', jsonb_set(pg_temp.small(), '{tasks,0,starts_on}', '"9999-12-31T23:59:59"')::text),
	(17, 'only RDATE', jsonb_set(pg_temp.small(), '{tasks,0}', pg_temp.small() #> '{tasks,0}'
		|| '{"rule": null, "rdate": ["2026-05-01T09:00:00"]}')::text)
) t (n, what, document) order by n;

-- numbers keep every digit, and the reader agrees with the server's jsonb
select maintsched.check_document(jsonb_set(pg_temp.small(), '{tasks,1,params}',
	'{"id": 7710705250984166260, "max": 18446744073709551615, "fraction": 0.10, "tiny": 1.5e-9}')::text)
	#> '{tasks,1,params}';
select maintsched.check_document(pg_temp.small()::text) = pg_temp.small();

-- the shipped documents
select name, pg_temp.read(document) from (select c.name, maintsched.shipped_document(c.name) as document
	from maintsched.available_calendars c) t order by name;
rollback;
