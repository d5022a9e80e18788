# The documentation is executed.  README.md and every page below docs/: all
# blocks ```sql of a page run in order, in one session of psql and a database
# of its own; a block ```text right after one must be psql's output, trailing
# blanks aside.  Without one, a block must do without errors and warnings.
# "```sql no-run" is for what only another machine could run.
#
# The database has the extension already, unless the first block creates it.
# The server has it in no shared_preload_libraries, as the pages promise.
#
# Besides: links lead somewhere; the reference names every function, view,
# table, type and setting, none that there is not, with the signatures and the
# comments of the catalog.
#
# DOCS_WRITE=FOLDER writes the pages with the output that they should have
# there (PROVE_TESTS as in the Makefile).
use strict;
use warnings FATAL => 'all';
use File::Basename;
use File::Find;
use File::Path qw(make_path);
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my @pages = -e "$root/README.md" ? ('README.md') : ();
find({
		no_chdir => 1,
		wanted => sub { push @pages, substr($_, length("$root/")) if /\.md$/ }
	},
	"$root/docs");
@pages = sort @pages;
my %text = map { $_ => slurp_file("$root/$_") } @pages;

# --- reading pages ---

# The fenced blocks of a page: language, flags, lines, number of the first line.
sub blocks
{
	my ($page) = @_;
	my (@blocks, $open);
	my $number = 0;
	my $joined = 0;    # only blank lines since the last block
	foreach my $line (split /\n/, $text{$page}, -1)
	{
		$number++;
		if ($open && $line eq '```')
		{
			push @blocks, $open;
			undef $open;
			$joined = 1;
		}
		elsif ($open)
		{
			push @{ $open->{lines} }, $line;
		}
		elsif ($line =~ /^```(\w*)(?: (.*))?$/)
		{
			$open = { lang => $1, flags => $2 // '', lines => [], first => $number + 1, joined => $joined };
		}
		elsif ($line =~ /\S/)
		{
			$joined = 0;
		}
	}
	die "$page: a block is not closed" if $open;
	return @blocks;
}

sub trimmed
{
	my ($output) = @_;
	$output =~ s/[ \t]+$//mg;
	$output =~ s/\A\n+//;
	$output =~ s/\n+\z//;
	return $output;
}

# A page without its blocks, for headings and links.
sub prose
{
	my ($page) = @_;
	my $prose = $text{$page};
	$prose =~ s/^```.*?^```$//msg;
	return $prose;
}

# --- running pages ---

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', q{
	select 'create role postgres superuser login'
	where not exists (select from pg_roles where rolname = 'postgres') \gexec});

# What psql prints for each block of SQL.
sub run_page
{
	my ($database, @sql) = @_;
	my $script = join '', map { "\\echo \@\@$_\n" . join("\n", @{ $sql[$_]{lines} }) . "\n" } 0 .. $#sql;
	my $output = '';
	local $ENV{PAGER} = '';
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	delete local $ENV{PGOPTIONS};
	IPC::Run::run([ 'psql', '-X', '-v', 'SHOW_CONTEXT=never', '-d',
			$node->connstr($database) . ' user=postgres' ],
		'<', \$script, '>&', \$output);
	my @outputs = split /^\@\@\d+\n/m, $output, -1;
	shift @outputs;
	return map { trimmed($_) } @outputs;
}

my $databases = 0;
foreach my $page (@pages)
{
	my @blocks = blocks($page);
	my @sql = grep { $_->{lang} eq 'sql' && $_->{flags} ne 'no-run' } @blocks;
	next if !@sql;
	$sql[$_]{index} = $_ foreach 0 .. $#sql;
	foreach my $i (1 .. $#blocks)
	{
		my ($before, $block) = @blocks[ $i - 1, $i ];
		$before->{wanted} = $block if $block->{lang} eq 'text' && $block->{joined} && defined $before->{index};
	}

	my $database = 'docs_' . ++$databases;
	$node->safe_psql('postgres', "create database $database");
	$node->safe_psql($database, 'create extension maintsched')
	  if join("\n", @{ $sql[0]{lines} }) !~ /create extension/i;
	my @outputs = run_page($database, @sql);
	is(scalar @outputs, scalar @sql, "$page: every block was run");

	my @lines = split /\n/, $text{$page}, -1;
	foreach my $block (reverse @sql)
	{
		my $output = $outputs[ $block->{index} ] // '';
		my $wanted = $block->{wanted};
		my $place = "$page line $block->{first}";
		if (!$wanted)
		{
			unlike($output, qr/^(ERROR|FATAL|PANIC|WARNING):/m, "$place: no errors");
			next;
		}
		is($output, trimmed(join "\n", @{ $wanted->{lines} }), "$place: the output");
		splice @lines, $wanted->{first} - 1, scalar @{ $wanted->{lines} }, split /\n/, $output;
	}
	next if !$ENV{DOCS_WRITE};
	make_path(dirname("$ENV{DOCS_WRITE}/$page"));
	open(my $file, '>', "$ENV{DOCS_WRITE}/$page") or die "$ENV{DOCS_WRITE}/$page: $!";
	print $file join("\n", @lines);
	close $file;
}

# --- links ---

# The anchors of a page's headings, as GitHub makes them.
sub anchors
{
	my ($page) = @_;
	my %anchor;
	my $prose = prose($page);
	while ($prose =~ /^#+ +(.*?) *$/mg)
	{
		my $words = lc $1;
		$words =~ s/[^\w\- ]//g;
		$words =~ tr/ /-/;
		$anchor{$words} = 1;
	}
	return \%anchor;
}

my %anchors = map { $_ => anchors($_) } @pages;
foreach my $page (@pages)
{
	my @dead;
	my $prose = prose($page);
	while ($prose =~ /\]\(([^)\s]+)\)/g)
	{
		my $link = $1;
		next if $link =~ /^(https?|mailto):/;
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $page : (dirname($page) eq '.' ? '' : dirname($page) . '/') . $path;
		1 while $target =~ s{[^/]+/\.\./}{};
		push @dead, $link
		  if !-e "$root/$target" || (defined $anchor && $anchors{$target} && !$anchors{$target}{$anchor});
	}
	is_deeply(\@dead, [], "$page: the links lead somewhere");
}
cmp_ok(scalar(() = $text{'README.md'} =~ /\n/g), '<=', 200, 'README.md is short');

# --- the reference ---

$node->safe_psql('postgres', 'create extension maintsched');

sub one_line
{
	my ($words) = @_;
	$words =~ s/\s+/ /g;
	return $words;
}

# What the reference says of some kind, against the catalog.
sub same
{
	my ($there, $query, $name) = @_;
	is_deeply([ sort @$there ], [ sort split /\n/, $node->safe_psql('postgres', $query) ], $name);
	return;
}

my $members = q{
	from pg_depend d
	where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
	and d.refobjid = (select oid from pg_extension where extname = 'maintsched')};

# functions: a heading with the signature in a block, or a row of a table
my $functions = $text{'docs/reference/functions.md'};
my (@signatures, @rows);
push @signatures, one_line($1) while $functions =~ /^```\nmaintsched\.(.*?)\n```$/msg;
push @rows, "$1: $2" while $functions =~ /^\| `(\w+\([^`]*\))` \| (.*) \|$/mg;
my %public = map { /^(\w+)/ => 1 } @signatures;
my $is_public = 'p.proname in (' . join(', ', map { "'$_'" } sort keys %public) . ')';
my $of_functions = "from pg_proc p where p.oid in (select d.objid $members and d.classid = 'pg_proc'::regclass)";
same(\@signatures,
	"select format('%s(%s) returns %s', p.proname, pg_get_function_arguments(p.oid),
		pg_get_function_result(p.oid)) $of_functions and $is_public",
	'functions.md: the signatures of what is for use');
same(\@rows,
	"select format('%s(%s): %s', p.proname, oidvectortypes(p.proargtypes),
		replace(obj_description(p.oid, 'pg_proc'), '|', '\\|')) $of_functions and not $is_public",
	'functions.md: all others, with their comments');
my @headings;
push @headings, $1 while $functions =~ /^### (\w+)$/mg;
is_deeply([ sort @headings ], [ sort keys %public ], 'functions.md: a heading for each');
foreach my $comment (
	split /\x{1}/,
	$node->safe_psql('postgres',
		"select string_agg(obj_description(p.oid, 'pg_proc'), chr(1)) $of_functions and $is_public"))
{
	cmp_ok(index(one_line($functions), one_line($comment)), '>=', 0, 'functions.md: ' . substr($comment, 0, 60));
}

# views and tables: a heading, the comment, and a row for each column
foreach my $kind ([ 'v', 'views' ], [ 'r', 'tables' ])
{
	my ($relkind, $name) = @$kind;
	my $page = $text{"docs/reference/$name.md"};
	my @there;
	my $relation = '';
	foreach my $line (split /\n/, $page)
	{
		$relation = $1 if $line =~ /^## (\w+)$/;
		$relation = '' if $line =~ /^## .*\W/;
		push @there, "$relation.$1: $2: $3" if $line =~ /^\| `(\w+)` \| (.*?) \| (.*) \|$/;
	}
	my $where = "a.attnum > 0 and c.oid in (select d.objid $members and d.classid = 'pg_class'::regclass) and c.relkind = '$relkind'";
	same(\@there,
		"select format('%s.%s: %s: %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
			replace(col_description(c.oid, a.attnum), '|', '\\|'))
		from pg_class c join pg_attribute a on a.attrelid = c.oid where $where",
		"$name.md: the columns and their comments");
	foreach my $comment (
		split /\x{1}/,
		$node->safe_psql('postgres',
			"select string_agg(distinct obj_description(c.oid, 'pg_class'), chr(1)) from pg_class c join pg_attribute a on a.attrelid = c.oid where $where"))
	{
		cmp_ok(index(one_line($page), one_line($comment)), '>=', 0, "$name.md: " . substr($comment, 0, 60));
	}
}

# types and domains are in tables.md, settings in settings.md
my @types;
push @types, $1 while $text{'docs/reference/tables.md'} =~ /^## Type (\w+)$/mg;
same(\@types,
	"select t.typname from pg_type t left join pg_class c on c.oid = t.typrelid
	where t.typtype in ('c', 'd') and coalesce(c.relkind, 'c') = 'c'
	and (t.oid in (select d.objid $members) or c.oid in (select d.objid $members))",
	'tables.md: types');
my @settings;
push @settings, $1 while $text{'docs/reference/settings.md'} =~ /^## (maintsched\.\w+)$/mg;
same(\@settings, "select maintsched.clock() \\g /dev/null\nselect name from pg_settings where name like 'maintsched.%'",
	'settings.md: settings');

# no page speaks of something that there is not
my %known = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', qq{
	select p.proname $of_functions
	union select c.relname from pg_class c where c.relnamespace = 'maintsched'::regnamespace
	union select t.typname from pg_type t where t.typnamespace = 'maintsched'::regnamespace
	union select split_part(s.name, '.', 2) from pg_settings s where s.name like 'maintsched.%'});
$known{$_} = 1 foreach qw(now horizon reason control so c conf sql);
foreach my $page (@pages)
{
	my %unknown;
	while ($text{$page} =~ /\bmaintsched\.(\w+)/g)
	{
		$unknown{$1} = 1 if !$known{$1};
	}
	is_deeply([ sort keys %unknown ], [], "$page: speaks of what there is");
}

$node->stop;
done_testing();
