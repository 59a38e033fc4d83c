-- list_reporters: read the reporters, what each has reported last, and who leads.
select
  r.name as "name!",
  r.environment_id as "environment_id!",
  r.interval_s as "interval_s!",
  r.baseline,
  r.last_report,
  r.reported_at,
  r.requested_at,
  (
    select w.host from tidings.shard s join tidings.worker w using (worker_id)
    where s.group_name = 'report:' || r.name and w.expires_at > clock_timestamp()
  ) as leader,
  (
    select count(*) from tidings.worker w
    where 'report:' || r.name = any(w.groups) and w.expires_at > clock_timestamp()
  ) as "processes!"
from tidings.reporter r
where $1::text is null or r.name = $1
order by r.name
