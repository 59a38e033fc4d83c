-- Registering: the one way into the outbox, for every language.
-- Who is affected: nobody yet. Locks: none that matter.

-- Whether the text of a JSON value nests deeper than `p_max`. Counting brackets settles nearly every call; only a
-- text with more of them is looked at closely, by taking the innermost pairs away, level by level.
create function tidings.json_deeper(p_text text, p_max int) returns bool
language plpgsql immutable strict parallel safe set search_path = pg_catalog as $$
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

-- register: writes the event and one delivery per matching subscriber, and answers with a status.
--
-- It raises for nothing that a caller can get wrong: an SQL error would abort the caller's whole transaction, so the
-- libraries map the status to an error of theirs and leave the transaction usable. The wrapper for people, further
-- down, raises.
--
-- Statuses: registered, repeated (same idempotency key or event id, same content), unknown_type, unknown_version,
-- retired_type, bad_scope, bad_key, bad_event_id, payload_too_large, idempotency_conflict, event_conflict,
-- no_partition. `lanes` are the subscribers written inline, for the wake-up after the commit; 0 among them is a
-- fan-out that the worker expands. `p_scopes` are the prefixes of the scope, the root ('') first and the whole last.
-- What is JSON is valid, and nests no deeper than 64 levels: the libraries and the wrapper see to it.
--
-- PL/pgSQL, not SQL: its plans are kept for the session, also behind a pooler without prepared statements. Few
-- statements, small plans and few expressions, because each costs its start-up again in every transaction, and no
-- bounded repetition in a regular expression, which costs 15 microseconds a match. The plain case is here; the rest
-- goes the long way.
create function tidings.register_v1(
  p_type text,
  p_version smallint,
  p_payload text,
  p_telemetry text,
  p_headers text,
  p_tenant text,
  p_scopes text[],
  p_ordering_key text,
  p_idempotency_key text,
  p_delay_ms bigint,
  p_occurred_at timestamptz,
  p_event_id uuid,
  out status text,
  out event_id uuid,
  out lanes int[]
)
language plpgsql security definer set search_path = pg_catalog set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_now timestamptz;
  v_patterns int[];
  v_subscriber int;
  v_subscription int;
  v_ordered bool;
  v_matches int := 0;
begin
  -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
  v_now := case when pg_current_xact_id() is not null then clock_timestamp() end;
  select t.patterns into v_patterns
  from tidings.event_type t
  where t.type = p_type and t.version = p_version and t.retired_at is null and t.partitioned_until > v_now
    and p_idempotency_key is null and p_event_id is null
    and octet_length(p_payload) <= 1048576
    and (p_telemetry is null or octet_length(p_telemetry) <= 32768)
    and (p_headers is null or octet_length(p_headers) <= 32768)
    and (p_ordering_key is null or octet_length(p_ordering_key) <= 255)
    and octet_length(p_tenant) <= 255
    and cardinality(p_scopes) <= 9
    and (cardinality(p_scopes) = 1
      or p_scopes[cardinality(p_scopes)] ~ '^[a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+(/[a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+)*$')
    and octet_length(p_scopes[cardinality(p_scopes)]) <= 1000;
  if found and v_patterns is not null then
    -- One probe of the route per pattern and prefix. Joined so that it can be nothing else: with a condition on two
    -- arrays, a planner without statistics reads every subscription of the tenant.
    select min(s.subscriber_id), min(s.subscription_id), bool_or(s.ordered), count(*)
    into v_subscriber, v_subscription, v_ordered, v_matches
    from (
      select s.subscriber_id, s.subscription_id, s.ordered
      from unnest(v_patterns) as p (pattern_id)
      cross join unnest(p_scopes) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id, s.ordered
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
        limit 65
      ) s
      limit 65
    ) s;
  elsif not found then
    v_matches := -1;
  end if;

  if v_matches not between 0 and 64 or (v_ordered and p_ordering_key is not null) then
    select r.status, r.event_id, r.lanes into status, event_id, lanes
    from tidings.register_the_long_way(p_type, p_version, p_payload, p_telemetry, p_headers, p_tenant, p_scopes,
      p_ordering_key, p_idempotency_key, p_delay_ms, p_occurred_at, p_event_id) r;
    return;
  end if;

  -- The id is a UUIDv7 (RFC 9562, method 3): milliseconds, then the part of a millisecond in the twelve bits after
  -- the version, so that ids grow in the order of registering within a transaction.
  insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
    payload_bytes, payload, telemetry, headers)
  select (lpad(to_hex(c.us / 1000), 12, '0') || '7' || lpad(to_hex((c.us % 1000) * 4096 / 1000), 3, '0')
      || '-' || substr(gen_random_uuid()::text, 20))::uuid,
    v_now, coalesce(p_occurred_at, v_now), p_type, p_version, p_tenant, p_scopes[cardinality(p_scopes)],
    p_ordering_key, octet_length(p_payload), p_payload::json, p_telemetry::json, p_headers::json
  from (select (extract(epoch from v_now) * 1000000)::bigint as us) c
  returning event_id into event_id;
  if p_delay_ms is not null then
    -- A century at most, because the end of time is an error.
    v_now := v_now + least(p_delay_ms, 3155760000000) * interval '1 ms';
  end if;
  if v_matches = 1 then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
    values (event_id, v_now, v_now, v_subscriber, v_subscription);
    lanes := array[v_subscriber];
  elsif v_matches > 1 then
    -- Several subscriptions of one subscriber make one delivery, under the lowest of them.
    with written as (
      insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
      select event_id, v_now, v_now, s.subscriber_id, min(s.subscription_id)
      from unnest(v_patterns) as p (pattern_id)
      cross join unnest(p_scopes) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
        offset 0
      ) s
      group by s.subscriber_id
      returning subscriber_id
    )
    select array_agg(w.subscriber_id) into lanes from written w;
  end if;
  status := 'registered';
end
$$;

-- The prefixes of a scope, the root first and the whole last.
create function tidings.scope_prefixes(p_scope text) returns text[]
language sql immutable strict parallel safe as $$
  select array(
    select array_to_string((string_to_array(p_scope, '/'))[1:n], '/')
    from generate_series(0, cardinality(string_to_array(p_scope, '/'))) n
  )
$$;

-- The long way: every case, step by step. Runs with the rights of its caller, the function above.
create function tidings.register_the_long_way(
  p_type text,
  p_version smallint,
  p_payload text,
  p_telemetry text,
  p_headers text,
  p_tenant text,
  p_scopes text[],
  p_ordering_key text,
  p_idempotency_key text,
  p_delay_ms bigint,
  p_occurred_at timestamptz,
  p_event_id uuid,
  out status text,
  out event_id uuid,
  out lanes int[]
)
language plpgsql set search_path = pg_catalog as $$
#variable_conflict use_column
declare
  -- Up to so many deliveries are written here; above, the worker expands.
  c_inline constant int := 64;
  c_payload_bytes constant int := 1048576;
  c_telemetry_bytes constant int := 32768;
  v_version smallint;
  v_retired_at timestamptz;
  v_patterns int[];
  v_bytes int := octet_length(p_payload);
  v_scope constant text := p_scopes[cardinality(p_scopes)];
  v_subscribers int[];
  v_subscriptions int[];
  v_ordered bool[];
  v_any_ordered bool;
  v_raw int;
  v_expand bool := false;
  v_key_hash int;
  v_sha256 bytea;
  v_now timestamptz;
  v_us bigint;
  v_due timestamptz;
begin
  if v_bytes > c_payload_bytes or octet_length(p_telemetry) > c_telemetry_bytes
    or octet_length(p_headers) > c_telemetry_bytes then
    status := 'payload_too_large';
    return;
  end if;
  if octet_length(p_tenant) > 255 or octet_length(p_ordering_key) > 255 or octet_length(p_idempotency_key) > 255 then
    status := 'bad_key';
    return;
  end if;

  if p_version is null then
    select t.version, t.retired_at, t.patterns into v_version, v_retired_at, v_patterns
    from tidings.event_type t where t.type = p_type order by t.version desc limit 1;
  else
    select t.version, t.retired_at, t.patterns into v_version, v_retired_at, v_patterns
    from tidings.event_type t where t.type = p_type and t.version = p_version;
  end if;
  if v_version is null then
    if p_version is not null and exists (select from tidings.event_type t where t.type = p_type) then
      status := 'unknown_version';
    else
      status := 'unknown_type';
    end if;
    return;
  elsif v_retired_at is not null then
    status := 'retired_type';
    return;
  end if;

  if v_scope is null or p_scopes[1] <> '' or cardinality(p_scopes) > 9 or octet_length(v_scope) > 1000
    or v_scope !~ '^([a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+(/[a-z][a-z0-9_]*=[^/=[:space:][:cntrl:]]+)*)?$' then
    status := 'bad_scope';
    return;
  end if;

  -- One probe of the route per pattern and prefix. Several subscriptions of one subscriber make one delivery, under
  -- the lowest of them, ordered if any of them is.
  select array_agg(m.subscriber_id order by m.subscriber_id), array_agg(m.subscription_id order by m.subscriber_id),
    array_agg(m.ordered order by m.subscriber_id), bool_or(m.ordered), sum(m.raw)
  into v_subscribers, v_subscriptions, v_ordered, v_any_ordered, v_raw
  from (
    select r.subscriber_id, min(r.subscription_id) as subscription_id, bool_or(r.ordered) as ordered, count(*) as raw
    from (
      select s.subscriber_id, s.subscription_id, s.ordered
      from unnest(v_patterns) as p (pattern_id)
      cross join unnest(p_scopes) as c (scope)
      cross join lateral (
        select s.subscriber_id, s.subscription_id, s.ordered
        from tidings.subscription s
        where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
        limit 4 * c_inline + 1
      ) s
      limit 4 * c_inline + 1
    ) r
    group by r.subscriber_id
  ) m;
  if v_raw > 4 * c_inline or cardinality(v_subscribers) > c_inline then
    v_expand := true;
    -- Order is decided here, under the key's lock; an expansion could not keep it.
    v_subscribers := null; v_subscriptions := null; v_ordered := null; v_any_ordered := null;
    if p_ordering_key is not null then
      select array_agg(m.subscriber_id order by m.subscriber_id), array_agg(m.subscription_id order by m.subscriber_id),
        array_agg(true), bool_or(true)
      into v_subscribers, v_subscriptions, v_ordered, v_any_ordered
      from (
        select s.subscriber_id, min(s.subscription_id) as subscription_id
        from unnest(v_patterns) as p (pattern_id)
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
    end if;
  end if;

  if v_any_ordered and p_ordering_key is not null then
    v_key_hash := tidings.key_hash(p_tenant, p_ordering_key);
    -- Held to the end of the caller's transaction, so that the order of ids is the order of commits.
    perform pg_advisory_xact_lock(1414087764, v_key_hash);
  end if;

  -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
  perform pg_current_xact_id();
  v_now := clock_timestamp();
  if p_event_id is not null then
    v_us := (extract(epoch from tidings.uuid_at(p_event_id)) * 1000000)::bigint;
    if substr(p_event_id::text, 15, 1) <> '7' or abs(v_us - extract(epoch from v_now) * 1000000) > 3600000000 then
      status := 'bad_event_id';
      return;
    end if;
    event_id := p_event_id;
  else
    -- A UUIDv7 (RFC 9562, method 3): milliseconds, then the part of a millisecond in the twelve bits after the
    -- version, so that ids grow in the order of registering within a transaction.
    v_us := (extract(epoch from v_now) * 1000000)::bigint;
    event_id := (lpad(to_hex(v_us / 1000), 12, '0') || '7' || lpad(to_hex((v_us % 1000) * 4096 / 1000), 3, '0')
      || '-' || substr(gen_random_uuid()::text, 20))::uuid;
  end if;
  -- Asked of the registry, not found out by an error, which would abort the caller's transaction.
  if not exists (
    select from tidings.partition p
    where p.parent = 'event' and p.starts_at = date_trunc('day', to_timestamp(v_us / 1000000) at time zone 'UTC') at time zone 'UTC'
  ) then
    status := 'no_partition';
    event_id := null;
    return;
  end if;

  if p_idempotency_key is not null then
    v_sha256 := sha256(convert_to(p_type || E'\n' || v_version || E'\n' || p_payload, 'UTF8'));
    -- Waits for another transaction that has the key in hand; if that one rolls back, the key is free again.
    insert into tidings.idempotency (tenant, key, event_id, sha256, created_at)
    values (p_tenant, p_idempotency_key, event_id, v_sha256, v_now)
    on conflict (tenant, key) do nothing;
    if not found then
      select i.event_id, case when i.sha256 = v_sha256 then 'repeated' else 'idempotency_conflict' end
      into event_id, status
      from tidings.idempotency i where i.tenant = p_tenant and i.key = p_idempotency_key;
      return;
    end if;
  end if;

  v_due := v_now + least(coalesce(p_delay_ms, 0), 3155760000000) * interval '1 ms';
  if p_event_id is null then
    insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
      payload_bytes, payload, telemetry, headers)
    values (event_id, v_now, coalesce(p_occurred_at, v_now), p_type, v_version, p_tenant, v_scope, p_ordering_key,
      v_bytes, p_payload::json, p_telemetry::json, p_headers::json);
  else
    insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, ordering_key,
      payload_bytes, payload, telemetry, headers)
    values (event_id, v_now, coalesce(p_occurred_at, v_now), p_type, v_version, p_tenant, v_scope, p_ordering_key,
      v_bytes, p_payload::json, p_telemetry::json, p_headers::json)
    on conflict do nothing;
    if not found then
      select case when e.type = p_type and e.version = v_version and e.payload::text = p_payload
        then 'repeated' else 'event_conflict' end
      into status
      from tidings.event e where e.event_id = p_event_id;
      if status = 'event_conflict' then
        -- Nothing was registered, so the key is not used up.
        delete from tidings.idempotency i where i.tenant = p_tenant and i.key = p_idempotency_key;
      end if;
      return;
    end if;
  end if;

  if v_subscribers is not null then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id, key_hash)
    select event_id, v_due, v_due, m.subscriber_id, m.subscription_id, case when m.ordered then v_key_hash end
    from unnest(v_subscribers, v_subscriptions, v_ordered) as m (subscriber_id, subscription_id, ordered);
  end if;
  if v_expand then
    insert into tidings.expansion (event_id, due_at, registered_at) values (event_id, v_due, v_now);
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id) values (event_id, v_now, v_now, 0);
    v_subscribers := v_subscribers || 0;
  end if;
  status := 'registered';
  lanes := v_subscribers;
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
language plpgsql immutable set search_path = pg_catalog as $$
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
-- the end, with defaults. Errors have SQLSTATE TD001 to TD011. With `notify`, workers are woken by a NOTIFY inside
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
language plpgsql security definer set search_path = pg_catalog as $$
#variable_conflict use_variable
declare
  v_status text;
  v_event_id uuid;
  v_lanes int[];
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
  if tidings.json_deeper(payload::text, 64) or tidings.json_deeper(telemetry::text, 64) then
    raise exception using errcode = 'TD008', message = 'the payload nests deeper than 64 levels', hint = 'Flatten the payload.';
  end if;
  if json_typeof(telemetry) <> 'object' or json_typeof(headers) <> 'object' then
    raise exception using errcode = 'TD012', message = 'telemetry and headers are JSON objects or null',
      hint = 'Pass headers such as {"traceparent": "..."}, or leave them out.';
  end if;
  version := coalesce(version, (
    select t.version from tidings.event_type t where t.type = register_event.type order by t.version desc limit 1));
  select r.status, r.event_id, r.lanes into v_status, v_event_id, v_lanes
  from tidings.register_v1(type, version, payload::text, telemetry::text, headers::text, tenant,
    tidings.scope_prefixes(scope), ordering_key, idempotency_key, (extract(epoch from delay) * 1000)::bigint, occurred_at, event_id) r;
  if v_status not in ('registered', 'repeated') then
    perform tidings.raise_status(v_status, type, version, scope);
  end if;
  if notify and v_lanes is not null then
    perform pg_notify('tidings_wake', array_to_string(v_lanes, ','));
  end if;
  return v_event_id;
end
$$;

-- register_events: many in one call, in the order of the array; each element an object with the parameters of
-- register_event as members. One that cannot be registered raises, and nothing of the call remains.
create function tidings.register_events(events json) returns setof uuid
language plpgsql security definer set search_path = pg_catalog as $$
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
) returns table (status text, event_id uuid, lanes int[])
language plpgsql security definer set search_path = pg_catalog as $$
#variable_conflict use_column
declare
  v_hash int;
  v_status text;
  v_id uuid;
  v_lanes int[];
  v_statuses text[] := '{}';
  v_ids uuid[] := '{}';
  v_all_lanes text[] := '{}';
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
      select r.status, r.event_id, r.lanes into v_status, v_id, v_lanes
      from tidings.register_v1(p_types[i], p_versions[i], p_payloads[i], p_telemetries[i], p_headers[i], p_tenants[i],
        tidings.scope_prefixes(p_scopes[i]), p_ordering_keys[i], null, null, null, null) r;
      if v_status <> 'registered' then
        raise exception using errcode = 'TD021', message = v_status;
      end if;
      v_statuses := v_statuses || v_status;
      v_ids := v_ids || v_id;
      v_all_lanes := v_all_lanes || coalesce(v_lanes, '{}')::text;
    end loop;
  exception when sqlstate 'TD021' then
    -- What was written in this block is undone; the caller's transaction goes on.
    return query
    select case when n <= cardinality(v_ids) then 'registered' else v_status end, null::uuid, null::int[]
    from generate_series(1, cardinality(v_ids) + 1) n;
    return;
  end;
  return query
  select o.status, o.event_id, o.lanes::int[]
  from unnest(v_statuses, v_ids, v_all_lanes) with ordinality as o (status, event_id, lanes, n)
  order by o.n;
end
$$;

-- explain_route: who would be notified of an event of this type and scope, and why. The same look-up as registering,
-- without its bounds.
create function tidings.explain_route(type text, scope text default '', tenant text default '')
returns table (subscriber_id int, name text, kind text, subscription_id int, pattern text, matched_scope text, ordered bool)
language plpgsql stable security definer set search_path = pg_catalog as $$
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
