-- A lane of a sink is read as fast as any other.
-- Why: work asked a function for each row whether its telemetry may leave, and looked its type up twice; that took as
-- long as the rest of the reading. Now the level and whether anybody is suppressed are read once, and the type with the
-- event. What may leave is as before.
-- Registering asked likewise, whether its event is of somebody who is suppressed; that is asked with names in full now,
-- because setting a search path costs more than the question.
-- Who is affected: nobody. Locks: none that matter.

create or replace function tidings.work_v2(
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
    with law as materialized (
      select coalesce(max(l.until) filter (where l.until < 'infinity'), '-infinity') as since,
        min(l.rank) filter (where l.until = 'infinity') as rank,
        exists (select from tidings.suppression) as suppresses
      from tidings.level l
    ), due as materialized (
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
      select f.*, e.type, e.version, e.tenant, e.scope, e.ordering_key, e.occurred_at, v.payload, e.headers, t.call,
        coalesce(v.bytes, 0) as bytes,
        sum(coalesce(v.bytes, 0)) over (rows unbounded preceding) as bytes_so_far
      from due f
      cross join law
      left join lateral (select * from tidings.event e where e.event_id = f.event_id limit 1) e on f.head
      left join lateral (
        -- Every level in force since the event was registered has to permit its type: one, unless it was set meanwhile.
        select t.call,
          t.level_rank <= case
            when e.created_at >= law.since then law.rank
            else (select min(l.rank) from tidings.level l where l.until > e.created_at)
          end and not (law.suppresses and tidings.is_suppressed(e.headers::text)) as may_leave
        from tidings.event_type t
        where t.type = e.type and t.version = e.version
        limit 1
      ) t on f.telemetry
      cross join lateral (
        -- The view of the lane. Telemetry that no longer may leave, or never was, is null.
        select
          case when not f.telemetry then e.payload when t.may_leave then e.telemetry end as payload,
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

-- is_suppressed: as before, without a search path of its own.
create or replace function tidings.is_suppressed(p_headers pg_catalog.text) returns pg_catalog.bool
language plpgsql stable as $$
declare
  v_identity pg_catalog.json;
begin
  -- Most have a trace context at most.
  if p_headers is null or pg_catalog.strpos(p_headers, '"analytics"') operator(pg_catalog.=) 0 then
    return false;
  end if;
  v_identity := p_headers::pg_catalog.json operator(pg_catalog.->) 'analytics';
  return exists (
    select from tidings.suppression s
    where s.subject operator(pg_catalog.=) any (array[
      v_identity operator(pg_catalog.->>) 'user', v_identity operator(pg_catalog.->>) 'anonymous',
      v_identity operator(pg_catalog.->>) 'previous']));
end
$$;

drop function tidings.may_leave(text, smallint, timestamptz, json);

revoke execute on all functions in schema tidings from public;
