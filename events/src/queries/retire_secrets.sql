-- retire_secrets: say when the keys of one purpose stop signing: after the overlap, or before if that was said already.
update tidings.secret k set expires_at = least(k.expires_at, clock_timestamp() + $3::bigint * interval '1 ms')
where k.subscriber_id = $1
  and k.purpose = $2
  and (k.expires_at is null or k.expires_at > clock_timestamp())
