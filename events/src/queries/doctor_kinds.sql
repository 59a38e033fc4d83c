-- doctor_kinds: read for each kind how many subscribers it has, who serves it, and since when something is due.
select
  s.kind as "kind!",
  count(*)::int as "subscribers!",
  (
    select count(*)::int from tidings.worker w
    where s.kind = any(w.groups) and not w.draining and w.expires_at > clock_timestamp()
  ) as "workers!",
  count(d.due_at)::int as "waiting!",
  extract(epoch from clock_timestamp() - min(d.due_at))::float8 as waiting_s
from tidings.subscriber s
left join lateral (
  select d.due_at from tidings.delivery d
  where d.subscriber_id = s.subscriber_id and d.due_at <= clock_timestamp()
  order by d.due_at limit 1
) d on true
where s.deleted_at is null
group by s.kind
order by s.kind
