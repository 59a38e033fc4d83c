-- The searchable table: unique events of telemetry in Postgres, by day.
-- Why: an installation without a search engine finds an event by its id, kind, device, channel, time and words.
-- Who is affected: nobody yet, the table is new. A role that runs a pipeline with --table needs execute on
-- store_events_v1 and keep_events_v1; who searches needs it on search_events_v1.
-- Locks: nothing.

create table tidings.telemetry_event (
  day date not null,
  document_id text collate "C" not null,
  ets timestamptz not null,
  syncts timestamptz not null,
  eid text collate "C",
  mid text collate "C",
  device text collate "C",
  actor text collate "C",
  channel text collate "C",
  pdata_id text collate "C",
  env text collate "C",
  words text[] collate "C" not null,
  event json not null,
  primary key (document_id, day)
) partition by range (day);
comment on table tidings.telemetry_event is 'Unique events of the pipeline, each once. Never updated; dropped by day.';
comment on column tidings.telemetry_event.day is 'Of syncts, in UTC: stamped once by the relay, so that an event that comes again meets itself.';
comment on column tidings.telemetry_event.document_id is 'The name of the event by its id, device and content, as in every other sink.';
comment on column tidings.telemetry_event.ets is 'When it happened, as the device says; the relay''s time where that is no time.';
comment on column tidings.telemetry_event.device is 'context.did, or else actor.id. Columns hold no more than 256 bytes; the event has it in full.';
comment on column tidings.telemetry_event.words is 'What it is found by: lower-case words of its kind, place, producer and edata, at most 48.';

create index telemetry_event_ets on tidings.telemetry_event (ets);
create index telemetry_event_mid on tidings.telemetry_event (mid);
create index telemetry_event_device on tidings.telemetry_event (device, ets);
create index telemetry_event_words on tidings.telemetry_event using gin (words);

-- make_event_day: makes the partition of a day unless it is there. Made beside the table and attached, which locks out
-- neither readers nor writers.
create function tidings.make_event_day(p_day date) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_name text := 'telemetry_event_' || to_char(p_day, 'YYYYMMDD');
begin
  if to_regclass('tidings.' || v_name) is not null then
    return;
  end if;
  -- One for all days, so that two calls with several days cannot wait for each other.
  perform pg_advisory_xact_lock(1414087767, 0);
  if to_regclass('tidings.' || v_name) is not null then
    return;
  end if;
  execute format('create table tidings.%I (like tidings.telemetry_event including defaults including constraints)', v_name);
  execute format('alter table tidings.telemetry_event attach partition tidings.%I for values from (%L) to (%L)',
    v_name, p_day, p_day + 1);
end
$$;

-- store_events: stores what is not there, and answers the places in the arrays, from zero, of what was there already or
-- stands in them before. `p_words` has the words of each event with a space between. Called in a transaction of its own.
create function tidings.store_events_v1(
  p_days date[], p_document_ids text[], p_ets timestamptz[], p_syncts timestamptz[], p_eids text[], p_mids text[],
  p_devices text[], p_actors text[], p_channels text[], p_pdata_ids text[], p_envs text[], p_words text[],
  p_events text[]
) returns int[]
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_day date;
  v_stored text[];
begin
  -- What is answered is durable, whatever the default of the role.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  -- Before any row is written: who waits for a day must hold nothing that its maker could wait for.
  for v_day in select distinct d.day from unnest(p_days) as d (day) order by d.day loop
    perform tidings.make_event_day(v_day);
  end loop;
  with stored as (
    insert into tidings.telemetry_event (day, document_id, ets, syncts, eid, mid, device, actor, channel, pdata_id, env,
      words, event)
    select u.day, u.document_id, u.ets, u.syncts, u.eid, u.mid, u.device, u.actor, u.channel, u.pdata_id, u.env,
      string_to_array(u.words, ' '), u.event::json
    -- In the select list they go side by side; as tables, each would be copied first.
    from (
      select unnest(p_days) as day, unnest(p_document_ids) as document_id, unnest(p_ets) as ets,
        unnest(p_syncts) as syncts, unnest(p_eids) as eid, unnest(p_mids) as mid, unnest(p_devices) as device,
        unnest(p_actors) as actor, unnest(p_channels) as channel, unnest(p_pdata_ids) as pdata_id,
        unnest(p_envs) as env, unnest(p_words) as words, unnest(p_events) as event
    ) u
    -- In one order, so that two calls with the same events cannot wait for each other.
    order by u.document_id collate "C", u.day
    on conflict do nothing
    returning document_id, day
  )
  select coalesce(array_agg(s.day || ' ' || s.document_id), '{}') into v_stored from stored s;
  if cardinality(v_stored) = cardinality(p_document_ids) then
    return '{}';
  end if;
  return array(
    select u.place::int - 1
    from (
      select p.day || ' ' || p.document_id as name, p.place,
        row_number() over (partition by p.day, p.document_id order by p.place) as nth
      from unnest(p_days, p_document_ids) with ordinality as p (day, document_id, place)
    ) u
    left join unnest(v_stored) as s (name) using (name)
    where s.name is null or u.nth > 1
    order by u.place);
end
$$;

-- search_events: what fits, the latest first, a page at a time: after the event that happened at `p_after_ets` with the
-- id `p_after_id`. A filter that is null lets everything through; of the words all have to be there.
create function tidings.search_events_v1(
  p_words text[], p_eid text, p_mid text, p_device text, p_channel text, p_since timestamptz,
  p_after_ets timestamptz, p_after_id text, p_limit int
) returns table (
  document_id text, ets timestamptz, syncts timestamptz, eid text, mid text, device text, actor text, channel text,
  pdata_id text, env text, event text
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_where text := 'true';
begin
  -- Only what is asked for stands in the query, so that it is planned by the index that serves it.
  if cardinality(p_words) > 0 then v_where := v_where || ' and e.words @> $1'; end if;
  if p_eid is not null then v_where := v_where || ' and e.eid = $2'; end if;
  if p_mid is not null then v_where := v_where || ' and e.mid = $3'; end if;
  if p_device is not null then v_where := v_where || ' and e.device = $4'; end if;
  if p_channel is not null then v_where := v_where || ' and e.channel = $5'; end if;
  if p_since is not null then v_where := v_where || ' and e.ets >= $6'; end if;
  if p_after_ets is not null then
    v_where := v_where || ' and e.ets <= $7 and (e.ets < $7 or e.document_id < $8)';
  end if;
  return query execute
    'select e.document_id, e.ets, e.syncts, e.eid, e.mid, e.device, e.actor, e.channel, e.pdata_id, e.env, e.event::text
     from tidings.telemetry_event e where ' || v_where || ' order by e.ets desc, e.document_id desc limit $9'
    using p_words, p_eid, p_mid, p_device, p_channel, p_since, p_after_ets, p_after_id, p_limit;
end
$$;

-- keep_events: drops the oldest day that ended longer ago than this, and says whether there was one. One in a call: a
-- drop needs a lock that is held to the end, and gives way to readers.
create function tidings.keep_events_v1(p_kept interval) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_last text := 'telemetry_event_'
    || to_char((clock_timestamp() - p_kept - interval '24 hours') at time zone 'UTC', 'YYYYMMDD');
  v_name text;
begin
  select c.relname into v_name
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'tidings.telemetry_event'::regclass and c.relname collate "C" <= v_last
  order by c.relname collate "C" limit 1;
  if v_name is null then
    return false;
  end if;
  perform set_config('lock_timeout', '200ms', true);
  execute format('drop table if exists tidings.%I', v_name);
  return true;
exception when lock_not_available then
  -- Somebody reads it, or another process drops it: the next call tries again.
  return false;
end
$$;

revoke execute on all functions in schema tidings from public;
