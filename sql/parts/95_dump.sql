--
-- 95_dump: what pg_dump takes along
--
-- What users enter, and every record, with the counters behind their keys.
-- Built-in rows (shipped documents, frameworks) come with the extension;
-- planning_state belongs to one server.
--

select pg_catalog.pg_extension_config_dump('maintsched.calendar', '');

select pg_catalog.pg_extension_config_dump('maintsched.task', '');

select pg_catalog.pg_extension_config_dump('maintsched.task_task_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.task_version', '');

select pg_catalog.pg_extension_config_dump('maintsched.task_plan', '');

select pg_catalog.pg_extension_config_dump('maintsched.occurrence', '');

select pg_catalog.pg_extension_config_dump('maintsched.occurrence_occurrence_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.maintenance_window', '');

select pg_catalog.pg_extension_config_dump('maintsched.contact', '');

select pg_catalog.pg_extension_config_dump('maintsched.calendar_item', '');

select pg_catalog.pg_extension_config_dump('maintsched.team_role', '');

select pg_catalog.pg_extension_config_dump('maintsched.framework_setting', '');

select pg_catalog.pg_extension_config_dump('maintsched.calendar_change', '');

select pg_catalog.pg_extension_config_dump('maintsched.calendar_change_change_id_seq', '');
