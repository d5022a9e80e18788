-- Local times that a change of offset leaves out or repeats (RFC 5545 section
-- 3.3.5): the offset before a gap, the first of two.  The instants were worked
-- out by hand from the offsets.
set timezone = 'UTC';
set datestyle = 'ISO';

create temp table night (zone text, local timestamp, expected timestamptz, remark text);
insert into night values
('America/New_York', '2026-03-08 01:59:59', '2026-03-08 06:59:59Z', 'EST'),
('America/New_York', '2026-03-08 02:00', '2026-03-08 07:00Z', 'gap: EST'),
('America/New_York', '2026-03-08 02:30', '2026-03-08 07:30Z', 'gap: EST'),
('America/New_York', '2026-03-08 02:59:59', '2026-03-08 07:59:59Z', 'gap: EST'),
('America/New_York', '2026-03-08 03:00', '2026-03-08 07:00Z', 'EDT'),
('America/New_York', '2026-11-01 00:59:59', '2026-11-01 04:59:59Z', 'EDT'),
('America/New_York', '2026-11-01 01:00', '2026-11-01 05:00Z', 'twice: EDT'),
('America/New_York', '2026-11-01 01:30', '2026-11-01 05:30Z', 'twice: EDT'),
('America/New_York', '2026-11-01 01:59:59', '2026-11-01 05:59:59Z', 'twice: EDT'),
('America/New_York', '2026-11-01 02:00', '2026-11-01 07:00Z', 'EST'),
-- Dublin: standard time is summer time
('Europe/Dublin', '2026-03-29 00:59:59', '2026-03-29 00:59:59Z', 'GMT'),
('Europe/Dublin', '2026-03-29 01:30', '2026-03-29 01:30Z', 'gap: GMT'),
('Europe/Dublin', '2026-03-29 02:00', '2026-03-29 01:00Z', 'IST'),
('Europe/Dublin', '2026-10-25 01:00', '2026-10-25 00:00Z', 'twice: IST'),
('Europe/Dublin', '2026-10-25 01:30', '2026-10-25 00:30Z', 'twice: IST'),
('Europe/Dublin', '2026-10-25 02:00', '2026-10-25 02:00Z', 'GMT'),
-- Lord Howe Island: half an hour, at 2 o'clock
('Australia/Lord_Howe', '2026-04-05 01:29:59', '2026-04-04 14:29:59Z', '+11'),
('Australia/Lord_Howe', '2026-04-05 01:30', '2026-04-04 14:30Z', 'twice: +11'),
('Australia/Lord_Howe', '2026-04-05 01:45', '2026-04-04 14:45Z', 'twice: +11'),
('Australia/Lord_Howe', '2026-04-05 02:00', '2026-04-04 15:30Z', '+10:30'),
('Australia/Lord_Howe', '2026-10-04 01:59:59', '2026-10-03 15:29:59Z', '+10:30'),
('Australia/Lord_Howe', '2026-10-04 02:15', '2026-10-03 15:45Z', 'gap: +10:30'),
('Australia/Lord_Howe', '2026-10-04 02:30', '2026-10-03 15:30Z', '+11'),
-- the southern hemisphere
('Pacific/Auckland', '2026-04-05 02:30', '2026-04-04 13:30Z', 'twice: NZDT'),
('Pacific/Auckland', '2026-04-05 03:00', '2026-04-04 15:00Z', 'NZST'),
('Pacific/Auckland', '2026-09-27 02:30', '2026-09-26 14:30Z', 'gap: NZST'),
('Pacific/Auckland', '2026-09-27 03:00', '2026-09-26 14:00Z', 'NZDT'),
-- at midnight: the day begins at 1 o'clock
('America/Santiago', '2026-09-06 00:00', '2026-09-06 04:00Z', 'gap: -04'),
('America/Santiago', '2026-09-06 01:00', '2026-09-06 04:00Z', '-03'),
('America/Santiago', '2026-04-04 23:30', '2026-04-05 02:30Z', 'twice: -03'),
-- Samoa left out a day, Kwajalein too
('Pacific/Apia', '2011-12-29 23:59:59', '2011-12-30 09:59:59Z', '-10'),
('Pacific/Apia', '2011-12-30 00:00', '2011-12-30 10:00Z', 'gap: -10'),
('Pacific/Apia', '2011-12-30 23:00', '2011-12-31 09:00Z', 'gap: -10'),
('Pacific/Apia', '2011-12-31 00:00', '2011-12-30 10:00Z', '+14'),
('Pacific/Kwajalein', '1993-08-21 12:00', '1993-08-22 00:00Z', 'gap: -12'),
-- local mean time, with seconds
('America/New_York', '1883-11-18 12:00', '1883-11-18 16:56:02Z', 'twice: LMT'),
('America/New_York', '1883-11-18 11:00', '1883-11-18 15:56:02Z', 'LMT'),
('Europe/Paris', '0001-01-01 00:00', '0001-01-01 00:00:00Z'::timestamptz - interval '9 min 21 s', 'LMT'),
('UTC', '9999-12-31 23:59:59', '9999-12-31 23:59:59Z', '');
select zone, local, maintsched.to_instant(local, zone) as instant, remark
from night where maintsched.to_instant(local, zone) <> expected;
select count(*) as right from night where maintsched.to_instant(local, zone) = expected;

-- AT TIME ZONE takes the second of two
select maintsched.to_instant('2026-11-01 01:30', 'America/New_York') as ours,
	timestamp '2026-11-01 01:30' at time zone 'America/New_York' as theirs;
-- elsewhere they agree, through all changes of 140 years
select zone, count(*) from unnest(array['America/New_York', 'Europe/Dublin', 'Australia/Lord_Howe',
	'Pacific/Auckland', 'America/Santiago', 'Pacific/Apia', 'Africa/Casablanca', 'Asia/Kathmandu']) as zone,
	generate_series(timestamp '1900-01-01 12:00', '2040-01-01', '1 day') as local
where maintsched.to_instant(local, zone) <> local at time zone zone
group by zone order by zone;
select maintsched.to_instant('infinity', 'UTC'), maintsched.to_instant('-infinity', 'UTC'),
	maintsched.to_instant('2026-01-01 00:00:00.123456', 'Asia/Kathmandu');

-- Rules through such nights: nothing is lost, nothing comes twice
select local_start, starts_at from maintsched.occurrences('FREQ=DAILY', '2026-03-07 02:30', 'America/New_York', null, null, 3);
select local_start, starts_at from maintsched.occurrences('FREQ=DAILY', '2026-10-31 01:30', 'America/New_York', null, null, 3);
select local_start, starts_at from maintsched.occurrences('FREQ=HOURLY', '2026-03-08 00:30', 'America/New_York', null, null, 5);
select local_start, starts_at from maintsched.occurrences('FREQ=HOURLY', '2026-11-01 00:30', 'America/New_York', null, null, 4);
select local_start, starts_at from maintsched.occurrences('FREQ=DAILY', '2026-09-05 00:00', 'America/Santiago', null, null, 3);
select local_start, starts_at from maintsched.occurrences('FREQ=DAILY', '2011-12-29 09:00', 'Pacific/Apia', null, null, 3);
select local_start, starts_at from maintsched.occurrences('FREQ=MINUTELY;INTERVAL=15', '2026-10-04 01:30', 'Australia/Lord_Howe', null, null, 6);

-- A range of instants is cut by instants, also where local order differs
select local_start, starts_at from maintsched.occurrences('FREQ=MINUTELY;INTERVAL=30', '2026-03-08 01:00',
	'America/New_York', '2026-03-08 07:00Z', '2026-03-08 07:30Z');
select local_start, starts_at from maintsched.occurrences('FREQ=MINUTELY;INTERVAL=30', '2026-03-08 01:00',
	'America/New_York', '2026-03-08 07:30Z', '2026-03-08 08:30Z');

-- The next instant, on both sides of the gap: 02:45 there is 07:45Z, 03:15 is 07:15Z
select after, maintsched.next_occurrence('FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45', '2026-03-01 00:00', 'America/New_York', after) as next
from unnest(array['2026-03-08 06:00Z', '2026-03-08 07:00Z', '2026-03-08 07:15Z', '2026-03-08 07:30Z', '2026-03-08 07:45Z', '2026-03-08 08:00Z']::timestamptz[]) as after;
-- every instant of a range is the next one after its predecessor
select rule, zone, count(*), bool_and(next = starts_at) as all_next
from (values ('FREQ=MINUTELY;INTERVAL=7', 'America/New_York', timestamp '2026-03-07'), ('FREQ=HOURLY', 'America/New_York', '2026-10-31'),
	('FREQ=MINUTELY;INTERVAL=45', 'Pacific/Apia', '2011-12-28'), ('FREQ=MINUTELY;INTERVAL=13', 'Australia/Lord_Howe', '2026-10-03'),
	('FREQ=MINUTELY;INTERVAL=11', 'Africa/Casablanca', '2026-02-14')) as t (rule, zone, starts_on),
	lateral (select starts_at, maintsched.next_occurrence(rule, starts_on, zone, lag(starts_at) over (order by starts_at)) as next
		from (select distinct starts_at from maintsched.occurrences(rule, starts_on, zone, null, null, 700)) as i) as j
where next is not null
group by rule, zone order by rule collate "C";

-- UNTIL with Z is an instant, without it is local
select rule, count(*) from unnest(array['FREQ=HOURLY;UNTIL=20261101T060000Z', 'FREQ=HOURLY;UNTIL=20261101T020000',
	'FREQ=HOURLY;UNTIL=20261101']) as rule, maintsched.occurrences(rule, '2026-11-01 00:00', 'America/New_York', null, null)
group by rule order by rule collate "C";

-- Names of zones.  Which legacy names there are, and so the nearest one in a
-- hint, depends on the packages of the system.
select name, maintsched.check_timezone(name) from unnest(array['UTC', 'utc', 'europe/dublin', 'AMERICA/new_york', 'Etc/GMT+12',
	'Etc/GMT-14', 'etc/gmt-1', 'America/Argentina/Buenos_Aires']) as name;
\set VERBOSITY terse
select maintsched.check_timezone('EST5');
select maintsched.check_timezone('FOO-3');
select maintsched.check_timezone('X1');
select maintsched.check_timezone('<+03>-3');
select maintsched.check_timezone('Etc/GMT+13');
select maintsched.check_timezone('Etc/GMT-15');
select maintsched.check_timezone('America/New York');
select maintsched.check_timezone('New_York');
select maintsched.check_timezone('PDT');
select maintsched.check_timezone('localtime');
select maintsched.check_timezone('posix/UTC');
select maintsched.check_timezone('../../etc/passwd');
select maintsched.check_timezone('+3');
select maintsched.check_timezone('');
\set VERBOSITY default
select maintsched.check_timezone('Europe/Dublim');
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'Pacific/Aukland', null, null);
-- every name that the server knows without being POSIX is taken, as written
select count(*) > 300 as many, count(*) filter (where maintsched.check_timezone(name) <> name) as changed
from pg_timezone_names
where name not like 'posix%' and name !~ '^(right/|localtime$|Factory$|leap|tzdata)';
