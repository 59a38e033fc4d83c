-- which_secrets: say what of a subscriber, or of the installation for it, can sign and be sent.
select
  coalesce(bool_or(k.subscriber_id = $1 and k.purpose = 'signing' and (not k.legacy or $2)), false) as "secret!",
  coalesce(bool_or(k.purpose = 'key_pair'), false) as "key_pair!",
  coalesce(bool_or(k.subscriber_id = $1 and k.purpose = 'credentials'), false) as "credentials!"
from tidings.secret k
where k.subscriber_id = any(array[$1::int, 0])
  and (k.expires_at is null or k.expires_at > clock_timestamp())
