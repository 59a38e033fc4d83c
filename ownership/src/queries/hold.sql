-- hold: renew our lease, bury the dead, take and give up shards; answers what we own.
select
  alive as "alive!",
  read_at as "read_at!",
  xid as "xid!",
  horizon as "horizon!",
  started_at as "started_at!",
  session_pid as "session_pid!",
  group_name,
  shard,
  term,
  deaths,
  config_version,
  give_up
from tidings.hold_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
