-- find_event: read one event without its views.
select
  e.event_id as "event_id!",
  e.type as "event_type!",
  e.version as "version!",
  e.tenant as "tenant!",
  e.scope as "scope!",
  e.ordering_key,
  e.created_at as "created_at!",
  e.occurred_at as "occurred_at!",
  e.payload_bytes as "payload_bytes!"
from tidings.event e
where e.event_id = $1
