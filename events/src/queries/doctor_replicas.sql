-- doctor_replicas: read what replication keeps from being removed: slots that nobody reads, standbys that look back.
select
  'slot' as "kind!",
  s.slot_name::text as "name!",
  greatest(age(s.xmin), age(s.catalog_xmin)) as age,
  pg_wal_lsn_diff(
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, s.restart_lsn
  )::bigint as held_bytes
from pg_replication_slots s
where not s.active and (s.xmin is not null or s.catalog_xmin is not null or s.restart_lsn is not null)
union all
select 'standby', coalesce(nullif(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid), age(r.backend_xmin), null
from pg_stat_replication r
where age(r.backend_xmin) > $1::int
limit 40
