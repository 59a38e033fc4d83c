-- doctor_partitions: read the days from today on that have no partition.
select w.parent as "parent!", w.days_ahead as "days_ahead!"
from (
  select p.parent, d.days_ahead, clock_timestamp() + d.days_ahead * interval '24 hours' as at
  from unnest(array['event', 'attempt']) as p (parent)
  cross join generate_series(0, $1::int) as d (days_ahead)
) w
where not exists (
  select from tidings.partition p
  where p.parent = w.parent and p.starts_at <= w.at and w.at < p.ends_at
    -- The registry may be right about a table that somebody has dropped.
    and to_regclass(format('tidings.%I', p.name)) is not null
)
order by w.parent desc, w.days_ahead
