-- disable: stop delivering to a subscriber, for the system's own reason; the deliveries wait.
update tidings.subscriber s set
  disabled_at = clock_timestamp(),
  disabled_reason = $2,
  updated_at = clock_timestamp(),
  version = s.version + 1
where s.subscriber_id = $1 and s.disabled_at is null and s.deleted_at is null
