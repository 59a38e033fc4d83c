-- list_secrets: read what is stored sealed for a subscriber and still of use, newest first; never the secrets.
select
  k.secret_id as "secret_id!",
  k.purpose,
  k.public_key,
  k.fingerprint,
  k.created_at,
  k.expires_at,
  k.last_verified_at
from tidings.secret k
where k.subscriber_id = $1 and (k.expires_at is null or k.expires_at > clock_timestamp())
order by k.secret_id desc
