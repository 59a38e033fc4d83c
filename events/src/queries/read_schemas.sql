-- read_schemas: read the event types that the database knows, with their schemas.
select
  t.type as "event_type!",
  t.version as "version!",
  t.audience,
  t.scopes,
  t.level,
  t.call,
  t.documentation,
  t.schema::text as "schema!",
  t.retired_at is not null as "retired!"
from tidings.event_type t
order by t.type, t.version
