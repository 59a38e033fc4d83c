-- The relay: who may send, which requests were seen, and the log of raw telemetry.
-- Why: a relay answers 200 only for what is committed, knows a request that is sent again, and keeps batches of
-- telemetry as they came, under offsets that a reader can follow without missing one.
-- Who is affected: nobody yet, all tables are new. A role that runs a relay needs execute on watch_relay_v1,
-- read_relay_types_v1, read_relay_keys_v1, accept_v1, register_each_v1 and keep_relay_v1; who manages keys needs it on
-- set_channel_v1, add_key_v1, list_channels_v1, list_keys_v1 and revoke_key_v1.
-- Locks: tidings.partition and tidings.retired exclusively, for the moment of changing a check on tables with few rows.

-- Channels and keys.

create table tidings.channel (
  channel_id int generated always as identity primary key,
  name text not null,
  profile text not null default 'lenient',
  events_per_minute int,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint channel_name_unique unique (name),
  constraint channel_name check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  constraint channel_profile check (profile in ('strict-3.0', 'strict-3.1', 'lenient', 'digit', 'tidings')),
  constraint channel_quota check (events_per_minute >= 1)
);
comment on table tidings.channel is 'Whose telemetry it is: what comes with a key of the channel belongs to it.';
comment on column tidings.channel.profile is 'By which rules the pipeline checks Sunbird and DIGIT events of the channel.';
comment on column tidings.channel.events_per_minute is 'How much each relay process takes; null: as much as it can.';

-- What is sent without a key, where a relay takes it.
insert into tidings.channel (name) values ('anonymous');

create table tidings.channel_key (
  key_id int generated always as identity primary key,
  channel_id int not null references tidings.channel,
  sha256 bytea not null,
  hint text not null,
  created_at timestamptz not null default clock_timestamp(),
  revoked_at timestamptz,
  constraint channel_key_unique unique (sha256),
  constraint channel_key_sha256 check (length(sha256) = 32)
);
comment on column tidings.channel_key.sha256 is 'Of the key, which has 256 random bits: nothing slower is needed. The key itself is nowhere.';
comment on column tidings.channel_key.hint is 'Its first characters, by which a person recognises it.';

-- set_channel: adds a channel or changes what is given; null leaves a value as it is, and a quota of 0 takes it away.
create function tidings.set_channel_v1(p_name text, p_profile text, p_events_per_minute int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_channel_id int;
begin
  insert into tidings.channel as c (name, profile, events_per_minute)
  values (p_name, coalesce(p_profile, 'lenient'), nullif(p_events_per_minute, 0))
  on conflict (name) do update set
    profile = coalesce(p_profile, c.profile),
    events_per_minute = case when p_events_per_minute is null then c.events_per_minute
      else nullif(p_events_per_minute, 0) end,
    updated_at = clock_timestamp()
  returning c.channel_id into v_channel_id;
  return v_channel_id;
end
$$;

-- add_key: a key of a channel, which is added if it is not there.
create function tidings.add_key_v1(p_channel text, p_sha256 bytea, p_hint text) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_key_id int;
begin
  insert into tidings.channel (name) values (p_channel) on conflict (name) do nothing;
  insert into tidings.channel_key (channel_id, sha256, hint)
  select c.channel_id, p_sha256, p_hint from tidings.channel c where c.name = p_channel
  returning key_id into v_key_id;
  return v_key_id;
end
$$;

create function tidings.list_channels_v1()
returns table (name text, profile text, events_per_minute int, keys bigint, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.name, c.profile, c.events_per_minute,
    (select count(*) from tidings.channel_key k where k.channel_id = c.channel_id and k.revoked_at is null),
    c.created_at
  from tidings.channel c order by c.name
$$;

create function tidings.list_keys_v1()
returns table (key_id int, channel text, hint text, created_at timestamptz, revoked_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.key_id, c.name, k.hint, k.created_at, k.revoked_at
  from tidings.channel_key k join tidings.channel c using (channel_id) order by k.key_id
$$;

-- revoke_key: answers false if there is no such key; a key that is revoked stays so.
create function tidings.revoke_key_v1(p_key_id int) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.channel_key k set revoked_at = coalesce(k.revoked_at, clock_timestamp()) where k.key_id = p_key_id;
  return found;
end
$$;

-- What a relay keeps in memory.

-- watch_relay: a text that differs when types, channels or keys have changed, the level, and the database's clock. Sums, not the
-- latest time: of two changes, the one with the earlier time may be committed later.
create function tidings.watch_relay_v1(out fingerprint text, out level text, out clock timestamptz)
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select concat_ws(' ',
    (select concat_ws(' ', count(*), sum(extract(epoch from t.updated_at))) from tidings.event_type t),
    (select concat_ws(' ', count(*), sum(extract(epoch from c.updated_at))) from tidings.channel c),
    (select concat_ws(' ', count(*), count(k.revoked_at)) from tidings.channel_key k)),
    (select l.level from tidings.level l where l.until = 'infinity'),
    clock_timestamp()
$$;

create function tidings.read_relay_types_v1()
returns table (type text, version smallint, audience text[], level text, call text, schema text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.type, t.version, t.audience, t.level, t.call, t.schema::text
  from tidings.event_type t where t.retired_at is null and not starts_with(t.type, 'tidings:')
  order by t.type, t.version
$$;

-- read_relay_keys: the channels, each with its keys; revoked ones are left out.
create function tidings.read_relay_keys_v1()
returns table (channel_id int, name text, profile text, events_per_minute int, keys bytea[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.channel_id, c.name, c.profile, c.events_per_minute,
    array(select k.sha256 from tidings.channel_key k where k.channel_id = c.channel_id and k.revoked_at is null)
  from tidings.channel c order by c.channel_id
$$;

-- The log.

create table tidings.log_topic (
  topic_id int generated always as identity primary key,
  name text not null,
  partitions int not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint log_topic_name_unique unique (name),
  constraint log_topic_partitions check (partitions between 1 and 1024)
);
comment on column tidings.log_topic.topic_id is 'A topic that is made again has another id, so that its offsets are not taken for those of the first.';

create table tidings.log_partition (
  topic_id int not null references tidings.log_topic,
  partition int not null,
  next_offset bigint not null default 0,
  appended_at timestamptz not null default '-infinity',
  primary key (topic_id, partition)
) with (fillfactor = 50);
comment on table tidings.log_partition is 'Its row is locked from the handing out of an offset to the commit, so that the order of offsets is the order of commits.';
comment on column tidings.log_partition.appended_at is 'Of the last record; times never fall while offsets grow.';

create table tidings.log_record (
  topic_id int not null,
  partition int not null,
  record_offset bigint not null,
  appended_at timestamptz not null,
  key text,
  headers json not null,
  value bytea not null,
  primary key (topic_id, partition, record_offset, appended_at)
) partition by range (appended_at);
comment on table tidings.log_record is 'Never updated; dropped by partition. The time is in the key because it is what the table is divided by.';
comment on column tidings.log_record.value is 'The bytes as they came, without their content encoding.';

insert into tidings.log_topic (name, partitions) values ('telemetry.raw', 16);
insert into tidings.log_partition (topic_id, partition)
select t.topic_id, n from tidings.log_topic t, generate_series(0, t.partitions - 1) n;

alter table tidings.partition drop constraint partition_parent;
alter table tidings.partition add constraint partition_parent check (parent in ('event', 'attempt', 'log_record'));
alter table tidings.retired drop constraint retired_parent;
alter table tidings.retired add constraint retired_parent check (parent in ('event', 'attempt', 'log_record'));

-- make_log_partition: makes the partition of the day of `p_day` unless it is there. Batches of telemetry are the same
-- names again and again: lz4 makes them a sixth, for a quarter of what an append costs with the default. A server that
-- does not have it keeps the default.
create function tidings.make_log_partition(p_day timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_start timestamptz := date_trunc('day', p_day at time zone 'UTC') at time zone 'UTC';
begin
  if exists (select from tidings.partition p where p.parent = 'log_record' and p.starts_at = v_start) then
    return;
  end if;
  perform tidings.make_partition('log_record', p_day);
  begin
    execute format('alter table tidings.%I alter column value set compression lz4',
      (select p.name from tidings.partition p where p.parent = 'log_record' and p.starts_at = v_start));
  exception when feature_not_supported or syntax_error then
    null;
  end;
end
$$;

-- append: writes records and answers their offsets, in the order of the arrays. Called in a transaction of its own,
-- because the rows of the partitions stay locked to its end; they are locked in their order, so that two calls cannot
-- wait for each other.
create function tidings.append_v1(
  p_topic text, p_partitions int[], p_keys text[], p_headers text[], p_values bytea[]
) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_topic_id int;
  v_part record;
  v_first bigint;
  v_at timestamptz;
  v_places int[] := '{}';
  v_offsets bigint[] := '{}';
begin
  select t.topic_id into v_topic_id from tidings.log_topic t where t.name = p_topic;
  for v_part in
    select u.partition, count(*) as records, array_agg(u.place order by u.place)::int[] as places
    from unnest(p_partitions) with ordinality as u (partition, place) group by u.partition order by u.partition
  loop
    -- The clock is read again if the row was waited for.
    update tidings.log_partition l
    set next_offset = l.next_offset + v_part.records, appended_at = greatest(l.appended_at, clock_timestamp())
    where l.topic_id = v_topic_id and l.partition = v_part.partition
    returning l.next_offset - v_part.records, l.appended_at into v_first, v_at;
    if not found then
      raise exception using errcode = 'TD030',
        message = format('the log has no partition %s of topic %s', v_part.partition, p_topic),
        hint = 'See tidings.log_topic for what there is.';
    end if;
    insert into tidings.log_record (topic_id, partition, record_offset, appended_at, key, headers, value)
    select v_topic_id, v_part.partition, v_first + row_number() over (order by u.place) - 1, v_at, u.key,
      u.headers::json, u.value
    from unnest(p_partitions, p_keys, p_headers, p_values) with ordinality as u (partition, key, headers, value, place)
    where u.partition = v_part.partition;
    v_places := v_places || v_part.places;
    v_offsets := v_offsets || array(select v_first + n from generate_series(0, v_part.records - 1) n);
  end loop;
  return array(select o.record_offset from unnest(v_places, v_offsets) as o (place, record_offset) order by o.place);
end
$$;

-- Requests.

create table tidings.relay_request (
  sha256 bytea primary key,
  received_at timestamptz not null,
  constraint relay_request_sha256 check (length(sha256) = 32)
);
comment on table tidings.relay_request is 'What was accepted lately, so that a request that is sent again is known.';
comment on column tidings.relay_request.sha256 is 'Over channel, message id and body: some clients use one message id for a whole run.';
create index relay_request_age on tidings.relay_request using brin (received_at);

-- accept: appends one record for each request that was not seen before, to one partition, counted from any number.
-- Answers the offsets, null for a request that is known. The partition is locked last and so for the shortest time.
create function tidings.accept_v1(
  p_topic text, p_turn bigint, p_requests bytea[], p_keys text[], p_headers text[], p_values bytea[]
) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_partition int;
  v_fresh bytea[];
  v_places int[];
  v_offsets bigint[];
begin
  select (p_turn % t.partitions)::int into v_partition from tidings.log_topic t where t.name = p_topic;
  -- In one order, so that two relays with the same requests cannot wait for each other.
  with fresh as (
    insert into tidings.relay_request (sha256, received_at)
    select distinct u.request, clock_timestamp() from unnest(p_requests) as u (request) order by u.request
    on conflict (sha256) do nothing
    returning sha256
  )
  select coalesce(array_agg(f.sha256), '{}') into v_fresh from fresh f;
  if cardinality(v_fresh) = cardinality(p_requests) then
    return tidings.append_v1(p_topic, array_fill(v_partition, array[cardinality(p_requests)]), p_keys, p_headers,
      p_values);
  end if;
  -- Of two in this call that are the same, the first.
  select coalesce(array_agg(u.place order by u.place), '{}') into v_places
  from (
    select min(u.place)::int as place from unnest(p_requests) with ordinality as u (request, place)
    join unnest(v_fresh) as f (request) using (request) group by u.request
  ) u;
  if cardinality(v_places) > 0 then
    select tidings.append_v1(p_topic, array_agg(v_partition), array_agg(u.key order by u.place),
      array_agg(u.headers order by u.place), array_agg(u.value order by u.place)) into v_offsets
    from unnest(p_keys, p_headers, p_values) with ordinality as u (key, headers, value, place)
    join unnest(v_places) as f (place) using (place);
  end if;
  return array(
    select o.record_offset from generate_series(1, cardinality(p_requests)) as n
    left join unnest(v_places, v_offsets) as o (place, record_offset) on o.place = n order by n);
end
$$;

-- register_each: registers many events, each with an answer of its own as register_v1 gives it; one that cannot be
-- registered leaves the others be. In sets where the types list their subscribers; the others go one by one.
create function tidings.register_each_v1(
  p_types text[], p_versions smallint[], p_payloads text[], p_telemetries text[], p_headers text[], p_keys text[],
  p_occurred_ats timestamptz[]
) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
  v_ids uuid[];
  v_lanes text[];
  v_told bool;
  v_expanded bool;
  v_item record;
  v_written text[];
begin
  if cardinality(p_types) = 1 then
    return next tidings.register_v1(p_types[1], p_versions[1], p_payloads[1], p_telemetries[1], p_headers[1], '', '',
      null, p_keys[1], null, p_occurred_ats[1], null);
    return;
  end if;
  -- The transaction has its id before the clock is read for a due time: the read bound of the workers rests on it.
  perform pg_current_xact_id();
  v_now := clock_timestamp();
  -- An id for what is registered here; none for what is left to register_v1.
  select array_agg(case when t.type is not null then tidings.uuid_v7(clock_timestamp()) end order by u.place),
    array_agg(t.lanes order by u.place), bool_or(t.lanes <> ''), bool_or(t.subscribers[1] = 0)
  into v_ids, v_lanes, v_told, v_expanded
  from unnest(p_types, p_versions) with ordinality as u (type, version, place)
  left join tidings.event_type t on t.type = u.type and t.version = u.version and t.retired_at is null
    and t.partitioned_until > v_now and t.subscribers is not null;

  if array_position(p_keys, null) is null or cardinality(array_remove(p_keys, null)) > 0 then
    -- In the order of the keys, so that two calls with the same ones wait for each other and not in a circle.
    for v_item in
      with item as (
        select * from unnest(p_types, p_versions, p_payloads, p_keys, v_ids) with ordinality
          as u (type, version, payload, key, event_id, place)
        where u.key is not null and u.event_id is not null
      ), added as (
        insert into tidings.idempotency (tenant, key, event_id, sha256, created_at)
        select '', i.key, i.event_id, sha256(convert_to(i.type || E'\n' || i.version || E'\n' || i.payload, 'UTF8')),
          v_now
        from item i order by i.key, i.place
        on conflict (tenant, key) do nothing
        returning event_id
      )
      select i.place::int as place from item i left join added a using (event_id) where a.event_id is null
    loop
      v_ids[v_item.place] := null;
    end loop;
  end if;

  insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload,
    telemetry, headers)
  select u.event_id, v_now, coalesce(u.occurred_at, v_now), u.type, u.version, '', '', octet_length(u.payload),
    u.payload::json, case when t.collects and not tidings.is_suppressed(u.headers) then u.telemetry::json end,
    u.headers::json
  from unnest(v_ids, p_types, p_versions, p_payloads, p_telemetries, p_headers, p_occurred_ats)
    as u (event_id, type, version, payload, telemetry, headers, occurred_at)
  join tidings.event_type t on t.type = u.type and t.version = u.version
  where u.event_id is not null;
  if v_told then
    insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
    select u.event_id, v_now, v_now, s.subscriber_id, s.subscription_id
    from unnest(v_ids, p_types, p_versions) as u (event_id, type, version)
    join tidings.event_type t on t.type = u.type and t.version = u.version
    cross join unnest(t.subscribers, t.subscriptions) as s (subscriber_id, subscription_id)
    where u.event_id is not null;
  end if;
  if v_expanded then
    insert into tidings.expansion (event_id, due_at, registered_at)
    select u.event_id, v_now, v_now
    from unnest(v_ids, p_types, p_versions) as u (event_id, type, version)
    join tidings.event_type t on t.type = u.type and t.version = u.version
    where u.event_id is not null and t.subscribers[1] = 0;
  end if;

  v_written := array_fill(null::text, array[cardinality(p_types)]);
  if array_position(v_ids, null) is not null then
    for v_item in
      select u.* from unnest(v_ids, p_types, p_versions, p_payloads, p_telemetries, p_headers, p_keys, p_occurred_ats)
        with ordinality as u (event_id, type, version, payload, telemetry, headers, key, occurred_at, place)
      where u.event_id is null order by u.key, u.place
    loop
      v_written[v_item.place::int] := tidings.register_v1(v_item.type, v_item.version, v_item.payload,
        v_item.telemetry, v_item.headers, '', '', null, v_item.key, null, v_item.occurred_at, null);
    end loop;
  end if;
  return query
  select coalesce(w.event_id || w.lanes, w.written)
  from unnest(v_ids, v_lanes, v_written) with ordinality as w (event_id, lanes, written, place) order by w.place;
end
$$;

-- keep_relay: what has to be done now and then, by whichever relay comes first: partitions of the log for today and
-- the days to come, requests forgotten after `p_requests`, partitions dropped after `p_log`. Answers how many requests
-- were forgotten and partitions dropped; nothing while another relay is at it.
create function tidings.keep_relay_v1(p_requests interval, p_log interval, out forgotten bigint, out dropped bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_starts_at timestamptz;
begin
  forgotten := 0; dropped := 0;
  if not pg_try_advisory_xact_lock(1414087766, 0) then
    return;
  end if;
  for v_day in 0 .. 3 loop
    perform tidings.make_log_partition(clock_timestamp() + v_day * interval '24 hours');
  end loop;
  delete from tidings.relay_request r
  where r.sha256 = any(array(
    select o.sha256 from tidings.relay_request o where o.received_at < clock_timestamp() - p_requests limit 50000));
  get diagnostics forgotten = row_count;
  -- One in a call: a drop needs a lock that is held to the end.
  select min(p.starts_at) into v_starts_at from tidings.partition p
  where p.parent = 'log_record' and p.ends_at < clock_timestamp() - p_log;
  if v_starts_at is not null then
    begin
      dropped := tidings.retire_partition('log_record', v_starts_at, 200)::int;
    exception when lock_not_available then
      -- Somebody reads the partition: the next call tries again.
      dropped := 0;
    end;
  end if;
end
$$;

-- A relay may be asked before it has kept anything.
select tidings.make_log_partition(clock_timestamp() + n * interval '24 hours') from generate_series(0, 3) n;

revoke execute on all functions in schema tidings from public;
