-- Work: settling and fetching in one call, and what stands around it: scanning, expanding, careful mode.
-- Who is affected: nobody yet. Locks: none that matter.

-- The state of rows that a caller wants settled, after something was not as expected.
create type tidings.settled as enum ('settled', 'missing', 'locked');

-- unpark: makes the head of a key due now, unless it waits for a later attempt. Called after every settlement of a
-- keyed row, whether its row was still there or not, and by whatever else removes a keyed row.
--
-- Also a head that is not parked is moved to the present: it may have been read behind the one before it and not have
-- been parked, because another session had its row, and then it lies below its owner's cursor.
--
-- Answers false if another session has its row: it may be parking it, so the caller has to come again. It does not
-- wait, because that session may be the one of a stopped client.
create function tidings.unpark(p_lane int, p_key_hash int) returns bool
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_due timestamptz;
begin
  select d.delivery_id, d.due_at into v_id, v_due
  from tidings.delivery d
  where d.subscriber_id = p_lane and d.key_hash = p_key_hash
  order by d.delivery_id limit 1;
  if not found then
    return true;
  end if;
  -- Not in one with the above: skipping the head would find the one behind it.
  perform from tidings.delivery d
  where d.subscriber_id = p_lane and d.due_at = v_due and d.delivery_id = v_id
  for update skip locked;
  if not found then
    return false;
  end if;
  if v_due = 'infinity' or v_due <= clock_timestamp() then
    update tidings.delivery d set due_at = greatest(d.first_due_at, clock_timestamp())
    where d.subscriber_id = p_lane and d.due_at = v_due and d.delivery_id = v_id;
  end if;
  return true;
end
$$;

-- unpark_heads: makes every parked head of these lanes due. The backstop of the owner, at takeover. A row that another
-- session has locked is left to it: that session is unparking it, or will settle the one before.
create function tidings.unpark_heads(p_lanes int[]) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_parked record;
  v_count int := 0;
begin
  perform pg_current_xact_id();
  for v_parked in
    select distinct on (d.subscriber_id, d.key_hash) d.subscriber_id, d.key_hash, d.due_at
    from tidings.delivery d
    where d.subscriber_id = any(p_lanes) and d.key_hash is not null
    order by d.subscriber_id, d.key_hash, d.delivery_id
  loop
    if v_parked.due_at = 'infinity' then
      perform tidings.unpark(v_parked.subscriber_id, v_parked.key_hash);
      v_count := v_count + 1;
    end if;
  end loop;
  return v_count;
end
$$;

-- bury: moves one delivery, which the caller has locked, to the dead letters, with a copy of its event.
create function tidings.bury(
  p_lane int, p_due timestamptz, p_id bigint, p_failed int, p_reason text, p_status smallint, p_error text
) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  with gone as (
    delete from tidings.delivery d
    where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id
    returning d.*
  )
  insert into tidings.dead (delivery_id, event_id, subscriber_id, subscription_id, type, version, tenant, scope,
    ordering_key, occurred_at, payload, headers, attempts, first_due_at, reason, last_status, last_error,
    key_hash)
  select g.delivery_id, g.event_id, g.subscriber_id, g.subscription_id, e.type, e.version, coalesce(e.tenant, ''), e.scope,
    e.ordering_key, e.occurred_at, e.payload, e.headers, least(g.attempt + p_failed, 32767), g.first_due_at, p_reason, p_status, p_error,
    g.key_hash
  from gone g
  left join lateral (select * from tidings.event e where e.event_id = g.event_id limit 1) e on true
$$;

-- settle_one: a retry or a burial of one row. `due_at` is matched, so that a settlement which comes late, or twice,
-- touches nothing that has moved since; a row that somebody else has locked is left for the next call.
create function tidings.settle_one(
  p_lane int, p_due timestamptz, p_id bigint, p_outcome text, p_delay_ms bigint, p_status smallint, p_error text,
  p_reason text
) returns tidings.settled
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from tidings.delivery d
  where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id
  for update skip locked;
  if not found then
    perform from tidings.delivery d where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id;
    return case when found then 'locked' else 'missing' end;
  end if;
  if p_outcome = 'retry' then
    update tidings.delivery d set
      due_at = clock_timestamp() + p_delay_ms * interval '1 ms',
      attempt = least(d.attempt + 1, 32767),
      crashes = 0
    where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id;
  elsif p_outcome = 'defer' then
    update tidings.delivery d set
      due_at = clock_timestamp() + p_delay_ms * interval '1 ms',
      crashes = 0
    where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id;
  else
    -- Some are buried without having been tried.
    perform tidings.bury(p_lane, p_due, p_id, case when p_reason in ('event_gone', 'worker_died') then 0 else 1 end,
      p_reason, p_status, p_error);
  end if;
  return 'settled';
end
$$;

-- work: settles, then fetches, in one call, one commit and one round trip.
--
-- Settling and fetching are separate statements: fused into one, workers deadlock. The fence is in the first
-- statement: a holding (group, shard, term) that is not the caller's any more settles nothing and fetches nothing.
-- It takes no lock on the shard, because a stopped client whose answer does not fit its socket would keep that lock
-- and block the takeover. A settlement that slips in beside a takeover tells what truly happened and matches
-- `due_at`; the worst is a repeated delivery.
--
-- Settlements: `s_holding` is the index of the holding, from one; `s_outcome` is delivered, retry (failed, comes
-- again after the delay), defer (comes again, nothing counted) or bury. Reads: one entry per lane, with its holding,
-- how many rows, and the key after which to read (null: from the beginning). `log` is none, failures or all.
--
-- Answers the rows read, then one row with `lane` null: `due_at` and `delivery_id` are the pair of the read bound
-- (null if nothing was settled), `payload` a JSON object with the horizon and whatever was not as expected.
-- A row with `parked` true is behind the head of its key and was put aside in the same call. A row with `cut` true is
-- the one with which the answer reached `p_bytes_max`: there may be more.
create function tidings.work_v1(
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
  ordering_key text, occurred_at timestamptz, payload text, headers text, cut bool
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
        where s.outcome = 'delivered' and s.holding = any(v_owned)
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
      where s_outcome[n] = 'delivered' and s_holding[n] = any(v_owned);
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
        select n from unnest(v_rest) n where s_outcome[n] <> 'delivered' or not s_holding[n] = any(v_owned)
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
        where s.key_hash is not null and s.outcome in ('delivered', 'bury')
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
        d.first_due_at, d.event_id,
        -- The head of a key is its pending row with the smallest id; the others are not the owner's to send yet.
        d.key_hash is null or d.delivery_id = (
          select k.delivery_id from tidings.delivery k
          where k.subscriber_id = d.subscriber_id and k.key_hash = d.key_hash
          order by k.delivery_id limit 1
        ) as head
      from unnest(r_holding, r_lane, r_limit, r_after_due, r_after_id)
        as r (holding, lane, quota, after_due, after_id)
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
      select f.*, e.type, e.version, e.tenant, e.scope, e.ordering_key, e.occurred_at, e.payload, e.headers,
        coalesce(e.payload_bytes, 0) as bytes,
        sum(coalesce(e.payload_bytes, 0)) over (rows unbounded preceding) as bytes_so_far
      from due f
      left join lateral (select * from tidings.event e where e.event_id = f.event_id limit 1) e on f.head
    )
    select b.subscriber_id, b.due_at, b.delivery_id, not b.head, b.subscription_id, b.key_hash, b.attempt, b.crashes,
      b.first_due_at, b.event_id, b.type, b.version, b.tenant, b.scope, b.ordering_key, b.occurred_at,
      b.payload::text, b.headers::text, b.bytes_so_far >= p_bytes_max
    from bounded b
    where b.bytes_so_far - b.bytes < p_bytes_max;
  end if;

  return query select null::int, v_read_at, v_xid, null::bool, null::int, null::int, null::smallint, null::smallint,
    clock_timestamp(), null::uuid, null::text, null::smallint, null::text, null::text, null::text, null::timestamptz,
    json_build_object('horizon', v_horizon, 'lost', v_lost, 'missing', v_missing, 'locked', v_locked,
      'unlogged', v_unlogged, 'owned', v_owned)::text,
    null::text, null::bool;
end
$$;

-- scan: which lanes have pending rows, and in how many milliseconds the first of each is due (null: all are parked).
-- A skip scan over the primary key: one probe per lane that has rows, however many rows it has.
create function tidings.scan_v1(p_after int, p_limit int) returns table (
  lane int, group_name text, shard smallint, due_in_ms bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with recursive lane as (
    (
      select d.subscriber_id, d.due_at, 1 as n from tidings.delivery d
      where d.subscriber_id > p_after order by d.subscriber_id, d.due_at limit 1
    )
    union all
    select d.subscriber_id, d.due_at, l.n + 1
    from lane l
    cross join lateral (
      select d.subscriber_id, d.due_at from tidings.delivery d
      where d.subscriber_id > l.subscriber_id order by d.subscriber_id, d.due_at limit 1
    ) d
    where l.n < p_limit
  )
  select l.subscriber_id, s.kind, s.shard,
    case when l.due_at < 'infinity' then (extract(epoch from l.due_at - clock_timestamp()) * 1000)::bigint end
  from lane l
  left join lateral (select s.kind, s.shard from tidings.subscriber s where s.subscriber_id = l.subscriber_id limit 1) s on true;
end
$$;

-- careful: notes that a delivery is about to be alone in flight in a shard whose owners died. Answers how often its
-- worker has died since, this time included; null if the row or the term is gone.
create function tidings.careful_v1(
  p_worker uuid, p_group text, p_shard smallint, p_term bigint, p_lane int, p_due timestamptz, p_id bigint
) returns smallint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_crashes smallint;
begin
  update tidings.delivery d set crashes = d.crashes + 1
  where d.subscriber_id = p_lane and d.due_at = p_due and d.delivery_id = p_id
    and exists (
      select from tidings.shard s
      where s.group_name = p_group and s.shard = p_shard and s.term = p_term and s.worker_id = p_worker)
  returning d.crashes into v_crashes;
  return v_crashes;
end
$$;

-- expand: writes the next chunk of a large fan-out, fenced by the term of the system lane and by its own progress.
-- Answers null if there is nothing to expand any more, else the lanes written (which may be none at the end).
create function tidings.expand_v1(
  p_worker uuid, p_shard smallint, p_term bigint, p_event uuid, p_chunk int
) returns int[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_expansion tidings.expansion;
  v_event record;
  v_patterns int[];
  v_now timestamptz;
  v_lanes int[];
  v_last int;
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

  perform pg_current_xact_id();
  v_now := clock_timestamp();
  with chosen as (
    -- The set is the one at registering. Ordered ones were written then, if the event has a key.
    select s.subscriber_id, min(s.subscription_id) as subscription_id
    from tidings.subscription s
    where s.pattern_id = any(v_patterns) and s.tenant = v_event.tenant
      and s.scope = any(tidings.scope_prefixes(v_event.scope))
      and s.subscriber_id > v_expansion.after_subscriber_id
      and s.created_at <= v_expansion.registered_at
      and (s.deleted_at is null or s.deleted_at > v_expansion.registered_at)
    group by s.subscriber_id
    having v_event.ordering_key is null or not bool_or(s.ordered)
    order by s.subscriber_id
    limit p_chunk
  ), written as (
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
    select p_event, greatest(v_expansion.due_at, v_now), v_expansion.due_at, c.subscriber_id, c.subscription_id
    from chosen c join tidings.subscriber b using (subscriber_id)
    where b.deleted_at is null
  )
  select array_agg(c.subscriber_id), max(c.subscriber_id) into v_lanes, v_last from chosen c;

  if coalesce(cardinality(v_lanes), 0) < p_chunk then
    delete from tidings.expansion x where x.event_id = p_event;
  else
    update tidings.expansion x set after_subscriber_id = v_last, expanded = x.expanded + cardinality(v_lanes)
    where x.event_id = p_event;
  end if;
  return coalesce(v_lanes, '{}');
end
$$;
