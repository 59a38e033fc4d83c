-- Plans of file sinks: what lies in which file, decided before the first byte of it goes up.
-- Why: a sink that stops in the middle of an upload has to cut its files at the same places when it goes on, or the
-- same events would stand in two files.
-- Who is affected: nobody yet, all tables are new. A role that runs a file sink needs execute on name_topic_v1,
-- read_plan_v1, store_plan_v1, amend_plan_v1 and finish_plan_v1; who makes topics anew needs it on renew_topic_v1.
-- Locks: nothing that is there.

-- Topics by an id of our own: one that was deleted and made again begins at 0 again, under the same name.
create table tidings.telemetry_topic (
  topic_id text not null default substr(replace(gen_random_uuid()::text, '-', ''), 1, 12),
  name text not null,
  created_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz,
  constraint telemetry_topic_pkey primary key (topic_id),
  constraint telemetry_topic_id check (topic_id ~ '^[0-9a-f]{12}$')
);
comment on table tidings.telemetry_topic is 'The topics that file sinks have read, each life of a topic under an id of its own.';
comment on column tidings.telemetry_topic.topic_id is 'Random, so that a database that is made anew does not name files as the one before it did.';
comment on column tidings.telemetry_topic.name is 'Without the prefix of the installation.';
comment on column tidings.telemetry_topic.retired_at is 'Since when another id stands for the name.';
create unique index telemetry_topic_name_unique on tidings.telemetry_topic (name) where retired_at is null;

create table tidings.telemetry_plan (
  plan_id bigint generated always as identity,
  sink text not null,
  topic_id text not null,
  partition int not null,
  first_offset bigint not null,
  last_offset bigint not null,
  first_at timestamptz not null,
  records_sha256 bytea not null,
  codec text not null,
  state text not null default 'planned',
  planned_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  constraint telemetry_plan_pkey primary key (plan_id),
  constraint telemetry_plan_topic foreign key (topic_id) references tidings.telemetry_topic,
  constraint telemetry_plan_unique unique (sink, topic_id, partition, first_offset),
  constraint telemetry_plan_offsets check (first_offset >= 0 and last_offset >= first_offset),
  constraint telemetry_plan_records check (length(records_sha256) = 32),
  constraint telemetry_plan_codec check (codec in ('jsonl.gz', 'jsonl.zst', 'parquet')),
  constraint telemetry_plan_state check (state in ('planned', 'done')),
  constraint telemetry_plan_done_has_time check ((state = 'done') = (done_at is not null))
);
comment on table tidings.telemetry_plan is 'Which records of a partition a file sink puts into files together; the plans of a partition follow each other without a gap.';
comment on column tidings.telemetry_plan.first_offset is 'Where the plan before it has ended, whether a record lies at this offset or not.';
comment on column tidings.telemetry_plan.last_offset is 'The offset of its last record.';
comment on column tidings.telemetry_plan.first_at is 'When the log took its first record: that of a topic which was made anew differs.';
comment on column tidings.telemetry_plan.records_sha256 is 'Over the offset and the time of each of its records: by it whoever reads them again knows them.';
comment on column tidings.telemetry_plan.state is 'planned: files may be missing; done: all of them are up.';

create table tidings.telemetry_file (
  plan_id bigint not null,
  dt date not null,
  name text not null,
  generation int not null default 1,
  events bigint not null,
  bytes bigint not null,
  sha256 bytea not null,
  constraint telemetry_file_pkey primary key (plan_id, dt),
  constraint telemetry_file_plan foreign key (plan_id) references tidings.telemetry_plan on delete cascade,
  constraint telemetry_file_generation check (generation >= 1),
  constraint telemetry_file_events check (events >= 1 and bytes >= 1),
  constraint telemetry_file_sha256 check (length(sha256) = 32)
);
comment on table tidings.telemetry_file is 'The files of a plan: one for each day, in UTC, on which the relay took events of it.';
comment on column tidings.telemetry_file.name is 'Below the folder of the sink.';
comment on column tidings.telemetry_file.generation is 'Grows when the file is written anew, as an erasure does.';
comment on column tidings.telemetry_file.sha256 is 'Of the file as it lies there.';
-- The files of a day, for who rewrites or counts them.
create index telemetry_file_dt on tidings.telemetry_file (dt);

-- name_topic: the id of a topic, which gets one if it has none.
create function tidings.name_topic_v1(p_name text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_topic_id text;
begin
  insert into tidings.telemetry_topic (name) values (p_name)
  on conflict (name) where retired_at is null do nothing;
  select t.topic_id into strict v_topic_id
  from tidings.telemetry_topic t where t.name = p_name and t.retired_at is null;
  return v_topic_id;
end
$$;

-- renew_topic: a new id for a topic that was made anew; its files lie apart from those of the one before.
create function tidings.renew_topic_v1(p_name text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.telemetry_topic t set retired_at = clock_timestamp()
  where t.name = p_name and t.retired_at is null;
  return tidings.name_topic_v1(p_name);
end
$$;

-- plan_json: a plan as sinks read it; null where there is none.
create function tidings.plan_json(p_sink text, p_topic_id text, p_partition int, p_first bigint) returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select json_build_object(
      'plan_id', p.plan_id, 'first', p.first_offset, 'last', p.last_offset,
      'first_at', (extract(epoch from p.first_at) * 1000)::bigint, 'records', encode(p.records_sha256, 'hex'),
      'codec', p.codec, 'done', p.state = 'done',
      'files', coalesce((
        select json_agg(json_build_object(
          'dt', f.dt, 'name', f.name, 'generation', f.generation, 'events', f.events, 'bytes', f.bytes,
          'sha256', encode(f.sha256, 'hex')) order by f.dt)
        from tidings.telemetry_file f where f.plan_id = p.plan_id), '[]'))
    from tidings.telemetry_plan p
    where p.sink = p_sink and p.topic_id = p_topic_id and p.partition = p_partition and p.first_offset = p_first);
end
$$;

-- read_plan: the plan that begins at an offset, and where the next one has to begin; null before the first plan.
create function tidings.read_plan_v1(p_sink text, p_topic_id text, p_partition int, p_first bigint) returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return json_build_object(
    'plan', tidings.plan_json(p_sink, p_topic_id, p_partition, p_first),
    'next', (
      select max(p.last_offset) + 1 from tidings.telemetry_plan p
      where p.sink = p_sink and p.topic_id = p_topic_id and p.partition = p_partition));
end
$$;

-- store_plan: stores a plan with its files, unless there is one that begins at the same offset; answers with the one
-- that is there now. Answers without a plan if it would leave a gap or begin within another one.
create function tidings.store_plan_v1(p_sink text, p_topic_id text, p_partition int, p_plan jsonb) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_first bigint := (p_plan->>'first')::bigint;
  v_next bigint;
  v_plan_id bigint;
begin
  select max(p.last_offset) + 1 into v_next from tidings.telemetry_plan p
  where p.sink = p_sink and p.topic_id = p_topic_id and p.partition = p_partition;
  if v_next is null or v_next = v_first then
    -- Two that come at once both find the same end; the constraint decides, and the second reads what the first wrote.
    insert into tidings.telemetry_plan
      (sink, topic_id, partition, first_offset, last_offset, first_at, records_sha256, codec)
    values
      (p_sink, p_topic_id, p_partition, v_first, (p_plan->>'last')::bigint,
       timestamptz 'epoch' + (p_plan->>'first_at')::bigint * interval '1 millisecond',
       decode(p_plan->>'records', 'hex'), p_plan->>'codec')
    on conflict on constraint telemetry_plan_unique do nothing
    returning plan_id into v_plan_id;
    insert into tidings.telemetry_file (plan_id, dt, name, generation, events, bytes, sha256)
    select v_plan_id, f.dt, f.name, f.generation, f.events, f.bytes, decode(f.sha256, 'hex')
    from jsonb_to_recordset(p_plan->'files')
      as f (dt date, name text, generation int, events bigint, bytes bigint, sha256 text)
    where v_plan_id is not null;
  end if;
  return tidings.read_plan_v1(p_sink, p_topic_id, p_partition, v_first);
end
$$;

-- amend_plan: the same events of a file as other bytes, which another version of a codec has made; only while the plan
-- is not done.
create function tidings.amend_plan_v1(p_plan_id bigint, p_dt date, p_bytes bigint, p_sha256 bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.telemetry_file f set bytes = p_bytes, sha256 = p_sha256
  from tidings.telemetry_plan p
  where f.plan_id = p_plan_id and f.dt = p_dt and p.plan_id = f.plan_id and p.state = 'planned';
  return found;
end
$$;

-- finish_plan: all files of a plan are up; false if there is no such plan.
create function tidings.finish_plan_v1(p_plan_id bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.telemetry_plan p set state = 'done', done_at = clock_timestamp()
  where p.plan_id = p_plan_id and p.state = 'planned';
  return found or exists (select from tidings.telemetry_plan p where p.plan_id = p_plan_id);
end
$$;

revoke execute on all functions in schema tidings from public;
