-- The last part of "make demo": a base backup, made a moment ago, is verified file
-- by file and restored, by the server that it is of.  psql's variables: base, the
-- folder of backups, and wal, that of the archive.
set timezone = 'UTC';
set datestyle = 'ISO';
\pset border 1
\pset footer off
\pset null ''
\set SHOW_CONTEXT never

\echo
\echo '* a base backup was made by pg_basebackup, and WAL is archived.  What is expected of them?'
\set ECHO queries
select maintsched.add_repository('nightly', 'basebackup', :'base', archive => :'wal', rpo => '15 minutes', rto => '10 minutes'),
	maintsched.add_expected_table('nightly', 'public.orders', 'digest'),
	maintsched.add_sample_query('nightly', 'by state', 'select state, count(*) from public.orders group by state', min_rows => 7);
select maintsched.capture_expectations('nightly') as expectation;
call maintsched.await_archive('nightly');
\set ECHO none

\echo
\echo '* levels 0 to 7: it is there, recent, complete, its WAL goes on to now, every file has its checksum'
\set ECHO queries
call maintsched.verify_repository('nightly');
select repository, label, level, level_name, verdict, problems from maintsched.backup_status;
\set ECHO none

\echo
\echo '* levels 8 to 12: it is restored, started, looked at, and removed again'
\set ECHO queries
call maintsched.drill('nightly');
select document_step as "document's step", step, result, round(1000 * seconds) as ms, left(message, 90) as message
from maintsched.drill_steps order by seq;
select repository, label, level, level_name, verdict, problems from maintsched.backup_status;
\set ECHO none

\echo
\echo '* the head of the report that an auditor can file:  maintsched.drill_report()'
\pset format unaligned
\pset tuples_only on
select line
from string_to_table(maintsched.drill_report(), E'\n') with ordinality as report (line, number)
where number <= 13 order by number;
\pset format aligned
\pset tuples_only off
