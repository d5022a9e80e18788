--
-- 12_document: the readers of calendar and framework documents
--

create function maintsched.check_document(document text) returns jsonb
language c stable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_check_document';

comment on function maintsched.check_document(text) is
'A calendar document as jsonb, format maintsched-calendar/1, after checking all of it; changes nothing. Errors name the JSON path (elements count from 0): invalid_json_text (22032) and duplicate_json_object_key_value (22030) for the syntax, program_limit_exceeded (54000) for the size, invalid_parameter_value (22023) for what it says.';

create function maintsched.check_framework(document text) returns jsonb
language c stable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_check_framework';

comment on function maintsched.check_framework(text) is
'A framework document as jsonb, format maintsched-framework/1, after checking all of it; changes nothing. Errors as of check_document().';
