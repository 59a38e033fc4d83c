-- lock_subscriber: read a subscriber that is about to be changed, and keep other changes away.
select s.tenant, s.name, s.kind, s.view as "view: View", s.config, s.in_flight_max, s.rate_per_s, s.retry, s.version
from tidings.subscriber s
where s.subscriber_id = $1 and s.deleted_at is null
for update
