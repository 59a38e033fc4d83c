-- doctor_tables: read the age and the dead rows of our tables.
select
  c.relname::text as "name!",
  age(c.relfrozenxid) as "age!",
  current_setting('autovacuum_freeze_max_age')::int as "age_max!",
  coalesce(s.n_dead_tup, 0) as "dead_rows!",
  coalesce(s.n_live_tup, 0) as "live_rows!",
  coalesce(c.reloptions, '{}') as "options!"
from pg_class c
left join pg_stat_all_tables s on s.relid = c.oid
where c.relnamespace = 'tidings'::regnamespace and c.relkind = 'r'
