--
-- 58_optimize: "Database optimization": statistics, bloat, rebuilds, in this order
--

create function maintsched.plan_optimize(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	part text;
	shared jsonb;
begin
	perform maintsched.check_params('optimize', params);
	foreach part in array array['analyze', 'bloat', 'reindex'] loop
		-- what is said for all, then what is said for it
		shared := coalesce((
			select jsonb_object_agg(e.key, e.value)
			from jsonb_each(params) e
			join maintsched.param_types(part) p on p.name = e.key
			where e.value <> 'null' and e.key <> 'time_limit'
			-- thresholds of bloat, which say nothing to analyze
			and (part, e.key) <> ('analyze', 'overrides')), '{}');
		return query execute format(
			'select a.target, a.command, a.reason, a.benefit_bytes, a.estimated_seconds,
				coalesce(a.details, ''{}'') || jsonb_build_object(''routine'', $2)
			from maintsched.%I($1) with ordinality
				as a(target, command, reason, benefit_bytes, estimated_seconds, details, n)
			order by a.n', 'plan_' || part)
		using shared || coalesce(nullif(params -> part, 'null'), '{}'), part;
	end loop;
end
$$;

comment on function maintsched.plan_optimize(jsonb) is
'Plan of routine optimize: that of analyze, then of bloat, then of reindex. params: include, exclude, min_bloat, min_wasted and overrides for all that take them; analyze, bloat and reindex, objects of the parameters of each, which go before those. Errors: those of the three.';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('optimize', 'maintsched.plan_optimize', 'Database optimization: analyze, bloat and reindex, in this order.', '{}', 'major', true);
