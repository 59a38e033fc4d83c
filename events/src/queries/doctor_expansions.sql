-- doctor_expansions: read the large fan-outs that have been due for long.
select
  x.event_id as "event_id!",
  x.expanded as "expanded!",
  extract(epoch from clock_timestamp() - greatest(x.due_at, x.registered_at))::float8 as "waiting_s!",
  exists (
    select from tidings.delivery d where d.subscriber_id = 0 and d.event_id = x.event_id
  ) as "pending!"
from tidings.expansion x
where greatest(x.due_at, x.registered_at) < clock_timestamp() - $1::float8 * interval '1 second'
order by x.registered_at
limit 20
