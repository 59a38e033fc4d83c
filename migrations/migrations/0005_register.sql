-- Registering: the one way into the outbox, for every language.
-- Who is affected: nobody yet. Locks: none that matter.

-- Whether the text of a JSON value nests deeper than `p_max`. Counting brackets settles nearly every call; only a
-- text with more of them is looked at closely, by taking the innermost pairs away, level by level.
create function tidings.json_deeper(p_text text, p_max int) returns bool
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_rest text;
begin
  if length(p_text) - length(translate(p_text, '[{', '')) <= p_max then
    return false;
  end if;
  v_rest := regexp_replace(p_text, '"([^"\\]|\\.)*"', '', 'g');
  v_rest := regexp_replace(v_rest, '[^][{}]', '', 'g');
  for v_level in 1 .. p_max loop
    v_rest := regexp_replace(v_rest, '\[\]|\{\}', '', 'g');
    exit when v_rest = '';
  end loop;
  return v_rest <> '';
end
$$;

-- A new UUIDv7 (RFC 9562, method 3): 48 bits of milliseconds, the version, and the part of a millisecond in twelve
-- bits, so that ids grow in the order of registering within a transaction; the rest is random. Good to the year 2527,
-- when the milliseconds need their first digit. The time in 1/4096 ms is hexadecimal digits as they stand in the id but
-- for the version. One expression, inlined where it is called, and so with every name in full.
create function tidings.uuid_v7(p_at timestamptz) returns uuid
language sql volatile parallel safe as $$
  select pg_catalog.overlay(pg_catalog.gen_random_uuid()::pg_catalog.text,
    pg_catalog.overlay('0' operator(pg_catalog.||) pg_catalog.to_hex(
      (pg_catalog.date_part('epoch', p_at) operator(pg_catalog.*) 4096000)::pg_catalog.int8), '7', 13, 0),
    1, 18)::pg_catalog.uuid
$$;

-- register: writes the event and one delivery per matching subscriber, and answers with the event's id and the lanes,
-- '0192f0c1-... 4,7', or with why not, 'unknown_type'. One text, because a row from a function costs a scan of its own.
--
-- It raises for nothing that a caller can get wrong: an SQL error would abort the caller's whole transaction, so the
-- libraries map the status to an error of theirs and leave the transaction usable. The wrapper for people, further
-- down, raises.
--
-- Statuses: repeated (same idempotency key or event id, same content), idempotency_conflict, event_conflict, each
-- followed by the id of the event that is there; unknown_type, unknown_version, retired_type, bad_event_id,
-- no_partition. The lanes are the subscribers written inline, for the wake-up after the commit; 0 among them is a
-- fan-out that the worker expands. What can be told without the database is checked by the callers, the libraries and
-- the wrapper: sizes, depth, the form of scope and keys.
--
-- PL/pgSQL, not SQL: its plans are kept for the session, also behind a pooler without prepared statements. The plain
-- case is here, with one look-up and two inserts and few expressions, because each pays its start-up again in every
-- transaction; everything else goes the long way.
--
-- Runs with the rights of its owner and without a search path of its own, which would cost a twelfth of a transaction:
-- so each name here, of operators and types too, says its schema, and there is no IN, BETWEEN or LIKE.
create function tidings.register_v1(
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
begin
  if p_idempotency_key is null and p_event_id is null and p_delay_ms is null and p_tenant operator(pg_catalog.=) '' then
    -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
    select t.subscribers, t.subscriptions, t.lanes,
      case when pg_catalog.pg_current_xact_id() is not null then pg_catalog.clock_timestamp() end
    into v_subscribers, v_subscriptions, v_lanes, v_now
    from tidings.event_type t
    where t.type operator(pg_catalog.=) p_type and t.version operator(pg_catalog.=) p_version
      and t.retired_at is null and t.partitioned_until operator(pg_catalog.>) pg_catalog.clock_timestamp();
  end if;
  if v_subscribers is null then
    return tidings.register_the_long_way(p_type, p_version, p_payload, p_telemetry, p_headers, p_tenant, p_scope,
      p_ordering_key, p_idempotency_key, p_delay_ms, p_occurred_at, p_event_id);
  end if;

  insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
    payload_bytes, payload, telemetry, headers)
  values (tidings.uuid_v7(v_now), v_now, coalesce(p_occurred_at, v_now), p_type, p_version, p_tenant, p_scope,
    p_ordering_key, pg_catalog.octet_length(p_payload), p_payload::pg_catalog.json, p_telemetry::pg_catalog.json,
    p_headers::pg_catalog.json)
  returning event_id into v_event_id;
  if v_subscribers[1] is not null then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
    select v_event_id, v_now, v_now, pg_catalog.unnest(v_subscribers), pg_catalog.unnest(v_subscriptions);
  end if;
  return v_event_id::pg_catalog.text operator(pg_catalog.||) v_lanes;
end
$$;

-- Whether a text is a scope: up to eight pairs key=value in 1000 bytes, or nothing.
create function tidings.is_scope(p_scope text) returns bool
language sql immutable strict parallel safe as $$
  select p_scope = '' or octet_length(p_scope) <= 1000 and cardinality(string_to_array(p_scope, '/')) <= 8
    and p_scope ~ '^[a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+(/[a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+)*$'
$$;

-- The prefixes of a scope, the root first and the whole last.
create function tidings.scope_prefixes(p_scope text) returns text[]
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_prefixes text[] := array[''];
  v_pair text;
begin
  foreach v_pair in array string_to_array(p_scope, '/') loop
    v_prefixes := v_prefixes || ltrim(v_prefixes[cardinality(v_prefixes)] || '/' || v_pair, '/');
  end loop;
  return v_prefixes;
end
$$;

-- Whom an event is told, by one probe of the route per pattern and scope. Several subscriptions of one subscriber
-- make one delivery, under the lowest of them, ordered if any of them is. Above 64 subscribers, or 256 subscriptions,
-- `too_many` is true and the rest null; with `p_ordered_only`, all that keep order, however many.
--
-- Joined so that it can be nothing but probes: with a condition on two arrays, a planner without statistics reads
-- every subscription of the tenant.
create function tidings.matches(
  p_patterns int[], p_tenant text, p_scopes text[], p_ordered_only bool,
  out subscribers int[], out subscriptions int[], out ordered bool[], out any_ordered bool, out too_many bool
)
language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_raw int;
begin
  too_many := false;
  if p_ordered_only then
    select array_agg(m.subscriber_id order by m.subscriber_id), array_agg(m.subscription_id order by m.subscriber_id),
      array_agg(true), bool_or(true)
    into subscribers, subscriptions, ordered, any_ordered
    from (
      select s.subscriber_id, min(s.subscription_id) as subscription_id
      from unnest(p_patterns) as p (pattern_id)
      cross join unnest(p_scopes) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
          and s.ordered
        offset 0
      ) s
      group by s.subscriber_id
    ) m;
    return;
  end if;
  select array_agg(m.subscriber_id order by m.subscriber_id), array_agg(m.subscription_id order by m.subscriber_id),
    array_agg(m.ordered order by m.subscriber_id), bool_or(m.ordered), sum(m.raw)
  into subscribers, subscriptions, ordered, any_ordered, v_raw
  from (
    select r.subscriber_id, min(r.subscription_id) as subscription_id, bool_or(r.ordered) as ordered, count(*) as raw
    from (
      select s.subscriber_id, s.subscription_id, s.ordered
      from unnest(p_patterns) as p (pattern_id)
      cross join unnest(p_scopes) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id, s.ordered
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
        limit 257
      ) s
      limit 257
    ) r
    group by r.subscriber_id
  ) m;
  if v_raw > 256 or cardinality(subscribers) > 64 then
    too_many := true;
    subscribers := null; subscriptions := null; ordered := null; any_ordered := null;
  end if;
end
$$;

-- The long way: every case, step by step. Runs with the rights of its caller, the function above.
create function tidings.register_the_long_way(
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
    select t.version, t.retired_at, t.partitioned_until, t.patterns
    into v_version, v_retired_at, v_partitioned_until, v_patterns
    from tidings.event_type t where t.type = p_type order by t.version desc limit 1;
  else
    select t.version, t.retired_at, t.partitioned_until, t.patterns
    into v_version, v_retired_at, v_partitioned_until, v_patterns
    from tidings.event_type t where t.type = p_type and t.version = p_version;
  end if;
  if v_version is null then
    return case when p_version is not null and exists (select from tidings.event_type t where t.type = p_type)
      then 'unknown_version' else 'unknown_type' end;
  elsif v_retired_at is not null then
    return 'retired_type';
  end if;

  select m.subscribers, m.subscriptions, m.ordered, m.any_ordered, m.too_many
  into v_subscribers, v_subscriptions, v_ordered, v_any_ordered, v_expand
  from tidings.matches(v_patterns, p_tenant, v_scopes, false) m;
  if v_expand then
    -- Order is decided here, under the key's lock; an expansion could not keep it.
    select m.subscribers, m.subscriptions, m.ordered, m.any_ordered
    into v_subscribers, v_subscriptions, v_ordered, v_any_ordered
    from tidings.matches(v_patterns, p_tenant, v_scopes, true) m where p_ordering_key is not null;
  end if;

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
      octet_length(p_payload), p_payload::json, p_telemetry::json, p_headers::json);
  else
    insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
      payload_bytes, payload, telemetry, headers)
    values (v_event_id, v_now, coalesce(p_occurred_at, v_now), p_type, v_version, p_tenant, p_scope, p_ordering_key,
      octet_length(p_payload), p_payload::json, p_telemetry::json, p_headers::json)
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

-- The four bytes of a key that the queue compares. Two keys with one hash wait for each other; nothing worse.
-- SHA-256, whose value no version of Postgres changes.
create function tidings.key_hash(p_tenant text, p_key text) returns int
language sql immutable strict parallel safe as $$
  select ('x' || encode(substring(sha256(convert_to(p_tenant || E'\n' || p_key, 'UTF8')) from 1 for 4), 'hex'))::bit(32)::int
$$;

-- What each status means to a person: the text of the error and its SQLSTATE.
create function tidings.raise_status(p_status text, p_type text, p_version smallint, p_scope text) returns void
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
        hint = 'At most 1048576 bytes of payload, 32768 of telemetry and 32768 of headers; send a reference to large data.';
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

-- register_event: for SQL callers of every language, inside their own transaction.
--
--   select tidings.register_event('order:placed', '{"order": {"id": 7}}');
--   select tidings.register_event('order:placed', '{}', scope => 'shop=s1', idempotency_key => 'order-7');
--
-- The parameters after `payload` are given by name. Once released, a signature never changes; options are added at
-- the end, with defaults. Errors have SQLSTATE TD001 to TD012. With `notify`, workers are woken by a NOTIFY inside
-- the caller's transaction, which costs commit throughput; without, they find the event by polling within a second.
create function tidings.register_event(
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
  if octet_length(payload::text) > 1048576 or octet_length(telemetry::text) > 32768
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

-- register_events: many in one call, in the order of the array; each element an object with the parameters of
-- register_event as members. One that cannot be registered raises, and nothing of the call remains.
create function tidings.register_events(events json) returns setof uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_event json;
begin
  if json_typeof(events) <> 'array' then
    raise exception using errcode = 'TD012', message = 'events is not a JSON array',
      hint = 'Pass [{"type": "order:placed", "payload": {}}].';
  end if;
  for v_event in select e.value from json_array_elements(events) e loop
    return next tidings.register_event(
      type => v_event ->> 'type',
      payload => v_event -> 'payload',
      version => (v_event ->> 'version')::smallint,
      tenant => coalesce(v_event ->> 'tenant', ''),
      scope => coalesce(v_event ->> 'scope', ''),
      ordering_key => v_event ->> 'ordering_key',
      idempotency_key => v_event ->> 'idempotency_key',
      delay => (v_event ->> 'delay')::interval,
      occurred_at => (v_event ->> 'occurred_at')::timestamptz,
      telemetry => case when json_typeof(v_event -> 'telemetry') <> 'null' then v_event -> 'telemetry' end,
      headers => case when json_typeof(v_event -> 'headers') <> 'null' then v_event -> 'headers' end,
      event_id => (v_event ->> 'event_id')::uuid);
  end loop;
end
$$;

-- register_many: all of a call or nothing of it; one row per event, in their order, that ends with the first event
-- that cannot be registered: then nothing of the call remains. Keys are locked in one order, so that two calls cannot wait for each other.
create function tidings.register_many_v1(
  p_types text[], p_versions smallint[], p_payloads text[], p_telemetries text[], p_headers text[], p_tenants text[],
  p_scopes text[], p_ordering_keys text[]
) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_hash int;
  v_written text;
  v_all text[] := '{}';
begin
  for v_hash in
    select distinct tidings.key_hash(k.tenant, k.key)
    from unnest(p_types, p_versions, p_tenants, p_ordering_keys) as k (type, version, tenant, key)
    where k.key is not null and exists (
      select from tidings.event_type t
      join tidings.subscription s on s.pattern_id = any(t.patterns)
      where t.type = k.type and t.version = k.version and s.tenant = k.tenant and s.ordered and s.deleted_at is null
    )
    order by 1
  loop
    perform pg_advisory_xact_lock(1414087764, v_hash);
  end loop;
  begin
    for i in 1 .. cardinality(p_types) loop
      v_written := tidings.register_v1(p_types[i], p_versions[i], p_payloads[i], p_telemetries[i], p_headers[i],
        p_tenants[i], p_scopes[i], p_ordering_keys[i], null, null, null, null);
      if v_written ~ '^[a-z]+_' then
        raise exception using errcode = 'TD021', message = v_written;
      end if;
      v_all := v_all || v_written;
    end loop;
  exception when sqlstate 'TD021' then
    -- What was written in this block is undone; the caller's transaction goes on.
    return query
    select case when n <= cardinality(v_all) then v_all[n] else v_written end
    from generate_series(1, cardinality(v_all) + 1) n
    order by n;
    return;
  end;
  return query select a.written from unnest(v_all) with ordinality as a (written, n) order by a.n;
end
$$;

-- explain_route: who would be notified of an event of this type and scope, and why. The same look-up as registering,
-- without its bounds.
create function tidings.explain_route(type text, scope text default '', tenant text default '')
returns table (subscriber_id int, name text, kind text, subscription_id int, pattern text, matched_scope text, ordered bool)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select s.subscriber_id, b.name, b.kind, s.subscription_id, p.pattern, s.scope, s.ordered
  from (
    select t.patterns from tidings.event_type t where t.type = explain_route.type order by t.version desc limit 1
  ) t
  join tidings.pattern p on p.pattern_id = any(t.patterns)
  join tidings.subscription s using (pattern_id)
  join tidings.subscriber b using (subscriber_id)
  where s.tenant = explain_route.tenant and s.deleted_at is null
    and (s.scope = '' or s.scope = explain_route.scope or starts_with(explain_route.scope, s.scope || '/'))
  order by s.subscriber_id, s.subscription_id;
end
$$;

revoke execute on all functions in schema tidings from public;
