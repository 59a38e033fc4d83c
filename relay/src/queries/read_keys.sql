-- read_keys: the channels, each with the hashes of its keys.
select
  channel_id as "channel_id!",
  name as "name!",
  profile as "profile!",
  events_per_minute,
  keys as "keys!"
from tidings.read_relay_keys_v1()
