--
-- 15_shipped: the shipped calendar documents, and the frameworks of controls
--
-- Built-in rows: part of the extension, not dumped, not edited.  What a site
-- decides about them is in framework_setting.
--

create table maintsched.shipped_calendar (
	name text primary key,
	document text not null
);

comment on table maintsched.shipped_calendar is 'The calendar documents that come with the extension.';
comment on column maintsched.shipped_calendar.name is 'Name of the document.';
comment on column maintsched.shipped_calendar.document is 'The document, JSON.';

create table maintsched.shipped_framework (
	name text primary key,
	document text not null
);

comment on table maintsched.shipped_framework is 'The framework documents that come with the extension.';
comment on column maintsched.shipped_framework.name is 'Name of the file that it was built from.';
comment on column maintsched.shipped_framework.document is 'The document, JSON.';

--@documents calendars

--@documents frameworks

create table maintsched.framework (
	name text primary key check (name !~ '[[:space:]]'),
	title text not null,
	source text not null,
	enabled_by_default boolean not null
);

comment on table maintsched.framework is 'A law or standard whose clauses are the controls that tasks are evidence for.';
comment on column maintsched.framework.name is 'Its name, such as HIPAA; no spaces.';
comment on column maintsched.framework.title is 'The name for people.';
comment on column maintsched.framework.source is 'Where its text stands.';
comment on column maintsched.framework.enabled_by_default is 'Whether it counts until set_framework() says otherwise.';

create table maintsched.control (
	framework text not null references maintsched.framework (name),
	control text not null,
	title text not null,
	requirement text not null,
	"position" integer not null,
	primary key (framework, control)
);

comment on table maintsched.control is 'A clause of a framework.';
comment on column maintsched.control.framework is 'The framework.';
comment on column maintsched.control.control is 'The citation, such as 164.308(a)(7)(ii)(D).';
comment on column maintsched.control.title is 'What the clause is about.';
comment on column maintsched.control.requirement is 'required, addressable (45 CFR 164.306(d)) or proposed.';
comment on column maintsched.control.position is 'Order in the framework.';

insert into maintsched.framework (name, title, source, enabled_by_default)
select d ->> 'name', d ->> 'title', d ->> 'source', (d -> 'enabled')::boolean
from maintsched.shipped_framework s cross join lateral (select s.document::jsonb) x(d);

insert into maintsched.control (framework, control, title, requirement, "position")
select d ->> 'name', c.value ->> 'control', c.value ->> 'title', c.value ->> 'requirement', c.ordinality
from maintsched.shipped_framework s
cross join lateral (select s.document::jsonb) x(d)
cross join lateral jsonb_array_elements(d -> 'controls') with ordinality c;

create table maintsched.framework_setting (
	framework text primary key,
	enabled boolean not null
);

comment on table maintsched.framework_setting is 'Which frameworks count here, where that differs from the default: set_framework().';
comment on column maintsched.framework_setting.framework is 'The framework.';
comment on column maintsched.framework_setting.enabled is 'Whether its controls are shown and counted.';

create view maintsched.frameworks as
select f.name, f.title, f.source,
	coalesce(s.enabled, f.enabled_by_default) as enabled,
	(select count(*) from maintsched.control k where k.framework = f.name) as controls
from maintsched.framework f
left join maintsched.framework_setting s on s.framework = f.name;

comment on view maintsched.frameworks is 'The frameworks known, and whether they count here.';
comment on column maintsched.frameworks.name is 'The framework.';
comment on column maintsched.frameworks.title is 'The name for people.';
comment on column maintsched.frameworks.source is 'Where its text stands.';
comment on column maintsched.frameworks.enabled is 'Whether its controls are shown and counted: set_framework().';
comment on column maintsched.frameworks.controls is 'Number of its clauses.';

create function maintsched.shipped_document(name text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	found_document text;
begin
	select s.document into found_document
	from maintsched.shipped_calendar s
	where lower(s.name) = lower(shipped_document.name)
	or lower(s.document::jsonb ->> 'title') = lower(shipped_document.name);
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('no calendar document %s is shipped', coalesce('"' || shipped_document.name || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(shipped_document.name, ''),
				array(select s.name from maintsched.shipped_calendar s order by s.name), 'Shipped are');
	end if;
	return found_document;
end
$$;

comment on function maintsched.shipped_document(text) is
'The shipped calendar document of that name or title, JSON. Errors: undefined_object (42704).';
