-- update_subscriber: write what was changed of a subscriber, unless another has its name.
update tidings.subscriber s set
  name = $2,
  config = $3,
  in_flight_max = $4,
  rate_per_s = $5,
  retry = $6,
  version = s.version + 1,
  updated_at = clock_timestamp()
where s.subscriber_id = $1
  and not exists (
    select from tidings.subscriber other
    where other.tenant = s.tenant and other.name = $2 and other.subscriber_id <> $1 and other.deleted_at is null
  )
returning s.version
