# Routine reindex, stopped in the middle: at each of its phases and at random
# points, by a request to cancel, a kill -9 or a shutdown.  What is there then is
# found by what it is, and the run itself or the next one cleans up.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Worker;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = worker_server('reindex_faults', q{maintsched.yield_after = '10min'}, 'max_wal_size = 2GB');
make_calendar($node, 'postgres');
my $always = q("min_bloat": 0, "min_wasted": 0, "min_interval": null, "min_free": 0);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub start_run
{
	my ($more) = @_;
	return sql("select maintsched.run_routine('reindex', '{$always, $more}', force => true, reason => 'the test wants it')");
}

sub ended
{
	my ($run) = @_;
	wait_for($node, 'postgres', "select state not in ('queued', 'running') from maintsched.run where run_id = $run")
	  or BAIL_OUT("run $run does not end");
	return sql("select state || ' ' || stop_reason from maintsched.run where run_id = $run");
}

sub actions
{
	my ($run) = @_;
	return sql("select coalesce(string_agg(concat_ws(' ', a.target, split_part(a.command, ' ', 1), a.state, a.skip_reason, a.sqlstate), ', ' order by a.started_at nulls last, a.seq), '')
		from maintsched.run_actions a where a.run_id = $run and a.target <> 'postgres'");
}

# The invalid indexes: what kind, and whether what left them had succeeded.
sub invalid
{
	return sql(q{select coalesce(string_agg(concat_ws(' ', index_name, kind, case rebuilt when true then 'rebuilt' when false then 'failed' end,
		case when writes then 'writes' end), ', ' order by index_name), '') from maintsched.invalid_indexes()});
}

sub phase_is
{
	my ($phase) = @_;
	wait_for($node, 'postgres', "select phase = '$phase' from pg_stat_progress_create_index") or BAIL_OUT("no phase $phase");
	return;
}

sql(q{
	create table public.t (id integer primary key, note text);
	insert into public.t select i, md5(i::text) from generate_series(1, 20000) i;
	create index t_note on public.t (note);
	create table public.other (a integer);
	-- names are cut short to make room for _ccnew
	create table public.tables_can_have_names_of_up_to_sixty_three_bytes_as_this_one_1 (a integer);
	create index indexes_can_have_names_of_up_to_sixty_three_bytes_as_this_one_2
		on public.tables_can_have_names_of_up_to_sixty_three_bytes_as_this_one_1 (a)});

# Each phase is held up by another session, which is in a transaction.
my %held_by = (
	'waiting for writers before build' => 'insert into public.t values (-1)',
	'waiting for old snapshots' => 'set transaction isolation level repeatable read; select count(*) from public.other',
	'waiting for readers before marking dead' => 'declare c cursor for select 1 from public.t; fetch 1 from c; close c');
my %left = (
	'waiting for writers before build' => 't_note_ccnew leftover failed',
	'waiting for old snapshots' => 't_note_ccnew leftover failed writes',
	'waiting for readers before marking dead' => 't_note_ccold leftover rebuilt writes');

# --- a request to cancel: the run itself cleans up ---

my $run;
foreach my $phase (sort keys %held_by)
{
	my $session = $node->background_psql('postgres');
	$session->query_safe("begin; $held_by{$phase}");
	my $filenode = sql(q{select pg_relation_filenode('t_note')});
	$run = start_run(q{"include": ["public.t_note"], "lock_timeout": "1 hour"});
	phase_is($phase);
	is(invalid(), '', "$phase: what is being built is not taken for a leftover");
	sql(q{select pg_cancel_backend(pid) from pg_stat_activity where backend_type = 'maintsched runner'});
	# what reads or writes the table holds up the drop, too: it is not waited for long
	my $drop = $phase eq 'waiting for old snapshots' ? 'done' : 'skipped lock_timeout 55P03';
	is(ended($run), 'cancelled cancelled', "$phase, cancelled: the run ends");
	my $rebuilt = $phase =~ /dead/;
	my $mark = $rebuilt ? 'ccold' : 'ccnew';
	is(actions($run), "public.t_note REINDEX " . ($rebuilt ? 'done' : 'skipped cancelled') . " 57014, public.t_note_$mark DROP $drop",
		'what was left behind is dropped at once, if that can be');
	is(sql(q{select pg_relation_filenode('t_note')}) ne $filenode, $rebuilt, 'and the index is the new one only if it says so');
	$session->query_safe('rollback');
	$session->quit;
	is(invalid() =~ s/ writes//gr, $drop eq 'done' ? '' : $left{$phase} =~ s/ writes//r, 'what is there');
	$run = start_run(q{"include": ["public.t_note"]});
	is(ended($run), 'succeeded completed', 'the next run');
	is(actions($run), ($drop eq 'done' ? '' : "public.t_note_$mark DROP done, ") . 'public.t_note REINDEX done', 'cleans up first');
	is(invalid(), '', 'nothing is left');
}

# --- kill -9 and an immediate shutdown: the next run cleans up ---

foreach my $how (qw(kill shutdown))
{
	foreach my $phase (sort keys %held_by)
	{
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		$session->query("begin; $held_by{$phase}");
		$run = start_run(q{"include": ["public.t_note"], "lock_timeout": "1 hour"});
		phase_is($phase);
		if ($how eq 'kill')
		{
			kill 'KILL', process_of($node, 'runner', 'postgres');
		}
		else
		{
			$node->stop('immediate');
			$node->start;
		}
		$session->{run}->kill_kill;
		is(ended($run), 'interrupted crashed', "$phase, $how: the run is interrupted");
		is(invalid(), $left{$phase}, 'what is there is found');
		my $mark = $phase =~ /dead/ ? 'ccold' : 'ccnew';
		like(sql(q{select reason from maintsched.plan('reindex', '{"include": ["public.t_note"]}') where seq = 1}),
			$mark eq 'ccold' ? qr/^left over by a rebuild of t_note that had succeeded; / : qr/^left over by a rebuild of t_note that failed; /, 'the plan tells');
		$run = start_run(q{"include": ["public.t_note"]});
		is(ended($run), 'succeeded completed', 'the next run');
		is(actions($run), "public.t_note_$mark DROP done, public.t_note REINDEX done", 'cleans up first');
		is(invalid(), '', 'nothing is left');
	}
}

# --- found by what they are, not by their names ---

my $long = 'indexes_can_have_names_of_up_to_sixty_three_bytes_as_this_one_2';
my $long_table = 'tables_can_have_names_of_up_to_sixty_three_bytes_as_this_one_1';
sql(q{create table public.twice (a integer); insert into public.twice values (1), (1);
	create index t_other on public.t (note desc); create index "T ccnew" on public.t (id)});
foreach my $index ('t_note', $long, 't_note')
{
	# a reader's session: not ours, as anybody's
	my $session = $node->background_psql('postgres');
	$session->query_safe('begin isolation level repeatable read; select count(*) from public.other');
	isnt($node->psql('postgres', "set lock_timeout = '100 ms'; reindex index concurrently public.$index"), 0, "somebody's rebuild of $index fails");
	$session->query_safe('rollback');
	$session->quit;
}
foreach my $failed ('create unique index concurrently twice_a on public.twice (a)', 'create unique index concurrently twice_a_ccnew on public.twice ((a + 1))')
{
	isnt($node->psql('postgres', $failed), 0, "fails: $failed");
}
sql(q{alter index public.t_note_ccnew1 rename to "what's this"; alter index public."T ccnew" rename to keep_ccnew});
is(invalid(), join(', ', 'indexes_can_have_names_of_up_to_sixty_three_bytes_as_this_ccnew leftover failed writes',
		't_note_ccnew leftover failed writes', 'twice_a own', 'twice_a_ccnew orphan failed', "what's this leftover writes"), 'what is invalid, and why');
sql(q{create temporary table mine (a integer); begin; lock table public.t in access share mode; commit});
my $session = $node->background_psql('postgres');
$session->query_safe('begin; lock table public.twice in access exclusive mode');
$run = start_run(q{"include": ["public"], "exclude": ["*_pkey"], "lock_timeout": "3 s", "min_wasted": "1 GB"});
is(ended($run), 'partial yielded', 'a run over them');
is(join(', ', sort(split /, /, actions($run))), join(', ', sort("public.\"what's this\" DROP done", 'public.t_note_ccnew DROP done',
		'public.indexes_can_have_names_of_up_to_sixty_three_bytes_as_this_ccnew DROP done',
		'public.twice_a REINDEX skipped lock_timeout', 'public.twice_a_ccnew DROP skipped pointless')),
	'drops what another index does, and rebuilds what there is once');
$session->query_safe('rollback');
sql('delete from public.twice where ctid in (select ctid from public.twice limit 1)');
$run = start_run(q{"include": ["public.twice"], "min_wasted": "1 GB"});
is(actions($run), 'public.twice_a REINDEX done, public.twice_a_ccnew DROP skipped pointless', 'when its cause is gone, it is valid') if ended($run);
is(invalid(), 'twice_a_ccnew orphan failed', 'what nobody can tell is left to people');
sql('drop table public.twice');

# DROP INDEX CONCURRENTLY that did not end
$session->query_safe('begin; lock table public.t in access share mode');
isnt($node->psql('postgres', "set lock_timeout = '100 ms'; drop index concurrently public.t_other"), 0, 'a drop fails');
$session->query_safe('rollback');
$session->quit;
is(sql(q{select kind from maintsched.invalid_indexes()}) =~ /^(own|dropped)$/, 1, 'is seen');
sql('drop index public.t_other');

# of toast
sql(q{create table public.toasted (a text); insert into public.toasted values ('a')});
my $toast = sql(q{select c.relname from pg_class t join pg_index i on i.indrelid = t.reltoastrelid join pg_class c on c.oid = i.indexrelid where t.oid = 'public.toasted'::regclass});
$session = $node->background_psql('postgres');
$session->query_safe('begin isolation level repeatable read; select count(*) from public.other');
isnt($node->psql('postgres', "set lock_timeout = '100 ms'; reindex index concurrently pg_toast.$toast"), 0, 'a rebuild of a toast index fails');
$session->query_safe('rollback');
$session->quit;
is(invalid(), "${toast}_ccnew leftover failed writes", 'its leftover is found');
$run = start_run(q{"include": ["public.toasted"], "min_wasted": "1 GB"});
is(ended($run), 'succeeded completed', 'and');
is(actions($run), "pg_toast.${toast}_ccnew DROP done", 'dropped');

# --- ten random points ---

sql(q{insert into public.t select i, md5(i::text) from generate_series(20001, 150000) i});
my %stopped;
foreach my $n (1 .. 10)
{
	$run = start_run(q{"include": ["public.t_note"]});
	wait_for($node, 'postgres', "select count(*) > 0 from maintsched.run_action where run_id = $run and command like 'REINDEX%' and state <> 'planned'");
	usleep(rand(700_000));
	my $how = (qw(kill cancel shutdown))[ $n % 3 ];
	if ($how eq 'cancel')
	{
		sql(q{select pg_cancel_backend(pid) from pg_stat_activity where backend_type = 'maintsched runner'});
	}
	elsif ($how eq 'kill')
	{
		my $pid = sql("select pid from maintsched.run where run_id = $run and state = 'running'");
		kill 'KILL', $pid if $pid ne '';
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	my $state = ended($run);
	$stopped{$state}++;
	my $done = sql("select count(*) from maintsched.run_actions where run_id = $run and command like 'REINDEX%' and state = 'done'");
	like(invalid(), qr/^(?:t_note_ccnew leftover failed(?: writes)?|t_note_ccold leftover rebuilt(?: writes)?)?$/, "$n, $how, $state: what is there is known");
	like($state, $how eq 'cancel' ? qr/^(?:cancelled cancelled|succeeded completed)$/ : qr/^(?:interrupted crashed|succeeded completed)$/, 'the run has ended');
	is(invalid(), '', 'after a cancel nothing is left') if $how eq 'cancel';
	is(sql(q{select i.indisvalid and i.indisready from pg_index i where i.indexrelid = 'public.t_note'::regclass}), 't', 'the index is valid');
	my $next = start_run(q{"include": ["public.t_note"]});
	is(ended($next), 'succeeded completed', 'the next run');
	is(invalid(), '', 'leaves nothing');
	is(sql(q{set enable_seqscan = off; set enable_bitmapscan = off; select count(*) from public.t where note >= ''}), '150000', 'and the index has every row');
}
note(join ', ', map { "$_: $stopped{$_}" } sort keys %stopped);

$node->stop;
done_testing();
