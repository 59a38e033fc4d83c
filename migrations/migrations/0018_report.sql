-- Reports: what an installation reports of itself at each interval, from a baseline that outlives its processes.
-- Why: the next baseline and the events of a report are written by one statement, so a crash neither loses nor repeats
-- what was counted.
-- Besides, a pattern of notifications matches only types whose audience they are: a subscription to `shop:**` was told of
-- what front ends report for analytics alone.
-- Who is affected: sinks that are subscribed to `**` are told of two types of our own from now on; nothing is registered
-- of them until somebody starts a reporter. Subscribers of notifications are told no more of types for analytics alone.
-- Locks: none that matter.

create table tidings.reporter (
  name text primary key,
  environment_id uuid not null,
  interval_s bigint not null,
  baseline jsonb,
  last_report jsonb,
  reported_at timestamptz,
  requested_at timestamptz,
  worker_id uuid,
  term bigint,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint reporter_name check (name ~ '^[A-Za-z0-9._+-]{1,64}$'),
  constraint reporter_interval check (interval_s between 60 and 2678400),
  constraint reporter_baseline_object check (jsonb_typeof(baseline) = 'object')
);
comment on table tidings.reporter is 'One row per reporter: its baseline, and what it has reported last.';
comment on column tidings.reporter.baseline is 'What the next report begins with; null before the first one, and after the level has forbidden reports.';
comment on column tidings.reporter.requested_at is 'Somebody wants the next report now; null when there is one.';
comment on column tidings.reporter.term is 'Of the leader that has written last, as worker_id.';

-- Counters in the memory of processes. The leader reads them, so that those of every process are reported, also of one
-- that has ended since.
create table tidings.reporter_process (
  name text not null references tidings.reporter,
  boot_id uuid not null,
  counters jsonb not null,
  read_at timestamptz not null,
  primary key (name, boot_id),
  constraint reporter_process_counters_object check (jsonb_typeof(counters) = 'object')
) with (fillfactor = 50);
comment on table tidings.reporter_process is 'One row per process that counts for a reporter; written every minute.';

-- Whether a pattern of a sink matches: `**` of a sink is everything that has telemetry, our own types included.
create function tidings.sink_matches(p_pattern text, p_type text) returns bool
language sql immutable strict parallel safe as $$
  select p_type ~ ('^' || replace(replace(p_pattern, '**', '[^:]+(:[^:]+){0,}'), '*', '[^:]+') || '$')
$$;

-- match_patterns: which patterns match each type, as far as it is for notifications; and which sinks are told of it.
create or replace function tidings.match_patterns() returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.event_type t set patterns = m.patterns
  from (
    select e.type, e.version, (
      select array_agg(p.pattern_id order by p.pattern_id) from tidings.pattern p
      where p.view = 'notification' and 'notification' = any(e.audience) and tidings.pattern_matches(p.pattern, e.type)
        and exists (select from tidings.subscription s where s.pattern_id = p.pattern_id and s.deleted_at is null)
    ) as patterns
    from tidings.event_type e
  ) m
  where t.type = m.type and t.version = m.version and t.patterns is distinct from m.patterns;
  update tidings.event_type t set collects = m.collects, sinks = m.sinks
  from (
    select e.type, e.version, c.collects, (
      select array_agg(distinct s.subscriber_id order by s.subscriber_id)
      from tidings.pattern p join tidings.subscription s using (pattern_id)
      where c.collects and p.view = 'telemetry' and tidings.sink_matches(p.pattern, e.type) and s.deleted_at is null
    ) as sinks
    from tidings.event_type e
    cross join lateral (
      select e.audience && '{telemetry,client}' and e.level_rank <= (select l.rank from tidings.level l where l.until = 'infinity')
        as collects
    ) c
  ) m
  where t.type = m.type and t.version = m.version and (t.collects, t.sinks) is distinct from (m.collects, m.sinks);
  perform tidings.route_types(null);
end
$$;

create or replace function tidings.explain_route_v2(
  type text, scope text default '', tenant text default '', payload jsonb default null
)
returns table (subscriber_id int, name text, kind text, subscription_id int, pattern text, matched_scope text,
  ordered bool, filter jsonb, passes bool)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select s.subscriber_id, b.name, b.kind, s.subscription_id, p.pattern, s.scope, s.ordered, s.filter,
    case
      when not s.filtered then true
      when explain_route_v2.payload is not null then tidings.filter_passes(s.filter_path, explain_route_v2.payload)
    end
  from (
    select t.patterns from tidings.event_type t where t.type = explain_route_v2.type order by t.version desc limit 1
  ) t
  join tidings.pattern p on p.pattern_id = any(t.patterns)
  join tidings.subscription s using (pattern_id)
  join tidings.subscriber b using (subscriber_id)
  where s.tenant = explain_route_v2.tenant and s.deleted_at is null
    and (s.scope = '' or s.scope = explain_route_v2.scope or starts_with(explain_route_v2.scope, s.scope || '/'))
  union all
  select s.subscriber_id, b.name, b.kind, s.subscription_id, p.pattern, s.scope, s.ordered, s.filter, true
  from (
    select t.sinks from tidings.event_type t where t.type = explain_route_v2.type order by t.version desc limit 1
  ) t
  join tidings.subscription s on s.subscriber_id = any(t.sinks) and s.deleted_at is null
  join tidings.pattern p on p.pattern_id = s.pattern_id and tidings.sink_matches(p.pattern, explain_route_v2.type)
  join tidings.subscriber b using (subscriber_id)
  order by 1, 4;
end
$$;

insert into tidings.event_type (type, version, audience, scopes, level, call, schema, documentation, partitioned_until)
select t.type, 1, '{notification,telemetry}', '{}', 'basic', t.call,
  json_build_object(
    '$schema', 'https://json-schema.org/draft/2020-12/schema',
    'type', 'object',
    'required', array['organization_id', 'environment_id', 'cloud_provider', 'cloud_provider_region', 'application_name',
      'application_version', 'window_start', 'window_end', 'interval_seconds', 'sequence', 'boot_id', 'partial',
      'traits'] || t.required,
    'properties', (
      '{"organization_id": {"type": "string"}, "environment_id": {"type": "string", "format": "uuid"},
        "event_source": {"type": "string"}, "cloud_provider": {"type": "string"},
        "cloud_provider_region": {"type": "string"}, "application_name": {"type": "string"},
        "application_version": {"type": "string"}, "window_start": {"type": "string", "format": "date-time"},
        "window_end": {"type": "string", "format": "date-time"}, "interval_seconds": {"type": "integer"},
        "sequence": {"type": "integer"}, "boot_id": {"type": "string", "format": "uuid"},
        "partial": {"type": "boolean"}, "traits": {"type": "object"}, "collector_errors": {"type": "array"},
        "statistics": {"type": "object", "additionalProperties": {"type": "integer"}},
        "counter_reset": {"type": "boolean"}}'::jsonb
      - array(select unnest(array['statistics', 'counter_reset']) except select unnest(t.required))
    )::json),
  t.documentation, tidings.partitioned_until()
from (values
  ('tidings:environment:described', 'group', array[]::text[], 'What an installation is and has: its traits, at the end of an interval.'),
  ('tidings:environment:rolled-up', 'track', array['statistics', 'counter_reset'], 'What an installation has done in an interval, and what it had at its end.')
) as t (type, call, required, documentation)
on conflict do nothing;

-- join_report: says that there is a reporter. Done by each of its processes when it starts.
create function tidings.join_report_v1(p_name text, p_environment uuid, p_interval_s bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tidings.make_group('report:' || p_name, 1);
  insert into tidings.reporter as r (name, environment_id, interval_s) values (p_name, p_environment, p_interval_s)
  on conflict (name) do update set
    environment_id = excluded.environment_id, interval_s = excluded.interval_s, updated_at = clock_timestamp()
  where (r.environment_id, r.interval_s) is distinct from (excluded.environment_id, excluded.interval_s);
end
$$;

-- note_counters: writes down what a process has counted so far.
create function tidings.note_counters_v1(p_name text, p_boot uuid, p_counters jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into tidings.reporter_process (name, boot_id, counters, read_at)
  values (p_name, p_boot, p_counters, clock_timestamp())
  on conflict (name, boot_id) do update set counters = excluded.counters, read_at = excluded.read_at
$$;

-- read_report: what a leader has to know to tell whether a report is due, and to make it.
create function tidings.read_report_v1(
  p_name text,
  out read_at timestamptz, out baseline jsonb, out requested bool, out permitted bool, out permitted_throughout bool
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_rank smallint;
begin
  read_at := clock_timestamp();
  select r.baseline, r.requested_at is not null into baseline, requested from tidings.reporter r where r.name = p_name;
  select max(t.level_rank) into v_rank from tidings.event_type t where t.type like 'tidings:environment:%';
  select l.rank >= v_rank into permitted from tidings.level l where l.until = 'infinity';
  -- What was counted while it was not to be collected is in no report.
  select min(l.rank) >= v_rank into permitted_throughout
  from tidings.level l where l.until > coalesce((baseline ->> 'window_start')::timestamptz, read_at);
end
$$;

-- read_counters: what the processes of a reporter have counted.
create function tidings.read_counters_v1(p_name text) returns table (boot_id uuid, counters jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.boot_id, p.counters from tidings.reporter_process p where p.name = p_name order by p.boot_id
$$;

-- write_report: moves the baseline on and registers the events of the report, or neither. Fenced by the term, and by the
-- number of the report, so that a leader that is one no more changes nothing. With `p_baseline` null the reporter
-- begins anew. Answers the lanes that were written to, or null where nothing was done.
create function tidings.write_report_v1(
  p_name text, p_worker uuid, p_term bigint, p_sequence bigint, p_baseline jsonb, p_report jsonb, p_at timestamptz,
  p_types text[], p_payloads text[], p_telemetries text[], p_headers text[]
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_written text;
  v_lanes text[] := '{}';
  i int;
begin
  -- Locked, so that nobody takes over between here and the commit.
  perform from tidings.shard s
  where s.group_name = 'report:' || p_name and s.shard = 0 and s.worker_id = p_worker and s.term = p_term
  for share;
  if not found then
    return null;
  end if;
  update tidings.reporter r set
    baseline = p_baseline,
    last_report = p_report,
    reported_at = case when p_report is null then r.reported_at else clock_timestamp() end,
    requested_at = case when p_report is null then r.requested_at end,
    worker_id = p_worker,
    term = p_term,
    updated_at = clock_timestamp()
  where r.name = p_name and coalesce((r.baseline ->> 'sequence')::bigint, 0) = p_sequence;
  if not found then
    return null;
  end if;
  for i in 1 .. coalesce(cardinality(p_types), 0) loop
    v_written := tidings.register_v1(p_types[i], 1::smallint, p_payloads[i], p_telemetries[i], p_headers[i], '', '',
      null, null, null, p_at, null);
    if v_written ~ '^[a-z]+_' then
      perform tidings.raise_status(split_part(v_written, ' ', 1), p_types[i], 1::smallint, '');
    end if;
    v_lanes := v_lanes || nullif(split_part(v_written, ' ', 2), '');
  end loop;
  -- Whoever was silent for so long has ended, and what it has counted is in the baseline.
  delete from tidings.reporter_process p
  where p.name = p_name and p.read_at < clock_timestamp() - interval '7 days';
  return coalesce(array_to_string(v_lanes, ','), '');
end
$$;

-- request_report: asks the leader for a report now. Answers whether there is such a reporter.
create function tidings.request_report_v1(p_name text) returns bool
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.reporter r set requested_at = coalesce(r.requested_at, clock_timestamp()) where r.name = p_name;
  return found;
end
$$;

-- Sinks that are told of everything are told of the new types.
select tidings.match_patterns();

revoke execute on all functions in schema tidings from public;
