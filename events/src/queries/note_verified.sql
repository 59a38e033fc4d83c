-- note_verified: remember that a receiver verifies by a key, unless that was written within the last hour.
update tidings.secret k set last_verified_at = clock_timestamp()
where k.secret_id = $1
  and (k.last_verified_at is null or k.last_verified_at < clock_timestamp() - interval '1 hour')
