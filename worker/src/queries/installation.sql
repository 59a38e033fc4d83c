-- installation: read what the installation has, in one look; nothing here has a name that a person gave.
select
  current_setting('server_version_num')::int / 10000 as "postgres_version!",
  (select l.level from tidings.level l where l.until = 'infinity') as "level!",
  (select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
   where c.relnamespace = 'tidings'::regnamespace and c.relkind in ('r', 'm')) as "bytes!",
  -- What only reports is no worker.
  (select count(*) from tidings.worker w
   where not w.draining and exists (select from unnest(w.groups) g where not starts_with(g, 'report:'))) as "workers!",
  -- Estimates, because counting a long queue would cost more than it tells.
  (select coalesce(sum(s.n_live_tup), 0)::bigint from pg_stat_user_tables s
   join tidings.partition p on p.parent = 'event' and p.name = s.relname where s.schemaname = 'tidings') as "events!",
  (select coalesce(max(s.n_live_tup), 0) from pg_stat_user_tables s
   where s.schemaname = 'tidings' and s.relname = 'delivery') as "pending!",
  (select coalesce(max(s.n_live_tup), 0) from pg_stat_user_tables s
   where s.schemaname = 'tidings' and s.relname = 'dead') as "dead!",
  (select coalesce(max(s.n_live_tup), 0) from pg_stat_user_tables s
   where s.schemaname = 'tidings' and s.relname = 'subscription') as "subscriptions!",
  (select count(*) from tidings.channel) as "channels!",
  array(select s.kind from tidings.subscriber s where s.subscriber_id <> 0 and s.deleted_at is null
        group by s.kind order by s.kind) as "kinds!",
  array(select count(*) from tidings.subscriber s where s.subscriber_id <> 0 and s.deleted_at is null
        group by s.kind order by s.kind) as "kind_counts!",
  (select count(*) from tidings.subscriber s
   where s.deleted_at is null and s.disabled_at is not null) as "disabled!",
  (select count(*) from tidings.event_type t where t.retired_at is null and not starts_with(t.type, 'tidings:')
   and 'notification' = any(t.audience)) as "types_notification!",
  (select count(*) from tidings.event_type t where t.retired_at is null and not starts_with(t.type, 'tidings:')
   and 'telemetry' = any(t.audience)) as "types_telemetry!",
  (select count(*) from tidings.event_type t where t.retired_at is null and not starts_with(t.type, 'tidings:')
   and 'client' = any(t.audience)) as "types_client!"
