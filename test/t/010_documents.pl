# The shipped documents, their reference and the reader say the same: every
# item number is a source of an entry and stands in coverage.md; the JSON
# Schema and calendar-format.md have the keys, types and words of the C tables;
# controls exist in the shipped frameworks.  And documents are read in
# databases of other encodings.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my %document = map { $_ => decode_json(slurp_rel("../../sql/calendars/$_.json")) } qw(smartmed astral-core);
my %framework = map { $_ => decode_json(slurp_rel("../../sql/frameworks/$_.json")) } qw(hipaa hipaa-nprm-2025);

# Calls $visit with each object below $value and its path.
sub walk
{
	my ($value, $path, $visit) = @_;
	if (ref $value eq 'HASH')
	{
		$visit->($value, $path);
		walk($value->{$_}, "$path.$_", $visit) foreach sort keys %$value;
	}
	elsif (ref $value eq 'ARRAY')
	{
		walk($value->[$_], "$path\[$_]", $visit) foreach 0 .. $#$value;
	}
	return;
}

# --- item numbers ---

my %source;
my @without;
foreach my $name (sort keys %document)
{
	walk($document{$name}, $name, sub {
			my ($object, $path) = @_;
			return if $path !~ /\]$/;    # the document itself, and params
			push @without, $path if !exists $object->{source};
			push @{ $source{$_} }, $path foreach @{ $object->{source} // [] };
		});
}
my %covered;
foreach my $line (split /\n/, slurp_rel('../../docs/reference/coverage.md'))
{
	$covered{$1} = $line if $line =~ /^\| ([SA]\d+(?:\.\d+[a-c]?)?) \|/;
}
is_deeply([ grep { !$source{$_} } sort keys %covered ], [], 'every item of coverage.md is a source');
is_deeply([ grep { !$covered{$_} } sort keys %source ], [], 'every source is an item of coverage.md');
is_deeply(\@without, [], 'every entry has its item numbers');

my %items = (
	S1 => 8, S2 => 10, S3 => 6, S4 => 12, S5 => 6, S6 => 9, S7 => 14, S9 => 5, S10 => 5, S11 => 8, S12 => 9,
	A1 => 12, A2 => 10, A3 => 9, A4 => 10, A5 => 6, A6 => 6, A7 => 6, A8 => 6, A9 => 12, A10 => 7, A11 => 15,
	A12 => 10, A13 => 9, A14 => 12);
my @wanted = (qw(S3.1a S3.1b S3.1c A0), map { my $section = $_; map { "$section.$_" } 1 .. $items{$section} } keys %items);
is_deeply([ grep { !$covered{$_} } sort @wanted ], [], 'the items of both documents are all there');

# what coverage.md says of a place is true
my %place;
foreach my $name (keys %document)
{
	foreach my $task (@{ $document{$name}{tasks} })
	{
		$place{"task `$name/$task->{name}`"}{$_} = 1 foreach @{ $task->{source} };
		my $n = 0;
		foreach my $item (@{ $task->{checklist} // [] })
		{
			$n++;
			$place{"checklist item $n of task `$name/$task->{name}`"}{$_} = 1 foreach @{ $item->{source} };
		}
		foreach my $instruction (@{ $task->{instructions} // [] })
		{
			$place{"instructions of task `$name/$task->{name}`"}{$_} = 1 foreach @{ $instruction->{source} };
		}
		$place{"tools of task `$name/$task->{name}`"} = $place{"task `$name/$task->{name}`"};
	}
}
my @wrong;
foreach my $item (sort keys %covered)
{
	my (undef, undef, undef, $where) = split / ?\| ?/, $covered{$item};
	foreach my $words (split /; /, $where)
	{
		push @wrong, "$item: $words" if $words !~ /^view / && !$place{$words}{$item};
	}
}
is_deeply(\@wrong, [], 'tasks, checklist lines and instructions are where coverage.md says');

# --- controls ---

my %control;
foreach my $framework (values %framework)
{
	$control{"$framework->{name} $_->{control}"} = 1 foreach @{ $framework->{controls} };
}
my @unknown;
foreach my $name (sort keys %document)
{
	foreach my $task (@{ $document{$name}{tasks} })
	{
		push @unknown, grep { !$control{$_} } @{ $task->{controls} };
	}
}
is_deeply(\@unknown, [], 'every control cited is one of a shipped framework');
ok($framework{hipaa}{enabled}, 'HIPAA is switched on');
ok(!$framework{'hipaa-nprm-2025'}{enabled}, 'the proposed rule is switched off');

# --- the tables in C, the schema and the page ---

my $spec = slurp_rel('../../src/calendar/document_spec.c');
my $schema = decode_json(slurp_rel('../../docs/reference/calendar.schema.json'));
my $page = slurp_rel('../../docs/reference/calendar-format.md');
my %words;
while ($spec =~ /const char \*const (\w+)\[\] = \{(.*?)\};/gs)
{
	my ($name, $list) = ($1, $2);
	$words{$name} = [ $list =~ /"([^"]+)"/g ];
}
my %ref = (
	NAME => 'name', FRAMEWORK => 'framework_name', LABEL => 'label', TEXT => 'text', LINE => 'line',
	CONTROL => 'control', RULE => 'rule', TIMESTAMP => 'timestamp', DURATION => 'duration', SPAN => 'span',
	TIMEZONE => 'timezone');
my %plain = (BOOLEAN => 'boolean', NUMBER => 'number', OBJECT => 'object');
my %kind_fields;
$kind_fields{$1} = $2 while $spec =~ /EntryKind (\w+) = KIND\("[^"]+", (\w+)_fields/g;

# The schema of one field of the C table, without its description.
sub field_schema
{
	my ($line) = @_;
	$line = '{"source", TYPE(LABEL, DISTINCT)}' if $line eq 'SOURCE';
	my ($name, $how, $arguments) = $line =~ /^\{"(\w+)", (\w+)\((.*)\)\}$/ or die "cannot read: $line";
	my ($first, $flags) = split /, /, $arguments, 2;
	my $type =
		$how eq 'WORDS'   ? { enum => $words{$first} }
	  : $how eq 'ENTRIES' ? { '$ref' => "#/\$defs/$kind_fields{$first}_entry" }
	  : $how eq 'INTEGER' ? { type => 'integer' }
	  : $plain{$first}    ? { type => $plain{$first} }
	  :                     { '$ref' => "#/\$defs/$ref{$first}" };
	$flags = 'REQUIRED' if $how eq 'INTEGER';
	$type = { oneOf => [ $type, { type => 'null' } ] } if $flags =~ /NULLABLE/;
	if ($how eq 'ENTRIES' || $flags =~ /LIST|FILLED|DISTINCT/)
	{
		$type = { type => 'array', items => $type };
		$type->{minItems} = 1 if $flags =~ /FILLED/;
		$type->{uniqueItems} = JSON::PP::true if $flags =~ /DISTINCT/;
	}
	return ($name, $type, $flags =~ /REQUIRED/);
}

my $json = JSON::PP->new->canonical;
my $tables = 0;
while ($spec =~ /static const Field (\w+)_fields\[\] = \{\n(.*?)\n\};/gs)
{
	my ($table, $lines) = ($1, $2);
	my (%properties, @required);
	foreach my $line (split /\n/, $lines)
	{
		$line =~ s/^\s+//;
		$line =~ s/,$//;
		my ($name, $type, $is_required) = field_schema($line);
		$properties{$name} = $type;
		push @required, $name if $is_required;
		like($page, qr/^\| `$name` \|/m, "calendar-format.md lists $table.$name");
	}
	my $there = $schema->{'$defs'}{ $table =~ /^(calendar|framework)$/ ? $table : "${table}_entry" };
	my %found = map { $_ => { %{ $there->{properties}{$_} } } } keys %{ $there->{properties} };
	delete @$_{qw(description minimum maximum)} foreach values %found;
	is($json->encode(\%found), $json->encode(\%properties), "schema of $table: properties");
	is_deeply($there->{required}, \@required, "schema of $table: required");
	is($there->{additionalProperties}, JSON::PP::false, "schema of $table: no other keys");
	$tables++;
}
cmp_ok($tables, '==', 20, 'tables read');

# --- the reader ---

my $node = new_server('documents');

sub check
{
	my ($database, $function, $text) = @_;
	my ($status, $out, $err) =
	  $node->psql($database, "\\set VERBOSITY verbose\nselect maintsched.$function(\$doc\$$text\$doc\$) is not null;");
	return $status == 0 ? $out : $err;
}

$node->safe_psql('postgres', 'create extension maintsched');
my ($example) = $page =~ /```json\n(.*?)```/s;
is(check('postgres', 'check_document', $example), 't', 'the example of calendar-format.md');
is(check('postgres', 'check_framework', slurp_rel("../../sql/frameworks/$_.json")), 't', "framework $_")
  foreach sort keys %framework;

my $small = '{"format": "maintsched-calendar/1", "name": "a", "title": "%s", "tasks": []}';
foreach my $encoding (qw(SQL_ASCII LATIN1))
{
	my $database = lc $encoding;
	$node->safe_psql('postgres',
		"create database $database template template0 encoding $encoding lc_collate 'C' lc_ctype 'C'");
	$node->safe_psql($database, 'create extension maintsched');
	is(check($database, 'check_document', slurp_rel("../../sql/calendars/$_.json")), 't', "$encoding: $_")
	  foreach sort keys %document;
}
like(check('latin1', 'check_document', sprintf $small, '\u00c4rzte'), qr/^t$/, 'LATIN1: an escape it can hold');
like(check('latin1', 'check_document', sprintf $small, '\u65e5'), qr/ERROR:  (22|0A)/, 'LATIN1: one that it cannot');
$node->safe_psql('latin1', "set client_encoding = 'LATIN1'; select maintsched.check_document('"
	  . sprintf($small, "\xC4rzte") . "')");
ok(1, 'LATIN1: a letter beyond ASCII');
like(check('latin1', 'check_document', sprintf $small, 'a\u0085b'), qr/22023.*U\+0085/, 'LATIN1: a control character');
is(check('sql_ascii', 'check_document', sprintf $small, "\xC3\x84rzte"), 't', 'SQL_ASCII: UTF-8');
like(check('sql_ascii', 'check_document', "\n" . sprintf $small, "\xC4rzte"),
	qr/22021.*not valid UTF-8, on line 2/, 'SQL_ASCII: not UTF-8');
like(check('sql_ascii', 'check_document', sprintf $small, "\xED\xA0\x80"), qr/22021/, 'SQL_ASCII: a surrogate as bytes');

$node->stop;
done_testing();
