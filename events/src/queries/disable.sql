-- disable: stop delivering to a subscriber, for the system's own reason; the deliveries wait. Fenced by the term, where
-- it is the owner of the lane who says so: one that is an owner no more changes nothing.
update tidings.subscriber s set
  disabled_at = clock_timestamp(),
  disabled_reason = $2,
  updated_at = clock_timestamp(),
  version = s.version + 1
where s.subscriber_id = $1 and s.disabled_at is null and s.deleted_at is null
  and ($3::uuid is null or exists (
    select from tidings.shard h
    where h.group_name = s.kind and h.shard = s.shard and h.worker_id = $3 and h.term = $4))
