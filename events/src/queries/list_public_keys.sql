-- list_public_keys: read the public halves of the key pairs of a subscriber that sign, newest first.
select k.public_key as "public_key!"
from tidings.secret k
where k.subscriber_id = $1
  and k.purpose = 'key_pair'
  and (k.expires_at is null or k.expires_at > clock_timestamp())
order by k.secret_id desc
