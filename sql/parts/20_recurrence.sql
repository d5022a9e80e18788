--
-- 20_recurrence: rules of RFC 5545, their occurrences and their zones
--

create function maintsched.valid_rule(rule text) returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_valid_rule';

comment on function maintsched.valid_rule(text) is
'True for a recurrence rule that RFC 5545 section 3.3.10 allows (with SKIP of RFC 7529); otherwise an error (invalid_parameter_value) with the position in the text, counted from 1, and the reason. Nothing in a rule is ignored.';

create domain maintsched.rrule as text
constraint rrule_check check (maintsched.valid_rule(value));

comment on domain maintsched.rrule is
'A recurrence rule of RFC 5545 section 3.3.10 without its property name, like FREQ=MONTHLY;BYDAY=1MO. Checked by valid_rule(), whose error names the position and the reason.';

create function maintsched.occurrences(
	rule text, starts_on timestamp, timezone text,
	since timestamptz, until timestamptz, max_count integer default 1000)
returns table (local_start timestamp, starts_at timestamptz)
language c stable parallel safe rows 100
as 'MODULE_PATHNAME', 'maintsched_occurrences';

comment on function maintsched.occurrences(text, timestamp, text, timestamptz, timestamptz, integer) is
'The occurrences of a rule that starts at the local time starts_on in an IANA time zone, with instants from since to before until, in local order. since null: from the start. max_count null: all of them, and until must be given. starts_on is an occurrence only if it matches the rule. A local time that a DST gap leaves out is read with the offset before the gap; one that comes twice is the first (RFC 5545 section 3.3.5). Errors: invalid_parameter_value for a wrong rule, zone, or an infinite time; null_value_not_allowed for rule, starts_on or timezone null. A NOTICE says where the start implies a day that some months or years do not have.';

create function maintsched.instances(
	rule text, starts_on timestamp, timezone text,
	since timestamptz, until timestamptz, max_count integer)
returns table (local_start timestamp, starts_at timestamptz)
language c stable parallel safe rows 100
as 'MODULE_PATHNAME', 'maintsched_instances';

comment on function maintsched.instances(text, timestamp, text, timestamptz, timestamptz, integer) is
'Internal: occurrences() without its NOTICE, for planning and views.';

create function maintsched.next_occurrence(
	rule text, starts_on timestamp, timezone text, after timestamptz)
returns timestamptz
language c stable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_next_occurrence';

comment on function maintsched.next_occurrence(text, timestamp, text, timestamptz) is
'The first instant strictly after "after" at which the rule has an occurrence; null when there is none. Takes microseconds however long ago starts_on is, except with COUNT, which has to count. Errors as occurrences().';

create function maintsched.to_instant(local timestamp, timezone text) returns timestamptz
language c stable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_to_instant';

comment on function maintsched.to_instant(timestamp, text) is
'The instant of a local time in an IANA time zone by RFC 5545 section 3.3.5: a time in a DST gap has the offset before the gap, a repeated one is the first (AT TIME ZONE takes the second). Error: invalid_parameter_value for an unknown zone.';

create function maintsched.check_timezone(timezone text) returns text
language c stable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_check_timezone';

comment on function maintsched.check_timezone(text) is
'The name of a time zone as the IANA database writes it. Error invalid_parameter_value, with the nearest name as a hint, for anything else: abbreviations, POSIX specifications such as EST5 and names that only this machine knows.';

create function maintsched.describe_rule(rule text) returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_describe_rule';

comment on function maintsched.describe_rule(text) is
'A rule in English, like "every first Monday of the month". What the rule leaves to its start (the time of day, often the day) is not said. Error: invalid_parameter_value for a wrong rule.';

create function maintsched.rule_cadence(rule text, starts_on timestamp) returns text
language c immutable parallel safe
as 'MODULE_PATHNAME', 'maintsched_rule_cadence';

comment on function maintsched.rule_cadence(text, timestamp) is
'daily, weekly, monthly, quarterly, annual or other: how often the rule really comes, without regard to COUNT and UNTIL (one a day, or one each weekday, is daily); where that is irregular, its FREQ if that is DAILY, WEEKLY or MONTHLY with INTERVAL 1. A null rule is other.';

create function maintsched.rule_notice(rule text, starts_on timestamp) returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'maintsched_rule_notice';

comment on function maintsched.rule_notice(text, timestamp) is
'What may surprise in a rule, as a sentence for a NOTICE; null when nothing does: a yearly rule from 29 February has occurrences in leap years only, a monthly one from the 29th, 30th or 31st skips shorter months, unless SKIP says otherwise.';
