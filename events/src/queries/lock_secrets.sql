-- lock_secrets: read a subscriber, and let two changes of its secrets follow each other.
select s.name, s.kind, s.config
from tidings.subscriber s
where s.subscriber_id = $1 and s.deleted_at is null
for no key update
