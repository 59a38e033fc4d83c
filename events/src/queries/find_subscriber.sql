-- find_subscriber: read one subscriber of a tenant, by its name or else by its id.
select
  s.subscriber_id as "subscriber_id!",
  s.tenant,
  s.name,
  s.kind,
  s.view as "view: View",
  s.shard as "shard!",
  s.config,
  s.version,
  s.in_flight_max,
  s.rate_per_s,
  s.retry,
  s.paused_at,
  s.disabled_at,
  s.disabled_reason,
  s.breaker,
  s.breaker ->> 'state' = 'open' as open,
  case when s.retry_after_until > clock_timestamp() then s.retry_after_until end as held_back_until,
  s.created_at,
  s.updated_at,
  (
    select count(*) from tidings.subscription u
    where u.subscriber_id = s.subscriber_id and u.deleted_at is null
  ) as "subscription_count!"
from tidings.subscriber s
where s.deleted_at is null
  and s.subscriber_id <> 0
  and s.tenant = $1
  and (s.name = $2 or s.subscriber_id = $3)
order by s.name = $2 desc
limit 1
