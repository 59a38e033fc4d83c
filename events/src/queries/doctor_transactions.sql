-- doctor_transactions: read the sessions whose transaction is so old that it keeps dead rows from being removed.
select
  a.pid as "pid!",
  coalesce(a.application_name, '') as "application!",
  coalesce(a.usename::text, '') as "role!",
  coalesce(a.state, '') as "state!",
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as "age_s!",
  a.backend_xid is not null as "writes!"
from pg_stat_activity a
where a.datname = current_database()
  and a.pid <> pg_backend_pid()
  and a.backend_type = 'client backend'
  and a.xact_start < clock_timestamp() - $1::float8 * interval '1 second'
order by a.xact_start
limit 20
