-- How many members a group of the telemetry log has.
-- Why: a group that nobody is in is behind for ever, which is to be seen beside how far it is behind.
-- Who is affected: nobody; a role that asks (`tidings telemetry lag`, a pipeline that shows metrics) needs execute on
-- count_log_members_v1.
-- Locks: none.

-- count_log_members: how many workers share the partitions of a topic for a group, those that are believed alive.
create function tidings.count_log_members_v1(p_group text, p_topic text) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select count(*) from tidings.worker w
    where 'log:' || p_group || ':' || p_topic = any(w.groups) and w.expires_at > clock_timestamp());
end
$$;

revoke execute on all functions in schema tidings from public;
