-- Health: what a lane's owner knows of its destination is written back, and what happens to subscribers and their
-- deliveries is told as events of our own.
-- Who is affected: subscribers to `tidings:...`, of whom there are none yet. Locks: none that matter.

comment on column tidings.subscriber.breaker is 'Trouble of its destination, as the owner of the lane last wrote it down: state, until, opened, failures, failing_since, warned; null while all is well.';

insert into tidings.event_type (type, version, audience, scopes, level, schema, documentation, partitioned_until)
select t.type, 1, '{notification}', '{subscriber}', 'basic',
  json_build_object(
    '$schema', 'https://json-schema.org/draft/2020-12/schema',
    'type', 'object',
    'required', array['subscriber'] || t.required,
    'properties', (
      '{"subscriber": {"type": "object", "required": ["id", "tenant", "name", "kind"], "properties": {
          "id": {"type": "integer"}, "tenant": {"type": "string"}, "name": {"type": "string"}, "kind": {"type": "string"}}},
        "reason": {"type": "string"}, "failures": {"type": "integer"}, "failing_since": {"type": "string", "format": "date-time"},
        "version": {"type": "integer"},
        "delivery": {"type": "object", "required": ["id", "event_id", "event_type", "attempts"], "properties": {
          "id": {"type": "integer"}, "event_id": {"type": "string", "format": "uuid"}, "event_type": {"type": ["string", "null"]},
          "attempts": {"type": "integer"}, "last_status": {"type": ["integer", "null"]}, "last_error": {"type": ["string", "null"]}}}}'::jsonb
      - array(select unnest(array['reason', 'failures', 'failing_since', 'version', 'delivery']) except select unnest(t.required))
    )::json),
  t.documentation, tidings.partitioned_until()
from (values
  ('tidings:subscriber:created', array['version'], 'A subscriber was added.'),
  ('tidings:subscriber:updated', array['version'], 'A subscriber''s name, configuration, limits or ladder were changed.'),
  ('tidings:subscriber:removed', array['version'], 'A subscriber was removed, with what was to be delivered to it.'),
  ('tidings:subscriber:paused', array['version'], 'A person has paused a subscriber; its deliveries wait.'),
  ('tidings:subscriber:resumed', array['version'], 'A person has resumed a subscriber that was paused or disabled.'),
  ('tidings:subscriber:disabled', array['version', 'reason'], 'The system has disabled a subscriber, and says why; its deliveries wait until it is resumed.'),
  ('tidings:subscriber:warned', array['failures', 'failing_since'], 'Nothing could be delivered to a subscriber for half the time after which it will be disabled.'),
  ('tidings:subscriber:recovered', array[]::text[], 'Something was delivered again to a subscriber that had been failing for a while.'),
  ('tidings:delivery:exhausted', array['delivery', 'reason'], 'A delivery has used up its attempts and its time, and is a dead letter now.'),
  ('tidings:delivery:buried', array['delivery', 'reason'], 'A delivery became a dead letter for another reason than its attempts: it was refused for good, its event was gone, its worker died with it, or it was kept for too long.')
) as t (type, required, documentation)
on conflict do nothing;

-- report: registers one of our own events about a subscriber, in scope `subscriber=<id>` and without a tenant, because
-- they are for those who operate the system. Nobody subscribed: nothing is written. It never makes fail what it reports.
create function tidings.report(p_type text, p_subscriber int, p_data jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_written text;
begin
  -- Null: the route has to be asked.
  perform from tidings.event_type t where t.type = p_type and t.version = 1 and t.lanes = '';
  if found then
    return;
  end if;
  v_written := tidings.register_v1(p_type, 1::smallint, (
      select (jsonb_build_object('subscriber',
        jsonb_build_object('id', s.subscriber_id, 'tenant', s.tenant, 'name', s.name, 'kind', s.kind)) || p_data)::text
      from tidings.subscriber s where s.subscriber_id = p_subscriber
    ), null, null, '', 'subscriber=' || p_subscriber, null, null, null, null, null);
  if v_written ~ '^[a-z]+_' then
    raise warning 'tidings: % of subscriber % was not registered: %', p_type, p_subscriber, v_written;
  end if;
exception when others then
  raise warning 'tidings: % of subscriber % was not registered: %', p_type, p_subscriber, sqlerrm;
end
$$;

-- Tells what has happened to a subscriber. A trigger, so that no way of editing can forget it.
create function tidings.subscriber_reported() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_version constant jsonb := jsonb_build_object('version', new.version);
begin
  if new.subscriber_id = 0 then
    return null;
  elsif tg_op = 'INSERT' then
    perform tidings.report('tidings:subscriber:created', new.subscriber_id, v_version);
    return null;
  end if;
  if old.deleted_at is null and new.deleted_at is not null then
    perform tidings.report('tidings:subscriber:removed', new.subscriber_id, v_version);
    return null;
  end if;
  if (old.name, old.config, old.in_flight_max, old.rate_per_s, old.retry)
    is distinct from (new.name, new.config, new.in_flight_max, new.rate_per_s, new.retry) then
    perform tidings.report('tidings:subscriber:updated', new.subscriber_id, v_version);
  end if;
  if old.disabled_at is null and new.disabled_at is not null then
    perform tidings.report('tidings:subscriber:disabled', new.subscriber_id,
      v_version || jsonb_build_object('reason', coalesce(new.disabled_reason, 'no reason was given')));
  elsif old.paused_at is null and new.paused_at is not null then
    perform tidings.report('tidings:subscriber:paused', new.subscriber_id, v_version);
  elsif old.paused_at is not null and new.paused_at is null or old.disabled_at is not null and new.disabled_at is null then
    perform tidings.report('tidings:subscriber:resumed', new.subscriber_id, v_version);
  end if;
  return null;
end
$$;
create trigger subscriber_reported
  after insert or update of name, config, in_flight_max, rate_per_s, retry, paused_at, disabled_at, deleted_at
  on tidings.subscriber
  for each row execute function tidings.subscriber_reported();

-- note_health: writes down what the owner of a lane knows of its destination, for people and for the next owner; null
-- for all is well. Fenced by the term: an owner that is one no more changes nothing. `p_turn` is what has just turned:
-- warned, recovered, or null.
create function tidings.note_health_v1(
  p_subscriber int, p_worker uuid, p_term bigint, p_trouble jsonb, p_turn text
) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_since constant timestamptz := v_now - (p_trouble ->> 'failing_ms')::bigint * interval '1 ms';
begin
  -- Not the version: this is no edit, and its owner need not read it again.
  update tidings.subscriber s set breaker = case when p_trouble is not null then jsonb_build_object(
    'state', case when (p_trouble ->> 'opened')::int > 0 then 'open' else 'closed' end,
    'until', v_now + (p_trouble ->> 'open_ms')::bigint * interval '1 ms',
    'opened', p_trouble -> 'opened',
    'failures', p_trouble -> 'failures',
    'failing_since', v_since,
    'warned', p_trouble -> 'warned') end
  where s.subscriber_id = p_subscriber and s.deleted_at is null and exists (
    select from tidings.shard h
    where h.group_name = s.kind and h.shard = s.shard and h.worker_id = p_worker and h.term = p_term);
  if not found then
    return false;
  end if;
  if p_turn is not null then
    perform tidings.report('tidings:subscriber:' || p_turn, p_subscriber,
      case when p_trouble is null then '{}' else jsonb_build_object(
        'failures', p_trouble -> 'failures',
        'failing_since', to_char(v_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) end);
  end if;
  return true;
end
$$;

-- bury: moves one delivery, which the caller has locked, to the dead letters, with a copy of its event, and tells of it;
-- not of a delivery of our own events, which would go on for ever.
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
    ordering_key, occurred_at, payload, headers, attempts, first_due_at, reason, last_status, last_error,
    key_hash)
  select g.delivery_id, g.event_id, g.subscriber_id, g.subscription_id, e.type, e.version, coalesce(e.tenant, ''), e.scope,
    e.ordering_key, e.occurred_at, e.payload, e.headers, least(g.attempt + p_failed, 32767), g.first_due_at, p_reason, p_status, p_error,
    g.key_hash
  from gone g
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

-- Types have appeared.
select tidings.match_patterns();

revoke execute on all functions in schema tidings from public;
