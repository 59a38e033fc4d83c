-- doctor_patterns: read the subscribed patterns that no event type matches.
select p.pattern as "pattern!", count(*)::int as "subscriptions!", min(s.name) as "name!"
from tidings.pattern p
join tidings.subscription u using (pattern_id)
join tidings.subscriber s using (subscriber_id)
where u.deleted_at is null
  and not exists (
    select from tidings.event_type t
    where t.retired_at is null
      -- Those of sinks are matched apart.
      and (p.pattern_id = any(t.patterns) or p.view = 'telemetry' and tidings.pattern_matches(p.pattern, t.type))
  )
group by p.pattern
order by p.pattern
limit 50
