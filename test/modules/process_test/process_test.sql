-- What process_test.c has, in a schema of its own; :module is its path.
create schema t;

create function t.run(
	program text, arguments text[] default '{}', environment text[] default '{}', input bytea default null,
	directory text default null, output_limit integer default 65536, error_limit integer default 65536,
	keep_last boolean default false, timeout_ms integer default 60000, how text default 'program',
	out running boolean, out timed_out boolean, out lost boolean, out exit_code integer, out signal integer,
	out output text, out output_total bigint, out output_truncated boolean,
	out error text, out error_total bigint, out error_truncated boolean, out told text)
language c as :'module', 'test_run';

create function t.start(
	program text, arguments text[] default '{}', environment text[] default '{}', input bytea default null,
	directory text default null, output_limit integer default 65536, error_limit integer default 65536,
	keep_last boolean default false, timeout_ms integer default 0, how text default 'program session')
returns integer
language c as :'module', 'test_start';

create function t.poll(process integer, timeout_ms integer) returns boolean
language c strict as :'module', 'test_poll';

create function t.stop(process integer) returns void
language c strict as :'module', 'test_stop';

create function t.close(process integer) returns void
language c strict as :'module', 'test_close';

create function t.pid(process integer) returns integer
language c strict as :'module', 'test_pid';

create function t.result(
	process integer,
	out running boolean, out timed_out boolean, out lost boolean, out exit_code integer, out signal integer,
	out output text, out output_total bigint, out output_truncated boolean,
	out error text, out error_total bigint, out error_truncated boolean, out told text)
language c strict as :'module', 'test_result';

create function t.check_program(path text) returns void
language c strict as :'module', 'test_check';

create function t.server_program(name text) returns text
language c strict as :'module', 'test_server_program';

create function t.leftovers() returns integer
language c as :'module', 'test_leftovers';

create function t.use_pidfd(use boolean) returns void
language c strict as :'module', 'test_pidfd';

create function t.ignore_children() returns void
language c as :'module', 'test_ignore_children';

-- a script of the shell, for what the arguments are no matter of
create function t.sh(script text, timeout_ms integer default 60000, how text default 'hasty') returns text
language sql
as $$ select concat_ws('|', r.told, nullif(rtrim(r.output, E'\n'), ''), nullif(rtrim(r.error, E'\n'), '')) from t.run('/bin/sh', array['-c', script], timeout_ms => timeout_ms, how => how) r $$;
