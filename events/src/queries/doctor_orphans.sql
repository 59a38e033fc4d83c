-- doctor_orphans: read the removed subscribers that still have deliveries, long after their removal.
select s.subscriber_id as "subscriber_id!", s.name as "name!"
from tidings.subscriber s
where s.deleted_at < clock_timestamp() - $1::float8 * interval '1 second'
  and exists (select from tidings.delivery d where d.subscriber_id = s.subscriber_id)
order by s.subscriber_id
limit 20
