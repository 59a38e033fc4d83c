-- The queue, the large fan-outs under way, the attempt log and the dead letters.
-- Who is affected: nobody yet. Locks: none that matter.

-- Inserted once, deleted once. Nothing marks a row as taken: whoever owns its lane's shard may deliver it.
create table tidings.delivery (
  event_id uuid not null,
  due_at timestamptz not null,
  first_due_at timestamptz not null,
  delivery_id bigint generated always as identity,
  subscriber_id int not null,
  subscription_id int,
  key_hash int,
  attempt smallint not null default 0,
  crashes smallint not null default 0,
  primary key (subscriber_id, due_at, delivery_id)
) with (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0,
  autovacuum_analyze_threshold = 20000
);
comment on column tidings.delivery.due_at is 'Infinity: parked behind the head of its key.';
comment on column tidings.delivery.first_due_at is 'Age counts from here; a replay begins anew.';
comment on column tidings.delivery.subscription_id is 'The lowest that matched; null in the system lane.';
comment on column tidings.delivery.key_hash is 'Of the ordering key, where a matching subscription of the lane keeps order.';
comment on column tidings.delivery.attempt is 'Failed attempts so far.';
comment on column tidings.delivery.crashes is 'Workers that died while this delivery was alone in flight.';
create index delivery_key on tidings.delivery (subscriber_id, key_hash, delivery_id) where key_hash is not null;

-- A fan-out too large for the application's transaction: expanded by the owner of the system lane.
create table tidings.expansion (
  event_id uuid primary key,
  due_at timestamptz not null,
  registered_at timestamptz not null,
  after_subscriber_id int not null default 0,
  expanded int not null default 0
);
comment on column tidings.expansion.registered_at is 'The set of subscribers is the one of this instant.';
comment on column tidings.expansion.after_subscriber_id is 'Progress: subscribers up to this one have their delivery.';

create table tidings.attempt (
  at timestamptz not null,
  delivery_id bigint not null,
  event_id uuid not null,
  subscriber_id int not null,
  subscription_id int,
  attempt smallint not null,
  outcome text not null,
  status smallint,
  elapsed_ms int,
  error text
) partition by range (at);
comment on table tidings.attempt is 'Append only. One row per attempt, as the log level of the worker asks.';
-- Rows arrive in the order of time and event ids carry it, so block ranges find an event at next to no cost.
create index attempt_event on tidings.attempt using brin (event_id) with (pages_per_range = 16, autosummarize = on);

create table tidings.dead (
  dead_id bigint generated always as identity primary key,
  delivery_id bigint not null,
  event_id uuid not null,
  subscriber_id int not null,
  subscription_id int,
  type text,
  version smallint,
  tenant text not null default '',
  scope text,
  ordering_key text,
  occurred_at timestamptz,
  payload json,
  headers json,
  attempts smallint not null,
  first_due_at timestamptz not null,
  died_at timestamptz not null default clock_timestamp(),
  reason text not null,
  last_status smallint,
  last_error text,
  key_hash int,
  replayed_at timestamptz,
  constraint dead_reason check (reason in ('exhausted', 'refused', 'event_gone', 'worker_died', 'retention'))
);
comment on table tidings.dead is 'Carries its own copy of the event, so that it outlives the event''s partition.';
create index dead_subscriber on tidings.dead (subscriber_id, dead_id);
create index dead_event on tidings.dead (event_id);

select tidings.make_partitions(7);
