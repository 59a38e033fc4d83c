-- doctor_lanes: read the lanes whose oldest delivery has been due for long, although they are held and may go on.
select
  s.tenant as "tenant!",
  s.name as "name!",
  extract(epoch from clock_timestamp() - d.due_at)::float8 as "waiting_s!",
  s.in_flight_max,
  s.rate_per_s,
  w.host as "host!",
  w.pid as "pid!"
from tidings.subscriber s
join tidings.shard h on h.group_name = s.kind and h.shard = s.shard
join tidings.worker w on w.worker_id = h.worker_id and w.expires_at > clock_timestamp()
cross join lateral (
  select d.due_at from tidings.delivery d
  where d.subscriber_id = s.subscriber_id
  order by d.due_at limit 1
) d
where d.due_at < clock_timestamp() - $1::float8 * interval '1 second'
  and s.paused_at is null
  and s.disabled_at is null
  and s.deleted_at is null
  and (s.retry_after_until is null or s.retry_after_until < clock_timestamp())
  and s.breaker ->> 'state' is distinct from 'open'
order by d.due_at
limit 20
