-- The accounting of telemetry: what the pipeline's steps and sinks have done, added up by day.
-- Why: the ledger is a topic, written in the transactions of what it counts; here its records are added up, each once,
-- so that a day can be asked for without reading the topic.
-- Who is affected: nobody yet, all tables are new. A role that runs a pipeline needs execute on project_ledger_v1,
-- prune_ledger_v1 and telemetry_levels_v1; who asks needs it on telemetry_days_v1 and telemetry_entries_v1.
-- Locks: none that matter.

create table tidings.telemetry_ledger (
  log text not null,
  partition int not null,
  ledger_offset bigint not null,
  recorded_at timestamptz not null,
  entry json not null,
  primary key (log, partition, ledger_offset)
);
comment on table tidings.telemetry_ledger is 'One row per record of the topic telemetry.ledger, which is counted when its row is inserted.';
comment on column tidings.telemetry_ledger.log is 'Which log it is of: its kind and installation.';
create index telemetry_ledger_age on tidings.telemetry_ledger using brin (recorded_at);

create table tidings.telemetry_day (
  day date not null,
  step text not null,
  sink text not null default '',
  batches bigint not null default 0,
  batches_failed bigint not null default 0,
  bytes_failed bigint not null default 0,
  received bigint not null default 0,
  passed bigint not null default 0,
  taken bigint not null default 0,
  derived bigint not null default 0,
  unique_events bigint not null default 0,
  duplicate bigint not null default 0,
  failed bigint not null default 0,
  filtered bigint not null default 0,
  collision bigint not null default 0,
  stored bigint not null default 0,
  already_there bigint not null default 0,
  rejected bigint not null default 0,
  primary key (day, step, sink),
  constraint telemetry_day_step check (step in ('unbundle', 'refine', 'sink'))
) with (fillfactor = 50);
comment on table tidings.telemetry_day is 'What each step and sink has done with the telemetry of a day (UTC, by when the relay took it).';

-- project_ledger: keeps records of one partition of the ledger and adds what is new of them to their days.
-- `p_days` has one object for each record and day: `place` of the record in the arrays, counted from 1, and counts.
-- Called again with the same records it changes nothing.
create function tidings.project_ledger_v1(
  p_log text, p_partition int, p_offsets bigint[], p_times timestamptz[], p_entries text[], p_days jsonb
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_fresh bigint[];
begin
  with fresh as (
    insert into tidings.telemetry_ledger (log, partition, ledger_offset, recorded_at, entry)
    select p_log, p_partition, u.ledger_offset, u.recorded_at, u.entry::json
    from unnest(p_offsets, p_times, p_entries) as u (ledger_offset, recorded_at, entry)
    on conflict do nothing
    returning ledger_offset
  )
  select coalesce(array_agg(f.ledger_offset), '{}') into v_fresh from fresh f;
  insert into tidings.telemetry_day as t (day, step, sink, batches, batches_failed, bytes_failed, received, passed,
    taken, derived, unique_events, duplicate, failed, filtered, collision, stored, already_there, rejected)
  select d.day, d.step, d.sink, sum(d.batches), sum(d.batches_failed), sum(d.bytes_failed), sum(d.received),
    sum(d.passed), sum(d.taken), sum(d.derived), sum(d.unique_events), sum(d.duplicate), sum(d.failed),
    sum(d.filtered), sum(d.collision), sum(d.stored), sum(d.already_there), sum(d.rejected)
  from jsonb_to_recordset(p_days) as d (place int, day date, step text, sink text, batches bigint,
    batches_failed bigint, bytes_failed bigint, received bigint, passed bigint, taken bigint, derived bigint,
    unique_events bigint, duplicate bigint, failed bigint, filtered bigint, collision bigint, stored bigint,
    already_there bigint, rejected bigint)
  where p_offsets[d.place] = any(v_fresh)
  group by d.day, d.step, d.sink
  -- In one order, so that two projectors cannot wait for each other.
  order by d.day, d.step, d.sink
  on conflict (day, step, sink) do update set
    batches = t.batches + excluded.batches,
    batches_failed = t.batches_failed + excluded.batches_failed,
    bytes_failed = t.bytes_failed + excluded.bytes_failed,
    received = t.received + excluded.received,
    passed = t.passed + excluded.passed,
    taken = t.taken + excluded.taken,
    derived = t.derived + excluded.derived,
    unique_events = t.unique_events + excluded.unique_events,
    duplicate = t.duplicate + excluded.duplicate,
    failed = t.failed + excluded.failed,
    filtered = t.filtered + excluded.filtered,
    collision = t.collision + excluded.collision,
    stored = t.stored + excluded.stored,
    already_there = t.already_there + excluded.already_there,
    rejected = t.rejected + excluded.rejected;
  return cardinality(v_fresh);
end
$$;

create function tidings.telemetry_days_v1(p_first date, p_last date) returns setof tidings.telemetry_day
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select * from tidings.telemetry_day t where t.day between p_first and p_last order by t.day, t.step, t.sink
$$;

-- telemetry_entries: the records in the order in which they were written, a page at a time.
create function tidings.telemetry_entries_v1(
  p_from timestamptz, p_until timestamptz, p_after_log text, p_after_partition int, p_after_offset bigint, p_limit int
) returns table (log text, partition int, ledger_offset bigint, entry text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.log, t.partition, t.ledger_offset, t.entry::text from tidings.telemetry_ledger t
  where t.recorded_at >= p_from and t.recorded_at < p_until
    and (t.log, t.partition, t.ledger_offset) > (p_after_log, p_after_partition, p_after_offset)
  order by t.log, t.partition, t.ledger_offset limit p_limit
$$;

-- prune_ledger: forgets records that are older; their days stay.
create function tidings.prune_ledger_v1(p_age interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_gone bigint;
begin
  delete from tidings.telemetry_ledger t where t.ctid = any(array(
    select o.ctid from tidings.telemetry_ledger o where o.recorded_at < clock_timestamp() - p_age limit 10000));
  get diagnostics v_gone = row_count;
  return v_gone;
end
$$;

-- telemetry_levels: the levels that were in force, each with the moment until which, in milliseconds since 1970.
create function tidings.telemetry_levels_v1() returns table (until_ms bigint, level text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when l.until = 'infinity' then 9223372036854775807
    else (extract(epoch from l.until) * 1000)::bigint end, l.level
  from tidings.level l
$$;

revoke execute on all functions in schema tidings from public;
