-- list_types: read the event types that the database knows.
select
  t.type as "event_type!",
  t.version as "version!",
  t.audience,
  t.scopes,
  t.level,
  t.call,
  t.documentation,
  t.created_at,
  t.updated_at,
  t.retired_at
from tidings.event_type t
order by t.type, t.version
