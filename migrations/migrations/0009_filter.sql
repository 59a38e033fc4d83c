-- Filters: a subscription may ask for a part of a type's events by what is in their payload. Names that begin with
-- `tidings:` are ours, and only a pattern that says so matches them. A type that everybody has subscribed to is
-- registered the short way too.
-- Who is affected: subscriptions without a filter match what they matched, but for names that begin with `tidings:`.
-- Locks: the table of subscriptions, while its index is built anew: some seconds for a million of them, during which
-- nobody subscribes; registering goes on, but for the instants in which the old index goes.

alter table tidings.subscription
  add column filter_path jsonpath,
  add column filtered bool not null default false,
  add constraint subscription_filter_object check (jsonb_typeof(filter) = 'object');
comment on column tidings.subscription.filter is 'What has to hold for the payload, as people wrote it; null matches every event.';
comment on column tidings.subscription.filter_path is 'The filter as Postgres evaluates it; a trigger keeps it.';
comment on column tidings.subscription.filtered is 'Whether there is a filter, for the index.';

create index subscription_route_v2 on tidings.subscription (pattern_id, tenant, scope, subscriber_id)
  include (subscription_id, ordered, filtered) where deleted_at is null;
drop index tidings.subscription_route;
alter index tidings.subscription_route_v2 rename to subscription_route;

alter table tidings.event_type add column filtered bool not null default false;
comment on column tidings.event_type.filtered is 'Whether a matching subscription has a filter, so that registering reads the payload for it.';
comment on column tidings.event_type.subscribers is 'Everybody whom an event of the type is told, where that depends on the type alone: at most 64 matching subscriptions, all without tenant, scope, order and filter. Lane 0 alone: more than 64 are told each, and the worker expands. Null: the route has to be asked.';

-- A refusal of a filter: what is wrong, and where.
create function tidings.refuse_filter(p_path text, p_message text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'TD013', message = format('the filter cannot be used: %s %s', p_path, p_message),
    hint = 'Write it in the shape of the payload: {"order": {"total": {"$gte": 100}, "country": {"$in": ["DE", "FR"]}}}.';
end
$$;

-- filter_condition: the jsonpath predicate that says whether what is at `p_at` fits. Each part is an `exists`, which is
-- true or false, never unknown, so that `$not` is the exact opposite. In jsonpath's lax mode an array fits if one of
-- its elements does.
--
--   {"a": 1}                     a is 1, or is an array with a 1, or with an array with a 1
--   {"a": {"b": 1, "c": 2}}      a is an object, or an array with one object, for which both hold
--   {"a": [1, 2]}                each of the list is in a
--   {"a": {"$in": [1, 2]}}       one of the list fits
--   {"a": {"$gte": 1, "$lt": 9}} a number, or a text, in the range: $gt, $gte, $lt, $lte
--   {"a": {"$exists": false}}    a is not there
--   {"a": {"$not": 1}}           the opposite; also where a is not there
--   {"$or": [{...}, {...}]}      one of them holds
create function tidings.filter_condition(p_filter jsonb, p_at text, p_path text, p_depth int) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_parts text[] := '{}';
  v_range text[] := '{}';
  v_inside text[] := '{}';
  v_key text;
  v_value jsonb;
  v_here text;
begin
  if p_depth > 12 then
    perform tidings.refuse_filter(p_path, 'is nested more than 12 levels deep');
  end if;
  if jsonb_typeof(p_filter) = 'array' then
    for v_value in select e.value from jsonb_array_elements(p_filter) e loop
      v_parts := v_parts || tidings.filter_condition(v_value, p_at, p_path, p_depth + 1);
    end loop;
    return case when cardinality(v_parts) = 0 then format('exists(%s)', p_at)
      else format('(%s)', array_to_string(v_parts, ' && ')) end;
  elsif jsonb_typeof(p_filter) <> 'object' then
    return format('exists(%s ? (@ == %s))', p_at, p_filter);
  elsif p_filter = '{}' then
    return format('exists(%s ? (@.type() == "object"))', p_at);
  end if;

  for v_key, v_value in select e.key, e.value from jsonb_each(p_filter) e loop
    v_here := p_path || '.' || v_key;
    if v_key in ('$gt', '$gte', '$lt', '$lte') then
      if jsonb_typeof(v_value) not in ('number', 'string') then
        perform tidings.refuse_filter(v_here, 'is not a number or a text');
      end if;
      v_range := v_range || format('@ %s %s',
        case v_key when '$gt' then '>' when '$gte' then '>=' when '$lt' then '<' else '<=' end, v_value);
    elsif v_key = '$exists' then
      if jsonb_typeof(v_value) <> 'boolean' then
        perform tidings.refuse_filter(v_here, 'is not true or false');
      end if;
      v_parts := v_parts || format('%sexists(%s)', case when v_value = 'false' then '!' else '' end, p_at);
    elsif v_key = '$not' then
      v_parts := v_parts || format('!(%s)', tidings.filter_condition(v_value, p_at, v_here, p_depth + 1));
    elsif v_key in ('$in', '$or') then
      if jsonb_typeof(v_value) <> 'array' or v_value = '[]' then
        perform tidings.refuse_filter(v_here, 'is not a list with at least one element');
      end if;
      v_parts := v_parts || (
        select format('(%s)', string_agg(tidings.filter_condition(e.value, p_at, v_here, p_depth + 1), ' || ' order by e.n))
        from jsonb_array_elements(v_value) with ordinality e (value, n));
    elsif starts_with(v_key, '$') then
      perform tidings.refuse_filter(v_here, 'is no operator; there are $in, $or, $not, $exists, $gt, $gte, $lt and $lte');
    else
      v_inside := v_inside || tidings.filter_condition(v_value, '@.' || to_jsonb(v_key)::text, v_here, p_depth + 1);
    end if;
  end loop;
  -- Both ends of a range are asked of one value, and what is asked of members of one object.
  if cardinality(v_range) > 0 then
    v_parts := v_parts || format('exists(%s ? (@.type() != "array" && %s))', p_at, array_to_string(v_range, ' && '));
  end if;
  if cardinality(v_inside) > 0 then
    v_parts := v_parts || format('exists(%s ? (@.type() == "object" && %s))', p_at, array_to_string(v_inside, ' && '));
  end if;
  return format('(%s)', array_to_string(v_parts, ' && '));
end
$$;

-- filter_path: a filter as Postgres evaluates it. Raises TD013, with what is wrong, for what is no filter.
create function tidings.filter_path(p_filter jsonb) returns jsonpath
language plpgsql immutable strict set search_path = pg_catalog, pg_temp as $$
begin
  if jsonb_typeof(p_filter) <> 'object' or p_filter = '{}' then
    perform tidings.refuse_filter('it', 'is not an object with at least one member');
  elsif octet_length(p_filter::text) > 4096 then
    perform tidings.refuse_filter('it', 'is longer than 4096 bytes');
  end if;
  return ('lax ' || tidings.filter_condition(p_filter, '$', '$', 0))::jsonpath;
end
$$;

-- check_filter: what is wrong with a filter, or null. For callers whose transaction has to stay usable.
create function tidings.check_filter(p_filter jsonb) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tidings.filter_path(p_filter);
  return null;
exception when sqlstate 'TD013' then
  return sqlerrm;
end
$$;

-- filter_payload: a payload as filters read it. What json takes and jsonb refuses must not make registering fail: the
-- character U+0000 is read as U+FFFD; where that does not help, a number of a million digits for example, the answer is
-- null, and everything with a filter is told.
create function tidings.filter_payload(p_payload text) returns jsonb
language plpgsql immutable strict set search_path = pg_catalog, pg_temp as $$
begin
  return p_payload::jsonb;
exception when others then
  begin
    return replace(p_payload, '\u0000', '\ufffd')::jsonb;
  exception when others then
    return null;
  end;
end
$$;

-- Whether a filter lets a payload through; a payload that cannot be read passes, because a delivery too many can be
-- put right by its receiver, and one that is missing cannot.
create function tidings.filter_passes(p_path jsonpath, p_payload jsonb) returns bool
language sql immutable parallel safe as $$
  select coalesce(jsonb_path_match(p_payload, p_path, '{}', true), true)
$$;

create function tidings.subscription_filter() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.filter_path := tidings.filter_path(new.filter);
  new.filtered := new.filter is not null;
  return new;
end
$$;
create trigger subscription_filter before insert or update of filter on tidings.subscription
  for each row execute function tidings.subscription_filter();

-- explain_filter: each condition of a filter with what the payload has there, and whether it holds. All may hold and
-- the filter not, where they hold for different elements of an array.
create function tidings.explain_filter(p_filter jsonb, p_payload jsonb)
returns table (path text, condition jsonb, found jsonb, holds bool)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with recursive part (path, at, filter) as (
    select '$', 'lax $', p_filter
    union all
    select p.path || '.' || e.key, p.at || '.' || to_jsonb(e.key)::text, e.value
    from part p cross join lateral jsonb_each(
      case when jsonb_typeof(p.filter) = 'object' then p.filter else '{}' end) e
    where not starts_with(e.key, '$')
  ), leaf as (
    -- The operators of an object, without its members, which have rows of their own; or the value that is asked for.
    select p.path, p.at,
      case when jsonb_typeof(p.filter) <> 'object' or p.filter = '{}' then p.filter
        else (select jsonb_object_agg(e.key, e.value) from jsonb_each(p.filter) e where starts_with(e.key, '$')) end as filter
    from part p
  )
  select l.path, l.filter,
    (select case count(*) when 1 then (array_agg(f.value))[1] else jsonb_agg(f.value) end
     from jsonb_path_query(p_payload, l.at::jsonpath, '{}', true) f (value) having count(*) > 0),
    coalesce(jsonb_path_match(p_payload,
      ('lax ' || tidings.filter_condition(l.filter, substr(l.at, 5), l.path, 0))::jsonpath, '{}', true), true)
  from leaf l
  where l.filter is not null
  order by l.path;
end
$$;

-- Whether `p_pattern` matches the name `p_type`: `*` is one part, `**` is one or more. Our own events, `tidings:...`,
-- are told to those alone who ask for them by that word.
create or replace function tidings.pattern_matches(p_pattern text, p_type text) returns bool
language sql immutable strict parallel safe as $$
  select p_type ~ ('^' || replace(replace(p_pattern, '**', '[^:]+(:[^:]+){0,}'), '*', '[^:]+') || '$')
    and (not starts_with(p_type, 'tidings:') or starts_with(p_pattern, 'tidings:'))
$$;

-- Computes whom the events of each type are told, for the types that one of these patterns matches; null is every type.
-- A pattern with more than 64 plain subscriptions decides by itself that an event is expanded, unless somebody keeps
-- order, which is written at once.
create or replace function tidings.route_types(p_patterns int[]) returns void
language plpgsql as $$
begin
  update tidings.event_type t set
    subscribers = case when m.plain then m.subscribers when m.many then array[0] end,
    subscriptions = case when m.plain then m.subscriptions when m.many then array[null]::int[] end,
    lanes = case when m.plain then coalesce(' ' || nullif(array_to_string(m.subscribers, ','), ''), '')
      when m.many then ' 0' end,
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
    select r.plain, r.subscribers, r.subscriptions, not r.plain and w.many as many, w.filtered
  ) m
  where t.type = e.type and t.version = e.version and (p_patterns is null or e.patterns && p_patterns)
    and (t.subscribers, t.subscriptions, t.filtered) is distinct from (
      case when m.plain then m.subscribers when m.many then array[0] end,
      case when m.plain then m.subscriptions when m.many then array[null]::int[] end,
      m.filtered);
end
$$;
-- Whether a pattern has filters: those of subscriptions that were deleted count while a fan-out may need them.
create index subscription_filtered on tidings.subscription (pattern_id) where filtered;

-- register: as before, and an event that everybody is told is expanded without asking the route.
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
    if v_subscribers[1] operator(pg_catalog.=) 0 then
      insert into tidings.expansion (event_id, due_at, registered_at) values (v_event_id, v_now, v_now);
    end if;
  end if;
  return v_event_id::pg_catalog.text operator(pg_catalog.||) v_lanes;
end
$$;

-- Whom an event is told, by one probe of the route per pattern and scope. Several subscriptions of one subscriber
-- make one delivery, under the lowest of them, ordered if any of them is. Above 64 subscribers, or 256 subscriptions,
-- `too_many` is true and the rest null; with `p_ordered_only`, all that keep order, however many.
--
-- Joined so that it can be nothing but probes: with a condition on two arrays, a planner without statistics reads
-- every subscription of the tenant.
create function tidings.matches_v2(
  p_patterns int[], p_tenant text, p_scopes text[], p_ordered_only bool, p_payload jsonb,
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
          and (not s.filtered or (
            select tidings.filter_passes(f.filter_path, p_payload) from tidings.subscription f
            where f.subscription_id = s.subscription_id))
        offset 0
      ) s
      group by s.subscriber_id
    ) m;
    return;
  end if;
  select array_agg(m.subscriber_id order by m.subscriber_id) filter (where m.subscription_id is not null),
    array_agg(m.subscription_id order by m.subscriber_id) filter (where m.subscription_id is not null),
    array_agg(m.ordered order by m.subscriber_id) filter (where m.subscription_id is not null),
    bool_or(m.ordered), sum(m.raw)
  into subscribers, subscriptions, ordered, any_ordered, v_raw
  from (
    select r.subscriber_id, min(r.subscription_id) filter (where r.passes) as subscription_id,
      bool_or(r.ordered) filter (where r.passes) as ordered, count(*) as raw
    from (
      select r.subscriber_id, r.subscription_id, r.ordered, not r.filtered or (
        select tidings.filter_passes(f.filter_path, p_payload) from tidings.subscription f
        where f.subscription_id = r.subscription_id) as passes
      from (
        select s.subscriber_id, s.subscription_id, s.ordered, s.filtered
        from unnest(p_patterns) as p (pattern_id)
        cross join unnest(p_scopes) as c (scope)
        cross join lateral (
          select s.subscriber_id, s.subscription_id, s.ordered, s.filtered
          from tidings.subscription s
          where s.pattern_id = p.pattern_id and s.tenant = p_tenant and s.scope = c.scope and s.deleted_at is null
          limit 257
        ) s
        limit 257
      ) r
    ) r
    group by r.subscriber_id
  ) m;
  if v_raw > 256 or cardinality(subscribers) > 64 then
    too_many := true;
    subscribers := null; subscriptions := null; ordered := null; any_ordered := null;
  end if;
end
$$;

-- The long way, with the payload for those who filter.
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
    select t.version, t.retired_at, t.partitioned_until, t.patterns, t.filtered
    into v_version, v_retired_at, v_partitioned_until, v_patterns, v_filtered
    from tidings.event_type t where t.type = p_type order by t.version desc limit 1;
  else
    select t.version, t.retired_at, t.partitioned_until, t.patterns, t.filtered
    into v_version, v_retired_at, v_partitioned_until, v_patterns, v_filtered
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

drop function tidings.matches(int[], text, text[], bool);

-- expand: writes the next chunk of a large fan-out, fenced by the term of the system lane and by its own progress.
-- Answers null if there is nothing to expand any more, else the lanes written (which may be none at the end).
--
-- Each pattern and scope is read on from the progress, in the order of subscribers, `p_chunk` rows and what the last of
-- these subscribers has beside; where there are more, the chunk ends there, because behind it the others may be incomplete.
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
  v_patterns := array(select p.pattern_id from tidings.pattern p where tidings.pattern_matches(p.pattern, v_event.type));
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

-- subscribe: adds a subscription, or finds the one that is there. Another `ordered` or filter is an edit: a soft delete
-- and a new row.
create function tidings.subscribe_v2(
  p_subscriber int, p_pattern text, p_tenant text, p_scope text, p_ordered bool, p_filter jsonb,
  out subscription_id int, out added bool
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_pattern int;
  v_found record;
begin
  -- Registering reads patterns and subscriptions; two edits follow each other.
  perform pg_advisory_xact_lock(1414087765, 0);
  insert into tidings.pattern (pattern) values (p_pattern) on conflict do nothing;
  select p.pattern_id into v_pattern from tidings.pattern p where p.pattern = p_pattern;
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

-- subscribe_v1: for programs of before there were filters.
create or replace function tidings.subscribe_v1(
  p_subscriber int, p_pattern text, p_tenant text, p_scope text, p_ordered bool, out subscription_id int, out added bool
)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select s.subscription_id, s.added
  from tidings.subscribe_v2(p_subscriber, p_pattern, p_tenant, p_scope, p_ordered, null) s
$$;

-- explain_route: who would be notified of an event of this type and scope, and why. The same look-up as registering,
-- without its bounds. With a payload, `passes` says whether the filter of a subscription lets it through; without, it is
-- null where there is one.
create function tidings.explain_route_v2(
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
  order by s.subscriber_id, s.subscription_id;
end
$$;

-- A type with many subscribers may now be registered the short way.
select tidings.route_types(null);

revoke execute on all functions in schema tidings from public;
