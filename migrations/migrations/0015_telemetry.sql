-- Telemetry: sinks of the telemetry view, the level of what is collected, and who is not collected.
-- Why: analytics get the telemetry view of events and never the notification, whatever the tenant and the scope; what
-- is collected is the operator's choice, at run time, and takes effect with the commit.
-- Who is affected: an application role that syncs needs execute on tidings.sync_catalogue_v3. Events of types whose
-- telemetry the level does not permit are stored without it from now on; the level is `full` until it is set.
-- Locks: tidings.event_type, tidings.subscriber, tidings.pattern and tidings.dead exclusively, for the moment of adding
-- columns; the first three have few rows, and nothing is written to the last.

-- The name under which an installation appears where nobody else is meant.
create table tidings.installation (
  installation_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  single bool primary key default true check (single)
);
insert into tidings.installation default values;

create function tidings.level_rank(p_level text) returns smallint
language sql immutable strict parallel safe as $$
  select array_position(array['off', 'security', 'basic', 'enhanced', 'full'], p_level)::smallint
$$;

-- What was collected, and when: an event leaves only if every level since its registering permits it.
create table tidings.level (
  at timestamptz primary key,
  until timestamptz not null default 'infinity',
  level text not null,
  rank smallint not null generated always as (tidings.level_rank(level)) stored,
  constraint level_known check (rank is not null),
  constraint level_order check (at < until)
);
create unique index level_in_force on tidings.level (until) where until = 'infinity';
comment on table tidings.level is 'One row per level that was in force; the last one is open.';
insert into tidings.level (at, level) values ('-infinity', 'full');

-- Who is not collected any more: keyed hashes, as they stand in the headers of events.
create table tidings.suppression (
  subject text primary key,
  created_at timestamptz not null default clock_timestamp()
);
comment on table tidings.suppression is 'Asked when an event is registered, and again before it is sent.';

alter table tidings.event_type
  add column call text not null default 'track',
  add column level_rank smallint generated always as (tidings.level_rank(level)) stored,
  add column collects bool not null default false,
  add column sinks int[],
  add constraint event_type_call check (call in ('track', 'identify', 'group', 'page', 'screen', 'alias'));
comment on column tidings.event_type.call is 'What an event of the type is to analytics.';
comment on column tidings.event_type.collects is 'Whether it has a telemetry view that the level in force permits.';
comment on column tidings.event_type.sinks is 'The sinks that are told of it; null where there are none.';

alter table tidings.subscriber
  add column view text not null default 'notification',
  add constraint subscriber_view check (view in ('notification', 'telemetry')),
  add constraint subscriber_sink check (view = 'notification' or tenant = '');
comment on column tidings.subscriber.view is 'Which view of an event it gets. Never changes. One that gets telemetry is a sink.';

-- A pattern of sinks is another one than that of the others, so that what is routed does not mix.
alter table tidings.pattern
  add column view text not null default 'notification',
  add constraint pattern_view check (view in ('notification', 'telemetry')),
  drop constraint pattern_unique,
  add constraint pattern_unique unique (pattern, view);

alter table tidings.dead add column telemetry json;
comment on column tidings.dead.payload is 'The notification view; null for a sink.';
comment on column tidings.dead.telemetry is 'The telemetry view, for a sink; null for others.';

-- Whether an event is of somebody who is not to be collected.
create function tidings.is_suppressed(p_headers text) returns bool
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_identity json;
begin
  -- Most have a trace context at most.
  if p_headers is null or strpos(p_headers, '"analytics"') = 0 then
    return false;
  end if;
  v_identity := p_headers::json -> 'analytics';
  return exists (
    select from tidings.suppression s
    where s.subject in (v_identity ->> 'user', v_identity ->> 'anonymous', v_identity ->> 'previous'));
end
$$;

-- Whether the telemetry view of an event may be sent: by every level in force since it was registered, and by whom it
-- is of.
create function tidings.may_leave(p_type text, p_version smallint, p_created_at timestamptz, p_headers json) returns bool
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from tidings.event_type t
    where t.type = p_type and t.version = p_version
      and t.level_rank <= (select min(l.rank) from tidings.level l where l.until > p_created_at))
    and not tidings.is_suppressed(p_headers::text);
end
$$;

-- match_patterns: which patterns match each type; and which sinks are told of it at the level in force, whatever its
-- tenant and scope.
create or replace function tidings.match_patterns() returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.event_type t set patterns = m.patterns
  from (
    select e.type, e.version, (
      select array_agg(p.pattern_id order by p.pattern_id) from tidings.pattern p
      where p.view = 'notification' and tidings.pattern_matches(p.pattern, e.type)
        and exists (select from tidings.subscription s where s.pattern_id = p.pattern_id and s.deleted_at is null)
    ) as patterns
    from tidings.event_type e
  ) m
  where t.type = m.type and t.version = m.version and t.patterns is distinct from m.patterns;
  update tidings.event_type t set collects = m.collects, sinks = m.sinks
  from (
    select e.type, e.version, c.collects, (
      select array_agg(distinct s.subscriber_id order by s.subscriber_id)
      from tidings.pattern p join tidings.subscription s using (pattern_id)
      where c.collects and p.view = 'telemetry' and tidings.pattern_matches(p.pattern, e.type) and s.deleted_at is null
    ) as sinks
    from tidings.event_type e
    cross join lateral (
      select e.audience && '{telemetry,client}' and e.level_rank <= (select l.rank from tidings.level l where l.until = 'infinity')
        as collects
    ) c
  ) m
  where t.type = m.type and t.version = m.version and (t.collects, t.sinks) is distinct from (m.collects, m.sinks);
  perform tidings.route_types(null);
end
$$;

-- route_types: what registering reads of a type.
create or replace function tidings.route_types(p_patterns int[]) returns void
language plpgsql as $$
begin
  update tidings.event_type t set
    subscribers = m.subscribers,
    subscriptions = m.subscriptions,
    lanes = case when m.subscribers is not null then coalesce(' ' || nullif(array_to_string(m.subscribers, ','), ''), '') end,
    filtered = m.filtered
  from tidings.event_type e
  cross join lateral (
    select coalesce(bool_and(r.plain), true) and coalesce(sum(r.raw), 0) <= 64 as plain,
      coalesce(array_agg(r.subscriber_id order by r.subscriber_id), '{}') as subscribers,
      coalesce(array_agg(r.subscription_id order by r.subscriber_id), '{}') as subscriptions
    from (
      select s.subscriber_id, min(s.subscription_id) as subscription_id, bool_and(s.plain) as plain, count(*) as raw
      from (
        select s.subscriber_id, s.subscription_id, s.plain
        from unnest(e.patterns) as p (pattern_id)
        cross join lateral (
          select s.subscriber_id, s.subscription_id,
            s.tenant = '' and s.scope = '' and not s.ordered and not s.filtered as plain
          from tidings.subscription s
          where s.pattern_id = p.pattern_id and s.deleted_at is null
          limit 65
        ) s
        limit 65
      ) s
      group by s.subscriber_id
    ) r
  ) r
  cross join lateral (
    select
      exists (
        select from unnest(e.patterns) as p (pattern_id)
        where exists (
          select from tidings.subscription s
          where s.pattern_id = p.pattern_id and s.deleted_at is null and s.filtered)
      ) as filtered,
      exists (
        select from unnest(e.patterns) as p (pattern_id)
        cross join lateral (
          select count(*) as n from (
            select from tidings.subscription s
            where s.pattern_id = p.pattern_id and s.tenant = '' and s.scope = '' and s.deleted_at is null
              and not s.filtered
            limit 65
          ) s
        ) c
        where c.n = 65
      ) and not exists (
        select from unnest(e.patterns) as p (pattern_id)
        where exists (
          select from tidings.subscription s
          where s.pattern_id = p.pattern_id and s.deleted_at is null and s.ordered)
      ) as many
  ) w
  cross join lateral (
    -- Sinks come last: they are told whatever else depends on the event.
    select w.filtered,
      case when r.plain then r.subscribers || e.sinks when w.many then 0 || e.sinks end as subscribers,
      case when r.plain then r.subscriptions when w.many then array[null]::int[] end
        || array_fill(null::int, array[coalesce(cardinality(e.sinks), 0)]) as subscriptions
  ) m
  where t.type = e.type and t.version = e.version and (p_patterns is null or e.patterns && p_patterns)
    and (t.subscribers, t.subscriptions, t.filtered) is distinct from (m.subscribers, m.subscriptions, m.filtered);
end
$$;

-- register: the telemetry view is kept only where the level in force permits it.
create or replace function tidings.register_v1(
  p_type text,
  p_version smallint,
  p_payload text,
  p_telemetry text,
  p_headers text,
  p_tenant text,
  p_scope text,
  p_ordering_key text,
  p_idempotency_key text,
  p_delay_ms bigint,
  p_occurred_at timestamptz,
  p_event_id uuid
) returns text
language plpgsql security definer as $$
declare
  v_now pg_catalog.timestamptz;
  v_event_id pg_catalog.uuid;
  v_subscribers pg_catalog.int4[];
  v_subscriptions pg_catalog.int4[];
  v_lanes pg_catalog.text;
  v_collects pg_catalog.bool;
begin
  if p_idempotency_key is null and p_event_id is null and p_delay_ms is null and p_tenant operator(pg_catalog.=) '' then
    -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
    select t.subscribers, t.subscriptions, t.lanes, t.collects,
      case when pg_catalog.pg_current_xact_id() is not null then pg_catalog.clock_timestamp() end
    into v_subscribers, v_subscriptions, v_lanes, v_collects, v_now
    from tidings.event_type t
    where t.type operator(pg_catalog.=) p_type and t.version operator(pg_catalog.=) p_version
      and t.retired_at is null and t.partitioned_until operator(pg_catalog.>) pg_catalog.clock_timestamp();
  end if;
  if v_subscribers is null then
    return tidings.register_the_long_way(p_type, p_version, p_payload, p_telemetry, p_headers, p_tenant, p_scope,
      p_ordering_key, p_idempotency_key, p_delay_ms, p_occurred_at, p_event_id);
  end if;

  -- Only events that carry identities can be of somebody who is not to be collected.
  if v_collects and pg_catalog.strpos(p_headers, '"analytics"') operator(pg_catalog.>) 0 then
    v_collects := not tidings.is_suppressed(p_headers);
  end if;
  insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
    payload_bytes, payload, telemetry, headers)
  values (tidings.uuid_v7(v_now), v_now, coalesce(p_occurred_at, v_now), p_type, p_version, p_tenant, p_scope,
    p_ordering_key, pg_catalog.octet_length(p_payload), p_payload::pg_catalog.json,
    case when v_collects then p_telemetry::pg_catalog.json end, p_headers::pg_catalog.json)
  returning event_id into v_event_id;
  if v_subscribers[1] is not null then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
    select v_event_id, v_now, v_now, pg_catalog.unnest(v_subscribers), pg_catalog.unnest(v_subscriptions);
    if v_subscribers[1] operator(pg_catalog.=) 0 then
      insert into tidings.expansion (event_id, due_at, registered_at) values (v_event_id, v_now, v_now);
    end if;
  end if;
  return v_event_id::pg_catalog.text operator(pg_catalog.||) v_lanes;
end
$$;

create or replace function tidings.register_the_long_way(
  p_type text,
  p_version smallint,
  p_payload text,
  p_telemetry text,
  p_headers text,
  p_tenant text,
  p_scope text,
  p_ordering_key text,
  p_idempotency_key text,
  p_delay_ms bigint,
  p_occurred_at timestamptz,
  p_event_id uuid
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_event_id uuid;
  v_version smallint;
  v_retired_at timestamptz;
  v_partitioned_until timestamptz;
  v_patterns int[];
  v_filtered bool;
  v_collects bool;
  v_sinks int[];
  v_payload jsonb;
  v_scopes constant text[] := tidings.scope_prefixes(p_scope);
  v_subscribers int[];
  v_subscriptions int[];
  v_ordered bool[];
  v_any_ordered bool;
  v_expand bool;
  v_key_hash int;
  v_sha256 bytea;
  v_now timestamptz;
  v_at timestamptz;
  v_due timestamptz;
begin
  if p_version is null then
    select t.version, t.retired_at, t.partitioned_until, t.patterns, t.filtered, t.collects, t.sinks
    into v_version, v_retired_at, v_partitioned_until, v_patterns, v_filtered, v_collects, v_sinks
    from tidings.event_type t where t.type = p_type order by t.version desc limit 1;
  else
    select t.version, t.retired_at, t.partitioned_until, t.patterns, t.filtered, t.collects, t.sinks
    into v_version, v_retired_at, v_partitioned_until, v_patterns, v_filtered, v_collects, v_sinks
    from tidings.event_type t where t.type = p_type and t.version = p_version;
  end if;
  if v_version is null then
    return case when p_version is not null and exists (select from tidings.event_type t where t.type = p_type)
      then 'unknown_version' else 'unknown_type' end;
  elsif v_retired_at is not null then
    return 'retired_type';
  end if;

  -- Read once, and only where somebody asks.
  if v_filtered then
    v_payload := tidings.filter_payload(p_payload);
  end if;
  select m.subscribers, m.subscriptions, m.ordered, m.any_ordered, m.too_many
  into v_subscribers, v_subscriptions, v_ordered, v_any_ordered, v_expand
  from tidings.matches_v2(v_patterns, p_tenant, v_scopes, false, v_payload) m;
  if v_expand then
    -- Order is decided here, under the key's lock; an expansion could not keep it.
    select m.subscribers, m.subscriptions, m.ordered, m.any_ordered
    into v_subscribers, v_subscriptions, v_ordered, v_any_ordered
    from tidings.matches_v2(v_patterns, p_tenant, v_scopes, true, v_payload) m where p_ordering_key is not null;
  end if;

  -- Whatever the tenant and the scope, and in no order.
  if v_sinks is not null then
    v_subscribers := v_subscribers || v_sinks;
    v_subscriptions := v_subscriptions || array_fill(null::int, array[cardinality(v_sinks)]);
    v_ordered := v_ordered || array_fill(false, array[cardinality(v_sinks)]);
  end if;
  v_collects := v_collects and not tidings.is_suppressed(p_headers);

  if v_any_ordered and p_ordering_key is not null then
    v_key_hash := tidings.key_hash(p_tenant, p_ordering_key);
    -- Held to the end of the caller's transaction, so that the order of ids is the order of commits.
    perform pg_advisory_xact_lock(1414087764, v_key_hash);
  end if;

  -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
  perform pg_current_xact_id();
  v_now := clock_timestamp();
  -- Asked of the registry of partitions, not found out by an error, which would abort the caller's transaction.
  if p_event_id is null then
    if coalesce(v_partitioned_until <= v_now, true) then
      return 'no_partition';
    end if;
    v_event_id := tidings.uuid_v7(v_now);
  else
    v_at := tidings.uuid_at(p_event_id);
    if substr(p_event_id::text, 15, 1) <> '7' or abs(extract(epoch from v_at - v_now)) > 3600 then
      return 'bad_event_id';
    elsif not exists (
      select from tidings.partition p where p.parent = 'event' and p.starts_at <= v_at and v_at < p.ends_at
    ) then
      return 'no_partition';
    end if;
    v_event_id := p_event_id;
  end if;

  if p_idempotency_key is not null then
    v_sha256 := sha256(convert_to(p_type || E'\n' || v_version || E'\n' || p_payload, 'UTF8'));
    -- Waits for another transaction that has the key in hand; if that one rolls back, the key is free again.
    insert into tidings.idempotency (tenant, key, event_id, sha256, created_at)
    values (p_tenant, p_idempotency_key, v_event_id, v_sha256, v_now)
    on conflict (tenant, key) do nothing;
    if not found then
      return (
        select case when i.sha256 = v_sha256 then 'repeated ' else 'idempotency_conflict ' end || i.event_id
        from tidings.idempotency i where i.tenant = p_tenant and i.key = p_idempotency_key);
    end if;
  end if;

  v_due := v_now + least(coalesce(p_delay_ms, 0), 3155760000000) * interval '1 ms';
  if p_event_id is null then
    insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
      payload_bytes, payload, telemetry, headers)
    values (v_event_id, v_now, coalesce(p_occurred_at, v_now), p_type, v_version, p_tenant, p_scope, p_ordering_key,
      octet_length(p_payload), p_payload::json, case when v_collects then p_telemetry::json end,
      p_headers::json);
  else
    insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
      payload_bytes, payload, telemetry, headers)
    values (v_event_id, v_now, coalesce(p_occurred_at, v_now), p_type, v_version, p_tenant, p_scope, p_ordering_key,
      octet_length(p_payload), p_payload::json, case when v_collects then p_telemetry::json end,
      p_headers::json)
    on conflict do nothing;
    if not found then
      if exists (
        select from tidings.event e
        where e.event_id = p_event_id and e.type = p_type and e.version = v_version and e.payload::text = p_payload
      ) then
        return 'repeated ' || p_event_id;
      end if;
      -- Nothing was registered, so the key is not used up.
      delete from tidings.idempotency i where i.tenant = p_tenant and i.key = p_idempotency_key;
      return 'event_conflict ' || p_event_id;
    end if;
  end if;

  if v_subscribers is not null then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id, key_hash)
    select v_event_id, v_due, v_due, m.subscriber_id, m.subscription_id, case when m.ordered then v_key_hash end
    from unnest(v_subscribers, v_subscriptions, v_ordered) as m (subscriber_id, subscription_id, ordered);
  end if;
  if v_expand then
    insert into tidings.expansion (event_id, due_at, registered_at) values (v_event_id, v_due, v_now);
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id) values (v_event_id, v_now, v_now, 0);
    v_subscribers := v_subscribers || 0;
  end if;
  return v_event_id || coalesce(' ' || array_to_string(v_subscribers, ','), '');
end
$$;

-- expand: sinks were told at registering.
create or replace function tidings.expand_v1(
  p_worker uuid, p_shard smallint, p_term bigint, p_event uuid, p_chunk int
) returns int[]
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
  v_expansion tidings.expansion;
  v_event record;
  v_patterns int[];
  v_payload jsonb;
  v_now timestamptz;
  v_part record;
  v_read record;
  v_parts int := 0;
  v_lanes int[] := '{}';
  v_subscriptions int[] := '{}';
  v_written int[] := '{}';
  v_upto int;
begin
  perform from tidings.shard s
  where s.group_name = 'system' and s.shard = p_shard and s.term = p_term and s.worker_id = p_worker;
  if not found then
    raise exception using errcode = 'TD020', message = 'the term of the system lane is gone';
  end if;
  select x.* into v_expansion from tidings.expansion x where x.event_id = p_event for update;
  if not found then
    return null;
  end if;
  select e.type, e.tenant, e.scope, e.ordering_key into v_event from tidings.event e where e.event_id = p_event;
  -- Every pattern that matches, those without a subscription today included: one may have had some at registering.
  v_patterns := array(select p.pattern_id from tidings.pattern p
    where p.view = 'notification' and tidings.pattern_matches(p.pattern, v_event.type));
  if exists (select from tidings.subscription s where s.pattern_id = any(v_patterns) and s.filtered) then
    v_payload := tidings.filter_payload((select e.payload::text from tidings.event e where e.event_id = p_event));
  end if;

  perform pg_current_xact_id();
  v_now := clock_timestamp();
  for v_part in
    select p.pattern_id, c.scope from unnest(v_patterns) as p (pattern_id)
    cross join unnest(tidings.scope_prefixes(v_event.scope)) as c (scope)
  loop
    -- The set is the one at registering. A subscription that has been removed since goes with its subscriber, if that
    -- has been removed too.
    select count(*) as n, max(s.subscriber_id) as last,
      array_agg(s.subscriber_id) filter (where s.tells) as subscribers,
      array_agg(s.subscription_id) filter (where s.tells) as subscriptions,
      array_agg(s.subscriber_id) filter (where s.tells and s.ordered) as ordered
    into v_read
    from (
      select s.subscriber_id, s.subscription_id, s.ordered,
        s.created_at <= v_expansion.registered_at
          and (s.deleted_at is null or s.deleted_at > v_expansion.registered_at and exists (
            select from tidings.subscriber b where b.subscriber_id = s.subscriber_id and b.deleted_at is null))
          and (not s.filtered or tidings.filter_passes(s.filter_path, v_payload)) as tells
      from tidings.subscription s
      where s.pattern_id = v_part.pattern_id and s.tenant = v_event.tenant and s.scope = v_part.scope
        and s.subscriber_id > v_expansion.after_subscriber_id
      order by s.subscriber_id
      fetch first p_chunk rows with ties
    ) s;
    if v_read.n >= p_chunk then
      v_upto := least(v_upto, v_read.last);
    end if;
    if v_read.subscribers is not null then
      v_parts := v_parts + 1;
      v_lanes := v_lanes || v_read.subscribers;
      v_subscriptions := v_subscriptions || v_read.subscriptions;
      -- Who keeps order was told at registering, if the event has a key.
      if v_event.ordering_key is not null and v_read.ordered is not null then
        v_written := v_written || v_read.ordered;
      end if;
    end if;
  end loop;
  -- Several subscriptions of one subscriber make one delivery, under the lowest of them.
  if v_parts > 1 or cardinality(v_written) > 0 then
    select coalesce(array_agg(r.lane), '{}'), coalesce(array_agg(r.subscription_id), '{}') into v_lanes, v_subscriptions
    from (
      select r.lane, min(r.subscription_id) as subscription_id
      from unnest(v_lanes, v_subscriptions) as r (lane, subscription_id)
      where (v_upto is null or r.lane <= v_upto) and (r.lane in (select unnest(v_written))) is not true
      group by r.lane
    ) r;
  end if;
  insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
  select p_event, greatest(v_expansion.due_at, v_now), v_expansion.due_at, unnest(v_lanes), unnest(v_subscriptions);

  if v_upto is null then
    delete from tidings.expansion x where x.event_id = p_event;
  else
    update tidings.expansion x set after_subscriber_id = v_upto, expanded = x.expanded + cardinality(v_lanes)
    where x.event_id = p_event;
  end if;
  return v_lanes;
end
$$;

-- subscribe: a sink is told of types, whoever they are of.
create or replace function tidings.subscribe_v2(
  p_subscriber int, p_pattern text, p_tenant text, p_scope text, p_ordered bool, p_filter jsonb,
  out subscription_id int, out added bool
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_pattern int;
  v_view text;
  v_found record;
begin
  -- Registering reads patterns and subscriptions; two edits follow each other.
  perform pg_advisory_xact_lock(1414087765, 0);
  select s.view into v_view from tidings.subscriber s where s.subscriber_id = p_subscriber;
  if v_view = 'telemetry' and (p_tenant, p_scope, p_ordered, p_filter) is distinct from ('', '', false, null::jsonb) then
    raise exception using errcode = 'TD014', message = 'a sink of telemetry takes a type or pattern alone',
      hint = 'It is told of every tenant and scope, in no order and without a filter: what may leave is decided by the level.';
  end if;
  insert into tidings.pattern (pattern, view) values (p_pattern, coalesce(v_view, 'notification')) on conflict do nothing;
  select p.pattern_id into v_pattern from tidings.pattern p
  where p.pattern = p_pattern and p.view = coalesce(v_view, 'notification');
  select s.subscription_id, s.ordered, s.filter into v_found
  from tidings.subscription s
  where s.subscriber_id = p_subscriber and s.pattern_id = v_pattern and s.tenant = p_tenant and s.scope = p_scope
    and s.deleted_at is null;
  if found and v_found.ordered = p_ordered and v_found.filter is not distinct from p_filter then
    subscription_id := v_found.subscription_id;
    added := false;
    return;
  elsif found then
    update tidings.subscription s set deleted_at = clock_timestamp() where s.subscription_id = v_found.subscription_id;
  end if;
  insert into tidings.subscription as s (subscriber_id, pattern_id, tenant, scope, ordered, filter)
  values (p_subscriber, v_pattern, p_tenant, p_scope, p_ordered, p_filter)
  returning s.subscription_id into subscription_id;
  added := true;
end
$$;

create or replace function tidings.explain_route_v2(
  type text, scope text default '', tenant text default '', payload jsonb default null
)
returns table (subscriber_id int, name text, kind text, subscription_id int, pattern text, matched_scope text,
  ordered bool, filter jsonb, passes bool)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select s.subscriber_id, b.name, b.kind, s.subscription_id, p.pattern, s.scope, s.ordered, s.filter,
    case
      when not s.filtered then true
      when explain_route_v2.payload is not null then tidings.filter_passes(s.filter_path, explain_route_v2.payload)
    end
  from (
    select t.patterns from tidings.event_type t where t.type = explain_route_v2.type order by t.version desc limit 1
  ) t
  join tidings.pattern p on p.pattern_id = any(t.patterns)
  join tidings.subscription s using (pattern_id)
  join tidings.subscriber b using (subscriber_id)
  where s.tenant = explain_route_v2.tenant and s.deleted_at is null
    and (s.scope = '' or s.scope = explain_route_v2.scope or starts_with(explain_route_v2.scope, s.scope || '/'))
  union all
  select s.subscriber_id, b.name, b.kind, s.subscription_id, p.pattern, s.scope, s.ordered, s.filter, true
  from (
    select t.sinks from tidings.event_type t where t.type = explain_route_v2.type order by t.version desc limit 1
  ) t
  join tidings.subscription s on s.subscriber_id = any(t.sinks) and s.deleted_at is null
  join tidings.pattern p on p.pattern_id = s.pattern_id and tidings.pattern_matches(p.pattern, explain_route_v2.type)
  join tidings.subscriber b using (subscriber_id)
  order by 1, 4;
end
$$;

-- work: as before, and: a lane of a sink reads the telemetry view, if that may leave now, and the call of the type; and
-- what is not sent on purpose is settled as `filtered`. Workers of before have no sinks and go on with the one before.
create function tidings.work_v2(
  p_worker uuid,
  h_group text[], h_shard smallint[], h_term bigint[],
  s_holding int[], s_lane int[], s_due timestamptz[], s_id bigint[], s_outcome text[], s_event uuid[],
  s_subscription int[], s_attempt smallint[], s_key int[], s_delay_ms bigint[], s_status smallint[], s_elapsed_ms int[],
  s_error text[], s_reason text[],
  r_holding int[], r_lane int[], r_limit int[], r_after_due timestamptz[], r_after_id bigint[],
  p_bytes_max int, p_log text, p_durable bool
) returns table (
  lane int, due_at timestamptz, delivery_id bigint, parked bool, subscription_id int, key_hash int, attempt smallint,
  crashes smallint, first_due_at timestamptz, event_id uuid, type text, version smallint, tenant text, scope text,
  ordering_key text, occurred_at timestamptz, payload text, headers text, call text, cut bool
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_read_at timestamptz;
  v_xid bigint;
  v_horizon bigint;
  v_owned int[];
  v_deleted bigint[];
  v_rest int[];
  v_sought bigint[];
  v_moved bigint[];
  v_state tidings.settled;
  v_lost bigint[] := '{}';
  v_missing bigint[] := '{}';
  v_locked bigint[] := '{}';
  v_unlogged int := 0;
  v_gone uuid;
  i int;
begin
  -- What a crash of the server may undo is a settlement, and the worst of that is a repeated delivery; compiling
  -- this plan costs more than running it. Both for this transaction only: a function's own SET is undone before
  -- the commit.
  if not p_durable then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  perform set_config('jit', 'off', true);

  select array_agg(h.n::int) into v_owned
  from unnest(h_group, h_shard, h_term) with ordinality as h (group_name, shard, term, n)
  cross join lateral (
    select from tidings.shard s
    where s.group_name = h.group_name and s.shard = h.shard and s.term = h.term and s.worker_id = p_worker
    limit 1
  ) s;
  v_owned := coalesce(v_owned, '{}');

  if cardinality(s_id) > 0 then
    -- The pair, before anything is written: first the clock, then the transaction's id.
    v_read_at := clock_timestamp();
    v_xid := pg_current_xact_id()::text::bigint;

    with gone as (
      delete from tidings.delivery d
      where d.ctid = any(array(
        select d.ctid
        from unnest(s_holding, s_lane, s_due, s_id, s_outcome) as s (holding, lane, due_at, delivery_id, outcome)
        cross join lateral (
          select d.ctid from tidings.delivery d
          where d.subscriber_id = s.lane and d.due_at = s.due_at and d.delivery_id = s.delivery_id
          for update skip locked
        ) d
        where s.outcome in ('delivered', 'filtered') and s.holding = any(v_owned)
      ))
      returning d.delivery_id
    )
    select array_agg(g.delivery_id) into v_deleted from gone g;
    v_deleted := coalesce(v_deleted, '{}');

    if cardinality(v_deleted) < cardinality(s_id) then
      -- Not all were delivered and settled. Which are left, by their place: a look-up by hash, because this plan would
      -- compare each with each for `= any`.
      v_rest := array(
        select s.n::int from unnest(s_id) with ordinality as s (id, n)
        where (s.id in (select unnest(v_deleted))) is not true);
      -- Of what was delivered, a row that is still where it was read is locked by somebody else.
      select array_agg(s_id[n]) filter (where d.here), array_agg(s_id[n]) filter (where d.here is null)
      into v_locked, v_sought
      from unnest(v_rest) n
      left join lateral (
        select true as here from tidings.delivery d
        where d.subscriber_id = s_lane[n] and d.due_at = s_due[n] and d.delivery_id = s_id[n]
        limit 1
      ) d on true
      where s_outcome[n] in ('delivered', 'filtered') and s_holding[n] = any(v_owned);
      v_locked := coalesce(v_locked, '{}');
      if v_sought is not null then
        -- The due time of the others may have been moved meanwhile; what was delivered is not sent again for that. One
        -- look through their lanes for all of them: they may be many, after an answer that was lost, and a lane long.
        with moved as (
          delete from tidings.delivery d
          where d.ctid = any(array(
            select d.ctid
            from (select distinct s_lane[n] as lane from unnest(v_rest) n) l
            cross join lateral (
              select d.ctid from tidings.delivery d
              where d.subscriber_id = l.lane and (d.delivery_id in (select unnest(v_sought))) is true
              order by d.due_at, d.delivery_id
              limit cardinality(v_sought)
              for update skip locked
            ) d
          ))
          returning d.delivery_id
        )
        select array_agg(m.delivery_id) into v_moved from moved m;
        v_missing := array(select unnest(v_sought) except select unnest(v_moved));
      end if;
      -- Look at each of the rest.
      for i in
        select n from unnest(v_rest) n where s_outcome[n] not in ('delivered', 'filtered') or not s_holding[n] = any(v_owned)
      loop
        if not s_holding[i] = any(v_owned) then
          v_lost := v_lost || s_id[i];
          continue;
        end if;
        v_state := tidings.settle_one(s_lane[i], s_due[i], s_id[i], s_outcome[i], s_delay_ms[i], s_status[i],
          s_error[i], s_reason[i]);
        if v_state = 'locked' then
          v_locked := v_locked || s_id[i];
        elsif v_state = 'missing' then
          v_missing := v_missing || s_id[i];
        end if;
      end loop;
    end if;

    -- A key goes on: also after a row that was gone, because whoever removed it may not see the follower yet.
    if array_position(s_key, null) is distinct from 1 or cardinality(array_remove(s_key, null)) > 0 then
      for i in
        select s.n from unnest(s_id, s_key, s_outcome) with ordinality as s (id, key_hash, outcome, n)
        where s.key_hash is not null and s.outcome in ('delivered', 'filtered', 'bury')
          and not s.id = any(v_lost) and not s.id = any(v_locked)
      loop
        if not tidings.unpark(s_lane[i], s_key[i]) then
          v_locked := v_locked || s_id[i];
          v_missing := array_remove(v_missing, s_id[i]);
        end if;
      end loop;
    end if;

    -- The log never makes a settlement fail.
    if p_log <> 'none' then
      begin
        insert into tidings.attempt (at, delivery_id, event_id, subscriber_id, subscription_id, attempt, outcome, status,
          elapsed_ms, error)
        select v_read_at, s.delivery_id, s.event_id, s.lane, s.subscription_id, s.attempt, s.outcome, s.status,
          s.elapsed_ms, s.error
        from unnest(s_lane, s_id, s_outcome, s_event, s_subscription, s_attempt, s_status, s_elapsed_ms, s_error)
          as s (lane, delivery_id, outcome, event_id, subscription_id, attempt, status, elapsed_ms, error)
        where s.outcome <> 'defer' and (p_log = 'all' or s.outcome <> 'delivered')
          and not s.delivery_id = any(v_lost) and not s.delivery_id = any(v_locked);
      exception when others then
        v_unlogged := cardinality(s_id);
      end;
    end if;
  end if;

  -- Before the read, so that what is older than the horizon is in it.
  v_horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  if cardinality(r_lane) > 0 then
    return query
    with due as materialized (
      -- Lane by lane along the primary key. The limit inside keeps the planner from any other way.
      select d.subscriber_id, d.due_at, d.delivery_id, d.subscription_id, d.key_hash, d.attempt, d.crashes,
        d.first_due_at, d.event_id, r.telemetry,
        -- The head of a key is its pending row with the smallest id; the others are not the owner's to send yet.
        d.key_hash is null or d.delivery_id = (
          select k.delivery_id from tidings.delivery k
          where k.subscriber_id = d.subscriber_id and k.key_hash = d.key_hash
          order by k.delivery_id limit 1
        ) as head
      from (
        select r.*, b.view = 'telemetry' as telemetry
        from unnest(r_holding, r_lane, r_limit, r_after_due, r_after_id) as r (holding, lane, quota, after_due, after_id)
        left join lateral (select b.view from tidings.subscriber b where b.subscriber_id = r.lane limit 1) b on true
        offset 0
      ) r
      cross join lateral (
        select d.subscriber_id, d.due_at, d.delivery_id, d.subscription_id, d.key_hash, d.attempt, d.crashes,
          d.first_due_at, d.event_id
        from tidings.delivery d
        where d.subscriber_id = r.lane and (d.due_at, d.delivery_id) > (coalesce(r.after_due, '-infinity'), r.after_id)
          and d.due_at <= clock_timestamp()
        order by d.due_at, d.delivery_id
        limit r.quota
      ) d
      where r.holding = any(v_owned)
    ), followers as (
      update tidings.delivery d set due_at = 'infinity'
      where d.ctid = any(array(
        select p.ctid
        from due f
        cross join lateral (
          select p.ctid from tidings.delivery p
          where p.subscriber_id = f.subscriber_id and p.due_at = f.due_at and p.delivery_id = f.delivery_id
          for update skip locked
        ) p
        where not f.head
      ))
    ), bounded as (
      -- In the order of `due`, lane by lane: a window without an order of its own takes rows as they come.
      select f.*, e.type, e.version, e.tenant, e.scope, e.ordering_key, e.occurred_at, v.payload, e.headers, v.call,
        coalesce(v.bytes, 0) as bytes,
        sum(coalesce(v.bytes, 0)) over (rows unbounded preceding) as bytes_so_far
      from due f
      left join lateral (select * from tidings.event e where e.event_id = f.event_id limit 1) e on f.head
      cross join lateral (
        -- The view of the lane. Telemetry that no longer may leave, or never was, is null.
        select
          case when f.telemetry then case when tidings.may_leave(e.type, e.version, e.created_at, e.headers) then e.telemetry end
            else e.payload end as payload,
          case when f.telemetry then (
            select t.call from tidings.event_type t where t.type = e.type and t.version = e.version
          ) end as call,
          case when f.telemetry then octet_length(e.telemetry::text) else e.payload_bytes end as bytes
        offset 0
      ) v
    )
    select b.subscriber_id, b.due_at, b.delivery_id, not b.head, b.subscription_id, b.key_hash, b.attempt, b.crashes,
      b.first_due_at, b.event_id, b.type, b.version, b.tenant, b.scope, b.ordering_key, b.occurred_at,
      b.payload::text, b.headers::text, b.call, b.bytes_so_far >= p_bytes_max
    from bounded b
    where b.bytes_so_far - b.bytes < p_bytes_max;
  end if;

  return query select null::int, v_read_at, v_xid, null::bool, null::int, null::int, null::smallint, null::smallint,
    clock_timestamp(), null::uuid, null::text, null::smallint, null::text, null::text, null::text, null::timestamptz,
    json_build_object('horizon', v_horizon, 'lost', v_lost, 'missing', v_missing, 'locked', v_locked,
      'unlogged', v_unlogged, 'owned', v_owned)::text,
    null::text, null::text, null::bool;
end
$$;

-- bury: a dead letter carries the view that its lane reads, and no other.
create or replace function tidings.bury(
  p_lane int, p_due timestamptz, p_id bigint, p_failed int, p_reason text, p_status smallint, p_error text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_dead record;
begin
  with gone as (
    delete from tidings.delivery d
    where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id
    returning d.*
  )
  insert into tidings.dead (delivery_id, event_id, subscriber_id, subscription_id, type, version, tenant, scope,
    ordering_key, occurred_at, payload, telemetry, headers, attempts, first_due_at, reason, last_status, last_error,
    key_hash)
  select g.delivery_id, g.event_id, g.subscriber_id, g.subscription_id, e.type, e.version, coalesce(e.tenant, ''), e.scope,
    e.ordering_key, e.occurred_at, case when b.view = 'notification' then e.payload end,
    case when b.view = 'telemetry' then e.telemetry end, e.headers, least(g.attempt + p_failed, 32767), g.first_due_at, p_reason, p_status, p_error,
    g.key_hash
  from gone g
  left join tidings.subscriber b on b.subscriber_id = g.subscriber_id
  left join lateral (select * from tidings.event e where e.event_id = g.event_id limit 1) e on true
  returning delivery_id, event_id, type, attempts into v_dead;
  if found and p_lane <> 0 and (v_dead.type is null or not starts_with(v_dead.type, 'tidings:')) then
    perform tidings.report(
      case p_reason when 'exhausted' then 'tidings:delivery:exhausted' else 'tidings:delivery:buried' end, p_lane,
      jsonb_build_object('reason', p_reason, 'delivery', jsonb_build_object(
        'id', v_dead.delivery_id, 'event_id', v_dead.event_id, 'event_type', v_dead.type,
        'attempts', v_dead.attempts, 'last_status', p_status, 'last_error', p_error)));
  end if;
end
$$;

-- replay: of a dead letter of a sink, the event comes back with its telemetry view alone, where it was gone.
create or replace function tidings.replay_v1(p_dead bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_dead tidings.dead;
  v_now timestamptz;
  v_id bigint;
begin
  select d.* into v_dead from tidings.dead d where d.dead_id = p_dead for update;
  if not found or coalesce(v_dead.payload, v_dead.telemetry) is null then
    return null;
  end if;
  perform from tidings.subscriber s where s.subscriber_id = v_dead.subscriber_id and s.deleted_at is null;
  if not found then
    return null;
  end if;
  perform tidings.make_partition('event', tidings.uuid_at(v_dead.event_id));
  -- Excludes the drop of that partition until this transaction is over.
  perform from tidings.partition p
  where p.parent = 'event' and p.starts_at <= tidings.uuid_at(v_dead.event_id) and tidings.uuid_at(v_dead.event_id) < p.ends_at
  for share;
  insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
    payload_bytes, payload, telemetry, headers)
  values (v_dead.event_id, tidings.uuid_at(v_dead.event_id), v_dead.occurred_at, v_dead.type, v_dead.version,
    v_dead.tenant, v_dead.scope, v_dead.ordering_key, octet_length(coalesce(v_dead.payload::text, '{}')), coalesce(v_dead.payload, '{}'), v_dead.telemetry,
    v_dead.headers)
  on conflict do nothing;
  if v_dead.key_hash is not null then
    perform pg_advisory_xact_lock(1414087764, v_dead.key_hash);
  end if;
  perform pg_current_xact_id();
  v_now := clock_timestamp();
  insert into tidings.delivery as d (event_id, due_at, first_due_at, subscriber_id, subscription_id, key_hash)
  values (v_dead.event_id, v_now, v_now, v_dead.subscriber_id, v_dead.subscription_id, v_dead.key_hash)
  returning d.delivery_id into v_id;
  update tidings.dead d set replayed_at = v_now where d.dead_id = p_dead;
  return v_id;
end
$$;

-- replay_events: to a sink only where it is named.
create or replace function tidings.replay_events_v1(
  p_from timestamptz, p_to timestamptz, p_events uuid[], p_pattern text, p_tenant text, p_scope text, p_subscriber int,
  p_after uuid, p_limit int, p_dry bool,
  out events int, out deliveries int, out lanes int[], out after_event_id uuid
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_from uuid := tidings.uuid_floor(p_from);
  v_to uuid := tidings.uuid_floor(p_to);
  v_event record;
  v_payload jsonb;
  v_key_hash int;
  v_now timestamptz;
  v_subscribers int[];
  v_subscriptions int[];
  v_ordered bool[];
  v_seen int;
  v_upto uuid;
  v_pending jsonb;
begin
  events := 0; deliveries := 0; lanes := '{}';
  if not p_dry then
    -- Excludes the drop of these partitions until this transaction is over.
    perform from tidings.partition p where p.parent = 'event' and p.starts_at < p_to and p.ends_at > p_from for share;
  end if;
  select count(*), (array_agg(e.event_id order by e.event_id desc))[1] into v_seen, v_upto
  from (
    select e.event_id from tidings.event e
    where e.event_id >= v_from and e.event_id < v_to and (p_after is null or e.event_id > p_after)
    order by e.event_id limit 10000
  ) e;
  if v_seen = 0 then
    return;
  end if;
  -- Once for the call, because the queue has no index by event: which of these events are pending, and to whom.
  select coalesce(jsonb_object_agg(d.event_id, d.subscribers), '{}') into v_pending
  from (
    select d.event_id, array_agg(d.subscriber_id) as subscribers from tidings.delivery d
    where d.event_id >= v_from and d.event_id <= v_upto and (p_after is null or d.event_id > p_after)
      and (p_subscriber is null or d.subscriber_id = p_subscriber)
    group by d.event_id
  ) d;
  for v_event in
    select e.event_id, e.type, e.version, e.tenant, e.scope, e.ordering_key, t.patterns, t.filtered,
      p_subscriber = any(t.sinks) and not coalesce(v_pending -> e.event_id::text @> to_jsonb(p_subscriber), false) as to_sink
    from tidings.event e
    join tidings.event_type t on t.type = e.type and t.version = e.version
    where e.event_id >= v_from and e.event_id <= v_upto and (p_after is null or e.event_id > p_after)
      and (p_events is null or e.event_id = any(p_events))
      and (p_pattern is null or tidings.pattern_matches(p_pattern, e.type))
      and (p_tenant is null or e.tenant = p_tenant)
      and (p_scope = '' or e.scope = p_scope or starts_with(e.scope, p_scope || '/'))
    order by e.event_id
  loop
    v_payload := null;
    if v_event.filtered then
      v_payload := tidings.filter_payload((select e.payload::text from tidings.event e where e.event_id = v_event.event_id));
    end if;
    select array_agg(m.subscriber_id order by m.subscriber_id), array_agg(m.subscription_id order by m.subscriber_id),
      array_agg(m.ordered order by m.subscriber_id)
    into v_subscribers, v_subscriptions, v_ordered
    from (
      select s.subscriber_id, min(s.subscription_id) as subscription_id, bool_or(s.ordered) as ordered
      from unnest(v_event.patterns) as p (pattern_id)
      cross join unnest(tidings.scope_prefixes(v_event.scope)) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id, s.ordered
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = v_event.tenant and s.scope = c.scope and s.deleted_at is null
          and (p_subscriber is null or s.subscriber_id = p_subscriber)
          and (not s.filtered or (
            select tidings.filter_passes(f.filter_path, v_payload) from tidings.subscription f
            where f.subscription_id = s.subscription_id))
        offset 0
      ) s
      where not coalesce(v_pending -> v_event.event_id::text @> to_jsonb(s.subscriber_id), false)
      group by s.subscriber_id
    ) m;
    -- A sink that is meant alone: it may not know any more that it had the event.
    if v_event.to_sink then
      v_subscribers := array[p_subscriber];
      v_subscriptions := array[null]::int[];
      v_ordered := array[false];
    end if;
    continue when v_subscribers is null;
    events := events + 1;
    deliveries := deliveries + cardinality(v_subscribers);
    if not p_dry then
      v_key_hash := null;
      if true = any(v_ordered) and v_event.ordering_key is not null then
        v_key_hash := tidings.key_hash(v_event.tenant, v_event.ordering_key);
        perform pg_advisory_xact_lock(1414087764, v_key_hash);
      end if;
      -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
      perform pg_current_xact_id();
      v_now := clock_timestamp();
      insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id, key_hash)
      select v_event.event_id, v_now, v_now, m.subscriber_id, m.subscription_id, case when m.ordered then v_key_hash end
      from unnest(v_subscribers, v_subscriptions, v_ordered) as m (subscriber_id, subscription_id, ordered);
      if cardinality(lanes) < 256 then
        lanes := array(select unnest(lanes) union select unnest(v_subscribers) limit 256);
      end if;
    end if;
    if deliveries >= p_limit then
      after_event_id := v_event.event_id;
      return;
    end if;
  end loop;
  if v_seen = 10000 then
    after_event_id := v_upto;
  end if;
end
$$;

-- sync_catalogue: with the call of each type. Input: [{type, version, audience, scopes, level, call, schema,
-- documentation}] and [{type, version}]; answers as before.
create function tidings.sync_catalogue_v3(p_types json, p_retired json)
returns table (type text, version smallint, change text, previous json)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_type record;
  v_old tidings.event_type;
  v_routed bool := false;
begin
  -- Before the first row, because a subscribing transaction has this lock when it comes to the rows of types.
  perform pg_advisory_xact_lock(1414087765, 0);
  for v_type in
    select t.* from json_to_recordset(p_types) as t (
      type text, version smallint, audience text[], scopes text[], level text, call text, schema json, documentation text)
    order by t.type, t.version
  loop
    select e.* into v_old from tidings.event_type e where e.type = v_type.type and e.version = v_type.version;
    if not found then
      insert into tidings.event_type (type, version, audience, scopes, level, call, schema, documentation, partitioned_until)
      values (v_type.type, v_type.version, v_type.audience, v_type.scopes, v_type.level, coalesce(v_type.call, 'track'), v_type.schema,
        v_type.documentation, tidings.partitioned_until());
      v_routed := true;
      return query select v_type.type, v_type.version, 'added'::text, null::json;
      continue;
    end if;
    if (v_old.audience, v_old.scopes, v_old.level, v_old.call, v_old.schema::text, v_old.documentation)
      is distinct from (v_type.audience, v_type.scopes, v_type.level, coalesce(v_type.call, 'track'), v_type.schema::text, v_type.documentation)
    then
      update tidings.event_type e set
        audience = v_type.audience, scopes = v_type.scopes, level = v_type.level,
        call = coalesce(v_type.call, 'track'), schema = v_type.schema,
        documentation = v_type.documentation, updated_at = clock_timestamp()
      where e.type = v_type.type and e.version = v_type.version;
      v_routed := v_routed or (v_old.audience, v_old.level) is distinct from (v_type.audience, v_type.level);
      return query select v_type.type, v_type.version, 'changed'::text, json_build_object(
        'type', v_old.type, 'version', v_old.version, 'audience', v_old.audience, 'scopes', v_old.scopes,
        'level', v_old.level, 'call', v_old.call, 'schema', v_old.schema, 'documentation', v_old.documentation);
    end if;
    if v_old.retired_at is not null and v_old.retired_by = 'catalogue' then
      update tidings.event_type e set retired_at = null, retired_by = null, updated_at = clock_timestamp()
      where e.type = v_type.type and e.version = v_type.version;
      return query select v_type.type, v_type.version, 'restored'::text, null::json;
    elsif v_old.retired_at is not null then
      return query select v_type.type, v_type.version, 'withheld'::text, null::json;
    end if;
  end loop;
  return query
  update tidings.event_type e
  set retired_at = clock_timestamp(), retired_by = 'catalogue', updated_at = clock_timestamp()
  from json_to_recordset(p_retired) as r (type text, version smallint)
  where e.type = r.type and e.version = r.version and e.retired_at is null
  returning e.type, e.version, 'retired'::text, null::json;
  if v_routed then
    perform tidings.match_patterns();
  end if;
  -- Those of Tidings' own are in no application's catalogue.
  return query
  select e.type, e.version, 'missing'::text, null::json
  from tidings.event_type e
  where e.retired_at is null and not starts_with(e.type, 'tidings:')
    and not exists (
      select from json_to_recordset(p_types) as t (type text, version smallint)
      where t.type = e.type and t.version = e.version);
end
$$;

-- What an older version of the application calls. Its types are all of the call `track`.
create or replace function tidings.sync_catalogue_v2(p_types json, p_retired json)
returns table (type text, version smallint, change text, previous json)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select * from tidings.sync_catalogue_v3(p_types, p_retired)
$$;

-- register_event: telemetry no larger than what every sink takes, with what is added when it is sent.
create or replace function tidings.register_event(
  type text,
  payload json,
  version smallint default null,
  tenant text default '',
  scope text default '',
  ordering_key text default null,
  idempotency_key text default null,
  delay interval default null,
  occurred_at timestamptz default null,
  telemetry json default null,
  headers json default null,
  event_id uuid default null,
  notify bool default false
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  v_written text;
begin
  if type is null or payload is null or tenant is null or scope is null then
    raise exception using errcode = 'TD012', message = 'type, payload, tenant and scope may not be null',
      hint = 'Leave tenant and scope out where there is none.';
  end if;
  if delay not between interval '0' and interval '3650 days' then
    raise exception using errcode = 'TD012', message = 'delay is not between 0 and 3650 days',
      hint = 'Leave it out to deliver at once.';
  end if;
  if occurred_at not between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00' then
    raise exception using errcode = 'TD012', message = 'occurred_at is not a time of the years 1 to 9999',
      hint = 'Leave it out to say now.';
  end if;
  if octet_length(tenant) > 255 or octet_length(ordering_key) > 255 or octet_length(idempotency_key) > 255 then
    perform tidings.raise_status('bad_key', type, version, scope);
  end if;
  if not tidings.is_scope(scope) then
    perform tidings.raise_status('bad_scope', type, version, scope);
  end if;
  if octet_length(payload::text) > 1048576 or octet_length(telemetry::text) > 28672
    or octet_length(headers::text) > 32768 then
    perform tidings.raise_status('payload_too_large', type, version, scope);
  end if;
  if tidings.json_deeper(payload::text, 64) or tidings.json_deeper(telemetry::text, 64) then
    raise exception using errcode = 'TD008', message = 'the payload nests deeper than 64 levels', hint = 'Flatten the payload.';
  end if;
  if json_typeof(telemetry) <> 'object' or json_typeof(headers) <> 'object' then
    raise exception using errcode = 'TD012', message = 'telemetry and headers are JSON objects or null',
      hint = 'Pass headers such as {"traceparent": "..."}, or leave them out.';
  end if;
  version := coalesce(version, (
    select t.version from tidings.event_type t where t.type = register_event.type order by t.version desc limit 1));
  v_written := tidings.register_v1(type, version, payload::text, telemetry::text, headers::text, tenant,
    scope, ordering_key, idempotency_key, nullif((extract(epoch from delay) * 1000)::bigint, 0), occurred_at, event_id);
  if v_written ~ '^[a-z]+_' then
    perform tidings.raise_status(split_part(v_written, ' ', 1), type, version, scope);
  end if;
  if starts_with(v_written, 'repeated ') then
    return split_part(v_written, ' ', 2)::uuid;
  end if;
  if notify and split_part(v_written, ' ', 2) <> '' then
    perform pg_notify('tidings_wake', split_part(v_written, ' ', 2));
  end if;
  return split_part(v_written, ' ', 1)::uuid;
end
$$;

create or replace function tidings.raise_status(p_status text, p_type text, p_version smallint, p_scope text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  case p_status
    when 'unknown_type' then
      raise exception using errcode = 'TD001',
        message = format('event type %L is not in the catalogue', p_type),
        hint = 'Sync the application''s catalogue (Catalogue::sync) before registering; tidings.event_type lists what is known.';
    when 'unknown_version' then
      raise exception using errcode = 'TD002',
        message = format('event type %L has no version %s', p_type, p_version),
        hint = 'Leave the version out to use the newest one; tidings.event_type lists what is known.';
    when 'retired_type' then
      raise exception using errcode = 'TD003',
        message = format('event type %L is retired', p_type),
        hint = 'Register its successor, or clear retired_at in tidings.event_type.';
    when 'bad_scope' then
      raise exception using errcode = 'TD004',
        message = format('scope %L is not a path of key=value pairs', left(p_scope, 100)),
        hint = 'Write it as project=p1/job=j1: at most 8 pairs and 1000 characters; in values, percent-encode %, /, = and white space.';
    when 'bad_key' then
      raise exception using errcode = 'TD005', message = 'tenant, ordering_key or idempotency_key is longer than 255 bytes',
        hint = 'Use a shorter key, its SHA-256 for example.';
    when 'bad_event_id' then
      raise exception using errcode = 'TD006', message = 'event_id is not a UUIDv7 of the last or the next hour',
        hint = 'Leave event_id out; use idempotency_key to make a repeated call harmless.';
    when 'payload_too_large' then
      raise exception using errcode = 'TD007', message = 'the event is too large',
        hint = 'At most 1048576 bytes of payload, 28672 of telemetry and 32768 of headers; send a reference to large data.';
    when 'idempotency_conflict' then
      raise exception using errcode = 'TD009', message = 'the idempotency key was used for an event with other content',
        hint = 'Use a key that belongs to this one event.';
    when 'event_conflict' then
      raise exception using errcode = 'TD010', message = 'the event id was used for an event with other content',
        hint = 'Leave event_id out; Tidings makes one.';
    when 'no_partition' then
      raise exception using errcode = 'TD011', message = 'there is no partition of tidings.event for today',
        hint = 'Run a worker, which makes partitions ahead of time, or call select tidings.make_partitions(7).';
    else
      raise exception using errcode = 'TD000', message = format('register answered with the unknown status %L', p_status);
  end case;
end
$$;

-- set_level: what is collected from now on. Answers what was before.
create function tidings.set_level_v1(p_level text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_was tidings.level;
  v_now timestamptz;
begin
  if tidings.level_rank(p_level) is null then
    raise exception using errcode = 'TD015', message = format('there is no level %L', p_level),
      hint = 'The levels are off, security, basic, enhanced and full.';
  end if;
  -- Registering reads what follows from the level; two edits follow each other.
  perform pg_advisory_xact_lock(1414087765, 0);
  select l.* into v_was from tidings.level l where l.until = 'infinity';
  if v_was.level = p_level then
    return v_was.level;
  end if;
  v_now := greatest(clock_timestamp(), v_was.at + interval '1 microsecond');
  update tidings.level l set until = v_now where l.at = v_was.at;
  insert into tidings.level (at, level) values (v_now, p_level);
  perform tidings.match_patterns();
  return v_was.level;
end
$$;

-- suppress: nothing is collected of these from now on, nor sent of what is waiting. Answers how many are new.
create function tidings.suppress_v1(p_subjects text[]) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count int;
begin
  insert into tidings.suppression (subject) select distinct unnest(p_subjects) on conflict do nothing;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- erase: suppresses these, and takes their telemetry and their identity out of one day of events and out of the dead
-- letters. The notification of an event is the application's, and stays. Answers how many of each were found.
create function tidings.erase_v1(
  p_subjects text[], p_day timestamptz, out events int, out dead int
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tidings.suppress_v1(p_subjects);
  update tidings.event e set telemetry = null, headers = (e.headers::jsonb - 'analytics')::json
  where e.event_id >= tidings.uuid_floor(p_day) and e.event_id < tidings.uuid_floor(p_day + interval '24 hours')
    and strpos(e.headers::text, '"analytics"') > 0
    and array[e.headers -> 'analytics' ->> 'user', e.headers -> 'analytics' ->> 'anonymous',
      e.headers -> 'analytics' ->> 'previous'] && p_subjects;
  get diagnostics events = row_count;
  update tidings.dead d set telemetry = null, headers = (d.headers::jsonb - 'analytics')::json
  where strpos(d.headers::text, '"analytics"') > 0
    and array[d.headers -> 'analytics' ->> 'user', d.headers -> 'analytics' ->> 'anonymous',
      d.headers -> 'analytics' ->> 'previous'] && p_subjects;
  get diagnostics dead = row_count;
end
$$;

-- What is collected by now.
select tidings.match_patterns();

revoke execute on all functions in schema tidings from public;

-- Whoever could call the functions that have followers can call those.
do $$
declare
  v_grant record;
begin
  for v_grant in
    select a.grantee::regrole as grantee, f.follower
    from (values
      ('tidings.sync_catalogue_v2', 'tidings.sync_catalogue_v3'), ('tidings.work_v1', 'tidings.work_v2')
    ) as f (name, follower)
    join pg_proc p on p.oid = f.name::regproc
    cross join lateral aclexplode(p.proacl) a
    where a.privilege_type = 'EXECUTE' and a.grantee not in (0, p.proowner)
  loop
    execute format('grant execute on function %s to %s', v_grant.follower, v_grant.grantee);
  end loop;
end
$$;
