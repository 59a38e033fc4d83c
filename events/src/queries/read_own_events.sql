-- read_own_events: read the events that this very transaction has written: what it sees of a transaction in progress
-- is its own, savepoints included. A row has the lower half of a transaction's id; it is close to ours.
select
  e.event_id as "event_id!",
  e.type as "event_type!",
  e.version as "version!",
  e.tenant as "tenant!",
  e.scope as "scope!",
  e.ordering_key,
  e.occurred_at as "occurred_at!",
  e.payload::text as "payload!",
  e.telemetry::text as telemetry,
  e.headers::text as headers
from tidings.event e
cross join (select pg_current_xact_id()::text::bigint as id offset 0) mine
where e.event_id >= tidings.uuid_floor(now() - interval '2 hours')
  and pg_xact_status(
    (mine.id + (((e.xmin::text::bigint - mine.id) << 32) >> 32))::text::xid8
  ) = 'in progress'
order by e.event_id
