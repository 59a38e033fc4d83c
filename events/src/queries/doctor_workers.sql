-- doctor_workers: read the workers whose lease is over and whom nobody has buried.
select
  w.worker_id as "worker_id!",
  w.host as "host!",
  w.pid as "pid!",
  extract(epoch from clock_timestamp() - w.seen_at)::float8 as "silent_s!"
from tidings.worker w
where w.expires_at < clock_timestamp()
order by w.seen_at
limit 20
