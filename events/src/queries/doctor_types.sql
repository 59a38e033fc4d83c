-- doctor_types: read the event types that nobody is subscribed to.
select t.type as "event_type!"
from tidings.event_type t
where t.retired_at is null and 'notification' = any(t.audience)
group by t.type
having bool_and(coalesce(cardinality(t.patterns), 0) = 0)
order by t.type
