-- Erasure of telemetry, and sending events to a sink again.
-- Why: whoever asks to be forgotten is taken out of the table, the index and the files, and does not come back with what
-- devices have kept offline; what a sink has refused and takes later moves in its account.
-- Who is affected: a role that runs a pipeline needs execute on tombstone_secret_v1, tombstones_v1, store_plan_v2 and
-- amend_file_v1; who erases or resends needs it on all functions of this file that end in _v1. Roles that have
-- store_plan_v1 get the former by themselves.
-- Locks: nothing that is there.

-- One row. Who adds a tombstone locks it, and who plans files shares it: a plan knows every tombstone before it, and the
-- ids of tombstones grow in the order in which they become visible.
create table tidings.telemetry_gate (
  gate_id int primary key default 1,
  secret bytea not null,
  constraint telemetry_gate_one_row check (gate_id = 1),
  constraint telemetry_gate_secret check (length(secret) = 32)
);
comment on table tidings.telemetry_gate is 'By what erased subjects are known again, and what tombstones and plans of files are ordered by.';
comment on column tidings.telemetry_gate.secret is 'The key of the hashes in telemetry_tombstone, drawn at random when the schema was made.';
insert into tidings.telemetry_gate (secret)
values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

create table tidings.telemetry_tombstone (
  tombstone_id bigint generated always as identity,
  kind text not null,
  hash text not null,
  erased_at timestamptz not null default clock_timestamp(),
  constraint telemetry_tombstone_pkey primary key (tombstone_id),
  constraint telemetry_tombstone_unique unique (kind, hash),
  constraint telemetry_tombstone_kind check (kind in ('actor', 'device', 'subject')),
  constraint telemetry_tombstone_hash check (length(hash) between 1 and 200)
);
comment on table tidings.telemetry_tombstone is 'Whose telemetry was erased; it is not kept again. Never a plain value.';
comment on column tidings.telemetry_tombstone.kind is 'actor and device: a hash under the secret of telemetry_gate; subject: a keyed hash as it stands in events that were redacted.';

-- tombstone_secret: the key of tombstones.
create function tidings.tombstone_secret_v1() returns bytea
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select g.secret from tidings.telemetry_gate g);
end
$$;

-- add_tombstones: from the commit on nothing of these is kept. Answers how many are new, and the clock.
create function tidings.add_tombstones_v1(p_kinds text[], p_hashes text[], out added int, out erased_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from tidings.telemetry_gate for update;
  erased_at := clock_timestamp();
  insert into tidings.telemetry_tombstone (kind, hash, erased_at)
  select distinct u.kind, u.hash, add_tombstones_v1.erased_at from unnest(p_kinds, p_hashes) as u (kind, hash)
  on conflict do nothing;
  get diagnostics added = row_count;
end
$$;

-- tombstones: a page of them, in the order in which they became visible.
create function tidings.tombstones_v1(p_after bigint, p_limit int)
returns table (tombstone_id bigint, kind text, hash text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select t.tombstone_id, t.kind, t.hash from tidings.telemetry_tombstone t
    where t.tombstone_id > p_after order by t.tombstone_id limit p_limit;
end
$$;

-- store_plan: as store_plan_v1, for who knows the tombstones up to `p_tombstone`; answers that he is `stale` if there are
-- later ones, and stores nothing then.
create function tidings.store_plan_v2(
  p_sink text, p_topic_id text, p_partition int, p_plan jsonb, p_tombstone bigint
) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from tidings.telemetry_gate for share;
  if exists (select from tidings.telemetry_tombstone t where t.tombstone_id > p_tombstone) then
    return json_build_object('plan', null, 'next', null, 'stale', true);
  end if;
  return tidings.store_plan_v1(p_sink, p_topic_id, p_partition, p_plan);
end
$$;

-- Files that are to be deleted: others have taken their place, or nothing has.
create table tidings.telemetry_stale_file (
  sink text not null,
  name text not null,
  plan_id bigint not null,
  dt date not null,
  replaced_at timestamptz not null default clock_timestamp(),
  constraint telemetry_stale_file_pkey primary key (sink, name)
);
comment on table tidings.telemetry_stale_file is 'Files that were written anew without somebody''s events, until they are deleted from the store.';

-- amend_file: the file of a day of a plan under its next generation, with fewer events; null: it has none left, and there
-- is no file any more. The one before is to be deleted. False if the file is of another generation by now.
create function tidings.amend_file_v1(
  p_plan_id bigint, p_dt date, p_generation int, p_file jsonb
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_name text;
begin
  select f.name into v_name from tidings.telemetry_file f
  where f.plan_id = p_plan_id and f.dt = p_dt and f.generation = p_generation
  for update;
  if not found then
    return false;
  end if;
  insert into tidings.telemetry_stale_file (sink, name, plan_id, dt)
  select p.sink, v_name, p_plan_id, p_dt from tidings.telemetry_plan p where p.plan_id = p_plan_id
  on conflict do nothing;
  if p_file is null then
    delete from tidings.telemetry_file f where f.plan_id = p_plan_id and f.dt = p_dt;
  else
    update tidings.telemetry_file f
    set name = p_file->>'name', generation = p_generation + 1, events = (p_file->>'events')::bigint,
      bytes = (p_file->>'bytes')::bigint, sha256 = decode(p_file->>'sha256', 'hex')
    where f.plan_id = p_plan_id and f.dt = p_dt;
  end if;
  return true;
end
$$;

-- stale_files: what is to be deleted, with the place of its plan and what has taken its place, if anything has.
create function tidings.stale_files_v1(p_sink text)
returns table (
  name text, topic_id text, partition int, first_offset bigint, last_offset bigint, codec text, dt date, file json
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select s.name, p.topic_id, p.partition, p.first_offset, p.last_offset, p.codec, s.dt,
      (select json_build_object(
          'dt', f.dt, 'name', f.name, 'generation', f.generation, 'events', f.events, 'bytes', f.bytes,
          'sha256', encode(f.sha256, 'hex'))
        from tidings.telemetry_file f where f.plan_id = s.plan_id and f.dt = s.dt and p.state = 'done')
    from tidings.telemetry_stale_file s join tidings.telemetry_plan p on p.plan_id = s.plan_id
    where s.sink = p_sink
    order by s.name;
end
$$;

-- forget_stale_file: it is deleted.
create function tidings.forget_stale_file_v1(p_sink text, p_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from tidings.telemetry_stale_file s where s.sink = p_sink and s.name = p_name;
end
$$;

-- lock_files: one at a time writes the files of a sink anew; to the end of the transaction.
create function tidings.lock_files_v1(p_sink text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(1414087768, hashtext(p_sink));
end
$$;

-- plans: a page of the plans of a sink, of all lives of its topic or of one, and of all partitions or of one.
create function tidings.plans_v1(p_sink text, p_topic_id text, p_partition int, p_after bigint, p_limit int)
returns table (topic_id text, partition int, plan json)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select p.topic_id, p.partition, tidings.plan_json(p.sink, p.topic_id, p.partition, p.first_offset)
    from tidings.telemetry_plan p
    where p.sink = p_sink and p.plan_id > p_after
      and (p_topic_id is null or p.topic_id = p_topic_id) and (p_partition is null or p.partition = p_partition)
    order by p.plan_id limit p_limit;
end
$$;

-- event_days: the days that the searchable table has.
create function tidings.event_days_v1() returns setof date
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select to_date(right(c.relname, 8), 'YYYYMMDD') from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'tidings.telemetry_event'::regclass order by c.relname collate "C";
end
$$;

-- erase_events: deletes at most so many events of these from one day of the searchable table; answers how many.
create function tidings.erase_events_v1(p_day date, p_devices text[], p_actors text[], p_limit int) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_gone bigint;
begin
  delete from tidings.telemetry_event e
  where e.day = p_day and e.document_id = any(array(
    select o.document_id from tidings.telemetry_event o
    where o.day = p_day and (o.device = any(p_devices) or o.actor = any(p_actors)) limit p_limit));
  get diagnostics v_gone = row_count;
  return v_gone;
end
$$;

-- make_event_day: as before, and looked for in the catalogue itself: what a session remembers of a name is not looked up
-- again after the lock, so that the second of two calls for a new day found it missing and failed.
create or replace function tidings.make_event_day(p_day date) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_name text := 'telemetry_event_' || to_char(p_day, 'YYYYMMDD');
begin
  if exists (select from pg_class c where c.relname = v_name and c.relnamespace = 'tidings'::regnamespace) then
    return;
  end if;
  -- One for all days, so that two calls with several days cannot wait for each other.
  perform pg_advisory_xact_lock(1414087767, 0);
  if exists (select from pg_class c where c.relname = v_name and c.relnamespace = 'tidings'::regnamespace) then
    return;
  end if;
  execute format('create table tidings.%I (like tidings.telemetry_event including defaults including constraints)', v_name);
  execute format('alter table tidings.telemetry_event attach partition tidings.%I for values from (%L) to (%L)',
    v_name, p_day, p_day + 1);
end
$$;

-- What a sink has refused, and has taken when it was sent again.
create table tidings.telemetry_recovered (
  sink text not null,
  document_id text collate "C" not null,
  day date not null,
  recovered_at timestamptz not null default clock_timestamp(),
  constraint telemetry_recovered_pkey primary key (document_id, sink)
);
comment on table tidings.telemetry_recovered is 'Events that have moved from rejected to stored in the account of a sink: each once, however often it is sent again.';
create index telemetry_recovered_age on tidings.telemetry_recovered using brin (recovered_at);

-- recover_events: moves events from rejected to stored in the account of a sink, unless that was done; answers how many.
create function tidings.recover_events_v1(p_sink text, p_document_ids text[], p_days date[]) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_moved bigint;
begin
  -- No log keeps what it has refused for longer than a year.
  delete from tidings.telemetry_recovered r where r.ctid = any(array(
    select o.ctid from tidings.telemetry_recovered o
    where o.recovered_at < clock_timestamp() - interval '400 days' limit 10000));
  with moved as (
    insert into tidings.telemetry_recovered (sink, document_id, day)
    select p_sink, u.document_id, u.day from unnest(p_document_ids, p_days) as u (document_id, day)
    order by u.document_id collate "C"
    on conflict do nothing
    returning day
  ), days as (
    select m.day, count(*) as events from moved m group by m.day order by m.day
  ), added as (
    insert into tidings.telemetry_day as t (day, step, sink, stored, rejected)
    select d.day, 'sink', p_sink, d.events, -d.events from days d
    on conflict (day, step, sink) do update
    set stored = t.stored + excluded.stored, rejected = t.rejected + excluded.rejected
  )
  select coalesce(sum(d.events), 0) into v_moved from days d;
  return v_moved;
end
$$;

revoke execute on all functions in schema tidings from public;

-- Whoever could plan files, or read levels, can do so with tombstones.
do $$
declare
  v_grant record;
begin
  for v_grant in
    select a.grantee::regrole as grantee, f.follower
    from (values
      ('tidings.store_plan_v1', 'tidings.store_plan_v2(text, text, int, jsonb, bigint)'),
      ('tidings.store_plan_v1', 'tidings.amend_file_v1(bigint, date, int, jsonb)'),
      ('tidings.store_plan_v1', 'tidings.stale_files_v1(text)'),
      ('tidings.store_plan_v1', 'tidings.forget_stale_file_v1(text, text)'),
      ('tidings.telemetry_levels_v1', 'tidings.tombstone_secret_v1()'),
      ('tidings.telemetry_levels_v1', 'tidings.tombstones_v1(bigint, int)')
    ) as f (name, follower)
    join pg_proc p on p.oid = f.name::regproc
    cross join lateral aclexplode(p.proacl) a
    where a.privilege_type = 'EXECUTE' and a.grantee not in (0, p.proowner)
  loop
    execute format('grant execute on function %s to %s', v_grant.follower, v_grant.grantee);
  end loop;
end
$$;
