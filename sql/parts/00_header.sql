\echo Use "CREATE EXTENSION maintsched" to load this file. \quit

-- The extension's schema is a member of it: dropped with it, and refused when
-- somebody else made it first.  Everything is written as maintsched.name.
create schema maintsched;

comment on schema maintsched is
'Maintenance calendars: what is due, who does it, what was done. Start with: select maintsched.install_calendar(''smartmed'', timezone => ''America/New_York''); select * from maintsched.today;';
