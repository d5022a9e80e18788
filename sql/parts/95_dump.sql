--
-- 95_dump: what pg_dump takes along
--
-- What users enter, and every record, with the counters behind their keys.
-- Built-in rows (shipped documents, frameworks) come with the extension;
-- planning_state belongs to one server.
--

select pg_catalog.pg_extension_config_dump(r.name::regclass, '')
from unnest(array[
	'maintsched.calendar',
	'maintsched.task', 'maintsched.task_task_id_seq',
	'maintsched.task_version',
	'maintsched.task_plan',
	'maintsched.occurrence', 'maintsched.occurrence_occurrence_id_seq',
	'maintsched.maintenance_window',
	'maintsched.contact',
	'maintsched.calendar_item',
	'maintsched.team_role',
	'maintsched.framework_setting',
	'maintsched.calendar_change', 'maintsched.calendar_change_change_id_seq'
]) r(name);
