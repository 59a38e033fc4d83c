-- list_keys: the keys, revoked ones too.
select
  key_id as "key_id!",
  channel as "channel!",
  hint as "hint!",
  created_at as "created_at!",
  revoked_at
from tidings.list_keys_v1()
