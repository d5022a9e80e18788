-- Recurrence rules: the examples of RFC 5545 section 3.8.5.3, as printed
-- there, with the offset of each instance; then what they leave out.
set timezone = 'UTC';
set datestyle = 'ISO';

create temp table example (
	number integer, starts_on timestamp, rule text, forever boolean, printed text);
insert into example values
(1, '1997-09-02 09:00', 'FREQ=DAILY;COUNT=10', false, '1997 EDT Sep 2-11'),
(2, '1997-09-02 09:00', 'FREQ=DAILY;UNTIL=19971224T000000Z', false,
 '1997 EDT Sep 2-30 Oct 1-25 EST Oct 26-31 Nov 1-30 Dec 1-23'),
(3, '1997-09-02 09:00', 'FREQ=DAILY;INTERVAL=2', true,
 '1997 EDT Sep 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 Oct 2,4,6,8,10,12,14,16,18,20,22,24 EST Oct 26,28,30 Nov 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 Dec 1,3'),
(4, '1997-09-02 09:00', 'FREQ=DAILY;INTERVAL=10;COUNT=5', false,
 '1997 EDT Sep 2,12,22 Oct 2,12'),
(5, '1998-01-01 09:00', 'FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA', false,
 '1998 EST Jan 1-31 1999 EST Jan 1-31 2000 EST Jan 1-31'),
(5, '1998-01-01 09:00', 'FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1', false,
 '1998 EST Jan 1-31 1999 EST Jan 1-31 2000 EST Jan 1-31'),
(6, '1997-09-02 09:00', 'FREQ=WEEKLY;COUNT=10', false,
 '1997 EDT Sep 2,9,16,23,30 Oct 7,14,21 EST Oct 28 Nov 4'),
(7, '1997-09-02 09:00', 'FREQ=WEEKLY;UNTIL=19971224T000000Z', false,
 '1997 EDT Sep 2,9,16,23,30 Oct 7,14,21 EST Oct 28 Nov 4,11,18,25 Dec 2,9,16,23'),
(8, '1997-09-02 09:00', 'FREQ=WEEKLY;INTERVAL=2;WKST=SU', true,
 '1997 EDT Sep 2,16,30 Oct 14 EST Oct 28 Nov 11,25 Dec 9,23 1998 EST Jan 6,20 Feb 3,17'),
(9, '1997-09-02 09:00', 'FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH', false,
 '1997 EDT Sep 2,4,9,11,16,18,23,25,30 Oct 2'),
(9, '1997-09-02 09:00', 'FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH', false,
 '1997 EDT Sep 2,4,9,11,16,18,23,25,30 Oct 2'),
(10, '1997-09-01 09:00', 'FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR', false,
 '1997 EDT Sep 1,3,5,15,17,19,29 Oct 1,3,13,15,17 EST Oct 27,29,31 Nov 10,12,14,24,26,28 Dec 8,10,12,22'),
(11, '1997-09-02 09:00', 'FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH', false,
 '1997 EDT Sep 2,4,16,18,30 Oct 2,14,16'),
(12, '1997-09-05 09:00', 'FREQ=MONTHLY;COUNT=10;BYDAY=1FR', false,
 '1997 EDT Sep 5 Oct 3 EST Nov 7 Dec 5 1998 EST Jan 2 Feb 6 Mar 6 Apr 3 EDT May 1 Jun 5'),
(13, '1997-09-05 09:00', 'FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR', false,
 '1997 EDT Sep 5 Oct 3 EST Nov 7 Dec 5'),
(14, '1997-09-07 09:00', 'FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU', false,
 '1997 EDT Sep 7,28 EST Nov 2,30 1998 EST Jan 4,25 Mar 1,29 EDT May 3,31'),
(15, '1997-09-22 09:00', 'FREQ=MONTHLY;COUNT=6;BYDAY=-2MO', false,
 '1997 EDT Sep 22 Oct 20 EST Nov 17 Dec 22 1998 EST Jan 19 Feb 16'),
(16, '1997-09-28 09:00', 'FREQ=MONTHLY;BYMONTHDAY=-3', true,
 '1997 EDT Sep 28 EST Oct 29 Nov 28 Dec 29 1998 EST Jan 29 Feb 26'),
(17, '1997-09-02 09:00', 'FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15', false,
 '1997 EDT Sep 2,15 Oct 2,15 EST Nov 2,15 Dec 2,15 1998 EST Jan 2,15'),
(18, '1997-09-30 09:00', 'FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1', false,
 '1997 EDT Sep 30 Oct 1 EST Oct 31 Nov 1,30 Dec 1,31 1998 EST Jan 1,31 Feb 1'),
(19, '1997-09-10 09:00', 'FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15', false,
 '1997 EDT Sep 10,11,12,13,14,15 1999 EST Mar 10,11,12,13'),
(20, '1997-09-02 09:00', 'FREQ=MONTHLY;INTERVAL=2;BYDAY=TU', true,
 '1997 EDT Sep 2,9,16,23,30 EST Nov 4,11,18,25 1998 EST Jan 6,13,20,27 Mar 3,10,17,24,31'),
(21, '1997-06-10 09:00', 'FREQ=YEARLY;COUNT=10;BYMONTH=6,7', false,
 '1997 EDT Jun 10 Jul 10 1998 EDT Jun 10 Jul 10 1999 EDT Jun 10 Jul 10 2000 EDT Jun 10 Jul 10 2001 EDT Jun 10 Jul 10'),
(22, '1997-03-10 09:00', 'FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3', false,
 '1997 EST Mar 10 1999 EST Jan 10 Feb 10 Mar 10 2001 EST Jan 10 Feb 10 Mar 10 2003 EST Jan 10 Feb 10 Mar 10'),
(23, '1997-01-01 09:00', 'FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200', false,
 '1997 EST Jan 1 EDT Apr 10 Jul 19 2000 EST Jan 1 EDT Apr 9 Jul 18 2003 EST Jan 1 EDT Apr 10 Jul 19 2006 EST Jan 1'),
(24, '1997-05-19 09:00', 'FREQ=YEARLY;BYDAY=20MO', true,
 '1997 EDT May 19 1998 EDT May 18 1999 EDT May 17'),
(25, '1997-05-12 09:00', 'FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO', true,
 '1997 EDT May 12 1998 EDT May 11 1999 EDT May 17'),
(26, '1997-03-13 09:00', 'FREQ=YEARLY;BYMONTH=3;BYDAY=TH', true,
 '1997 EST Mar 13,20,27 1998 EST Mar 5,12,19,26 1999 EST Mar 4,11,18,25'),
(27, '1997-06-05 09:00', 'FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8', true,
 '1997 EDT Jun 5,12,19,26 Jul 3,10,17,24,31 Aug 7,14,21,28 1998 EDT Jun 4,11,18,25 Jul 2,9,16,23,30 Aug 6,13,20,27 1999 EDT Jun 3,10,17,24 Jul 1,8,15,22,29 Aug 5,12,19,26'),
(28, '1997-09-02 09:00', 'FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13', true,
 '1998 EST Feb 13 Mar 13 Nov 13 1999 EDT Aug 13 2000 EDT Oct 13'),
(29, '1997-09-13 09:00', 'FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13', true,
 '1997 EDT Sep 13 Oct 11 EST Nov 8 Dec 13 1998 EST Jan 10 Feb 7 Mar 7 EDT Apr 11 May 9 Jun 13'),
(30, '1996-11-05 09:00', 'FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8', true,
 '1996 EST Nov 5 2000 EST Nov 7 2004 EST Nov 2'),
(31, '1997-09-04 09:00', 'FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3', false,
 '1997 EDT Sep 4 Oct 7 EST Nov 6'),
(32, '1997-09-29 09:00', 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2', true,
 '1997 EDT Sep 29 EST Oct 30 Nov 27 Dec 30 1998 EST Jan 29 Feb 26 Mar 30'),
-- the RFC prints UNTIL=19970902T170000Z, corrected by erratum 3883
(33, '1997-09-02 09:00', 'FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z', false,
 '1997 EDT Sep 2 at 09:00,12:00,15:00'),
(34, '1997-09-02 09:00', 'FREQ=MINUTELY;INTERVAL=15;COUNT=6', false,
 '1997 EDT Sep 2 at 09:00,09:15,09:30,09:45,10:00,10:15'),
(35, '1997-09-02 09:00', 'FREQ=MINUTELY;INTERVAL=90;COUNT=4', false,
 '1997 EDT Sep 2 at 09:00,10:30,12:00,13:30'),
(36, '1997-09-02 09:00', 'FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40', true,
 '1997 EDT Sep 2-3 at 09:00,09:20,09:40,10:00,10:20,10:40,11:00,11:20,11:40,12:00,12:20,12:40,13:00,13:20,13:40,14:00,14:20,14:40,15:00,15:20,15:40,16:00,16:20,16:40'),
(36, '1997-09-02 09:00', 'FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16', true,
 '1997 EDT Sep 2-3 at 09:00,09:20,09:40,10:00,10:20,10:40,11:00,11:20,11:40,12:00,12:20,12:40,13:00,13:20,13:40,14:00,14:20,14:40,15:00,15:20,15:40,16:00,16:20,16:40'),
(37, '1997-08-05 09:00', 'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO', false,
 '1997 EDT Aug 5,10,19,24'),
(38, '1997-08-05 09:00', 'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU', false,
 '1997 EDT Aug 5,17,19,31'),
(39, '2007-01-15 09:00', 'FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5', false,
 '2007 EST Jan 15,30 Feb 15 EDT Mar 15,30');

-- "1997 EDT Sep 2-4 EST Oct 30" as instants
create function pg_temp.read_printed(printed text) returns setof timestamptz
language plpgsql as $$
declare
	word text;
	year text;
	zone text;
	month text;
	item text;
	times text[] := array['09:00'];
	at time;
begin
	if printed like '% at %' then
		times := string_to_array(split_part(printed, ' at ', 2), ',');
		printed := split_part(printed, ' at ', 1);
	end if;
	foreach word in array string_to_array(printed, ' ') loop
		if word ~ '^\d{4}$' then year := word;
		elsif word in ('EDT', 'EST') then zone := case word when 'EDT' then '-04' else '-05' end;
		elsif word ~ '^[A-Z]' then month := word;
		else
			foreach item in array string_to_array(word, ',') loop
				for day in split_part(item, '-', 1)::int
					.. coalesce(nullif(split_part(item, '-', 2), ''), item)::int loop
					foreach at in array times loop
						return next (day || ' ' || month || ' ' || year || ' ' || at || zone)::timestamptz;
					end loop;
				end loop;
			end loop;
		end if;
	end loop;
end $$;

select number, rule, expected.n,
	made.instants = expected.instants as as_printed
from example,
	lateral (select array_agg(i order by i) as instants, count(*)::int as n
			 from pg_temp.read_printed(printed) as i) as expected,
	lateral (select array_agg(starts_at order by starts_at) as instants
			 from maintsched.occurrences(rule, starts_on, 'America/New_York', null, null,
										 case when forever then expected.n else 1000 end)) as made
order by number, rule collate "C";

-- every local start is 9 o'clock where the example says so
select bool_and(extract(hour from local_start) = 9) as nine_oclock
from example, maintsched.occurrences(rule, starts_on, 'America/New_York', null, null, 50)
where rule not like '%HOUR%' and rule not like '%MINUTELY%';

-- Parts as expanders and as limits, one line each: the first five from
-- Thursday 2026-01-01 10:20:30
create function pg_temp.first_five(rule text, starts_on timestamp default '2026-01-01 10:20:30')
returns text language sql as $$
select string_agg(to_char(local_start, 'YYYY-MM-DD HH24:MI:SS'), ', ' order by local_start)
from maintsched.occurrences(rule, starts_on, 'UTC', null, null, 5)
$$;

select rule, pg_temp.first_five(rule) from unnest(array[
	'FREQ=YEARLY;BYMONTH=2,5', 'FREQ=MONTHLY;BYMONTH=2,5', 'FREQ=WEEKLY;BYMONTH=2,5',
	'FREQ=DAILY;BYMONTH=2,5', 'FREQ=HOURLY;BYMONTH=2,5', 'FREQ=MINUTELY;BYMONTH=2,5',
	'FREQ=SECONDLY;BYMONTH=2,5',
	'FREQ=YEARLY;BYWEEKNO=1,20', 'FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU',
	'FREQ=YEARLY;BYYEARDAY=60,-1', 'FREQ=HOURLY;BYYEARDAY=60,-1', 'FREQ=MINUTELY;BYYEARDAY=60,-1',
	'FREQ=SECONDLY;BYYEARDAY=60,-1',
	'FREQ=YEARLY;BYMONTHDAY=31,-2', 'FREQ=MONTHLY;BYMONTHDAY=31,-2', 'FREQ=DAILY;BYMONTHDAY=31,-2',
	'FREQ=HOURLY;BYMONTHDAY=31', 'FREQ=MINUTELY;BYMONTHDAY=-1', 'FREQ=SECONDLY;BYMONTHDAY=2',
	'FREQ=YEARLY;BYDAY=MO', 'FREQ=YEARLY;BYDAY=2MO,-1FR', 'FREQ=YEARLY;BYMONTH=3;BYDAY=2MO,-1FR',
	'FREQ=YEARLY;BYMONTHDAY=13;BYDAY=FR', 'FREQ=YEARLY;BYYEARDAY=1,2,3,4,5,6,7;BYDAY=MO',
	'FREQ=MONTHLY;BYDAY=MO', 'FREQ=MONTHLY;BYDAY=5MO', 'FREQ=MONTHLY;BYDAY=2MO,SU',
	'FREQ=WEEKLY;BYDAY=MO,TH', 'FREQ=DAILY;BYDAY=MO,TH', 'FREQ=HOURLY;BYDAY=MO',
	'FREQ=MINUTELY;BYDAY=MO', 'FREQ=SECONDLY;BYDAY=MO',
	'FREQ=YEARLY;BYHOUR=8,12', 'FREQ=MONTHLY;BYHOUR=8,12', 'FREQ=WEEKLY;BYHOUR=8,12',
	'FREQ=DAILY;BYHOUR=8,12', 'FREQ=HOURLY;BYHOUR=8,12', 'FREQ=MINUTELY;BYHOUR=8,12',
	'FREQ=SECONDLY;BYHOUR=8,12',
	'FREQ=DAILY;BYMINUTE=15,45', 'FREQ=HOURLY;BYMINUTE=15,45', 'FREQ=MINUTELY;BYMINUTE=15,45',
	'FREQ=SECONDLY;BYMINUTE=15,45',
	'FREQ=DAILY;BYSECOND=0,60', 'FREQ=HOURLY;BYSECOND=0,60', 'FREQ=MINUTELY;BYSECOND=0,60',
	'FREQ=SECONDLY;BYSECOND=0,60',
	'FREQ=YEARLY;BYDAY=MO;BYSETPOS=1,-1', 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1',
	'FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2', 'FREQ=DAILY;BYHOUR=8,12,16;BYSETPOS=-2',
	'FREQ=HOURLY;BYMINUTE=0,20,40;BYSETPOS=3', 'FREQ=MINUTELY;BYSECOND=0,20,40;BYSETPOS=1',
	'FREQ=SECONDLY;BYSECOND=7;BYSETPOS=1',
	'FREQ=MINUTELY;INTERVAL=61;BYMINUTE=0', 'FREQ=HOURLY;INTERVAL=7;BYHOUR=3', 'FREQ=DAILY;INTERVAL=3;BYDAY=SU',
	'freq=monthly;byday=1mo,+2mo;wkst=su']) as rule;

-- Leap years, ISO week 53, the ends of time
select rule, starts_on, pg_temp.first_five(rule, starts_on) from (values
	('FREQ=YEARLY;SKIP=OMIT;BYMONTH=2;BYMONTHDAY=29', timestamp '2096-02-29'),
	('FREQ=YEARLY;SKIP=BACKWARD', '2096-02-29'), ('FREQ=YEARLY;SKIP=FORWARD', '2096-02-29'),
	('FREQ=YEARLY;INTERVAL=4', '2096-02-29'), ('FREQ=YEARLY;BYYEARDAY=366', '1896-01-01'),
	('FREQ=MONTHLY;SKIP=BACKWARD', '2026-01-31'), ('FREQ=MONTHLY;SKIP=FORWARD', '2026-01-31'),
	('RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=1,30,31;SKIP=FORWARD', '2026-02-01'),
	('FREQ=MONTHLY;BYMONTHDAY=-30,-31;SKIP=BACKWARD', '2026-02-01'),
	('FREQ=YEARLY;BYWEEKNO=53', '2020-12-28'), ('FREQ=YEARLY;BYWEEKNO=53', '2021-01-03'),
	('FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO,SU', '2020-01-01'),
	('FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO', '2024-01-01'),
	('FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU', '2026-01-01'),
	('FREQ=DAILY', '0001-01-01'), ('FREQ=YEARLY', '9997-06-01'),
	('FREQ=SECONDLY', '9999-12-31 23:59:57'), ('FREQ=WEEKLY;INTERVAL=2147483647', '2026-01-01')
) as t (rule, starts_on);

-- starts_on is an occurrence only if it matches; COUNT counts from the first
select * from maintsched.occurrences('FREQ=WEEKLY;BYDAY=MO;COUNT=2', '2026-01-01 09:00', 'UTC', null, null);
select * from maintsched.occurrences('FREQ=WEEKLY;BYDAY=MO;COUNT=3', '2026-01-01 09:00', 'UTC', '2026-01-10', '2026-03-01');
-- UNTIL: a date is the whole local day, a local time and an instant include themselves
select rule, count(local_start) from unnest(array[
	'FREQ=DAILY;UNTIL=20260110', 'FREQ=DAILY;UNTIL=20260110T090000', 'FREQ=DAILY;UNTIL=20260110T085959',
	'FREQ=DAILY;UNTIL=20260110T140000Z', 'FREQ=DAILY;UNTIL=20260110T135959Z', 'FREQ=DAILY;UNTIL=20251231']) as rule
	left join lateral maintsched.occurrences(rule, '2026-01-01 09:00', 'America/New_York', null, null) on true
group by rule order by rule collate "C";
-- [since, until)
select local_start from maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', '2026-01-03', '2026-01-05');
select local_start from maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', '2026-01-03 00:00:00.000001', '2026-01-05 00:00:00.000001');
select count(*) from maintsched.occurrences('FREQ=HOURLY', '2026-01-01', 'UTC', '2026-01-01', '2027-01-01', null);
select count(*) from maintsched.occurrences('FREQ=HOURLY', '2026-01-01', 'UTC', '2026-01-01', null);
select count(*) from maintsched.occurrences('FREQ=HOURLY', '2026-01-01', 'UTC', null, null, 0);

select maintsched.next_occurrence('FREQ=MONTHLY;BYDAY=1MO', '2000-01-03 09:00', 'America/New_York', t) as next
from unnest(array['1999-01-01', '2000-01-03 14:00', '2026-04-06 12:59:59.999999', '2026-04-06 13:00', '9999-12-01', '20000-01-01']::timestamptz[]) as t;
select maintsched.next_occurrence('FREQ=DAILY;COUNT=3', '2026-01-01', 'UTC', '2026-01-02') as third,
	maintsched.next_occurrence('FREQ=DAILY;COUNT=3', '2026-01-01', 'UTC', '2026-01-03') as fourth,
	maintsched.next_occurrence('FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30', '2026-01-01', 'UTC', '2026-01-03') as never,
	maintsched.next_occurrence(null, '2026-01-01', 'UTC', '2026-01-03') as no_rule;

-- What starts on a day that not all months have
select * from maintsched.occurrences('FREQ=YEARLY', '2024-02-29', 'UTC', null, null, 2);
select * from maintsched.occurrences('FREQ=MONTHLY', '2026-01-30', 'UTC', null, null, 3);
select rule, starts_on, maintsched.rule_notice(rule, starts_on) from (values
	('FREQ=MONTHLY', timestamp '2026-01-28'), ('FREQ=MONTHLY;BYMONTHDAY=31', '2026-01-31'),
	('FREQ=MONTHLY;SKIP=BACKWARD', '2026-01-31'), ('FREQ=MONTHLY;BYMONTH=1,3', '2026-01-31'),
	('FREQ=MONTHLY;BYMONTH=1,4', '2026-01-31'), ('FREQ=YEARLY;BYMONTH=2', '2024-02-29'),
	('FREQ=YEARLY;SKIP=FORWARD', '2024-02-29'), ('FREQ=YEARLY', '2026-03-31'),
	('FREQ=WEEKLY', '2024-02-29')) as t (rule, starts_on);

-- Cadences
select rule, maintsched.rule_cadence(rule, '2026-01-01 09:00') from unnest(array[
	'FREQ=DAILY', 'FREQ=DAILY;COUNT=2', 'FREQ=DAILY;INTERVAL=2', 'FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR',
	'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU', 'FREQ=HOURLY;BYHOUR=9',
	'FREQ=WEEKLY', 'FREQ=WEEKLY;BYDAY=MO,WE,FR', 'FREQ=DAILY;BYDAY=MO', 'FREQ=WEEKLY;INTERVAL=2',
	'FREQ=DAILY;INTERVAL=7', 'FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=0',
	'FREQ=MONTHLY', 'FREQ=MONTHLY;BYDAY=1MO', 'FREQ=MONTHLY;BYMONTHDAY=-1', 'FREQ=MONTHLY;BYMONTHDAY=31',
	'FREQ=YEARLY;BYDAY=1MO;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12', 'FREQ=DAILY;BYMONTHDAY=1',
	'FREQ=MONTHLY;INTERVAL=3', 'FREQ=YEARLY;BYMONTH=1,4,7,10;BYMONTHDAY=1', 'FREQ=MONTHLY;BYMONTH=3,6,9,12;BYMONTHDAY=-15',
	'FREQ=YEARLY;BYMONTH=1,2,3,4', 'FREQ=YEARLY;BYMONTH=1,7', 'FREQ=YEARLY', 'FREQ=MONTHLY;INTERVAL=12',
	'FREQ=YEARLY;BYWEEKNO=20', 'FREQ=YEARLY;INTERVAL=2', 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29', 'FREQ=HOURLY',
	'FREQ=DAILY;BYHOUR=9,17', 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30', null]) as rule;

-- Arguments
select maintsched.occurrences(null, '2026-01-01', 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', null, 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', null, null, null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', null, null, null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', null, null, -1);
select maintsched.occurrences('FREQ=DAILY', 'infinity', 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', '20000-01-01', 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', '0044-03-15 BC', 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01 09:00:00.5', 'UTC', null, null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', '-infinity', null);
select maintsched.occurrences('FREQ=DAILY', '2026-01-01', 'UTC', null, 'infinity');
select maintsched.next_occurrence('FREQ=DAILY', '2026-01-01', 'UTC', '-infinity');
