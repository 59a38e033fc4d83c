-- list_channels: the channels, with the number of their keys.
select
  name as "name!",
  profile as "profile!",
  events_per_minute,
  keys as "keys!",
  created_at as "created_at!"
from tidings.list_channels_v1()
