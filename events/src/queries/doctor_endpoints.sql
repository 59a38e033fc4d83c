-- doctor_endpoints: read where subscribers are called, page by page.
select s.subscriber_id as "subscriber_id!", s.tenant as "tenant!", s.name as "name!", s.kind as "kind!", s.config as "config!"
from tidings.subscriber s
where s.deleted_at is null and s.disabled_at is null and s.config ? 'url' and s.subscriber_id > $1
order by s.subscriber_id
limit $2
