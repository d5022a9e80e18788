# How a run ends in a completion: every row of it, on a simulated clock.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('outcomes');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'maintsched'
maintsched.launcher = on
maintsched.max_workers = 4
maintsched.yield_after = 1s
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', q{
	create extension maintsched;
	select maintsched.import_calendar('{"format":"maintsched-calendar/1","name":"ops","title":"Ops","tasks":[]}');
	select maintsched.import_calendar('{"format":"maintsched-calendar/1","name":"more","title":"More","tasks":[]}');
	create table public.witness (n bigint generated always as identity, what text);
	create table public.wanted (what text);
	create table public.contended ();
});
my $witness = 'insert into public.witness (what) values';

# Each part has a week of its own, which begins on a Monday.
my $week = 0;

# An instant of this week: at(day, '10:00').
sub at
{
	my ($day, $time) = @_;
	return $node->safe_psql('postgres',
		"select to_char(timestamp '2030-01-07' + interval '1 day' * ($week * 7 + $day) + interval '$time', 'YYYY-MM-DD HH24:MI:SS')");
}

# What psql says, without the place.
sub said
{
	my ($sql) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-v', 'SHOW_CONTEXT=never' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LINE|HINT|\s+\^).*\n?//mg;
	chomp $err;
	return $out eq '' ? $err : $err eq '' ? $out : "$out\n$err";
}

sub said_at
{
	my ($instant, $sql) = @_;
	return said("set maintsched.now = '$instant+00'; $sql");
}

sub tick { my ($instant) = @_; return said_at($instant, 'select maintsched.tick()'); }

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# Parameters of routine sql, as an SQL expression: texts, and [name, text, more].
sub statements
{
	my @entries = map {
		ref $_ ? 'jsonb_build_object(' . join(', ', map { quoted($_) . '::text' } 'name', $_->[0], 'statement', $_->[1], @$_[ 2 .. $#$_ ]) . ')'
		  : quoted($_) . '::text' } @_;
	return 'jsonb_build_object(\'statements\', jsonb_build_array(' . join(', ', @entries) . '))';
}

# A new part: what was there before is retired.
sub part
{
	my ($what) = @_;
	note($what);
	$week++;
	my $since = at(0, '00:00');
	is(said_at($since, q{
		do $$ begin
			perform maintsched.retire_task(calendar, name, 'done with')
			from maintsched.task where retired_at is null;
		end $$; truncate public.witness, public.wanted}), '', $what);
	return;
}

# Windows of this week.
sub add_window
{
	my ($name, $rule, $time, $duration) = @_;
	my $starts_on = at(0, $time);
	is(said_at(at(0, '00:00'), "do \$\$ begin perform maintsched.add_window('ops', '$name-$week', '$rule', starts_on => '$starts_on',
		duration => '$duration', change_class => 'minor', timezone => 'UTC'); end \$\$"), '', "window $name");
	return;
}
sub all_week { return add_window('open', 'FREQ=DAILY;COUNT=7', '00:00', '24 hours'); }

# A task of this week, from Monday 10:00.
sub add_task
{
	my ($name, %o) = @_;
	my $starts_on = at(0, $o{time} // '10:00');
	my $calendar = $o{calendar} // 'ops';
	my $set = $o{set} ? "update maintsched.task set $o{set} where calendar = '$calendar' and name = '$name';" : '';
	my $routine = $o{statements} ? "routine => 'sql', params => " . statements(@{ $o{statements} }) . ',' : '';
	is(said_at(at(0, '09:00'), "do \$add\$ begin
			perform maintsched.add_task('$calendar', '$name', '" . ($o{rule} // 'FREQ=WEEKLY') . "', $routine
				starts_on => '$starts_on', due_within => '" . ($o{due_within} // '1 hour') . "');
			$set
		end \$add\$"), '', "task $name");
	return;
}

sub idle
{
	return $node->poll_query_until('postgres', q{
		select not exists (select from maintsched.run where state in ('queued', 'running'))})
	  || diag($node->safe_psql('postgres', q{select * from maintsched.run where finished_at is null}));
}

# The runs of a task: state, why it ended, and what became of each action.
sub runs
{
	my ($task) = @_;
	return $node->safe_psql('postgres', "
		select h.state || ' ' || coalesce(h.stop_reason, '-') || ':' || coalesce((
			select string_agg(' ' || concat_ws('/', a.target, a.state, a.skip_reason, a.sqlstate), '' order by a.seq)
			from maintsched.run_actions a where a.run_id = h.run_id), '')
		from maintsched.run_history h where h.task = '$task' order by h.run_id") =~ s/statement (\d)/s$1/gr;
}

# The completions of the occurrences of a task.
sub outcomes
{
	my ($task, $calendar) = @_;
	$calendar //= 'ops';
	return said_at('2040-01-01 00:00:00', "
		select string_agg(to_char(o.opens_at, 'Dy HH24:MI ') || c.outcome, ', ' order by c.completion_id)
		from maintsched.completion c join maintsched.occurrence o using (occurrence_id) join maintsched.task t using (task_id)
		where t.name = '$task' and t.calendar = '$calendar'");
}

sub status_at
{
	my ($instant, $task) = @_;
	return said_at($instant, "
		select string_agg(to_char(s.opens_at, 'Dy HH24:MI ') || s.status, ', ' order by s.opens_at)
		from maintsched.occurrence_status s where s.task = '$task' and s.opens_at <= maintsched.clock()");
}

sub witnessed { return $node->safe_psql('postgres', q{select coalesce(string_agg(what, ' ' order by n), '') from public.witness}); }

sub occurrence_of
{
	my ($task) = @_;
	return $node->safe_psql('postgres', "
		select min(occurrence_id) from maintsched.occurrence join maintsched.task using (task_id) where name = '$task'");
}

# --- succeeded ---

part('succeeded: pass');
all_week();
add_task('good', statements => [ "$witness ('good')" ]);
add_task('reviewed', statements => [ "$witness ('reviewed')" ], set => 'review = true');
is(tick(at(0, '09:59:59')), 0, 'nothing before it opens');
is(tick(at(0, '10:00')), 2, 'queued when it opens');
idle();
is(runs('good'), 'succeeded completed: s1/done', 'the run');
is(outcomes('good'), 'Mon 10:00 pass', 'the completion');
is(said_at(at(0, '10:01'), q{select s.status, s.outcome, s.run_id = h.run_id, s.performed_by = h.run_as, s.simulated
	from maintsched.occurrence_status s join maintsched.run_history h on h.task = s.task where s.task = 'good' and s.opens_at <= maintsched.clock()}),
	'done|pass|t|t|t', 'by the run');
is(said_at(at(0, '10:01'), q{select outcome, review from maintsched.occurrence_status where task = 'reviewed' and opens_at <= maintsched.clock()}),
	'pass|pending', 'where review is demanded it awaits it');
is(tick(at(0, '10:02')), 0, 'it is not run again');
is(witnessed() =~ tr/ //, 1, 'both were done once');

part('succeeded with an open item for people');
all_week();
add_task('listed', statements => [ "$witness ('listed')" ],
	set => q{checklist = '[{"text": "Run it", "routine": "sql"}, {"text": "Look at it"}]'});
is(tick(at(0, '10:00')), 1, 'queued');
idle();
is(runs('listed'), 'succeeded completed: s1/done', 'the run');
is(outcomes('listed'), '', 'no completion');
is(status_at(at(0, '10:01'), 'listed'), 'Mon 10:00 due', 'it stays due');
is(said_at(at(0, '10:01'), q{select string_agg(concat_ws(' ', item, coalesce(passed::text, 'open')), ', ' order by item) from maintsched.checklist where task = 'listed'}),
	'1 true, 2 open', "the routine's item is ticked");
is(tick(at(0, '10:02')), 0, 'nothing is run again');
my $id = occurrence_of('listed');
like(said_at(at(0, '10:10'), "select maintsched.complete_task($id)"), qr/^ERROR:  .*\n?.*Look at it/s, 'people cannot pass it before they have looked');
said_at(at(0, '10:10'), "select maintsched.check_item($id, 2); select maintsched.complete_task($id)");
is(outcomes('listed'), 'Mon 10:00 pass', 'after it they do');

part('items of other tasks that name the routine');
all_week();
add_task('inside', set => q{checklist = '[{"text": "A", "routine": "analyze"}, {"text": "B"}, {"text": "C", "routine": "log_cleanup"}]'});
add_task('later', time => '12:00', set => q{checklist = '[{"text": "A", "routine": "analyze"}]'});
add_task('runner', rule => 'FREQ=DAILY', set => q{kind = 'routine', routine = 'analyze', params = '{"include": ["public.witness"]}'});
is(tick(at(0, '10:00')), 1, 'queued');
idle();
is(outcomes('runner'), 'Mon 10:00 pass', 'the run succeeds');
my $ticks = q{select string_agg(concat_ws(' ', task, item, coalesce(passed::text, 'open')), ', ' order by task, item)
	from maintsched.checklist where task in ('inside', 'later')};
is(said_at(at(0, '13:00'), $ticks), 'inside 1 true, inside 2 open, inside 3 open, later 1 open',
	'ticked where it was open, not where it opened later');
is(outcomes('inside'), '', 'which completes nothing');
is(said_at(at(1, '10:00'), q{
	begin;
	select maintsched.tick();
	select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'runner' and state = 'queued';
	commit}), "1\nt", 'the next day it is cancelled');
is(said_at(at(1, '13:00'), $ticks), 'inside 1 true, inside 2 open, inside 3 open, later 1 open', 'and ticks nothing');
is(tick(at(2, '10:00')), 1, 'the day after');
idle();
is(said_at(at(2, '13:00'), $ticks), 'inside 1 true, inside 2 open, inside 3 open, later 1 true', 'it does');
is(said_at(at(2, '13:00'), q{select note = 'run ' || (select max(run_id) from maintsched.run) from maintsched.checklist where task = 'later'}), 't', 'and says which');

# --- left over ---

part('the window closes');
add_window('short', 'FREQ=DAILY;COUNT=3', '10:00', '10 seconds');
add_task('slow', statements => [ [ 'a', "$witness ('a')" ],
		[ 'b', q{select pg_sleep(case when exists (select from public.wanted) then 0 else 60 end); insert into public.witness (what) values ('b')} ],
		[ 'c', "$witness ('c')" ] ]);
add_task('never', statements => [ [ 'x', "$witness ('x')" ], [ 'y', 'select pg_sleep(61)' ] ]);
is(tick(at(0, '10:00')), 2, 'queued');
idle();
is(runs('slow'), 'partial window_closed: a/done b/skipped/no_time/57014 c/skipped/no_time', 'stopped at the end of the window');
is(outcomes('slow'), '', 'no completion');
is(status_at(at(0, '10:30'), 'slow'), 'Mon 10:00 due', 'it stays due');
is(tick(at(0, '10:30')), 0, 'nothing is queued outside of a window');
said(q{insert into public.wanted values ('quick')});
is(tick(at(1, '10:00')), 2, 'the next window');
idle();
is(runs('slow'), "partial window_closed: a/done b/skipped/no_time/57014 c/skipped/no_time\nsucceeded completed: b/done c/done",
	'goes on with what was left, and only that');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run_history h join maintsched.run_history p on p.run_id = h.continues
	where h.task = 'slow' and p.task = 'slow'}), 1, 'which is recorded');
is(outcomes('slow'), 'Mon 10:00 pass', 'and then it passes');
is(witnessed() =~ s/ ?\bx\b ?/ /gr =~ s/^ | $//gr, 'a b c', 'nothing was done twice');
is(tick(at(2, '10:00')), 1, 'the other one goes on');
idle();
is(outcomes('never'), '', 'as long as it is open');
# tick() leaves what the scheduler, which may not have ended yet, holds to a later one
foreach my $try (1 .. 600)
{
	tick(at(7, '10:00'));
	last if outcomes('never') ne '';
	usleep(100_000);
}
is(outcomes('never'), 'Mon 10:00 partial', 'partial is recorded when it closes');
idle();

part('decided by the plan function, or right before the command');
all_week();
said(q{
	create function public.plan_decided(params jsonb) returns setof maintsched.action language sql as $$
		select x.t, 'insert into public.witness (what) values (''' || x.t || ' '' || current_setting(''work_mem'') || current_setting(''lock_timeout''))', 'because of ' || x.t,
			null::bigint, 1000000::numeric, x.d::jsonb
		from (values
			(1, 'needless', '{"skip": "not_needed", "still_needed": "1 / 0"}'),
			(2, 'pointless', '{"skip": "pointless", "measure": "1 / 0"}'),
			(3, 'said', jsonb_build_object('still_needed', '(select jsonb_build_object(''skip'', ''pointless'', ''reason'', ''pinned by '' || current_user))')::text),
			(4, 'odd', jsonb_build_object('still_needed', 'jsonb ''{"skip": "cancelled", "reason": "odd"}''')::text),
			(5, 'yes', '{"still_needed": "jsonb ''true''", "settings": {"work_mem": "123kB", "lock_timeout": 77000}, "measure": "current_setting(''work_mem'')"}'),
			(6, 'none', '{"skip": null, "settings": null}'),
			(7, 'wrong', '{"settings": {"work_mem": "999kB", "no_such_setting": 1}}'),
			(8, 'server', '{"settings": {"work_mem": "999kB", "shared_buffers": "1GB"}}'),
			(9, 'last', null),
			(10, 'full', '{"skip": "no_space"}'),
			(11, 'short', '{"measure": "jsonb ''{\\"n\\": 7}''", "verify": "(select jsonb_build_object(''reason'', ''still '' || ($1 ->> ''n'') || '' '' || ($2 ->> ''n'')))"}'),
			(12, 'nothing', '{"verify": "jsonb ''{\\"skip\\": \\"lock_timeout\\", \\"reason\\": \\"left out\\"}''"}'),
			(13, 'broken', '{"verify": "jsonb_build_object(''done'', $1 is not null, ''skip'', ''pointless'', ''reason'', ''broken'')"}'),
			(14, 'fine', '{"verify": "null::jsonb"}'),
			(15, 'hasty', '{"lock_timeout": "0.2 ms"}'),
			(16, 'patient', '{"lock_timeout": "1 year"}')) x(n, t, d)
		where params ->> 'what' is null or x.t = params ->> 'what'
		order by x.n $$;
	select maintsched.add_routine('decided', 'public.plan_decided', 'Decides')});
is(said_at(at(0, '10:00'), q{select string_agg(concat_ws(' ', target, coalesce(fits_window::text, '-')), ', ' order by seq) from maintsched.plan('decided')}),
	'needless -, pointless -, said false, odd false, yes false, none false, wrong false, server false, last false, full -, short false, nothing false, broken false, fine false, hasty false, patient false',
	'what is not to be done fits no window');
my $decided = q{
	select string_agg(concat_ws('/', a.target, a.state, a.skip_reason, a.sqlstate, a.reason, a.message, a.before #>> '{}', a.started_at is null), E'\n' order by a.seq)
	from maintsched.run_action a where a.run_id = };
my $decided_run = said_at(at(0, '10:00'), q{select maintsched.run_routine('decided', '{"time_limit": "300000 years"}', force => true, reason => 'they take long')}) =~ s/\n.*//sr;
idle();
is($node->safe_psql('postgres', "$decided $decided_run"), join("\n",
		'needless/skipped/not_needed/because of needless/t',
		'pointless/skipped/pointless/because of pointless/t',
		'said/skipped/pointless/because of said/pinned by ' . $node->safe_psql('postgres', 'select current_user') . '/f',
		'odd/skipped/not_needed/because of odd/odd/f',
		'yes/done/because of yes/123kB/f',
		'none/done/because of none/f',
		'wrong/failed/42704/because of wrong/undefined_object/f',
		'server/failed/55P02/because of server/cant_change_runtime_param/f',
		'last/done/because of last/f',
		'full/skipped/no_space/because of full/t',
		'short/done/because of short/still 7 7/{"n": 7}/f',
		'nothing/skipped/lock_timeout/because of nothing/left out/f',
		'broken/failed/because of broken/broken/f',
		'fine/done/because of fine/f',
		'hasty/done/because of hasty/f',
		'patient/done/because of patient/f'), 'it is recorded, and not carried out');
is(witnessed(), 'yes 123kB77s none 4MB0 last 4MB0 short 4MB0 nothing 4MB0 broken 4MB0 fine 4MB0 hasty 4MB1ms patient 4MB2147483647ms', 'settings are those of their action alone');
is(said_at(at(0, '10:00'), "select state, stop_reason from maintsched.run_history where run_id = $decided_run"), 'partial|error', 'no_space leaves something over');
add_task('decided', set => q{kind = 'routine', routine = 'decided', params = '{"what": "pointless"}'});
is(tick(at(0, '10:00')), 1, 'queued');
idle();
is(runs('decided'), 'succeeded completed: pointless/skipped/pointless', 'pointless is no loss');
is(outcomes('decided'), 'Mon 10:00 pass', 'and passes');
# what is wrong with the actions is said; what the plan function raises is not
foreach my $wrong ([ '{"skip": "no_time"}', 'failed: action 1 of the plan function has a skip that is none of not_needed, pointless and no_space' ],
	[ '{"settings": ["work_mem"]}', 'failed: action 1 of the plan function has settings that are not a JSON object, such as {"maintenance_work_mem": "256MB"}' ],
	[ '{"lock_timeout": "patient 4711"}', 'failed: action 1 of the plan function has a lock_timeout that is no duration, such as "30s", "5 min", or a number of milliseconds' ],
	[ '{"still_needed": "1"}', 'failed: 42804 still_needed of the action is neither a boolean nor a JSON object' ],
	[ '{"still_needed": "null"}', 'succeeded: ' ],
	[ 'patient 4711', 'failed: the plan function failed: invalid_text_representation' ])
{
	my ($details, $result) = @$wrong;
	said("create or replace function public.plan_decided(params jsonb) returns setof maintsched.action language sql as \$\$
		select 'x', 'select 1', 'x', null::bigint, null::numeric, '$details'::text::jsonb \$\$");
	my $run = said_at(at(0, '10:10'), q{select maintsched.run_routine('decided')}) =~ s/\n.*//sr;
	idle();
	is($node->safe_psql('postgres', "select r.state || ': ' || coalesce(r.message, concat_ws(' ', a.sqlstate, a.message))
		from maintsched.run_history r left join maintsched.run_actions a using (run_id) where run_id = $run"), $result, "details $details");
}

part('what is left over comes first');
add_window('short', 'FREQ=DAILY;COUNT=3', '10:00', '10 seconds');
said(q{
	create function public.plan_growing(params jsonb) returns setof maintsched.action language sql as $$
		select x.t, x.c, null, null::bigint, null::numeric, null::jsonb
		from (values (1, 'new', 'insert into public.witness (what) values (''new'')'), (2, 'old', 'insert into public.witness (what) values (''old'')'),
			(3, 'slow', 'select pg_sleep(60)'), (4, 'left', 'insert into public.witness (what) values (''left'')')) x(n, t, c)
		where x.t <> case when exists (select from public.wanted) then 'slow' else 'new' end
		order by x.n $$;
	select maintsched.add_routine('growing', 'public.plan_growing', 'Grows')});
add_task('growing', set => q{kind = 'routine', routine = 'growing', params = '{}'});
is(tick(at(0, '10:00')), 1, 'queued');
idle();
said(q{insert into public.wanted values ('new')});
is(tick(at(1, '10:00')), 1, 'the next window');
idle();
is(runs('growing'), "partial window_closed: old/done slow/skipped/no_time/57014 left/skipped/no_time\nsucceeded completed: left/done new/done",
	'before what is new, and without what was done');

part('somebody is in the way');
all_week();
add_task('locked', statements => [ [ 'a', "$witness ('a')" ],
		[ 'b', 'lock table public.contended; insert into public.witness (what) values ($$b$$)', 'lock_timeout', '100 ms' ] ]);
my $session = $node->background_psql('postgres');
$session->query_safe('begin; lock table public.contended');
is(tick(at(0, '10:00')), 1, 'queued');
idle();
is(runs('locked'), 'partial yielded: a/done b/skipped/lock_timeout/55P03', 'a lock that it does not get');
is(outcomes('locked'), '', 'no completion');
$session->query_safe('rollback');
$session->quit;
my $retry = $node->safe_psql('postgres', q{select retry_at at time zone 'UTC' from maintsched.run_history where task = 'locked'});
is($retry gt at(0, '10:00'), 1, 'it is taken up again later');
is(tick($retry), 1, 'then');
idle();
is(runs('locked'), "partial yielded: a/done b/skipped/lock_timeout/55P03\nsucceeded completed: b/done", 'with what was left over');
is(outcomes('locked'), 'Mon 10:00 pass', 'and it passes');

part('somebody holds the occurrence');
all_week();
add_task('kept', statements => [ "$witness ('kept')" ]);
add_task('kept-too', statements => [ 'select 1 / 0' ]);
add_task('unkept', statements => [ 'select 1' ]);
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{begin; select count(*) from (select from maintsched.occurrence o join maintsched.task t using (task_id)
	where t.name like 'kept%' for update of o) x});
is(tick(at(0, '10:00')), 3, 'queued');
idle();
is(runs('kept'), 'succeeded completed: s1/done', 'a session holds the occurrence: its run goes its way');
is(outcomes('kept') . outcomes('kept-too'), '', 'what it means cannot be recorded yet');
is(outcomes('unkept'), 'Mon 10:00 pass', 'others do not wait');
is(tick(at(0, '10:00:30')), 0, 'nothing is queued again');
$holder->query_safe('rollback');
$holder->quit;
$node->poll_query_until('postgres', q{select count(*) = 0 from maintsched.run_owed}) or die;
is(outcomes('kept'), 'Mon 10:00 pass', 'let go: the pass is recorded');
is(outcomes('kept-too'), 'Mon 10:00 fail', 'let go: the failure is recorded');
is(said(q{select distinct c.completed_at = r.finished_at from maintsched.completion c join maintsched.run r using (run_id) join maintsched.task t using (task_id) where t.name like 'kept%'}), 't', 'as of the end of the run');

# a call of tick() records it as well
said(q{insert into maintsched.run_owed select w.run_id, w.occurrence_id, 'pass' from maintsched.run_occurrence w
	join maintsched.run_history r using (run_id) where r.task = 'kept'});
is(tick(at(0, '10:02')), 0, 'tick() with something owed');
is(said('select count(*) from maintsched.run_owed'), '0', 'nothing is owed any more');
is(outcomes('kept'), 'Mon 10:00 pass', 'one pass, as before');

part('it is in the way of somebody');
all_week();
add_task('polite', statements => [ [ 'a', "$witness ('a')" ], [ 'b', 'lock table public.contended; select pg_sleep(30 * (select 1 - count(*) from public.wanted))' ], [ 'c', "$witness ('c')" ] ]);
is(tick(at(0, '10:00')), 1, 'queued');
$node->poll_query_until('postgres', q{select exists (select from pg_locks where relation = 'public.contended'::regclass and granted)}) or die;
$node->safe_psql('postgres', q{set statement_timeout = '20s'; begin; lock table public.contended; rollback});
idle();
is(runs('polite'), 'partial yielded: a/done b/skipped/yielded/57014 c/skipped/cancelled', 'it yields, and what follows waits for it');
is(outcomes('polite'), '', 'no completion');
said(q{insert into public.wanted values ('quick')});
is(tick($node->safe_psql('postgres', q{select retry_at at time zone 'UTC' from maintsched.run_history where task = 'polite'})), 1, 'later');
idle();
is(runs('polite') =~ s/.*\n//r, 'succeeded completed: b/done c/done', 'what was left over');
is(outcomes('polite'), 'Mon 10:00 pass', 'passes');

# --- errors ---

part('errors');
all_week();
my $retryable = q{do $r$ begin raise exception using errcode = '40001', message = 'again'; end $r$};
add_task('wrong', statements => [ 'select 1 / 0' ]);
add_task('mixed', statements => [ 'select 1', 'select 1 / 0', "$witness ('after')" ]);
add_task('again', statements => [ $retryable ]);
add_task('twice', rule => 'FREQ=MINUTELY;INTERVAL=2;COUNT=2', due_within => '1 minute', statements => [ $retryable, 'select 2' ]);
add_task('recovers', statements => [ [ 'a', "$witness ('once')" ], [ 'b', q{do $r$ begin if not exists (select from public.wanted) then raise exception using errcode = '40P01'; end if; end $r$} ] ]);
is(tick(at(0, '10:00')), 5, 'queued');
idle();
is(runs('wrong'), 'failed error: s1/failed/22012', 'any failed and none done: failed');
is(outcomes('wrong'), 'Mon 10:00 fail', 'an error that stays: fail at once');
is(runs('mixed'), 'partial error: s1/done s2/failed/22012 s3/skipped/cancelled', 'some failed and some done: partial');
is(outcomes('mixed'), 'Mon 10:00 fail', 'fail, too');
is(runs('again'), 'failed error: s1/failed/40001', 'an error that may be gone the next time');
is(outcomes('again'), '', 'no completion yet');
is(status_at(at(0, '10:00:30'), 'again'), 'Mon 10:00 due', 'it is due');
my $delays = q{select string_agg(round(extract(epoch from retry_at - finished_at))::text, ' ' order by run_id) from maintsched.run_history where task = };
is(said("$delays 'again'"), '60', 'it is tried again in a minute');
is(tick(at(0, '10:00:50')), 0, 'not before');
said(q{insert into public.wanted values ('recovered')});
is(tick(at(0, '10:01:40')), 3, 'but then');
idle();
is(runs('recovers'), "partial error: a/done b/failed/40P01\nsucceeded completed: b/done", 'one is well, and repeats nothing');
is(outcomes('recovers'), 'Mon 10:00 pass', 'and passes');
is(said("$delays 'again'"), '60 120', 'the other is tried later and later');
is(said("$delays 'twice'"), '60', 'but never past the next occurrence');
is(outcomes('twice'), 'Mon 10:00 fail', 'fail, before that');
foreach my $minutes (5, 10, 20)
{
	tick(at(0, "10:$minutes"));
	idle();
}
is(said("$delays 'again'"), '60 120 240 480', 'four times');
is(outcomes('again'), 'Mon 10:00 fail', 'then it has failed');
tick(at(0, '11:00'));
idle();
is(runs('again') =~ tr/\n//, 4, 'and nobody tries again');
is(runs('wrong'), 'failed error: s1/failed/22012', 'nor the others');
is($node->safe_psql('postgres', q{select string_agg(distinct kind, ' ') from maintsched.notice n join maintsched.run_history h using (run_id) where h.task in ('wrong', 'mixed')}),
	'run_failed run_partial', 'there are notices');

# --- one run for several ---

part('one run serves every open occurrence with the same routine, params and role');
all_week();
add_task('same', statements => [ "$witness ('same')" ]);
add_task('same', calendar => 'more', statements => [ "$witness ('same')" ]);
add_task('other', statements => [ "$witness ('other')" ]);
is(tick(at(0, '10:00')), 2, 'queued');
idle();
is(witnessed() =~ s/other//r =~ s/ //gr, 'same', 'done once');
is(outcomes('same') . outcomes('same', 'more'), 'Mon 10:00 passMon 10:00 pass', 'for both');
is($node->safe_psql('postgres', q{select count(distinct c.run_id) from maintsched.completion c join maintsched.occurrence using (occurrence_id) join maintsched.task t using (task_id) where t.name = 'same'}), 1, 'by one run');

# --- asked for and not wanted ---

part('cancelled');
all_week();
add_task('queued', statements => [ "$witness ('queued')" ]);
add_task('running', statements => [ [ 'a', "$witness ('a')" ], [ 'b', 'select pg_sleep(60)' ], [ 'c', "$witness ('c')" ] ]);
is(said_at(at(0, '10:00'), q{
	begin;
	select maintsched.tick();
	select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'queued';
	commit}), "2\nt", 'one is cancelled before it starts');
$node->poll_query_until('postgres', q{select exists (select from maintsched.run_actions where target = 'b' and state = 'running')}) or die;
is(said(q{select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'running'}), 't', 'the other one while it runs');
idle();
is(runs('queued'), 'cancelled cancelled:', 'it never started');
is(runs('running'), 'cancelled cancelled: a/done b/skipped/cancelled/57014 c/skipped/cancelled', 'it stopped');
is($node->safe_psql('postgres', q{select string_agg(distinct message, '') = 'cancelled by ' || current_user from maintsched.run_history where task in ('queued', 'running')}), 't', 'and says by whom');
is(outcomes('queued') . outcomes('running'), '', 'no completion');
is(status_at(at(0, '10:10'), 'queued') . status_at(at(0, '10:10'), 'running'), 'Mon 10:00 dueMon 10:00 due', 'they stay due');
is(tick(at(0, '10:10')), 0, 'and are left to people');
like(said(q{select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'queued'}), qr/^f\nNOTICE:  run \d+ has ended: cancelled/, 'again: it has ended');
like(said_at(at(0, '10:20'), q{select maintsched.run_task('ops', 'queued')}), qr/^\d+$/, 'run_task()');
idle();
is(outcomes('queued'), 'Mon 10:00 pass', 'serves the open occurrence');
like(said_at(at(0, '10:21'), q{select maintsched.run_task('ops', 'queued')}), qr/^ERROR:  task "queued" has no open occurrence/, 'of which there is none then');

part('outside a window');
add_window('short', 'FREQ=DAILY;COUNT=3', '10:00', '1 hour');
add_task('asked', statements => [ "$witness ('asked')" ]);
my $refused = qr/^ERROR:  no window is open for work of class minor\n/;
my $routine = sub { my ($more) = @_; return "select maintsched.run_routine('sql', " . statements("$witness ('routine')") . "$more)" };
is(tick(at(0, '09:30')), 0, 'before it');
like(said_at(at(1, '11:30'), q{select maintsched.run_task('ops', 'asked')}), $refused, 'run_task() is refused');
like(said_at(at(1, '11:30'), $routine->('')), $refused, 'and run_routine()');
like(said_at(at(1, '11:30'), q{select maintsched.run_task('ops', 'asked', force => true)}), qr/^ERROR:  a reason is needed to run outside a window/, 'force without a reason');
like(said_at(at(1, '11:30'), $routine->(', force => true')), qr/^ERROR:  a reason is needed to run outside a window/, 'for both');
like(said_at(at(1, '11:30'), $routine->(q{, force => true, reason => ' '})), qr/^ERROR:  a reason is needed/, 'blanks are none');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run_history where task = 'asked'}), 0, 'nothing was queued');
like(said_at(at(1, '11:30'), $routine->(q{, force => true, reason => 'It burns'})), qr/^\d+$/, 'run_routine() with force and a reason');
idle();
is(witnessed(), 'routine', 'runs');
is(outcomes('asked'), '', 'and completes nothing');
like(said_at(at(1, '11:30'), q{select maintsched.run_task('ops', 'asked', force => true, reason => 'It burns')}), qr/^\d+$/, 'run_task() with force and a reason');
idle();
is(outcomes('asked'), 'Mon 10:00 pass', 'completes the occurrence');
is($node->safe_psql('postgres', q{select forced, reason, state from maintsched.run_history where task = 'asked'}), 't|It burns|succeeded', 'the reason is recorded');

part('paused');
all_week();
add_task('held', statements => [ "$witness ('held')" ]);
is(said_at(at(0, '10:00'), q{
	begin;
	select maintsched.tick();
	reset maintsched.now;
	do $$ begin perform maintsched.pause('ops/held', 'not now'); end $$;
	commit}), '1', 'paused after it was queued');
add_task('free', time => '10:05', statements => [ "$witness ('free')" ]);
is(tick(at(0, '10:05')), 1, 'another one is not');
$node->poll_query_until('postgres', q{select state = 'succeeded' from maintsched.run_history where task = 'free'}) or diag('free');
is(runs('held'), 'queued -:', 'the one does not start');
is(said(q{do $$ begin perform maintsched.resume('ops/held'); end $$}), '', 'resume()');
idle();
is(runs('held'), 'succeeded completed: s1/done', 'lets it');
is(outcomes('held'), 'Mon 10:00 pass', 'and it passes');

# --- never two runs of a task; downtime ---

part('overlap');
all_week();
add_task('long', rule => 'FREQ=HOURLY;COUNT=3', due_within => '30 minutes', set => q{catch_up = 'all'},
	statements => [ q{insert into public.witness (what) values ('begin'); select pg_sleep(10 * (select 1 - count(*) from public.wanted))} ]);
is(tick(at(0, '10:00')), 1, 'queued');
$node->poll_query_until('postgres', q{select exists (select from maintsched.run_actions where command ~ 'begin' and state = 'running')}) or die;
is(tick(at(0, '11:00')), 0, 'the next occurrence waits its turn');
like(said_at(at(0, '11:00'), q{select maintsched.run_task('ops', 'long')}), qr/^ERROR:  run \d+ of task "long" is queued or running/, 'whoever asks');
said(q{insert into public.wanted values ('quick'); select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'long'});
idle();
is(tick(at(0, '11:00')), 1, 'then it has it');
idle();
is(runs('long'), "cancelled cancelled: s1/skipped/cancelled/57014\nsucceeded completed: s1/done", 'one after the other');
is(outcomes('long'), 'Mon 11:00 pass', 'each for its own');
add_task('impatient', time => '12:00', rule => 'FREQ=SECONDLY;INTERVAL=2;COUNT=2', due_within => '1 second', set => q{catch_up = 'skip'}, statements => [ 'select pg_sleep(3)' ]);
is(tick(at(0, '12:00')), 2, 'one that runs longer than it should');
idle();
is(tick(at(0, '12:06')), 0, 'and does not catch up');
is(runs('impatient'), "succeeded completed: s1/done\ncancelled cancelled:", 'skips the next one');
like($node->safe_psql('postgres', q{select string_agg(message, '') from maintsched.run_history where task = 'impatient'}),
	qr/^skipped: run \d+ was still running at its time, and catch_up is skip$/, 'with the reason');

part('downtime');
all_week();
foreach my $how (qw(latest skip all))
{
	add_task($how, rule => 'FREQ=DAILY', statements => [ "$witness ('$how')" ], set => "catch_up = '$how'");
}
is(tick(at(0, '10:00')), 3, 'on Monday all is well');
idle();
is(tick(at(3, '10:30')), 2, 'on Thursday the server is back');
idle();
tick(at(3, '10:31')), idle() for 1 .. 4;
is(outcomes('latest'), 'Mon 10:00 pass, Thu 10:00 pass', 'latest: one run now');
is(runs('latest') =~ s/: s1\/done//gr, "succeeded completed\nsucceeded completed", 'and no other');
is(status_at(at(3, '10:40'), 'latest'), 'Mon 10:00 done, Tue 10:00 missed, Wed 10:00 missed, Thu 10:00 done', 'what closed is missed');
is(outcomes('skip'), 'Mon 10:00 pass', 'skip: none');
is(runs('skip') =~ s/: s1\/done//gr, "succeeded completed\ncancelled cancelled:", 'which is recorded');
like($node->safe_psql('postgres', q{select max(message) from maintsched.run_history where task = 'skip'}), qr/^skipped: nothing ran at its time, .*, and catch_up is skip$/, 'with the reason');
is(status_at(at(3, '10:40'), 'skip'), 'Mon 10:00 done, Tue 10:00 missed, Wed 10:00 missed, Thu 10:00 due', 'it stays due');
is(outcomes('all'), 'Mon 10:00 pass, Tue 10:00 pass, Wed 10:00 pass, Thu 10:00 pass', 'all: one after the other');
is(runs('all') =~ s/: s1\/done//gr, join("\n", ('succeeded completed') x 4), 'each by its own run');
is(status_at(at(3, '10:40'), 'all'), 'Mon 10:00 done, Tue 10:00 missed, Wed 10:00 missed, Thu 10:00 done', 'what was done after it closed stays missed');
tick(at(4, '10:00'));
idle();
is(outcomes('skip'), 'Mon 10:00 pass, Fri 10:00 pass', 'at its time it runs again');

# --- the states ---

is($node->safe_psql('postgres', q{
	with recursive reached as (
		select to_state from maintsched.run_state_machine() where from_state is null
		union
		select m.to_state from maintsched.run_state_machine() m join reached r on m.from_state = r.to_state)
	select string_agg(to_state, ' ' order by to_state) from reached}),
	'cancelled failed interrupted partial queued running succeeded', 'every state can be reached');
is($node->safe_psql('postgres', q{
	select string_agg(s, ' ' order by s) from (
		select to_state as s from maintsched.run_state_machine()
		except select from_state from maintsched.run_state_machine()) x}),
	'cancelled failed interrupted partial succeeded', 'and every one but the final ones be left');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run_state_machine() where event = '' or written_by = ''}), 0, 'each transition has an event and a writer');
part('what the table does not have');
$node->append_conf('postgresql.conf', 'maintsched.max_workers = 0');
my @states = qw(queued running succeeded partial failed cancelled interrupted);
my %may = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{select from_state || ' ' || to_state from maintsched.run_state_machine() where from_state is not null});
my @wrong;
foreach my $from (@states)
{
	foreach my $to (@states)
	{
		next if $from eq $to;
		# as the owner, and never committed
		my $final = $from !~ /queued|running/;
		my $end = $final ? ", finished_at = now()" : '';
		my $said = said("begin;
			insert into maintsched.run (routine, params, run_as, change_class, state, requested_by, queued_at, not_before, finished_at)
			values ('sql', '{}', 'nobody', 'minor', '$from', 'nobody', now(), 'infinity', " . ($final ? 'now()' : 'null') . ");
			update maintsched.run set state = '$to' where run_as = 'nobody'; rollback") =~ s/\n.*//sr;
		my $expected = $may{"$from $to"} ? qr/^\z/ : $final ? qr/^ERROR:  run \d+ has ended and cannot be changed$/
		  : qr/^ERROR:  run \d+ cannot become $to: it is $from$/;
		push @wrong, "$from $to: $said" if $said !~ $expected;
	}
}
is_deeply(\@wrong, [], 'is refused, and nothing else');
foreach my $what ([ 'run', 'state = state', qr/run \d+ has ended and cannot be changed/ ], [ 'run', "message = 'x'", qr/run \d+ has ended and cannot be changed/ ],
	[ 'run_action', "state = 'done', sqlstate = null", qr/action \d+ of run \d+ cannot be changed/ ])
{
	my ($table, $set, $error) = @$what;
	like(said("begin; update maintsched.$table set $set; rollback"), qr/^ERROR:  $error/, "ended: update of $table, $set");
}
foreach my $table (qw(run run_action run_occurrence completion))
{
	like(said("begin; delete from maintsched.$table; rollback"), qr/^ERROR:  /, "delete from $table");
	like(said("begin; truncate maintsched.$table; rollback"), qr/^ERROR:  /, "truncate $table");
}

# --- afterwards ---

is($node->safe_psql('postgres', 'select maintsched.launcher_state()'), 'running', 'the launcher lives');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run where state in ('queued', 'running')}), 0, 'no run is left');
is($node->safe_psql('postgres', q{select count(*) from (
	select from maintsched.completion where outcome = 'pass' group by occurrence_id having count(*) > 1) x}), 0, 'nothing was passed twice');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run where not simulated}), 0, 'all of it on the simulated clock');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run_action a join maintsched.run r using (run_id)
	where not (coalesce(a.started_at, r.started_at) >= r.started_at and a.finished_at <= r.finished_at) or r.started_at < r.queued_at or r.finished_at < r.started_at}), 0,
	'the instants are in order');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process has crashed');
$node->stop;
done_testing();
