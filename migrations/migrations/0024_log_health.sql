-- What operators ask of the telemetry pipeline: who is in a group of the log, and which keys of dedup went early.
-- Why: a group that nobody is in is behind for ever, and duplicates get through once keys have gone; both are to be
-- seen before somebody misses events, or counts them twice.
-- Who is affected: nobody at once. A role that asks how far groups are behind (`tidings telemetry lag`, a pipeline that
-- shows metrics) needs execute on count_log_members_v1; `tidings doctor` needs it on telemetry_evicted_v1.
-- Locks: writes to telemetry_ledger wait while its index is built, for which its records of some days are read.

-- count_log_members: how many workers share the partitions of a topic for a group, those that are believed alive.
create function tidings.count_log_members_v1(p_group text, p_topic text) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select count(*) from tidings.worker w
    where 'log:' || p_group || ':' || p_topic = any(w.groups) and w.expires_at > clock_timestamp());
end
$$;

-- Few records have it, and those are looked for among all of a day.
create index telemetry_ledger_evicted on tidings.telemetry_ledger (recorded_at)
where (entry -> 'evicted') is not null;

-- telemetry_evicted: how many keys of dedup went before their time since then, and how far back duplicates were still
-- known at the worst, in seconds; nulls where none went.
create function tidings.telemetry_evicted_v1(p_since timestamptz, out keys bigint, out reaches_s bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  select sum((t.entry -> 'evicted' ->> 'keys')::bigint), min((t.entry -> 'evicted' ->> 'reaches_s')::bigint)
  into keys, reaches_s
  from tidings.telemetry_ledger t
  where t.recorded_at >= p_since and (t.entry -> 'evicted') is not null;
end
$$;

revoke execute on all functions in schema tidings from public;
