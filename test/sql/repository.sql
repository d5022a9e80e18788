--
-- Repositories: adding and changing them, and catalogues that are brought.
-- Reading with the real tools is tested in test/t/063_repository.pl.
--
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set maintsched.now = '2026-11-22 12:00:00+00';

--
-- Adding: what is wrong is said, and nothing is added.
--
select maintsched.add_repository('main', 'pgbackrset', 'demo');
select maintsched.add_repository('main', null, 'demo');
select maintsched.add_repository('Main', 'pgbackrest', 'demo');
select maintsched.add_repository('a b', 'pgbackrest', 'demo');
select maintsched.add_repository(repeat('a', 64), 'pgbackrest', 'demo');
select maintsched.add_repository(null, 'pgbackrest', 'demo');
select maintsched.add_repository('main', 'pgbackrest', '');
select maintsched.add_repository('main', 'pgbackrest', '--repo1-path=/');
select maintsched.add_repository('main', 'pgbackrest', E'de\nmo');
select maintsched.add_repository('main', 'pgbackrest', 'a/b');
select maintsched.add_repository('main', 'barman', 'de''mo; rm');
select maintsched.add_repository('main', 'pgbackrest', 'demo', config => 'etc/pgbackrest.conf');
select maintsched.add_repository('main', 'basebackup', '/srv/backup');
select maintsched.add_repository('main', 'basebackup', 'backup');
select maintsched.add_repository('main', 'basebackup', '/srv/../etc');
select maintsched.add_repository('main', 'basebackup', E'/srv/a\tb');
select maintsched.add_repository('main', 'basebackup', '/srv/backup', config => '/etc/x');
select maintsched.add_repository('main', 'barman', 'demo', archive => 'wal');
select maintsched.add_repository('main', 'barman', 'demo', max_age => '-1 day');
select maintsched.add_repository('main', 'barman', 'demo', max_age => null);
select maintsched.add_repository('main', 'barman', 'demo', rpo => '0');
select maintsched.add_repository('main', 'barman', 'demo', rto => '-5 minutes');
select maintsched.add_repository('main', 'barman', 'demo', copies => 0);
select maintsched.add_repository('main', 'barman', 'demo', copies => null);
select maintsched.add_repository('main', 'barman', 'demo', size_tolerance => 1);
select maintsched.add_repository('main', 'barman', 'demo', size_tolerance => 'NaN');
select maintsched.add_repository('main', 'barman', 'demo', size_floor => -1);
select maintsched.add_repository('main', 'barman', 'demo', system_identifier => 0);
select maintsched.add_repository('main', 'barman', 'demo', system_identifier => 1.5);
select maintsched.add_repository('main', 'barman', 'demo', system_identifier => 18446744073709551616);
select maintsched.add_repository('main', 'barman', 'demo', expected_location => '');
select count(*) from maintsched.repository;

select maintsched.add_repository('stanza', 'pgbackrest', 'demo', pulled => false, rpo => '15 minutes');
select maintsched.add_repository('stanza', 'barman', 'demo');
select maintsched.add_repository('barman', 'barman', 'demo', pulled => false);
select maintsched.add_repository('folder', 'basebackup', '/srv/backup', archive => '/srv/wal', pulled => false,
	system_identifier => 18446744073709551615);
select repository, kind, location, archive, pulled, system_identifier, max_age, rpo, copies, read_at, read_ok from maintsched.repositories order by 1;

--
-- Changing and removing.
--
select maintsched.change_repository('stanzas', '{}');
select maintsched.change_repository('stanza', '{"max_ages": "2 days"}');
select maintsched.change_repository('stanza', '{"name": "other"}');
select maintsched.change_repository('stanza', '["max_age"]');
select maintsched.change_repository('stanza', null);
select maintsched.change_repository('stanza', '{"max_age": "soon"}');
select maintsched.change_repository('stanza', '{"copies": 1e30}');
select maintsched.change_repository('stanza', '{"copies": 0}');
select maintsched.change_repository('stanza', '{"kind": "basebackup", "location": "/srv/x", "pulled": true}');
select maintsched.change_repository('stanza', '{"max_age": "2 days", "rpo": null, "copies": 2}', ' agreed with audit ');
select maintsched.change_repository('stanza', '{"max_age": "48 hours"}');
select maintsched.remove_repository('stanza', ' ');
select maintsched.remove_repository('no', 'x');
select maintsched.add_repository('old', 'barman', 'old');
select maintsched.remove_repository('old', 'moved');
select repository, field, old, new, reason from maintsched.repository_change order by change_id;
update maintsched.repository_change set reason = 'x';

--
-- Who may.
--
create role regress_repository_manager;
create role regress_repository_reader;
select maintsched.grant_access('regress_repository_manager', 'manager');
select maintsched.grant_access('regress_repository_reader', 'viewer');
select maintsched.add_repository('read-here', 'pgbackrest', 'demo');
set role regress_repository_manager;
select maintsched.import_backup_catalog('read-here', '[]');
select maintsched.add_repository('theirs', 'pgbackrest', 'demo', pulled => false);
select maintsched.add_repository('theirs', 'basebackup', '/srv/x', pulled => false);
select maintsched.change_repository('stanza', '{"copies": 3}');
select maintsched.remove_repository('stanza', 'x');
select maintsched.read_repository('stanza');
reset role;
grant pg_execute_server_program to regress_repository_manager;
set role regress_repository_manager;
select maintsched.import_backup_catalog('read-here', '[]');
select maintsched.remove_repository('read-here', 'a test');
select maintsched.add_repository('theirs', 'pgbackrest', 'demo', pulled => false);
select maintsched.add_repository('theirs2', 'basebackup', '/srv/x', pulled => false);
select maintsched.change_repository('theirs', '{"kind": "basebackup", "location": "/srv/x"}');
select maintsched.remove_repository('theirs', 'a test');
insert into maintsched.backup_record (reading_id, repository, label, state) values (1, 'stanza', 'x', 'done');
select maintsched.read_repository_as(10, 'stanza');
select maintsched.add_repository_as(10, '{}');
reset role;
set role regress_repository_reader;
select maintsched.add_repository('theirs', 'pgbackrest', 'demo', pulled => false);
select maintsched.import_backup_catalog('stanza', '[]');
select count(*) from maintsched.backups;
reset role;

--
-- pgBackRest 2.45, as it printed.
--
\set info '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000005","min":"000000010000000000000001"}],"backup":[{"annotation":{"ticket":"OPS-1"},"archive":{"start":"000000010000000000000003","stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":24590125,"repository":{"delta":3625119,"size":3625119},"size":24590125},"label":"20261121-191433F","lsn":{"start":"0/3000028","stop":"0/3000100"},"prior":null,"reference":null,"timestamp":{"start":1795288473,"stop":1795288480},"type":"full"},{"archive":{"start":"000000010000000000000005","stop":"000000010000000000000005"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":2195722,"repository":{"delta":658186,"size":3680066},"size":24753965},"label":"20261121-191433F_20261121-191441I","lsn":{"start":"0/5000028","stop":"0/5000100"},"prior":"20261121-191433F","reference":["20261121-191433F"],"timestamp":{"start":1795288481,"stop":1795288483},"type":"incr"}],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7710705250984166260,"version":"15"}],"name":"demo","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]'

select maintsched.read_repository('stanza');
select maintsched.import_backup_catalog('stanza', :'info') is not null as read;
select to_jsonb(b) - 'recorded_at' || jsonb_build_object('start_lsn', maintsched.lsn_text(start_lsn), 'end_lsn', maintsched.lsn_text(end_lsn)) as backup from maintsched.backups b where repository = 'stanza' order by finished_at;
select read_from, read_ok, backups, jsonb_pretty(facts) as facts from maintsched.repositories where repository = 'stanza' \gx
-- the same again is nothing new, and as an object
select maintsched.import_backup_catalog('stanza', :'info'::jsonb) is not null as read;
select maintsched.import_backup_catalog('stanza', (:'info'::jsonb) -> 0) is not null as read;
select count(*) from maintsched.backup_record;
-- the incremental one is gone; it comes back
select maintsched.import_backup_catalog('stanza', :'info'::jsonb #- '{0,backup,1}') is not null as read;
select label from maintsched.backups where repository = 'stanza';
select maintsched.import_backup_catalog('stanza', :'info'::jsonb) is not null as read;
-- one that changed
select maintsched.import_backup_catalog('stanza', jsonb_set(:'info'::jsonb, '{0,backup,0,error}', 'true')) is not null as read;
select label, state, problem from maintsched.backup_record where repository = 'stanza' order by record_id;
select reading_id, ok, backups, catalog is not null as has_catalog from maintsched.backup_reading order by 1;
set maintsched.now = '2026-11-22 11:00:00+00';
select label from maintsched.current_backups('stanza');
set maintsched.now = '2026-11-22 12:00:00+00';

--
-- What is not as pgBackRest prints it: an error says where, and nothing is recorded.
--
create function pg_temp.refused(repository text, path text[], value jsonb, info jsonb) returns text
language plpgsql as $$
declare
	changed constant jsonb := case when value is null then info #- path else jsonb_set(info, path, value) end;
begin
	perform maintsched.import_backup_catalog(repository, changed);
	return 'taken';
exception when others then
	return sqlstate || ' ' || sqlerrm;
end
$$;
select c.path, left(c.value, 40) as value, pg_temp.refused('stanza', c.path::text[], c.value::jsonb, :'info')
from (values
	('{0,name}', '"demp"'),
	('{0,name}', '7'),
	('{0,name}', null),
	('{0,backup}', null),
	('{0,backup}', '{}'),
	('{0,backup}', '["20261121-191433F"]'),
	('{0,backup,0,label}', '""'),
	('{0,backup,0,label}', '"--all"'),
	('{0,backup,0,label}', '"../x"'),
	('{0,backup,0,label}', '"a\nb"'),
	('{0,backup,0,label}', '"20261121-191433F_20261121-191441I"'),
	('{0,backup,0,label}', null),
	('{0,backup,1,type}', '"copy"'),
	('{0,backup,1,reference}', '[7]'),
	('{0,backup,1,reference}', '"20261121-191433F"'),
	('{0,backup,0,lsn,start}', '"3000028"'),
	('{0,backup,0,lsn,stop}', '"0/300010G"'),
	('{0,backup,0,archive,start}', '"00000001000000000000000"'),
	('{0,backup,0,timestamp}', null),
	('{0,backup,0,timestamp,stop}', '"yesterday"'),
	('{0,backup,0,timestamp,stop}', '-1'),
	('{0,backup,0,timestamp,stop}', '1e300'),
	('{0,backup,0,timestamp,stop}', '1795288480.5'),
	('{0,backup,0,info,size}', '-5'),
	('{0,backup,0,info,size}', '9223372036854775808'),
	('{0,backup,0,info,size}', '"24590125"'),
	('{0,backup,0,info,repository,delta}', 'true'),
	('{0,backup,0,error}', '"no"'),
	('{0,db,0,system-id}', '18446744073709551616'),
	('{0,db,0,system-id}', (repeat('9', 400))),
	('{0,db,0,version}', '15'),
	('{0,archive,0,id}', '"15"'),
	('{0,archive,0,max}', '"x"'),
	('{0,status}', null),
	('{0,status,code}', '"ok"'),
	('{0,repo,0,key}', '0'),
	('{0,repo,0,status}', null)
) c(path, value);
select maintsched.import_backup_catalog('stanza', left(:'info', 700));
select maintsched.import_backup_catalog('stanza', '');
select maintsched.import_backup_catalog('stanza', '"ok"');
select maintsched.import_backup_catalog('stanza', 'null');
select maintsched.import_backup_catalog('stanza', null::jsonb);
select maintsched.import_backup_catalog('stanza', '[]');
select maintsched.import_backup_catalog('stanza', '[1]');
select maintsched.import_backup_catalog('stanza', '[{"name": "demo", "backup": [], "status": {"code": 0, "message": "a\u0000b"}}]');
select maintsched.import_backup_catalog('stanza', :'info'::jsonb || :'info'::jsonb);
select maintsched.import_backup_catalog('stanzas', :'info');
-- the stack depth differs
do $$
begin
	perform maintsched.import_backup_catalog('stanza', repeat('[', 100000) || repeat(']', 100000));
exception when statement_too_complex then
	raise notice 'refused: %', sqlerrm;
end
$$;
select count(*) from maintsched.backup_reading;

--
-- What a stanza's status means: only 0, 2, 4 and 5 are answers about backups.
--
create function pg_temp.status(code integer, backups jsonb, info jsonb) returns text
language plpgsql as $$
begin
	perform maintsched.import_backup_catalog('stanza',
		jsonb_set(jsonb_set(info, '{0,status}', jsonb_build_object('code', code, 'message', 'words')), '{0,backup}', backups));
	return (select format('%s backups', count(*)) from maintsched.current_backups('stanza'));
exception when others then
	return sqlstate || ' ' || sqlerrm;
end
$$;
select c, pg_temp.status(c, '[]', :'info') from unnest(array[1, 3, 6, 99]) c;
select c, pg_temp.status(c, :'info'::jsonb #> '{0,backup}', :'info') from unnest(array[4, 5]) c;
select pg_temp.status(2, '[]', :'info');

--
-- Later versions: several repositories, one of which cannot be read, copies of a
-- backup in both, no repository size, locks with progress, two databases after
-- an upgrade, pages with wrong checksums.
--
\set later '[{"archive":[{"database":{"id":2,"repo-key":1},"id":"17-2","max":"000000020000000A000000FF","min":"000000010000000000000001"},{"database":{"id":2,"repo-key":2},"id":"17-1","max":"000000020000000A000000FE","min":"000000010000000000000009"}],"backup":[{"archive":{"start":"00000001000000000000000A","stop":"00000001000000000000000B"},"backrest":{"format":5,"version":"2.50"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":100,"repository":{"delta":10},"size":100},"label":"20260101-000000F","lsn":{"start":"0/A000028","stop":"0/B000050"},"prior":null,"reference":null,"timestamp":{"start":1767225600,"stop":1767225660},"type":"full"},{"archive":{"start":"000000020000000000000010","stop":"000000020000000000000010"},"backrest":{"format":5,"version":"2.60"},"database":{"id":2,"repo-key":1},"error":true,"error-list":["base/16384/17000","base/32768/33000"],"info":{"delta":200,"repository":{"delta":20,"delta-map":3,"size-map":4},"size":200},"label":"20260601-000000F","lsn":{"start":"0/10000028","stop":"0/10000100"},"prior":null,"reference":null,"timestamp":{"start":1780272000,"stop":1780272060},"type":"full"},{"archive":{"start":"000000020000000000000010","stop":"000000020000000000000010"},"backrest":{"format":5,"version":"2.60"},"database":{"id":1,"repo-key":2},"error":false,"info":{"delta":200,"repository":{"delta":21},"size":200},"label":"20260601-000000F","prior":null,"reference":null,"timestamp":{"start":1780272000,"stop":1780272060},"type":"full"},{"archive":{"start":null,"stop":null},"backrest":{"format":5,"version":"2.60"},"database":{"id":1,"repo-key":2},"error":null,"info":{"delta":1,"repository":{"delta":1},"size":200},"label":"20260601-000000F_20260602-000000D","prior":"20260601-000000F","reference":["20260601-000000F"],"timestamp":{"start":1780358400,"stop":1780358401},"type":"diff"}],"cipher":"mixed","db":[{"id":1,"repo-key":1,"system-id":18446744073709551615,"version":"15"},{"id":2,"repo-key":1,"system-id":9223372036854775808,"version":"17"},{"id":1,"repo-key":2,"system-id":9223372036854775808,"version":"17"}],"name":"demo","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}},{"cipher":"aes-256-cbc","key":2,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":true,"size":1000,"size-cplt":10},"restore":{"held":false}},"message":"ok"}}]'
select maintsched.import_backup_catalog('stanza', :'later') is not null as read;
select label, type, depends_on, finished_at, timeline, system_identifier, pg_version, size_bytes, stored_bytes, encrypted
from maintsched.backups where repository = 'stanza' order by finished_at;
select label, problem, details from maintsched.backups where repository = 'stanza' order by finished_at;
select facts -> 'running' as running, facts -> 'encrypted' as encrypted from maintsched.repositories where repository = 'stanza';
-- repository 2 cannot be read: what was in it alone is not gone, what was in 1 alone is
select maintsched.import_backup_catalog('stanza', jsonb_set(jsonb_set(jsonb_set(:'later'::jsonb #- '{0,backup,3}' #- '{0,backup,2}' #- '{0,backup,0}',
	'{0,repo,1,status}', '{"code": 99, "message": "[CryptoError] unable to load info file\nHINT: is it encrypted?"}'),
	'{0,status,code}', '4'), '{0,status,message}', '"different across repos"')) is not null as read;
select label, encrypted from maintsched.backups where repository = 'stanza' order by 1;
select facts ->> 'message' from maintsched.repositories where repository = 'stanza';
-- before 2.32 there was one repository, without a key
select maintsched.import_backup_catalog('stanza', '[{"archive":[{"database":{"id":1},"id":"9.6-1","max":null,"min":null}],"backup":[{"archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"},"backrest":{"format":5,"version":"2.04"},"database":{"id":1},"info":{"delta":20162900,"repository":{"delta":2369186,"size":2369186},"size":20162900},"label":"20181119-152138F","prior":null,"reference":null,"timestamp":{"start":1542640898,"stop":1542640899},"type":"full"}],"cipher":"none","db":[{"id":1,"system-id":6569239123849665679,"version":"9.6"}],"name":"demo","status":{"code":0,"message":"ok"}}]') is not null as read;
select label, system_identifier, pg_version, maintsched.lsn_text(start_lsn) as start_lsn, start_wal, encrypted, details from maintsched.backups where repository = 'stanza';

--
-- Barman 3.4, as it printed.
--
\set list '{"demo": [{"backup_id": "20261121T192850", "end_time": "Sat Nov 21 19:28:52 2026", "end_time_timestamp": "1795289332", "retention_status": "-", "size": "40.4 MiB", "size_bytes": 42312895, "status": "DONE", "tablespaces": [], "wal_size": "0 B", "wal_size_bytes": 0}]}'
\set show '{"demo": {"backup_id": "20261121T192850", "base_backup_information": {"begin_lsn": "0/11000028", "begin_offset": 40, "begin_time": "2026-11-21 19:28:50.744625+00:00", "begin_time_timestamp": "1795289330", "begin_wal": "000000010000000000000011", "copy_time_seconds": 1.851433, "disk_usage": "24.4 MiB", "disk_usage_bytes": 25535679, "disk_usage_with_wals_bytes": 42312895, "end_lsn": "0/12000000", "end_offset": 0, "end_time_timestamp": "1795289332", "end_wal": "000000010000000000000011", "incremental_size_bytes": 25535000, "throughput_bytes": 13792386.221915672, "timeline": 1}, "catalog_information": {"next_backup": "- (this is the latest base backup)", "previous_backup": "- (this is the oldest base backup)", "retention_policy": "not enforced"}, "pgdata_directory": "/srv/pg/data", "postgresql_version": 150020, "status": "DONE", "tablespaces": [], "wal_information": {"disk_usage_bytes": 0, "last_available": "000000010000000000000011", "no_of_files": 0, "timelines": []}}}'
-- the list alone, then all
select maintsched.import_backup_catalog('barman', :'list') is not null as read;
select label, type, state, started_at, finished_at, size_bytes, details from maintsched.backups where repository = 'barman';
select maintsched.import_backup_catalog('barman', format('[%s, %s]', :'list', :'show')) is not null as read;
select to_jsonb(b) - 'recorded_at' || jsonb_build_object('start_lsn', maintsched.lsn_text(start_lsn), 'end_lsn', maintsched.lsn_text(end_lsn)) as backup from maintsched.backups b where repository = 'barman';
select facts from maintsched.repositories where repository = 'barman';
-- 3.13 and its names; states; a chain of incremental ones
\set newer '[{"demo": [{"backup_id": "20261101T000000", "backup_type": "full", "end_time_timestamp": "1793491260", "size_bytes": 1000, "status": "DONE", "retention_status": "VALID"}, {"backup_id": "20261102T000000", "backup_type": "incremental", "status": "WAITING_FOR_WALS"}, {"backup_id": "20261103T000000", "backup_type": "incremental", "status": "DONE"}, {"backup_id": "20261104T000000", "backup_type": "rsync", "status": "FAILED"}, {"backup_id": "20261105T000000", "status": "EMPTY"}, {"backup_id": "20261106T000000", "status": "STARTED"}, {"backup_id": "20261107T000000", "status": "SYNCING"}]}, {"demo": {"backup_id": "20261101T000000", "backup_name": "month", "status": "DONE", "system_id": "9223372036854775808", "backup_type": "full", "cluster_size": "1 kB", "cluster_size_bytes": 2000, "server_information": {"data_checksums": "on", "summarize_wal": "on"}, "postgresql_version": 170002, "pgdata_directory": "/srv/pg", "tablespaces": [{"name": "fast", "location": "/srv/fast", "oid": 16400}], "base_backup_information": {"backup_method": "postgres", "encryption": "gpg", "backup_size_bytes": 1500, "wal_size_bytes": 10, "timeline": 3, "begin_wal": "000000030000000000000002", "end_wal": "000000030000000000000003", "begin_time_timestamp": "1793491200", "end_time_timestamp": "1793491260", "begin_lsn": "0/2000028", "end_lsn": "0/3000100"}, "catalog_information": {"retention_policy": "VALID", "children_backup_ids": ["20261102T000000"]}, "wal_information": {"last_available": "000000030000000000000009"}}}, {"demo": {"backup_id": "20261102T000000", "status": "WAITING_FOR_WALS", "backup_type": "incremental", "postgresql_version": 170002, "base_backup_information": {"encryption": null, "backup_size_bytes": 5, "resources_saved_bytes": 1995, "timeline": 3}, "catalog_information": {"root_backup_id": "20261101T000000", "parent_backup_id": "20261101T000000", "chain_size": "2"}}}, {"demo": {"backup_id": "20261103T000000", "status": "DONE", "backup_type": "incremental", "base_backup_information": {"encryption": null}, "catalog_information": {"parent_backup_id": "20261102T000000"}}}, {"demo": {"backup_id": "20261104T000000", "status": "FAILED", "error": "failure copying files (ssh: no route to host)"}, "_WARNING": ["words"]}, {"demo": {"basebackups_directory": "/var/lib/barman/demo/base", "wals_directory": "/var/lib/barman/demo/wals", "identity_systemid": "9223372036854775808"}}]'
select maintsched.import_backup_catalog('barman', :'newer') is not null as read;
select label, type, state, depends_on, problem, encrypted, system_identifier, size_bytes, stored_bytes from maintsched.backups where repository = 'barman' order by label;
select label, pg_version, maintsched.lsn_text(start_lsn) as start_lsn, timeline, location, details from maintsched.backups where repository = 'barman' order by label limit 1;
select facts from maintsched.repositories where repository = 'barman';
select c.path, c.value, pg_temp.refused('barman', c.path::text[], c.value::jsonb, format('[%s, %s]', :'list', :'show')::jsonb)
from (values
	('{0,_ERROR}', '["server is unknown\nindeed"]'),
	('{0,demo}', '7'),
	('{0,demo,0}', '"20261121T192850"'),
	('{0,demo,0,backup_id}', '"a/b"'),
	('{1,demo,status}', '"OK"'),
	('{1,demo,backup_id}', null),
	('{1,demo,error}', '7'),
	('{1,demo,base_backup_information}', '[]'),
	('{1,demo,base_backup_information,end_time_timestamp}', '"Sat Nov 21"'),
	('{1,demo,base_backup_information,disk_usage_bytes}', '-1'),
	('{1,demo,base_backup_information,timeline}', '0'),
	('{1,demo,postgresql_version}', '3'),
	('{1,demo,system_id}', '"0x12"')
) c(path, value);
-- without a list, nothing is gone
select maintsched.import_backup_catalog('barman', :'show') is not null as read;
select count(*) from maintsched.backups where repository = 'barman';
select maintsched.import_backup_catalog('barman', '{"other": []}');
select maintsched.import_backup_catalog('barman', :'info');
select maintsched.import_backup_catalog('barman', format('[%s, %s]', :'show', :'show'));
select maintsched.import_backup_catalog('barman', '{"demo": []}') is not null as read;
select count(*) from maintsched.backups where repository = 'barman';

--
-- Base backups: manifests, and objects.
--
\set manifest '{"PostgreSQL-Backup-Manifest-Version": 2, "System-Identifier": 18446744073709551615, "Files": [{"Path": "backup_label", "Size": 227, "Last-Modified": "2026-11-21 19:29:02 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000"}, {"Encoded-Path": "6fff", "Size": 3, "Last-Modified": "2026-11-21 19:14:26 GMT"}], "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/14000028", "End-LSN": "0/15000000"}, {"Timeline": 2, "Start-LSN": "0/15000000", "End-LSN": "0/15000100"}], "Manifest-Checksum": "00"}'
select maintsched.import_backup_catalog('folder', :'manifest') is not null as read;
select label, type, state, finished_at, maintsched.lsn_text(start_lsn) as start_lsn, maintsched.lsn_text(end_lsn) as end_lsn, timeline, system_identifier, size_bytes, details from maintsched.backups where repository = 'folder';
select maintsched.import_backup_catalog('folder', format('{"monday": %s, "tuesday": {"finished_at": 1795289332, "size_bytes": 5, "location": "/srv/backup/tuesday"}}', :'manifest')) is not null as read;
select label, state, finished_at, size_bytes, location from maintsched.backups where repository = 'folder' order by 1;
-- a manifest alone is one more
select maintsched.import_backup_catalog('folder', :'manifest') is not null as read;
select label from maintsched.backups where repository = 'folder' order by 1;
-- a chain by positions, and one whose base is not there
select maintsched.import_backup_catalog('folder', '[
	{"label": "full", "start_lsn": "0/1000028", "timeline": 1, "system_identifier": "7", "finished_at": "2026-11-01 00:00:00+00"},
	{"label": "one", "type": "incr", "start_lsn": "0/2000028", "timeline": 1, "system_identifier": 7, "finished_at": "2026-11-02 01:00:00+01", "details": {"incremental_from_lsn": "0/1000028", "incremental_from_timeline": 1}},
	{"label": "two", "type": "incr", "start_lsn": "0/3000028", "timeline": 2, "system_identifier": 7, "details": {"incremental_from_lsn": "0/2000028", "incremental_from_timeline": 1}},
	{"label": "lost", "type": "incr", "start_lsn": "0/4000028", "timeline": 1, "system_identifier": 8, "details": {"incremental_from_lsn": "0/1000028", "incremental_from_timeline": 1}}]') is not null as read;
select label, prior, depends_on, finished_at, problem from maintsched.backups where repository = 'folder' order by start_lsn;
-- a copied folder says when it was copied, not when the backup was made
select maintsched.import_backup_catalog('folder', '[
	{"label": "copied", "label_time": "2026-11-01 10:00:00 UTC", "label_written": 1793581200, "finished_at": 1793581260},
	{"label": "there", "label_time": "2026-11-01 10:00:00 UTC", "label_written": 1793527210, "finished_at": 1793527260},
	{"label": "archives", "label_time": "2026-11-01 10:00:00 UTC", "finished_at": 1793527260},
	{"label": "archives copied", "label_time": "2026-11-01 10:00:00 UTC", "finished_at": 1793827260}]') is not null as read;
select label, started_at, finished_at, details from maintsched.backups where repository = 'folder' order by 1;
-- times of backup_label are in a zone of the server
select maintsched.label_time(t) from unnest(array['2026-07-01 10:00:00 UTC', '2026-07-01 10:00:00 CEST', '2026-01-01 10:00:00 CET', '2026-07-01 10:00:00 +03', '2026-07-01 10:00:00 XYZT', '2026-07-41 10:00:00 UTC', 'x', null]) t;
-- names may hold anything but control characters
-- Barman's is an object of names, too
select maintsched.import_backup_catalog('folder', '{"demo": {"directories": {"hint": "", "status": "OK"}}}');
select maintsched.import_backup_catalog('folder', '{"it''s \"a\" %s; -- ..": {"state": "done"}, "{0}": {"state": "done"}}') is not null as read;
select label from maintsched.backups where repository = 'folder' order by 1;
select c.value, pg_temp.refused('folder', '{0}', c.value::jsonb, '[0]')
from (values
	('{}'),
	('7'),
	('{"label": "a\u0001b"}'),
	('{"label": ""}'),
	('{"label": "x", "state": "good"}'),
	('{"label": "x", "state": "removed"}'),
	('{"label": "x", "finished_at": "2026-11-31 00:00:00Z"}'),
	('{"label": "x", "finished_at": "2026-11-30"}'),
	('{"label": "x", "start_lsn": 7}'),
	('{"label": "x", "encrypted": "no"}'),
	('{"label": "x", "location": "srv"}'),
	('{"label": "x", "details": []}'),
	('{"PostgreSQL-Backup-Manifest-Version": 3}'),
	('{"PostgreSQL-Backup-Manifest-Version": 1, "Files": {}}'),
	('{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{"Size": -1}], "WAL-Ranges": []}'),
	('{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [], "WAL-Ranges": [{"Timeline": 1}]}')
) c(value);
select maintsched.import_backup_catalog('folder', '{"a": 1}');
select maintsched.import_backup_catalog('folder', '[{"label": "a"}, {"label": "a"}]');
select maintsched.import_backup_catalog('folder', '5');
select maintsched.import_backup_catalog('folder', '[]') is not null as read;
select count(*) from maintsched.backups where repository = 'folder';

--
-- What is recorded of a repository stays when it is removed.
--
select maintsched.remove_repository('folder', 'a test');
select count(*) from maintsched.backups where repository = 'folder';
select count(*) > 0 as kept from maintsched.backup_record where repository = 'folder';
select maintsched.revoke_access('regress_repository_manager');
select maintsched.revoke_access('regress_repository_reader');
drop owned by regress_repository_manager, regress_repository_reader;
drop role regress_repository_manager, regress_repository_reader;
reset maintsched.now;
