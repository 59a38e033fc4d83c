-- The log of the pipeline: topics beside `telemetry.raw`, groups that read them, and commits of outputs with positions.
-- Why: with `--log postgres` the steps and sinks of the pipeline run on the log that the relay writes to.
-- Who is affected: a relay drops days of the log as before, and none that a group still has to read. A role that runs a
-- pipeline needs execute on the functions of this file that end in _v1, and on hold_v1.
-- Locks: tidings.log_topic exclusively, for the moment of adding a column to a table with few rows.

alter table tidings.log_topic add column retention interval;
alter table tidings.log_topic add constraint log_topic_retention check (retention > interval '0');
comment on column tidings.log_topic.retention is 'How long its records are kept; null: as long as the relay is told to keep them.';

create table tidings.log_offset (
  group_name text not null,
  topic_id int not null references tidings.log_topic,
  partition int not null,
  term bigint not null default 0,
  commits bigint not null default 0,
  committed_offset bigint,
  committed_at timestamptz,
  primary key (group_name, topic_id, partition),
  constraint log_offset_not_negative check (committed_offset >= 0)
) with (fillfactor = 50);
comment on table tidings.log_offset is 'Where each group goes on; what lies behind is kept. Its row is locked by a commit to its end.';
comment on column tidings.log_offset.term is 'Of the last member that has adopted the partition: the fence against those before it.';
comment on column tidings.log_offset.commits is 'How many there were. A commit that is repeated, because nobody knows what became of it, is known by it.';
comment on column tidings.log_offset.committed_offset is 'What is read next; null: the group begins at the beginning.';

-- write_log: writes records of many partitions, and answers the first offset of each of these. Record `n` is number
-- `p_ranks[n]`, from zero, of those that go to the partition at place `p_places[n]`. The rows of the partitions are
-- locked in one order, so that two calls cannot wait for each other, and to the end of the transaction, so that the
-- order of offsets is the order of commits.
create function tidings.write_log(
  p_topics text[], p_partitions int[], p_counts int[], p_places int[], p_ranks int[], p_keys text[], p_headers text[],
  p_values bytea[]
) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_part record;
  v_first bigint;
  v_at timestamptz;
  v_topic_ids int[] := array_fill(0, array[cardinality(p_topics)]);
  v_firsts bigint[] := array_fill(0::bigint, array[cardinality(p_topics)]);
  v_ats timestamptz[] := array_fill('-infinity'::timestamptz, array[cardinality(p_topics)]);
begin
  -- What is answered is durable, whatever the default of the role.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  for v_part in
    select u.topic, u.partition, u.records, u.place::int as place, t.topic_id
    from unnest(p_topics, p_partitions, p_counts) with ordinality as u (topic, partition, records, place)
    left join tidings.log_topic t on t.name = u.topic
    order by t.topic_id, u.partition
  loop
    -- The clock is read again if the row was waited for.
    update tidings.log_partition l
    set next_offset = l.next_offset + v_part.records, appended_at = greatest(l.appended_at, clock_timestamp())
    where l.topic_id = v_part.topic_id and l.partition = v_part.partition
    returning l.next_offset - v_part.records, l.appended_at into v_first, v_at;
    if not found then
      raise exception using errcode = 'TD030',
        message = format('the log has no partition %s of topic %s', v_part.partition, v_part.topic),
        detail = format('%s/%s', v_part.topic, v_part.partition),
        hint = 'See tidings.log_topic for what there is.';
    end if;
    v_topic_ids[v_part.place] := v_part.topic_id;
    v_firsts[v_part.place] := v_first;
    v_ats[v_part.place] := v_at;
  end loop;
  insert into tidings.log_record (topic_id, partition, record_offset, appended_at, key, headers, value)
  select v_topic_ids[u.place], p_partitions[u.place], v_firsts[u.place] + u.rank, v_ats[u.place], u.key,
    u.headers::json, u.value
  -- In the select list they go side by side; as tables, each would be copied first.
  from (
    select unnest(p_places) as place, unnest(p_ranks) as rank, unnest(p_keys) as key, unnest(p_headers) as headers,
      unnest(p_values) as value
  ) u;
  return v_firsts;
end
$$;

-- append: writes records of one topic and answers their offsets, in the order of the arrays. Called in a transaction of
-- its own.
create or replace function tidings.append_v1(
  p_topic text, p_partitions int[], p_keys text[], p_headers text[], p_values bytea[]
) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_parts int[];
  v_counts int[];
  v_places int[];
  v_ranks int[];
  v_firsts bigint[];
begin
  select coalesce(array_agg(u.partition), '{}'), coalesce(array_agg(u.records), '{}') into v_parts, v_counts
  from (select p.partition, count(*)::int as records from unnest(p_partitions) as p (partition) group by p.partition) u;
  select array_agg(array_position(v_parts, u.partition) order by u.place), array_agg(u.rank order by u.place)
  into v_places, v_ranks
  from (
    select p.partition, p.place, row_number() over (partition by p.partition order by p.place)::int - 1 as rank
    from unnest(p_partitions) with ordinality as p (partition, place)
  ) u;
  v_firsts := tidings.write_log(array_fill(p_topic, array[cardinality(v_parts)]), v_parts, v_counts, v_places, v_ranks,
    p_keys, p_headers, p_values);
  return array(
    select v_firsts[u.place] + u.rank
    from unnest(v_places, v_ranks) with ordinality as u (place, rank, number) order by u.number);
end
$$;

-- append_log: writes records outside of any group, as write_log. Called in a transaction of its own.
create function tidings.append_log_v1(
  p_topics text[], p_partitions int[], p_counts int[], p_places int[], p_ranks int[], p_keys text[], p_headers text[],
  p_values bytea[]
) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return tidings.write_log(p_topics, p_partitions, p_counts, p_places, p_ranks, p_keys, p_headers, p_values);
end
$$;

-- prepare_log: makes the topics that are missing, says how long those are kept that are there, and answers how many
-- partitions each has. One that was never used gets another number of partitions, if that is asked for.
create function tidings.prepare_log_v1(p_names text[], p_partitions int[], p_retentions interval[])
returns table (name text, partitions int)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_spec record;
  v_topic tidings.log_topic;
begin
  for v_spec in
    select u.name, u.partitions, u.retention from unnest(p_names, p_partitions, p_retentions)
      as u (name, partitions, retention) order by u.name
  loop
    insert into tidings.log_topic (name, partitions, retention) values (v_spec.name, v_spec.partitions, v_spec.retention)
    on conflict (name) do nothing;
    if found then
      insert into tidings.log_partition (topic_id, partition)
      select t.topic_id, n from tidings.log_topic t, generate_series(0, t.partitions - 1) n where t.name = v_spec.name;
    end if;
    select t.* into v_topic from tidings.log_topic t where t.name = v_spec.name for update;
    if v_topic.partitions <> v_spec.partitions then
      -- Locked first, so that nothing is written meanwhile.
      perform from tidings.log_partition l where l.topic_id = v_topic.topic_id order by l.partition for update;
      if not exists (select from tidings.log_partition l where l.topic_id = v_topic.topic_id and l.next_offset > 0)
        and not exists (select from tidings.log_offset o where o.topic_id = v_topic.topic_id)
      then
        delete from tidings.log_partition l where l.topic_id = v_topic.topic_id and l.partition >= v_spec.partitions;
        insert into tidings.log_partition (topic_id, partition)
        select v_topic.topic_id, n from generate_series(v_topic.partitions, v_spec.partitions - 1) n;
        update tidings.log_topic t set partitions = v_spec.partitions where t.topic_id = v_topic.topic_id;
        v_topic.partitions := v_spec.partitions;
      end if;
    end if;
    if v_topic.partitions = v_spec.partitions then
      update tidings.log_topic t set retention = v_spec.retention
      where t.topic_id = v_topic.topic_id and t.retention is distinct from v_spec.retention;
    end if;
    name := v_spec.name;
    partitions := v_topic.partitions;
    return next;
  end loop;
end
$$;

-- join_log: registers a group with a topic, for which everything is kept from now on that it has not read. Answers the
-- group of shards by which its members share the partitions; nothing if there is no such topic.
create function tidings.join_log_v1(p_group text, p_topic text)
returns table (topic_id int, shards text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_topic tidings.log_topic;
begin
  -- Not while days are dropped: what a new group is to begin with would go.
  perform pg_advisory_xact_lock_shared(1414087766, 0);
  select t.* into v_topic from tidings.log_topic t where t.name = p_topic for share;
  if not found then
    return;
  end if;
  topic_id := v_topic.topic_id;
  shards := 'log:' || p_group || ':' || p_topic;
  perform tidings.make_group(shards, v_topic.partitions);
  -- Looked for first: an insert would wait for a commit that holds the row.
  insert into tidings.log_offset (group_name, topic_id, partition)
  select p_group, v_topic.topic_id, n from generate_series(0, v_topic.partitions - 1) n
  where not exists (
    select from tidings.log_offset o
    where o.group_name = p_group and o.topic_id = v_topic.topic_id and o.partition = n)
  on conflict do nothing;
  return next;
end
$$;

-- adopt_log: writes down the terms under which a member holds partitions, and answers where it goes on. It waits for
-- commits of whoever held them before, and from then on those have no effect. A partition that somebody has adopted
-- under a later term is left out; `first_offset` is that of the first record that is there.
create function tidings.adopt_log_v1(p_group text, p_topic_id int, p_partitions int[], p_terms bigint[])
returns table (partition int, term bigint, commits bigint, committed_offset bigint, first_offset bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  v_claim record;
begin
  for v_claim in
    select u.partition, u.term from unnest(p_partitions, p_terms) as u (partition, term) order by u.partition
  loop
    update tidings.log_offset o set term = v_claim.term
    where o.group_name = p_group and o.topic_id = p_topic_id and o.partition = v_claim.partition
      and o.term <= v_claim.term
    returning o.partition, o.term, o.commits, o.committed_offset
    into partition, term, commits, committed_offset;
    if found then
      first_offset := tidings.first_log_offset(p_topic_id, partition);
      return next;
    end if;
  end loop;
end
$$;

-- first_log_offset: of the first record that is there, or of the next to come.
create function tidings.first_log_offset(p_topic_id int, p_partition int) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
begin
  return (
    select coalesce(
      (select r.record_offset from tidings.log_record r
       where r.topic_id = l.topic_id and r.partition = l.partition order by r.record_offset limit 1),
      l.next_offset)
    from tidings.log_partition l where l.topic_id = p_topic_id and l.partition = p_partition);
end
$$;

-- commit_log: writes outputs and moves positions, or neither. Each partition is matched by the term under which it was
-- adopted and by how many commits there were. Answers `committed`; `repeated` where this very commit has taken effect
-- before; `fenced` where somebody else has adopted a partition, and nothing was written.
create function tidings.commit_log_v1(
  p_group text, p_topic_id int, p_held int[], p_terms bigint[], p_commits bigint[], p_offsets bigint[],
  p_topics text[], p_partitions int[], p_counts int[], p_places int[], p_ranks int[], p_keys text[], p_headers text[],
  p_values bytea[]
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_fresh bigint;
  v_repeated bigint;
begin
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  -- Locked first and all of them, so that it is all or nothing; another member that adopts waits here, or we for it.
  select count(*) filter (where l.commits = u.commits), count(*) filter (where l.commits = u.commits + 1)
  into v_fresh, v_repeated
  from unnest(p_held, p_terms, p_commits) as u (partition, term, commits)
  join (
    select o.partition, o.term, o.commits from tidings.log_offset o
    where o.group_name = p_group and o.topic_id = p_topic_id and o.partition = any(p_held)
    order by o.partition
    for no key update
  ) l on l.partition = u.partition and l.term = u.term;
  if v_repeated > 0 and v_repeated = cardinality(p_held) then
    return 'repeated';
  elsif v_fresh < cardinality(p_held) then
    return 'fenced';
  end if;
  update tidings.log_offset o
  set committed_offset = u.moved, commits = o.commits + 1, committed_at = clock_timestamp()
  from unnest(p_held, p_offsets) as u (partition, moved)
  where o.group_name = p_group and o.topic_id = p_topic_id and o.partition = u.partition;
  if cardinality(p_values) > 0 then
    perform tidings.write_log(p_topics, p_partitions, p_counts, p_places, p_ranks, p_keys, p_headers, p_values);
  end if;
  return 'committed';
end
$$;

-- fetch_log: reads on in partitions, in their order as given, up to `p_records` and `p_bytes` together, and at least
-- one record. The time of the last record that was read of a partition saves looking at the days before.
create function tidings.fetch_log_v1(
  p_topic_id int, p_partitions int[], p_offsets bigint[], p_times timestamptz[], p_records bigint, p_bytes bigint
) returns table (
  partition int, record_offset bigint, appended_at timestamptz, key text, headers text, value bytea
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
-- Days fill faster than statistics follow: the key, whatever the planner believes. The memory holds one answer.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set jit = off set work_mem = '64MB' as $$
#variable_conflict use_column
declare
  v_part record;
  v_records bigint := greatest(p_records, 1);
  v_bytes bigint := p_bytes;
  v_empty bool := true;
  v_count bigint;
begin
  for v_part in
    select u.partition, u.after_offset, coalesce(u.after_time, '-infinity') as after_time,
      row_number() over (order by u.place) = count(*) over () as last
    from unnest(p_partitions, p_offsets, p_times) with ordinality as u (partition, after_offset, after_time, place)
    where (select l.next_offset from tidings.log_partition l
           where l.topic_id = p_topic_id and l.partition = u.partition) > u.after_offset
    order by u.place
  loop
    return query
    select w.partition, w.record_offset, w.appended_at, w.key, w.headers::text, w.value
    from (
      select r.partition, r.record_offset, r.appended_at, r.key, r.headers, r.value,
        sum(octet_length(r.value)) over (order by r.record_offset rows unbounded preceding) as total
      from (
        select r.partition, r.record_offset, r.appended_at, r.key, r.headers, r.value from tidings.log_record r
        where r.topic_id = p_topic_id and r.partition = v_part.partition
          and r.record_offset >= v_part.after_offset and r.appended_at >= v_part.after_time
        order by r.record_offset limit v_records
      ) r
    ) w
    where w.total <= v_bytes or (v_empty and w.total = octet_length(w.value));
    get diagnostics v_count = row_count;
    v_empty := v_empty and v_count = 0;
    v_records := v_records - v_count;
    exit when v_part.last or v_records <= 0;
    v_bytes := v_bytes - coalesce((
      select sum(octet_length(r.value)) from (
        select r.value from tidings.log_record r
        where r.topic_id = p_topic_id and r.partition = v_part.partition
          and r.record_offset >= v_part.after_offset and r.appended_at >= v_part.after_time
        order by r.record_offset limit v_count
      ) r), 0);
    exit when v_bytes <= 0 and not v_empty;
  end loop;
end
$$;

-- open_log: where a reader of a partition begins and ends: with the first record from `p_offset` and `p_time` on, after
-- everything that is being written has been decided. Nothing if there is no such partition.
create function tidings.open_log_v1(p_topic text, p_partition int, p_offset bigint, p_time timestamptz)
returns table (topic_id int, begins_at bigint, ends_at bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_topic_id int;
  v_record record;
  v_middle bigint;
  v_high bigint;
begin
  -- Whoever writes holds the row to the end.
  select l.topic_id, l.next_offset into v_topic_id, ends_at
  from tidings.log_partition l join tidings.log_topic t on t.topic_id = l.topic_id
  where t.name = p_topic and l.partition = p_partition for share of l;
  if not found then
    return;
  end if;
  topic_id := v_topic_id;
  begins_at := greatest(tidings.first_log_offset(v_topic_id, p_partition), p_offset);
  v_high := ends_at;
  -- Times never fall while offsets grow: a search by halves.
  while p_time > '-infinity' and begins_at < v_high loop
    v_middle := (begins_at + v_high) / 2;
    select r.record_offset, r.appended_at into v_record from tidings.log_record r
    where r.topic_id = v_topic_id and r.partition = p_partition and r.record_offset >= v_middle
    order by r.record_offset limit 1;
    if not found or v_record.record_offset >= v_high or v_record.appended_at >= p_time then
      v_high := v_middle;
    else
      begins_at := v_record.record_offset + 1;
    end if;
  end loop;
  return next;
end
$$;

-- list_log_bounds: where the partitions of a topic begin and end.
create function tidings.list_log_bounds_v1(p_topic text)
returns table (partition int, first_offset bigint, next_offset bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select l.partition, tidings.first_log_offset(l.topic_id, l.partition), l.next_offset
  from tidings.log_partition l join tidings.log_topic t using (topic_id)
  where t.name = p_topic order by l.partition;
end
$$;

-- list_log_offsets: where a group goes on in each partition of a topic; null where it has never committed.
create function tidings.list_log_offsets_v1(p_group text, p_topic text)
returns table (partition int, committed_offset bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select l.partition, o.committed_offset
  from tidings.log_partition l join tidings.log_topic t using (topic_id)
  left join tidings.log_offset o
    on o.group_name = p_group and o.topic_id = l.topic_id and o.partition = l.partition
  where t.name = p_topic order by l.partition;
end
$$;

-- forget_log_group: takes a group out, so that nothing is kept for it any more. Answers whether there was one. Raises
-- TD031 while it has members.
create function tidings.forget_log_group_v1(p_group text) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_shards text[] := array(
    select distinct 'log:' || p_group || ':' || t.name
    from tidings.log_offset o join tidings.log_topic t using (topic_id) where o.group_name = p_group);
begin
  perform from tidings.shard s where s.group_name = any(v_shards) order by s.group_name, s.shard for update;
  if exists (select from tidings.shard s where s.group_name = any(v_shards) and s.worker_id is not null) then
    raise exception using errcode = 'TD031', message = format('the group %s has members', p_group),
      hint = 'Stop the processes that read for it, and call this again.';
  end if;
  delete from tidings.shard s where s.group_name = any(v_shards);
  delete from tidings.log_offset o where o.group_name = p_group;
  return found;
end
$$;

-- keep_log: makes partitions of the log for today and the days to come; drops the oldest day once every topic may let
-- go of it and every group has read it; deletes, some thousand at a time, what topics need not keep as long as that.
-- `p_kept` is for topics that do not say how long they are kept.
create function tidings.keep_log(p_kept interval, out dropped bigint, out deleted bigint)
language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
declare
  v_now timestamptz := clock_timestamp();
  v_longest interval := (select max(coalesce(t.retention, p_kept)) from tidings.log_topic t);
  v_day tidings.partition;
  v_part record;
  v_first bigint;
  v_count bigint;
begin
  dropped := 0; deleted := 0;
  for v_ahead in 0 .. 3 loop
    perform tidings.make_log_partition(v_now + v_ahead * interval '24 hours');
  end loop;

  for v_part in
    select l.topic_id, l.partition, v_now - coalesce(t.retention, p_kept) as kept_from,
      (select min(coalesce(o.committed_offset, 0)) from tidings.log_offset o
       where o.topic_id = l.topic_id and o.partition = l.partition) as slowest
    from tidings.log_partition l join tidings.log_topic t using (topic_id)
    where coalesce(t.retention, p_kept) < v_longest order by l.topic_id, l.partition
  loop
    v_first := tidings.first_log_offset(v_part.topic_id, v_part.partition);
    delete from tidings.log_record r
    where r.topic_id = v_part.topic_id and r.partition = v_part.partition
      and r.record_offset < least(v_part.slowest, v_first + 20000 - deleted) and r.appended_at < v_part.kept_from;
    get diagnostics v_count = row_count;
    deleted := deleted + v_count;
    exit when deleted >= 20000;
  end loop;

  -- One in a call: a drop needs a lock that is held to the end.
  select p.* into v_day from tidings.partition p
  where p.parent = 'log_record' and p.ends_at < v_now - v_longest order by p.starts_at limit 1;
  if v_day.starts_at is null or exists (
    select from tidings.log_offset o
    where (select r.record_offset from tidings.log_record r
           where r.topic_id = o.topic_id and r.partition = o.partition
             and r.record_offset >= coalesce(o.committed_offset, 0)
             and r.appended_at >= v_day.starts_at and r.appended_at < v_day.ends_at
           order by r.record_offset limit 1) is not null)
  then
    return;
  end if;
  begin
    dropped := tidings.retire_partition('log_record', v_day.starts_at, 200)::int;
  exception when lock_not_available then
    -- Somebody reads the partition: the next call tries again.
    dropped := 0;
  end;
end
$$;

-- keep_log: what has to be done for the log now and then, by whichever process comes first; nothing while another one
-- is at it. A relay does it too.
create function tidings.keep_log_v1(out dropped bigint, out deleted bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  dropped := 0; deleted := 0;
  if pg_try_advisory_xact_lock(1414087766, 0) then
    select k.dropped, k.deleted into dropped, deleted from tidings.keep_log(interval '7 days') k;
  end if;
end
$$;

-- keep_relay: what has to be done now and then, by whichever relay comes first: requests forgotten after `p_requests`,
-- and the log kept as keep_log does it, with `p_log` for topics that do not say how long they are kept. Answers how many
-- requests were forgotten and days dropped; nothing while another process is at it.
create or replace function tidings.keep_relay_v1(
  p_requests interval, p_log interval, out forgotten bigint, out dropped bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  forgotten := 0; dropped := 0;
  if not pg_try_advisory_xact_lock(1414087766, 0) then
    return;
  end if;
  delete from tidings.relay_request r
  where r.sha256 = any(array(
    select o.sha256 from tidings.relay_request o where o.received_at < clock_timestamp() - p_requests limit 50000));
  get diagnostics forgotten = row_count;
  select k.dropped into dropped from tidings.keep_log(p_log) k;
end
$$;

revoke execute on all functions in schema tidings from public;
