-- read_own_deliveries: read the deliveries that this very transaction has made due, as read_own_events tells its own.
-- Those of stopped subscribers wait, as they do with a worker.
select
  d.delivery_id as "delivery_id!",
  d.due_at as "due_at!",
  d.subscriber_id as "subscriber_id!",
  d.subscription_id,
  d.key_hash,
  d.attempt as "failed!",
  d.first_due_at as "first_due_at!",
  e.event_id as "event_id!",
  e.type as "event_type!",
  e.version as "version!",
  e.tenant as "tenant!",
  e.scope as "scope!",
  e.ordering_key,
  e.occurred_at as "occurred_at!",
  case when s.view = 'telemetry' then e.telemetry else e.payload end::text as "payload!",
  e.headers::text as headers,
  case when s.view = 'telemetry' then (
    select t.call from tidings.event_type t where t.type = e.type and t.version = e.version
  ) end as call
from tidings.delivery d
join tidings.subscriber s using (subscriber_id)
join tidings.event e using (event_id)
cross join (select pg_current_xact_id()::text::bigint as id offset 0) mine
where d.subscriber_id <> 0
  and d.due_at <= clock_timestamp()
  and s.paused_at is null
  and s.disabled_at is null
  and s.deleted_at is null
  -- Of what a sink may not get, the worker settles the delivery unsent.
  and (s.view = 'notification' or e.telemetry is not null)
  and (s.retry_after_until is null or s.retry_after_until <= clock_timestamp())
  and pg_xact_status(
    (mine.id + (((d.xmin::text::bigint - mine.id) << 32) >> 32))::text::xid8
  ) = 'in progress'
order by d.subscriber_id, d.delivery_id
