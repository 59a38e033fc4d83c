-- The event log: what was registered, once, immutable, in partitions of a day.
-- Who is affected: nobody yet; the schema is new. Locks: none that matter.

create schema if not exists tidings;

comment on schema tidings is 'Tidings: typed events, their transactional outbox and its workers.';

-- What an application has declared, synced from its catalogue. Never pruned by a sync, so that an older version of
-- the application can run beside a newer one.
create table tidings.event_type (
  type text not null,
  version smallint not null,
  retired_at timestamptz,
  partitioned_until timestamptz,
  subscribers int[] default '{}',
  subscriptions int[] default '{}',
  lanes text default '',
  patterns int[],
  audience text[] not null default '{notification}',
  scopes text[] not null default '{}',
  level text not null default 'basic',
  schema json not null default '{}',
  documentation text not null default '',
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (type, version),
  constraint event_type_name check (type ~ '^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*){1,7}$' and length(type) <= 200),
  constraint event_type_version check (version >= 1),
  constraint event_type_level check (level in ('security', 'basic', 'enhanced', 'full'))
);
comment on table tidings.event_type is 'What registering reads comes first, so that it need not step over the rest.';
comment on column tidings.event_type.level is 'The lowest level at which the telemetry view is collected.';
comment on column tidings.event_type.patterns is 'The subscribed patterns that match the type, computed when either appears; null where none does.';
comment on column tidings.event_type.subscribers is 'Everybody whom an event of the type is told, where that depends on the type alone: at most 64 matching subscriptions, all without tenant, scope, order and filter. Null: the route has to be asked.';
comment on column tidings.event_type.subscriptions is 'The lowest matching subscription of each of them.';
comment on column tidings.event_type.lanes is 'The subscribers as registering answers them: a space and their ids with commas between, or nothing.';
comment on column tidings.event_type.partitioned_until is 'A copy of the end of the last event partition: one look-up less for each register.';
comment on column tidings.event_type.retired_at is 'Set by an explicit command, never by a sync; a retired type is refused.';

create table tidings.event (
  event_id uuid not null,
  created_at timestamptz not null,
  occurred_at timestamptz not null,
  type text not null,
  version smallint not null,
  tenant text not null,
  scope text not null,
  ordering_key text,
  payload_bytes int not null,
  payload json not null,
  telemetry json,
  headers json,
  primary key (event_id)
) partition by range (event_id);
comment on table tidings.event is 'One row per registered event. Never updated; dropped by partition.';
comment on column tidings.event.event_id is 'UUIDv7: the public id and the partition key in one. Its clock part is the database''s.';
comment on column tidings.event.payload is 'The notification view. Type json, not jsonb: the bytes are signed as they stand.';
comment on column tidings.event.payload_bytes is 'Its size, so that a fetch can bound its answer without reading payloads out of line.';
comment on column tidings.event.telemetry is 'The telemetry view; null where the type has none or the level forbids it.';
comment on column tidings.event.headers is 'Travels beside the payload: traceparent, tracestate.';

-- The same key gives the first event's id. Kept as long as the event.
create table tidings.idempotency (
  tenant text not null,
  key text not null,
  event_id uuid not null,
  sha256 bytea not null,
  created_at timestamptz not null,
  primary key (tenant, key)
);
comment on column tidings.idempotency.sha256 is 'Over type, version and payload: other content under the same key is an error.';
create index idempotency_age on tidings.idempotency using brin (created_at);

-- Which partitions there are. The registry, not the catalog, is what the functions look at: one index look-up,
-- and a row that a replay and a drop can exclude each other on.
create table tidings.partition (
  parent text not null,
  name text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  primary key (parent, starts_at),
  constraint partition_parent check (parent in ('event', 'attempt')),
  constraint partition_order check (starts_at < ends_at)
);

-- The lowest UUIDv7 of an instant: a partition bound.
create function tidings.uuid_floor(p_at timestamptz) returns uuid
language sql immutable strict parallel safe as $$
  select (lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The instant of a UUIDv7, to the millisecond.
create function tidings.uuid_at(p_id uuid) returns timestamptz
language sql immutable strict parallel safe as $$
  select to_timestamp(('x' || substr(replace(p_id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
$$;

-- Makes the partition of the UTC day of `p_day` unless it is there. Attached, not created in place: attaching lets
-- reads and writes of the other partitions go on.
create function tidings.make_partition(p_parent text, p_day timestamptz) returns void
language plpgsql as $$
declare
  v_start timestamptz := date_trunc('day', p_day at time zone 'UTC') at time zone 'UTC';
  v_end timestamptz := v_start + interval '24 hours';
  v_name text := p_parent || '_' || to_char(v_start at time zone 'UTC', 'YYYYMMDD');
begin
  -- First without the lock: two who find it there need not wait for each other.
  if exists (select from tidings.partition p where p.parent = p_parent and p.starts_at = v_start) then
    return;
  end if;
  perform pg_advisory_xact_lock(1414087763, hashtext(v_name));
  if exists (select from tidings.partition p where p.parent = p_parent and p.starts_at = v_start) then
    return;
  end if;
  execute format('create table tidings.%I (like tidings.%I including defaults including constraints)', v_name, p_parent);
  if p_parent = 'event' then
    execute format('alter table tidings.event attach partition tidings.%I for values from (%L) to (%L)',
      v_name, tidings.uuid_floor(v_start), tidings.uuid_floor(v_end));
  else
    execute format('alter table tidings.%I attach partition tidings.%I for values from (%L) to (%L)',
      p_parent, v_name, v_start, v_end);
  end if;
  insert into tidings.partition (parent, name, starts_at, ends_at) values (p_parent, v_name, v_start, v_end);
end
$$;

-- Makes the partitions of today and of `p_days` days to come.
create function tidings.make_partitions(p_days int) returns void
language plpgsql as $$
begin
  for v_day in 0 .. p_days loop
    perform tidings.make_partition('event', clock_timestamp() + v_day * interval '24 hours');
    perform tidings.make_partition('attempt', clock_timestamp() + v_day * interval '24 hours');
  end loop;
  -- Under the lock that edits of subscriptions take before they change the same rows. While somebody holds it the next
  -- run will do: there are days to go.
  if pg_try_advisory_xact_lock(1414087765, 0) then
    update tidings.event_type t set partitioned_until = tidings.partitioned_until()
    where t.partitioned_until is distinct from tidings.partitioned_until();
  end if;
end
$$;

-- Until when there is a partition for each day, today included; null if there is none for today.
create function tidings.partitioned_until() returns timestamptz
language sql stable as $$
  with recursive day as (
    select p.ends_at from tidings.partition p
    where p.parent = 'event' and p.starts_at <= clock_timestamp() and clock_timestamp() < p.ends_at
    union all
    select p.ends_at from day d join tidings.partition p on p.parent = 'event' and p.starts_at = d.ends_at
  )
  select max(d.ends_at) from day d
$$;
