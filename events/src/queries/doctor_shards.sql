-- doctor_shards: read the shards that nobody holds although somebody could, and those whose owners keep dying.
select s.group_name as "group_name!", s.shard as "shard!", s.worker_id is not null as "held!", s.deaths as "deaths!"
from tidings.shard s
where s.deaths >= 3 or (
  s.worker_id is null
  -- Shards change hands for some seconds after somebody has come or died.
  and exists (
    select from tidings.worker w
    where s.group_name = any(w.groups) and not w.draining and w.expires_at > clock_timestamp()
      and w.joined_at < clock_timestamp() - $1::float8 * interval '1 second'
  )
  and not exists (
    select from tidings.worker w
    where s.group_name = any(w.groups)
      and (w.expires_at < clock_timestamp() or w.joined_at > clock_timestamp() - $1::float8 * interval '1 second')
  )
)
order by s.group_name, s.shard
