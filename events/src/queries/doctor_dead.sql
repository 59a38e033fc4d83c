-- doctor_dead: count the dead letters that were not replayed, the last ten thousand at most.
select coalesce(s.name, '') as "name!", d.reason as "reason!", count(*)::int as "count!"
from (
  select d.subscriber_id, d.reason from tidings.dead d
  where d.replayed_at is null
  order by d.dead_id desc
  limit 10000
) d
left join tidings.subscriber s using (subscriber_id)
group by 1, 2
order by 3 desc
limit 20
