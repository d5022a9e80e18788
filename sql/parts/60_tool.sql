--
-- 60_tool: what backup tools say of their backups
--

create function maintsched.read_pgbackrest(stanza text, config text default null) returns jsonb
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'maintsched_read_pgbackrest';

comment on function maintsched.read_pgbackrest(text, text) is
'Internal: What pgBackRest knows of a stanza: its info as JSON. config: its configuration file, where it is not its own. Errors: insufficient_privilege (42501) except for superusers and roles with privileges of pg_execute_server_program, object_not_in_prerequisite_state (55000) where maintsched.pgbackrest_command is empty, undefined_file (58P01) and its like where that cannot be run, external_routine_exception (38000) where it exits with an error, external_routine_invocation_exception (39000) where it does not end in time or is killed, program_limit_exceeded (54000) above 16 MB, character_not_in_repertoire (22021), invalid_text_representation (22P02) where it prints no JSON.';

create function maintsched.pgbackrest_options(stanza text, config text default null) returns jsonb
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'maintsched_pgbackrest_options';

comment on function maintsched.pgbackrest_options(text, text) is
'Internal: The options that pgBackRest goes by for a stanza and that are not its defaults, such as repo1-path, without secrets, and its version; NULL where it does not tell. Errors: as of read_pgbackrest(), except that of its exit code.';

create function maintsched.read_barman(command text, server text, backup text default null, config text default null) returns jsonb
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'maintsched_read_barman';

comment on function maintsched.read_barman(text, text, text, text) is
'Internal: What Barman says of a server to list-backups, show-servers or check, or of a backup to show-backup; a check that fails is an answer. Errors: as of read_pgbackrest().';
