-- lanes: read the subscribers of these lanes, with their sealed secrets, newest first.
select
  s.subscriber_id as "subscriber_id!",
  s.tenant,
  s.name,
  s.kind,
  s.shard as "shard!",
  s.config,
  s.in_flight_max,
  s.rate_per_s,
  s.retry,
  s.paused_at is not null as "paused!",
  s.disabled_at is not null as "disabled!",
  s.deleted_at is not null as "deleted!",
  (extract(epoch from s.retry_after_until - clock_timestamp()) * 1000)::bigint as retry_after_ms,
  array(
    select k.sealed from tidings.secret k
    where k.subscriber_id = s.subscriber_id and (k.expires_at is null or k.expires_at > clock_timestamp())
    order by k.secret_id desc
  ) as "sealed!"
from tidings.subscriber s
where s.subscriber_id = any($1)
