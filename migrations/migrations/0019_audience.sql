-- Who may see an event is what its type says.
-- Why: a subscription by pattern, `shop:**`, also matched types whose audience is analytics alone, so that webhooks were
-- told of what front ends report.
-- Who is affected: subscribers of the notification view, who are told no more of types that are not for them. Locks:
-- none that matter.

-- match_patterns: as before, and the patterns of notifications match only types that are for subscribers.
create or replace function tidings.match_patterns() returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.event_type t set patterns = m.patterns
  from (
    select e.type, e.version, (
      select array_agg(p.pattern_id order by p.pattern_id) from tidings.pattern p
      where p.view = 'notification' and 'notification' = any(e.audience) and tidings.pattern_matches(p.pattern, e.type)
        and exists (select from tidings.subscription s where s.pattern_id = p.pattern_id and s.deleted_at is null)
    ) as patterns
    from tidings.event_type e
  ) m
  where t.type = m.type and t.version = m.version and t.patterns is distinct from m.patterns;
  update tidings.event_type t set collects = m.collects, sinks = m.sinks
  from (
    select e.type, e.version, c.collects, (
      select array_agg(distinct s.subscriber_id order by s.subscriber_id)
      from tidings.pattern p join tidings.subscription s using (pattern_id)
      where c.collects and p.view = 'telemetry' and tidings.sink_matches(p.pattern, e.type) and s.deleted_at is null
    ) as sinks
    from tidings.event_type e
    cross join lateral (
      select e.audience && '{telemetry,client}' and e.level_rank <= (select l.rank from tidings.level l where l.until = 'infinity')
        as collects
    ) c
  ) m
  where t.type = m.type and t.version = m.version and (t.collects, t.sinks) is distinct from (m.collects, m.sinks);
  perform tidings.route_types(null);
end
$$;

select tidings.match_patterns();

revoke execute on all functions in schema tidings from public;
