-- Ownership: workers, their leases, and the one call by which shards change hands.
-- Who is affected: nobody yet. Locks: none that matter.

create table tidings.worker (
  worker_id uuid primary key,
  host text not null,
  pid int not null,
  session_pid int,
  session_started_at timestamptz,
  joined_at timestamptz not null,
  seen_at timestamptz not null,
  expires_at timestamptz not null,
  draining bool not null default false,
  groups text[] not null
) with (fillfactor = 50);
comment on table tidings.worker is 'One row per live worker. The lease stands here alone, not in each shard.';
comment on column tidings.worker.session_pid is 'Of the last hold; null behind a pooler, where a session says nothing about its worker.';

create index shard_worker on tidings.shard (worker_id) where worker_id is not null;

-- hold: renews the caller's lease, buries the dead, takes what is free up to the fair share, says what to give up.
--
-- One transaction, so that a renewal and a burial exclude each other, and committed synchronously, so that a crash
-- of the server cannot hand out a term twice. The fair share is counted here and nowhere else; the crate ownership
-- has the same rule in Rust, and a test holds the two together.
--
-- Answers one row per shard owned after the call, and at least one row: `shard` is null in a row that says only
-- that the caller is alive, or, with `alive` false, that it was declared dead and owns nothing.
create function tidings.hold_v1(
  p_worker uuid,
  p_joining bool,
  p_host text,
  p_pid int,
  p_pooled bool,
  p_draining bool,
  p_lease_ms int,
  p_groups text[],
  p_release_groups text[],
  p_release_shards smallint[],
  p_release_terms bigint[]
) returns table (
  alive bool,
  read_at timestamptz,
  xid bigint,
  horizon bigint,
  started_at timestamptz,
  session_pid int,
  group_name text,
  shard smallint,
  term bigint,
  deaths smallint,
  config_version bigint,
  give_up bool
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  -- The pair of the read bound, before anything else: first the clock, then the transaction's id.
  v_read_at timestamptz := clock_timestamp();
  v_xid bigint := pg_current_xact_id()::text::bigint;
  v_started_at timestamptz := pg_postmaster_start_time();
  v_session_started_at timestamptz;
  v_dead uuid;
  v_group text;
  v_total int;
  v_live int;
  v_floor int;
  v_ceiling int;
  v_mine int;
  v_free int;
  v_deficit int;
  v_limit int;
  v_surplus int;
  v_give jsonb := '{}';
begin
  -- A crash of the server may not hand out a term twice, whatever the default of the role.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if p_pooled then
    -- Behind a pooler this transaction takes several round trips. A client that stops before its commit would keep its
    -- own row locked, and nobody could bury it.
    perform set_config('idle_in_transaction_session_timeout', (p_lease_ms / 2)::text, true);
  else
    select a.backend_start into v_session_started_at
    from pg_stat_activity a where a.pid = pg_backend_pid();
  end if;

  if p_joining then
    insert into tidings.worker (worker_id, host, pid, session_pid, session_started_at,
      joined_at, seen_at, expires_at, draining, groups)
    values (p_worker, p_host, p_pid, case when not p_pooled then pg_backend_pid() end, v_session_started_at,
      v_read_at, v_read_at, v_read_at + p_lease_ms * interval '1 ms', p_draining, p_groups)
    on conflict do nothing;
  end if;
  update tidings.worker w set
    seen_at = clock_timestamp(),
    expires_at = clock_timestamp() + p_lease_ms * interval '1 ms',
    session_pid = case when not p_pooled then pg_backend_pid() end,
    session_started_at = v_session_started_at,
    draining = p_draining,
    groups = p_groups
  where w.worker_id = p_worker;
  if not found then
    return query select false, v_read_at, v_xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, v_started_at,
      pg_backend_pid(), null::text, null::smallint, null::bigint, null::smallint, null::bigint, null::bool;
    return;
  end if;

  -- What the caller has drained it gives back in peace.
  update tidings.shard s set worker_id = null, taken_at = null, deaths = 0
  from unnest(p_release_groups, p_release_shards, p_release_terms) as r (group_name, shard, term)
  where s.group_name = r.group_name and s.shard = r.shard and s.term = r.term and s.worker_id = p_worker;

  -- Bury the dead: the lease is over, or the session of the last hold is gone and nothing was heard since.
  -- A session is judged only where it can be: not behind a pooler (no pid), not where another role hides it, and not
  -- when it is older than the server (after a restart all sessions look gone).
  for v_dead in
    select w.worker_id from tidings.worker w
    where w.worker_id <> p_worker and (
      w.expires_at < clock_timestamp()
      or (
        w.session_pid is not null
        and w.session_started_at > v_started_at
        and w.seen_at < clock_timestamp() - interval '1500 ms'
        and not exists (
          select from pg_stat_activity a
          where a.pid = w.session_pid and (a.backend_start is null or a.backend_start = w.session_started_at)
        )
      )
    )
    order by w.worker_id
    for update skip locked
  loop
    update tidings.shard s set
      worker_id = null,
      deaths = case when s.taken_at > clock_timestamp() - interval '1 minute' then least(s.deaths + 1, 1000) else 0 end
    where s.worker_id = v_dead;
    delete from tidings.worker w where w.worker_id = v_dead;
  end loop;

  -- A minute of life clears a shard's name.
  update tidings.shard s set deaths = 0
  where s.worker_id = p_worker and s.deaths > 0 and s.taken_at <= clock_timestamp() - interval '1 minute';

  foreach v_group in array p_groups loop
    select count(*), count(*) filter (where s.worker_id is null), count(*) filter (where s.worker_id = p_worker)
    into v_total, v_free, v_mine
    from tidings.shard s where s.group_name = v_group;
    select count(*) into v_live
    from tidings.worker w where v_group = any(w.groups) and not w.draining;

    if p_draining then
      v_surplus := v_mine;
      v_limit := 0;
    else
      v_floor := v_total / v_live;
      v_ceiling := (v_total + v_live - 1) / v_live;
      -- What the workers below the floor lack, this one left out.
      select coalesce(sum(greatest(v_floor - o.owned, 0)), 0) into v_deficit
      from (
        select (select count(*) from tidings.shard s
                where s.group_name = v_group and s.worker_id = w.worker_id) as owned
        from tidings.worker w
        where v_group = any(w.groups) and not w.draining and w.worker_id <> p_worker
      ) o;
      if v_mine > v_ceiling then
        v_surplus := v_mine - v_ceiling;
      elsif v_mine > v_floor and v_deficit > v_free then
        v_surplus := v_mine - v_floor;
      else
        v_surplus := 0;
      end if;
      -- Above the floor only when nobody below it waits for what is free.
      v_limit := case when v_deficit > 0 then v_floor else v_ceiling end - v_mine;
    end if;
    v_give := v_give || jsonb_build_object(v_group, v_surplus);

    if v_limit > 0 and v_free > 0 then
      update tidings.shard s set worker_id = p_worker, term = s.term + 1, taken_at = clock_timestamp()
      from (
        select f.shard from tidings.shard f
        where f.group_name = v_group and f.worker_id is null
        order by f.shard limit v_limit
        -- Not `for update`, which would pass over a shard while a transaction that adds a subscriber to it is open.
        for no key update skip locked
      ) f
      where s.group_name = v_group and s.shard = f.shard;
    end if;
  end loop;

  -- A worker that drains and holds nothing any more leaves.
  if p_draining and not exists (select from tidings.shard s where s.worker_id = p_worker) then
    delete from tidings.worker w where w.worker_id = p_worker;
  end if;

  return query
  select true, v_read_at, v_xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, v_started_at,
    pg_backend_pid(), o.group_name, o.shard, o.term, o.deaths, o.config_version,
    o.rank <= (v_give ->> o.group_name)::int
  from (select 1) one
  left join (
    select s.group_name, s.shard, s.term, s.deaths, coalesce(c.config_version, 0) as config_version,
      row_number() over (partition by s.group_name order by s.shard desc) as rank
    from tidings.shard s
    left join tidings.shard_config c using (group_name, shard)
    where s.worker_id = p_worker
  ) o on true
  order by o.group_name, o.shard;
end
$$;
