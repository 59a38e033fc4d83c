-- read_types: the event types that may be registered, with their schemas.
select
  type as "event_type!",
  version as "version!",
  audience as "audience!",
  level as "level!",
  call as "call!",
  schema as "schema!"
from tidings.read_relay_types_v1()
