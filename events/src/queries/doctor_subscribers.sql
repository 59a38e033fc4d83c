-- doctor_subscribers: read the subscribers that get nothing for now, and why.
select
  s.tenant as "tenant!",
  s.name as "name!",
  extract(epoch from clock_timestamp() - s.paused_at)::float8 as paused_s,
  extract(epoch from clock_timestamp() - s.disabled_at)::float8 as disabled_s,
  s.disabled_reason,
  case when s.retry_after_until > clock_timestamp()
    then extract(epoch from s.retry_after_until - clock_timestamp())::float8 end as held_back_s,
  s.breaker ->> 'state' is not distinct from 'open' as "open!"
from tidings.subscriber s
where s.deleted_at is null
  and (
    s.paused_at is not null
    or s.disabled_at is not null
    or s.retry_after_until > clock_timestamp()
    or s.breaker ->> 'state' = 'open'
  )
order by s.subscriber_id
limit 100
