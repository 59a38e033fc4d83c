-- read_copy: read the copy of the event that a dead letter carries.
select d.payload::text as payload, d.headers::text as headers
from tidings.dead d
where d.dead_id = $1
