-- doctor_server: read how the server is set up, and what this role may do.
select
  pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as "read_only!",
  array(
    select s.name from pg_settings s where s.name in ('fsync', 'full_page_writes') and s.setting = 'off' order by s.name
  ) as "reckless!",
  current_setting('synchronous_commit') as "synchronous_commit!",
  current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as "autovacuum!",
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as "connections_max!",
  (
    select count(*)::int from pg_stat_activity a where a.backend_type = 'client backend'
  ) as "connections!",
  (
    -- Sessions of other roles show nothing of themselves to a role without pg_read_all_stats.
    select count(*)::int from pg_stat_activity a
    where a.datname = current_database() and a.backend_type is null
  ) as "hidden!",
  current_user::text as "role!",
  current_database()::text as "database!"
