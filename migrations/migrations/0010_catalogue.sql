-- The catalogue: declared retirement, and what a sync found.
-- Why: an application may declare that a type is retired, and a person may retire one by command. What a person has
-- retired only a person restores, so each retirement says whose it is.
-- Who is affected: an application role that syncs needs execute on tidings.sync_catalogue_v2.
-- Locks: tidings.event_type exclusively, for the moment of adding a column to a table with few rows.

alter table tidings.event_type
  add column retired_by text,
  add constraint event_type_retired_by check (retired_by in ('catalogue', 'command'));
comment on column tidings.event_type.retired_at is 'A retired type is refused. Set by an explicit declaration or command, never because a type is no longer declared.';
comment on column tidings.event_type.retired_by is 'Who has retired it: a catalogue, which may restore it too, or a person. Null counts as a person.';

-- sync_catalogue: adds and updates what an application declares, retires what it retires, and restores what a
-- catalogue had retired and this one declares. It removes nothing, so that an older version of the application can run
-- beside a newer one. Input: [{type, version, audience, scopes, level, schema, documentation}] and [{type, version}].
-- Answers what changed: added; changed, with what was there; retired; restored. And what it found: withheld, declared
-- but retired by a person; missing, known and not declared.
create function tidings.sync_catalogue_v2(p_types json, p_retired json)
returns table (type text, version smallint, change text, previous json)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_type record;
  v_old tidings.event_type;
  v_added bool := false;
begin
  -- Before the first row, because a subscribing transaction has this lock when it comes to the rows of types.
  perform pg_advisory_xact_lock(1414087765, 0);
  for v_type in
    select t.* from json_to_recordset(p_types) as t (
      type text, version smallint, audience text[], scopes text[], level text, schema json, documentation text)
    order by t.type, t.version
  loop
    select e.* into v_old from tidings.event_type e where e.type = v_type.type and e.version = v_type.version;
    if not found then
      insert into tidings.event_type (type, version, audience, scopes, level, schema, documentation, partitioned_until)
      values (v_type.type, v_type.version, v_type.audience, v_type.scopes, v_type.level, v_type.schema,
        v_type.documentation, tidings.partitioned_until());
      v_added := true;
      return query select v_type.type, v_type.version, 'added'::text, null::json;
      continue;
    end if;
    if (v_old.audience, v_old.scopes, v_old.level, v_old.schema::text, v_old.documentation)
      is distinct from (v_type.audience, v_type.scopes, v_type.level, v_type.schema::text, v_type.documentation)
    then
      update tidings.event_type e set
        audience = v_type.audience, scopes = v_type.scopes, level = v_type.level, schema = v_type.schema,
        documentation = v_type.documentation, updated_at = clock_timestamp()
      where e.type = v_type.type and e.version = v_type.version;
      return query select v_type.type, v_type.version, 'changed'::text, json_build_object(
        'type', v_old.type, 'version', v_old.version, 'audience', v_old.audience, 'scopes', v_old.scopes,
        'level', v_old.level, 'schema', v_old.schema, 'documentation', v_old.documentation);
    end if;
    if v_old.retired_at is not null and v_old.retired_by = 'catalogue' then
      update tidings.event_type e set retired_at = null, retired_by = null, updated_at = clock_timestamp()
      where e.type = v_type.type and e.version = v_type.version;
      return query select v_type.type, v_type.version, 'restored'::text, null::json;
    elsif v_old.retired_at is not null then
      return query select v_type.type, v_type.version, 'withheld'::text, null::json;
    end if;
  end loop;
  return query
  update tidings.event_type e
  set retired_at = clock_timestamp(), retired_by = 'catalogue', updated_at = clock_timestamp()
  from json_to_recordset(p_retired) as r (type text, version smallint)
  where e.type = r.type and e.version = r.version and e.retired_at is null
  returning e.type, e.version, 'retired'::text, null::json;
  if v_added then
    perform tidings.match_patterns();
  end if;
  -- Those of Tidings' own are in no application's catalogue.
  return query
  select e.type, e.version, 'missing'::text, null::json
  from tidings.event_type e
  where e.retired_at is null and not starts_with(e.type, 'tidings:')
    and not exists (
      select from json_to_recordset(p_types) as t (type text, version smallint)
      where t.type = e.type and t.version = e.version);
end
$$;

-- retire_type: a person retires a version of a type, or with null all of them. Answers those that were not retired by
-- a person before.
create function tidings.retire_type_v1(p_type text, p_version smallint) returns setof smallint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  update tidings.event_type e
  set retired_at = coalesce(e.retired_at, clock_timestamp()), retired_by = 'command', updated_at = clock_timestamp()
  where e.type = p_type and e.version = coalesce(p_version, e.version)
    and (e.retired_at is null or e.retired_by = 'catalogue')
  returning e.version;
end
$$;

-- restore_type: ends the retirement of a version of a type, or with null of all of them. Answers those that were
-- retired.
create function tidings.restore_type_v1(p_type text, p_version smallint) returns setof smallint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  update tidings.event_type e set retired_at = null, retired_by = null, updated_at = clock_timestamp()
  where e.type = p_type and e.version = coalesce(p_version, e.version) and e.retired_at is not null
  returning e.version;
end
$$;

revoke execute on all functions in schema tidings from public;
