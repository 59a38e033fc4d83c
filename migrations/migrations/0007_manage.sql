-- Managing: the catalogue, subscriptions, replay, retention.
-- Who is affected: nobody yet. Locks: retention takes an exclusive lock on the event log, and gives up after a second.

-- sync_catalogue: adds and updates what an application declares; removes nothing, so that an older version of it can
-- run beside a newer one. Answers what changed. Input: [{type, version, audience, scopes, level, schema, documentation}].
create function tidings.sync_catalogue_v1(p_types json) returns table (type text, version smallint, change text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_type record;
  v_added bool := false;
begin
  -- Before the first row, because a subscribing transaction has this lock when it comes to the rows of types.
  perform pg_advisory_xact_lock(1414087765, 0);
  for v_type in
    select t.* from json_to_recordset(p_types) as t (
      type text, version smallint, audience text[], scopes text[], level text, schema json, documentation text)
    order by t.type, t.version
  loop
    insert into tidings.event_type as e (type, version, audience, scopes, level, schema, documentation, partitioned_until)
    values (v_type.type, v_type.version, v_type.audience, v_type.scopes, v_type.level, v_type.schema,
      v_type.documentation, tidings.partitioned_until())
    on conflict on constraint event_type_pkey do nothing;
    if found then
      v_added := true;
      return query select v_type.type, v_type.version, 'added'::text;
      continue;
    end if;
    update tidings.event_type e set
      audience = v_type.audience, scopes = v_type.scopes, level = v_type.level, schema = v_type.schema,
      documentation = v_type.documentation, updated_at = clock_timestamp()
    where e.type = v_type.type and e.version = v_type.version
      and (e.audience, e.scopes, e.level, e.schema::text, e.documentation)
        is distinct from (v_type.audience, v_type.scopes, v_type.level, v_type.schema::text, v_type.documentation);
    if found then
      return query select v_type.type, v_type.version, 'changed'::text;
    end if;
  end loop;
  if v_added then
    perform tidings.match_patterns();
  end if;
end
$$;

-- subscribe: adds a subscription, or finds the one that is there. Another `ordered` is an edit: a soft delete and a
-- new row.
create function tidings.subscribe_v1(
  p_subscriber int, p_pattern text, p_tenant text, p_scope text, p_ordered bool, out subscription_id int, out added bool
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
  select s.subscription_id, s.ordered into v_found
  from tidings.subscription s
  where s.subscriber_id = p_subscriber and s.pattern_id = v_pattern and s.tenant = p_tenant and s.scope = p_scope
    and s.deleted_at is null;
  if found and v_found.ordered = p_ordered then
    subscription_id := v_found.subscription_id;
    added := false;
    return;
  elsif found then
    update tidings.subscription s set deleted_at = clock_timestamp() where s.subscription_id = v_found.subscription_id;
  end if;
  insert into tidings.subscription as s (subscriber_id, pattern_id, tenant, scope, ordered)
  values (p_subscriber, v_pattern, p_tenant, p_scope, p_ordered)
  returning s.subscription_id into subscription_id;
  added := true;
end
$$;

-- unsubscribe: deliveries that were registered before stay as they are.
create function tidings.unsubscribe_v1(p_subscription int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.subscription s set deleted_at = clock_timestamp()
  where s.subscription_id = p_subscription and s.deleted_at is null;
  return found;
end
$$;

-- remove_subscriber: its subscriptions end now, its first deliveries go now, the rest by and by.
create function tidings.remove_subscriber_v1(p_subscriber int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p_subscriber = 0 then
    return false;
  end if;
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.subscriber s set deleted_at = clock_timestamp(), updated_at = clock_timestamp(), version = s.version + 1
  where s.subscriber_id = p_subscriber and s.deleted_at is null;
  if not found then
    return false;
  end if;
  update tidings.subscription s set deleted_at = clock_timestamp()
  where s.subscriber_id = p_subscriber and s.deleted_at is null;
  delete from tidings.secret s where s.subscriber_id = p_subscriber;
  perform tidings.clear_lane(p_subscriber, 10000);
  return true;
end
$$;

-- clear_lane: removes up to `p_limit` deliveries of a deleted subscriber, those in somebody's hands left out.
create function tidings.clear_lane(p_lane int, p_limit int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count int;
begin
  delete from tidings.delivery d
  where d.ctid = any(array(
    select d.ctid from tidings.delivery d
    where d.subscriber_id = p_lane
    limit p_limit for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

create function tidings.pause(p_subscriber int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.subscriber s set paused_at = coalesce(s.paused_at, clock_timestamp()), updated_at = clock_timestamp(),
    version = s.version + 1
  where s.subscriber_id = p_subscriber and s.subscriber_id <> 0 and s.deleted_at is null;
  return found;
end
$$;

-- resume: ends a pause, and what the system itself has decided against the subscriber.
create function tidings.resume(p_subscriber int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.subscriber s set paused_at = null, disabled_at = null, disabled_reason = null, retry_after_until = null,
    breaker = null, updated_at = clock_timestamp(), version = s.version + 1
  where s.subscriber_id = p_subscriber and s.subscriber_id <> 0 and s.deleted_at is null;
  return found;
end
$$;

-- retry: makes a pending delivery due now. A follower of a key stays behind its head.
create function tidings.retry(p_delivery bigint) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_lane int;
begin
  perform pg_current_xact_id();
  update tidings.delivery d set due_at = clock_timestamp()
  where d.delivery_id = p_delivery and d.due_at > clock_timestamp() and d.due_at < 'infinity'
  returning d.subscriber_id into v_lane;
  return found or exists (select from tidings.delivery d where d.delivery_id = p_delivery);
end
$$;

-- replay: registers the delivery of a dead letter again: a new delivery, the same event id. A keyed one comes after
-- what is pending of its key. The event is put back from the copy if its partition has been dropped.
-- Answers the new delivery's id; null if there is no such dead letter, it carries no event, or its subscriber is gone.
create function tidings.replay_v1(p_dead bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_dead tidings.dead;
  v_now timestamptz;
  v_id bigint;
begin
  select d.* into v_dead from tidings.dead d where d.dead_id = p_dead for update;
  if not found or v_dead.payload is null then
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
    payload_bytes, payload, headers)
  values (v_dead.event_id, tidings.uuid_at(v_dead.event_id), v_dead.occurred_at, v_dead.type, v_dead.version,
    v_dead.tenant, v_dead.scope, v_dead.ordering_key, octet_length(v_dead.payload::text), v_dead.payload, v_dead.headers)
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

-- retire_partition: drops one event partition if nothing pending needs it any more. The registry row excludes
-- replays; deliveries of new events lie in other partitions; so the check needs no lock on the log. The drop itself
-- waits for its lock no longer than `p_lock_ms`, so that it never queues registers behind a long transaction.
create function tidings.retire_partition(p_parent text, p_starts_at timestamptz, p_lock_ms int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_partition tidings.partition;
  v_from uuid;
  v_to uuid;
  v_count int;
begin
  select p.* into v_partition from tidings.partition p
  where p.parent = p_parent and p.starts_at = p_starts_at for update skip locked;
  if not found or v_partition.ends_at > clock_timestamp() then
    return false;
  end if;
  if p_parent = 'event' then
    v_from := tidings.uuid_floor(v_partition.starts_at);
    v_to := tidings.uuid_floor(v_partition.ends_at);
    if exists (select from tidings.delivery d where d.event_id >= v_from and d.event_id < v_to) then
      return false;
    end if;
    -- A fan-out under way has its delivery in the system lane; one without has been given up.
    delete from tidings.expansion x where x.event_id >= v_from and x.event_id < v_to;
    -- The keys of its day go first, because nobody may register from the drop to the commit. They may be many: then
    -- the rest of them, and the drop, are left to the next call.
    delete from tidings.idempotency i
    where i.ctid = any(array(
      select k.ctid from tidings.idempotency k
      where k.created_at >= v_partition.starts_at and k.created_at < v_partition.ends_at
      limit 100000));
    get diagnostics v_count = row_count;
    if v_count = 100000 then
      return false;
    end if;
  end if;
  perform set_config('lock_timeout', p_lock_ms::text, true);
  execute format('drop table tidings.%I', v_partition.name);
  delete from tidings.partition p where p.parent = p_parent and p.starts_at = p_starts_at;
  return true;
end
$$;

-- bury_stale: deliveries of paused, disabled or deleted subscribers do not hold partitions for ever: past retention
-- they are buried with their payload, up to `p_limit` a call.
create function tidings.bury_stale(p_before timestamptz, p_limit int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row record;
  v_count int := 0;
begin
  for v_row in
    select d.subscriber_id, d.due_at, d.delivery_id, d.key_hash
    from tidings.subscriber s
    -- Lane by lane, so that nothing is read of those at work.
    cross join lateral (
      select d.* from tidings.delivery d
      where d.subscriber_id = s.subscriber_id and d.event_id < tidings.uuid_floor(p_before)
      order by d.delivery_id
      limit p_limit
      for update skip locked
    ) d
    where s.paused_at is not null or s.disabled_at is not null or s.deleted_at is not null
    limit p_limit
  loop
    perform tidings.bury(v_row.subscriber_id, v_row.due_at, v_row.delivery_id, 0, 'retention', null,
      'its subscriber was paused, disabled or deleted for longer than events are kept');
    if v_row.key_hash is not null then
      perform tidings.unpark(v_row.subscriber_id, v_row.key_hash);
    end if;
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;

-- stats: what is pending, in one look.
create function tidings.stats() returns table (subscriber_id int, name text, kind text, pending bigint, parked bigint,
  due bigint, oldest_due_at timestamptz, dead bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select s.subscriber_id, s.name, s.kind, coalesce(d.pending, 0), coalesce(d.parked, 0), coalesce(d.due, 0),
    d.oldest_due_at, coalesce(x.dead, 0)
  from tidings.subscriber s
  left join (
    select d.subscriber_id, count(*) as pending, count(*) filter (where d.due_at = 'infinity') as parked,
      count(*) filter (where d.due_at <= clock_timestamp()) as due, min(d.due_at) as oldest_due_at
    from tidings.delivery d group by d.subscriber_id
  ) d using (subscriber_id)
  left join (
    select x.subscriber_id, count(*) as dead from tidings.dead x where x.replayed_at is null group by x.subscriber_id
  ) x using (subscriber_id)
  where s.deleted_at is null
  order by s.subscriber_id;
end
$$;

revoke execute on all functions in schema tidings from public;
