-- lanes: read the subscribers of these lanes, with what is sealed for them, newest first.
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
  s.breaker,
  clock_timestamp() as "now!",
  k.secret_ids as "secret_ids!",
  k.owners as "owners!",
  k.purposes as "purposes!",
  k.legacy as "legacy!",
  k.sealed as "sealed!",
  k.expires_in_ms as "expires_in_ms!: Vec<Option<i64>>"
from tidings.subscriber s
-- Its own, and the key pairs of the installation where it signs by `v1a` and has none.
cross join lateral (
  select
    coalesce(array_agg(k.secret_id order by k.secret_id desc), '{}') as secret_ids,
    coalesce(array_agg(k.subscriber_id order by k.secret_id desc), '{}') as owners,
    coalesce(array_agg(k.purpose order by k.secret_id desc), '{}') as purposes,
    coalesce(array_agg(k.legacy order by k.secret_id desc), '{}') as legacy,
    coalesce(array_agg(k.sealed order by k.secret_id desc), '{}') as sealed,
    coalesce(
      array_agg((extract(epoch from k.expires_at - clock_timestamp()) * 1000)::bigint order by k.secret_id desc), '{}'
    ) as expires_in_ms
  from tidings.secret k
  where k.subscriber_id = any(array[s.subscriber_id, 0])
    and s.subscriber_id <> 0
    and (k.expires_at is null or k.expires_at > clock_timestamp())
    and (
      k.subscriber_id = s.subscriber_id
      or k.purpose = 'key_pair' and s.config @> '{"signatures": ["v1a"]}' and not exists (
        select from tidings.secret o
        where o.subscriber_id = s.subscriber_id
          and o.purpose = 'key_pair'
          and (o.expires_at is null or o.expires_at > clock_timestamp())
      )
    )
) k
where s.subscriber_id = any($1)
