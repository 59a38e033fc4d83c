-- doctor_prepared: read the transactions that were prepared so long ago and neither committed nor rolled back.
select
  p.gid as "gid!",
  p.owner::text as "role!",
  extract(epoch from clock_timestamp() - p.prepared)::float8 as "age_s!"
from pg_prepared_xacts p
where p.database = current_database() and p.prepared < clock_timestamp() - $1::float8 * interval '1 second'
order by p.prepared
limit 20
