-- Replay: events that are still kept are delivered again, under their own ids.
-- Who is affected: nobody who does not ask for it. Locks: none that matter.

create table tidings.retired (
  parent text primary key,
  ends_at timestamptz not null,
  constraint retired_parent check (parent in ('event', 'attempt'))
);
comment on table tidings.retired is 'Before when partitions have been dropped: what was there is gone.';

-- retire_partition: drops one event partition if nothing pending needs it any more. The registry row excludes
-- replays; deliveries of new events lie in other partitions; so the check needs no lock on the log. The drop itself
-- waits for its lock no longer than `p_lock_ms`, so that it never queues registers behind a long transaction.
create or replace function tidings.retire_partition(p_parent text, p_starts_at timestamptz, p_lock_ms int) returns bool
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
  insert into tidings.retired as r (parent, ends_at) values (p_parent, v_partition.ends_at)
  on conflict (parent) do update set ends_at = greatest(r.ends_at, excluded.ends_at);
  return true;
end
$$;

-- replay_events: makes deliveries of events that were registered before, to those who are subscribed to them now, under
-- the same event ids. A subscriber to whom an event is still pending is left out. One of an ordering key comes behind
-- what is pending of its key.
--
-- Events from `p_from` on and before `p_to`, behind event `p_after`, in the order of their ids; the call ends with the
-- event at which `p_limit` deliveries are reached, and at the latest after 10000 events. With `p_dry`, nothing is
-- written. Answers how many events had somebody to go to, how many deliveries that made, to which lanes, and the event to
-- go on behind; null if there are no more.
create function tidings.replay_events_v1(
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
    select e.event_id, e.type, e.version, e.tenant, e.scope, e.ordering_key, t.patterns, t.filtered
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

revoke execute on all functions in schema tidings from public;
