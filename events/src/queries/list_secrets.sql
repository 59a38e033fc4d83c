-- list_secrets: read which secrets of a subscriber still sign, newest first; never the secrets.
select k.secret_id as "secret_id!", k.created_at, k.expires_at
from tidings.secret k
where k.subscriber_id = $1 and (k.expires_at is null or k.expires_at > clock_timestamp())
order by k.secret_id desc
