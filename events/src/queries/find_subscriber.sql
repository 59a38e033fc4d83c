-- find_subscriber: read one subscriber of a tenant, by its name or else by its id.
select
  s.subscriber_id as "subscriber_id!",
  s.tenant,
  s.name,
  s.kind,
  s.config,
  s.paused_at,
  s.disabled_at,
  s.disabled_reason,
  case when s.retry_after_until > clock_timestamp() then s.retry_after_until end as held_back_until,
  s.created_at,
  s.updated_at,
  s.version,
  s.shard as "shard!",
  s.in_flight_max,
  s.rate_per_s,
  s.retry
from tidings.subscriber s
where s.deleted_at is null
  and s.subscriber_id <> 0
  and s.tenant = $1
  and (s.name = $2 or s.subscriber_id = $3)
order by s.name = $2 desc
limit 1
