--
-- 61_view: repositories and backups for people
--

create view maintsched.repositories as
select r.name as repository, r.kind, r.location, r.config, r.archive, r.pulled, r.system_identifier,
	r.max_age, r.rpo, r.rto, r.copies, r.expected_location, r.encrypted, r.size_tolerance, r.size_floor,
	r.read_within, r.verify_within, r.drill_within,
	b.clock_at as read_at, b.ok as read_ok, b.source as read_from, b.message as read_message,
	g.clock_at as read_well_at, g.backups, g.facts
from maintsched.repository r
left join lateral (
	select x.* from maintsched.backup_reading x
	where x.repository = r.name and x.clock_at <= maintsched.clock()
	order by x.reading_id desc
	limit 1
) b on true
left join lateral (
	select x.* from maintsched.backup_reading x
	where x.repository = r.name and x.ok and x.clock_at <= maintsched.clock()
	order by x.reading_id desc
	limit 1
) g on true;

comment on view maintsched.repositories is 'Repositories: their settings, the latest reading, and what the latest one that went well says of the repository as a whole.';
comment on column maintsched.repositories.repository is 'Its name.';
comment on column maintsched.repositories.kind is 'basebackup (a folder of backups by pg_basebackup), pgbackrest or barman.';
comment on column maintsched.repositories.location is 'Of basebackup the folder, of pgbackrest the stanza, of barman the server.';
comment on column maintsched.repositories.config is 'Configuration file of the tool; NULL: its own.';
comment on column maintsched.repositories.archive is 'Folder of the archived WAL; NULL: what the tool says, and of basebackup: there is none.';
comment on column maintsched.repositories.pulled is 'True: the database reads it itself; false: its catalogue is imported, import_backup_catalog().';
comment on column maintsched.repositories.system_identifier is 'Of the cluster whose backups are meant; NULL: this one.';
comment on column maintsched.repositories.max_age is 'How old the newest backup may be.';
comment on column maintsched.repositories.rpo is 'Recovery point objective: how much time of work may be lost; NULL: none is set.';
comment on column maintsched.repositories.rto is 'Recovery time objective: how long a restore may take; NULL: none is set.';
comment on column maintsched.repositories.copies is 'How many complete backups there must be at least.';
comment on column maintsched.repositories.expected_location is 'Where backups must lie: a pattern of the folder or repository path with * for any text and ? for a character; NULL: anywhere.';
comment on column maintsched.repositories.encrypted is 'True: they must be encrypted; NULL or false: not.';
comment on column maintsched.repositories.size_tolerance is 'By which part of its like the size of a backup may differ at least, however steady they were.';
comment on column maintsched.repositories.size_floor is 'Differences of size up to so many bytes are none.';
comment on column maintsched.repositories.read_within is 'How old the latest reading may be before what it said is unknown.';
comment on column maintsched.repositories.verify_within is 'How often a backup must be verified file by file (level 7); NULL: once.';
comment on column maintsched.repositories.drill_within is 'How often a backup must be restored (levels 8 to 12); NULL: once.';
comment on column maintsched.repositories.read_at is 'When it was last read; NULL: it never was.';
comment on column maintsched.repositories.read_ok is 'Whether that went well.';
comment on column maintsched.repositories.read_from is 'tool, folder or import.';
comment on column maintsched.repositories.read_message is 'Where it did not go well: why.';
comment on column maintsched.repositories.read_well_at is 'When it was last read well.';
comment on column maintsched.repositories.backups is 'How many backups there were then.';
comment on column maintsched.repositories.facts is 'What it said then of the repository as a whole: backup_reading.facts.';

create view maintsched.backups as
select b.repository, r.kind, b.label, b.type, b.state, b.started_at, b.finished_at,
	case when b.finished_at is not null then maintsched.time_span(greatest(extract(epoch from maintsched.clock() - b.finished_at), 0)::bigint) end as age,
	extract(epoch from maintsched.clock() - b.finished_at)::bigint as age_seconds,
	pg_size_pretty(b.size_bytes) as size, pg_size_pretty(b.stored_bytes) as stored,
	b.prior, b.depends_on, b.problem, b.pg_version, b.timeline, b.start_lsn, b.end_lsn, b.start_wal, b.end_wal,
	b.system_identifier, b.size_bytes, b.delta_bytes, b.stored_bytes, b.encrypted, b.location, b.details,
	b.recorded_at
from maintsched.repository r
join (
	select distinct on (x.repository, x.label) x.*
	from maintsched.backup_record x
	where x.clock_at <= maintsched.clock()
	order by x.repository, x.label, x.record_id desc
) b on b.repository = r.name and b.state <> 'removed'
order by b.repository, b.finished_at, b.label;

comment on view maintsched.backups is 'The backups that are in the repositories by what was read of them.';
comment on column maintsched.backups.repository is 'The repository.';
comment on column maintsched.backups.kind is 'Its kind.';
comment on column maintsched.backups.label is 'The backup, by the name that its tool gave it; of basebackup the folder''s.';
comment on column maintsched.backups.type is 'full, diff (since the last full one) or incr (since the one before).';
comment on column maintsched.backups.state is 'done; running; waiting (for WAL); failed; removed: it is not there any more.';
comment on column maintsched.backups.started_at is 'When it began.';
comment on column maintsched.backups.finished_at is 'When it ended.';
comment on column maintsched.backups.age is 'How long ago it ended, for people.';
comment on column maintsched.backups.age_seconds is 'The same in seconds; negative: it ends in the future.';
comment on column maintsched.backups.size is 'Size of the database that it holds, for people.';
comment on column maintsched.backups.stored is 'How much of the repository it takes by itself, for people.';
comment on column maintsched.backups.prior is 'The backup on which it builds.';
comment on column maintsched.backups.depends_on is 'All backups that a restore of it needs besides.';
comment on column maintsched.backups.problem is 'What its tool says is wrong with it.';
comment on column maintsched.backups.pg_version is 'Version of PostgreSQL that it is of, such as 15 or 15.4.';
comment on column maintsched.backups.timeline is 'Timeline at its end.';
comment on column maintsched.backups.start_lsn is 'From where a restore of it replays WAL.';
comment on column maintsched.backups.end_lsn is 'Up to where it must, to be consistent.';
comment on column maintsched.backups.start_wal is 'First WAL file that it needs.';
comment on column maintsched.backups.end_wal is 'Last WAL file that it needs.';
comment on column maintsched.backups.system_identifier is 'Identifier of the cluster that it is of.';
comment on column maintsched.backups.size_bytes is 'Size of the database that it holds.';
comment on column maintsched.backups.delta_bytes is 'How much of that was copied by it.';
comment on column maintsched.backups.stored_bytes is 'How much of the repository it takes by itself.';
comment on column maintsched.backups.encrypted is 'Whether it is encrypted; NULL: not known.';
comment on column maintsched.backups.location is 'Where it lies.';
comment on column maintsched.backups.details is 'More that its tool says of it.';
comment on column maintsched.backups.recorded_at is 'When this of it was recorded, in real time.';
