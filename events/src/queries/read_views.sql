-- read_views: read what an event says, and whether its fan-out is under way.
select
  e.payload::text as "payload!",
  e.telemetry::text as telemetry,
  e.headers::text as headers,
  exists (select from tidings.expansion x where x.event_id = e.event_id) as "expanding!"
from tidings.event e
where e.event_id = $1
