-- doctor_parked: read the lanes in which a key waits for a head that is not there.
select s.name as "name!", s.subscriber_id as "subscriber_id!", count(*)::int as "keys!"
from (
  select distinct on (d.subscriber_id, d.key_hash) d.subscriber_id, d.due_at
  from tidings.delivery d
  where d.key_hash is not null
  order by d.subscriber_id, d.key_hash, d.delivery_id
) k
join tidings.subscriber s using (subscriber_id)
where k.due_at = 'infinity'
group by s.name, s.subscriber_id
order by s.subscriber_id
limit 20
