--
-- 95_dump: what pg_dump takes along
--
-- What users enter, and every record, with the counters behind their keys.
-- Built-in rows (shipped documents, frameworks) come with the extension;
-- planning_state and instance belong to one server; what 32_rollup keeps is
-- derived anew.
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

select pg_catalog.pg_extension_config_dump('maintsched.task_start', '');

select pg_catalog.pg_extension_config_dump('maintsched.task_start_start_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.checklist_mark', '');

select pg_catalog.pg_extension_config_dump('maintsched.checklist_mark_mark_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion_completion_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion_retraction', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion_retraction_retraction_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion_review', '');

select pg_catalog.pg_extension_config_dump('maintsched.completion_review_review_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.corrective_action', '');

select pg_catalog.pg_extension_config_dump('maintsched.corrective_action_action_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.waiver', '');

select pg_catalog.pg_extension_config_dump('maintsched.waiver_waiver_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.waiver_decision', '');

select pg_catalog.pg_extension_config_dump('maintsched.waiver_decision_decision_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.prior_evidence', '');

select pg_catalog.pg_extension_config_dump('maintsched.prior_evidence_prior_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.pause_change', '');

select pg_catalog.pg_extension_config_dump('maintsched.pause_change_change_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_record', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_record_change_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_approval', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_approval_approval_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_run', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_close', '');

select pg_catalog.pg_extension_config_dump('maintsched.change_close_close_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.follow_up', '');

select pg_catalog.pg_extension_config_dump('maintsched.follow_up_follow_up_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.access', '');

select pg_catalog.pg_extension_config_dump('maintsched.access_change', '');

select pg_catalog.pg_extension_config_dump('maintsched.access_change_change_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.routine', 'where not built_in');

select pg_catalog.pg_extension_config_dump('maintsched.run', '');

select pg_catalog.pg_extension_config_dump('maintsched.run_run_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.run_occurrence', '');
select pg_catalog.pg_extension_config_dump('maintsched.run_owed', '');

select pg_catalog.pg_extension_config_dump('maintsched.run_action', '');

select pg_catalog.pg_extension_config_dump('maintsched.emergency_window', '');

select pg_catalog.pg_extension_config_dump('maintsched.emergency_window_window_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.emergency_close', '');

select pg_catalog.pg_extension_config_dump('maintsched.notice', '');

select pg_catalog.pg_extension_config_dump('maintsched.notice_notice_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.notice_acknowledgement', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_file', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_file_archive_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_verification', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_verification_verification_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_restore', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_restore_restore_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.archive_removal', '');
-- what is measured belongs to a server; what was found is kept
select pg_catalog.pg_extension_config_dump('maintsched.health_day', '');

select pg_catalog.pg_extension_config_dump('maintsched.health_setting', '');

select maintsched.announce();

select pg_catalog.pg_extension_config_dump('maintsched.bloat_measurement', '');

select pg_catalog.pg_extension_config_dump('maintsched.repository', '');

select pg_catalog.pg_extension_config_dump('maintsched.repository_change', '');

select pg_catalog.pg_extension_config_dump('maintsched.repository_change_change_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_reading', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_reading_reading_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_record', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_record_record_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_check', '');

select pg_catalog.pg_extension_config_dump('maintsched.backup_check_check_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.drill', '');

select pg_catalog.pg_extension_config_dump('maintsched.drill_drill_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.drill_step', '');

select pg_catalog.pg_extension_config_dump('maintsched.drill_result', '');

select pg_catalog.pg_extension_config_dump('maintsched.expectation', '');

select pg_catalog.pg_extension_config_dump('maintsched.expectation_expectation_id_seq', '');

select pg_catalog.pg_extension_config_dump('maintsched.expected_table', '');

select pg_catalog.pg_extension_config_dump('maintsched.sample_query', '');
