-- doctor_types: read the application's event types that nobody is subscribed to.
select t.type as "event_type!"
from tidings.event_type t
where t.retired_at is null and 'notification' = any(t.audience) and not starts_with(t.type, 'tidings:')
group by t.type
having bool_and(coalesce(cardinality(t.patterns), 0) = 0)
order by t.type
