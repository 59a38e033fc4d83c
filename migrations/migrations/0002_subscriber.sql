-- Who is told about what: subscribers, their secrets and subscriptions, and the shards that their lanes belong to.
-- Who is affected: nobody yet. Locks: none that matter.

create table tidings.shard (
  group_name text not null,
  shard smallint not null,
  worker_id uuid,
  term bigint not null default 0,
  taken_at timestamptz,
  deaths smallint not null default 0,
  primary key (group_name, shard)
) with (fillfactor = 20);
comment on table tidings.shard is 'One row per shard of each group. A row changes only when its owner does.';
comment on column tidings.shard.term is 'Grows by one with every owner: the fence against the one before.';
comment on column tidings.shard.deaths is 'Owners in a row that died within a minute of taking it.';

create table tidings.shard_config (
  group_name text not null,
  shard smallint not null,
  config_version bigint not null,
  primary key (group_name, shard)
) with (fillfactor = 20);
comment on table tidings.shard_config is 'Apart from the shard: an open edit of a subscriber locks its row here, and may not hold up a takeover there.';
comment on column tidings.shard_config.config_version is 'Grows with every change of a subscriber of the shard; tells the owner to read again.';

create table tidings.subscriber (
  subscriber_id int generated always as identity primary key,
  tenant text not null default '',
  name text not null,
  kind text not null,
  shard smallint not null,
  config jsonb not null default '{}',
  version int not null default 1,
  in_flight_max int,
  rate_per_s double precision,
  retry jsonb,
  paused_at timestamptz,
  disabled_at timestamptz,
  disabled_reason text,
  retry_after_until timestamptz,
  breaker jsonb,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  constraint subscriber_name check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  constraint subscriber_kind check (kind ~ '^[a-z][a-z0-9_-]{0,39}$'),
  constraint subscriber_in_flight_max check (in_flight_max between 1 and 100000),
  constraint subscriber_rate_per_s check (rate_per_s > 0 and rate_per_s <= 1000000),
  constraint subscriber_config_object check (jsonb_typeof(config) = 'object'),
  foreign key (kind, shard) references tidings.shard (group_name, shard)
);
comment on table tidings.subscriber is 'A destination with a lane of its own. Kind and shard never change.';
comment on column tidings.subscriber.version is 'Grows with every edit, so that two editors can tell each other apart.';
comment on column tidings.subscriber.paused_at is 'A person''s doing; the system''s own reasons stand in disabled_at and retry_after_until.';
comment on column tidings.subscriber.retry_after_until is 'Nothing is sent before; written back by the owner so that the next one starts from it.';
create unique index subscriber_name_unique on tidings.subscriber (tenant, name) where deleted_at is null;
create index subscriber_shard on tidings.subscriber (kind, shard) where deleted_at is null;

-- Sealed secrets, newest first by id. A secret outlives its rotation until it expires.
create table tidings.secret (
  secret_id int generated always as identity primary key,
  subscriber_id int not null references tidings.subscriber (subscriber_id) on delete cascade,
  sealed bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz
);
comment on column tidings.secret.sealed is 'Encrypted under a key that the database does not have; the key''s id stands in front.';
create index secret_subscriber on tidings.secret (subscriber_id);

create table tidings.pattern (
  pattern_id int generated always as identity primary key,
  pattern text not null,
  constraint pattern_unique unique (pattern),
  constraint pattern_form check (pattern ~ '^(\*\*?|[a-z][a-z0-9-]*)(:(\*\*?|[a-z][a-z0-9-]*)){0,7}$' and length(pattern) <= 200)
);

create table tidings.subscription (
  subscription_id int generated always as identity primary key,
  subscriber_id int not null references tidings.subscriber (subscriber_id),
  pattern_id int not null references tidings.pattern (pattern_id),
  tenant text not null default '',
  scope text not null default '',
  filter jsonb,
  ordered bool not null default false,
  created_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz
);
comment on table tidings.subscription is 'An edit is a soft delete and a new row, so that a fan-out under way keeps the set it began with.';
create unique index subscription_unique on tidings.subscription (subscriber_id, pattern_id, tenant, scope)
  where deleted_at is null;
-- The route: what registering looks up, one probe per (pattern, scope prefix), answered from the index alone.
create index subscription_route on tidings.subscription (pattern_id, tenant, scope, subscriber_id)
  include (subscription_id, ordered) where deleted_at is null;
-- The few that keep order, which are always written inline.
create index subscription_route_ordered on tidings.subscription (pattern_id, tenant, scope)
  include (subscription_id, subscriber_id) where deleted_at is null and ordered;
-- What a large fan-out reads, deleted ones included: the set is the one at registering.
create index subscription_expand on tidings.subscription (pattern_id, tenant, scope, subscriber_id);

-- Whether `p_pattern` matches the name `p_type`: `*` is one part, `**` is one or more.
create function tidings.pattern_matches(p_pattern text, p_type text) returns bool
language sql immutable strict parallel safe as $$
  select p_type ~ ('^' || replace(replace(p_pattern, '**', '[^:]+(:[^:]+){0,}'), '*', '[^:]+') || '$')
$$;

-- Computes which subscribed patterns match each type, and whom its events are told where that depends on the type
-- alone. Called when a type appears; a trigger calls it when a pattern comes into use or out of it. The lock makes two
-- such calls follow each other, so that neither misses the other's row.
create function tidings.match_patterns() returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  update tidings.event_type t set patterns = m.patterns
  from (
    select e.type, e.version, (
      select array_agg(p.pattern_id order by p.pattern_id) from tidings.pattern p
      where tidings.pattern_matches(p.pattern, e.type)
        and exists (select from tidings.subscription s where s.pattern_id = p.pattern_id and s.deleted_at is null)
    ) as patterns
    from tidings.event_type e
  ) m
  where t.type = m.type and t.version = m.version and t.patterns is distinct from m.patterns;
  perform tidings.route_types(null);
end
$$;

-- Computes whom the events of each type are told, for the types that one of these patterns matches; null is every type.
create function tidings.route_types(p_patterns int[]) returns void
language plpgsql as $$
begin
  update tidings.event_type t set
    subscribers = case when m.plain then m.subscribers end,
    subscriptions = case when m.plain then m.subscriptions end,
    lanes = case when m.plain then coalesce(' ' || nullif(array_to_string(m.subscribers, ','), ''), '') end
  from tidings.event_type e
  cross join lateral (
    select coalesce(bool_and(r.plain), true) and coalesce(sum(r.raw), 0) <= 64 as plain,
      coalesce(array_agg(r.subscriber_id order by r.subscriber_id), '{}') as subscribers,
      coalesce(array_agg(r.subscription_id order by r.subscriber_id), '{}') as subscriptions
    from (
      select s.subscriber_id, min(s.subscription_id) as subscription_id, bool_and(s.plain) as plain, count(*) as raw
      from (
        select s.subscriber_id, s.subscription_id, s.plain
        from unnest(e.patterns) as p (pattern_id)
        cross join lateral (
          select s.subscriber_id, s.subscription_id,
            s.tenant = '' and s.scope = '' and not s.ordered and s.filter is null as plain
          from tidings.subscription s
          where s.pattern_id = p.pattern_id and s.deleted_at is null
          limit 65
        ) s
        limit 65
      ) s
      group by s.subscriber_id
    ) r
  ) m
  where t.type = e.type and t.version = e.version and (p_patterns is null or e.patterns && p_patterns)
    and (t.subscribers, t.subscriptions) is distinct from
      (case when m.plain then m.subscribers end, case when m.plain then m.subscriptions end);
end
$$;

-- Keeps the types in line with the subscriptions. A trigger, so that no way of editing can forget it.
create function tidings.subscription_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_patterns int[];
begin
  perform pg_advisory_xact_lock(1414087765, 0);
  if tg_op = 'INSERT' then
    v_patterns := array(select distinct n.pattern_id from new_rows n);
  elsif tg_op = 'DELETE' then
    v_patterns := array(select distinct o.pattern_id from old_rows o);
  else
    v_patterns := array(select o.pattern_id from old_rows o union select n.pattern_id from new_rows n);
  end if;
  -- Most changes are of a pattern that others use too, and then no type gains or loses one.
  if exists (
    select from unnest(v_patterns) as p (pattern_id)
    where exists (select from tidings.subscription s where s.pattern_id = p.pattern_id and s.deleted_at is null)
      <> exists (select from tidings.event_type t where p.pattern_id = any(t.patterns))
  ) then
    perform tidings.match_patterns();
  else
    perform tidings.route_types(v_patterns);
  end if;
  return null;
end
$$;
create trigger subscription_inserted after insert on tidings.subscription
  referencing new table as new_rows for each statement execute function tidings.subscription_changed();
create trigger subscription_updated after update on tidings.subscription
  referencing old table as old_rows new table as new_rows
  for each statement execute function tidings.subscription_changed();
create trigger subscription_deleted after delete on tidings.subscription
  referencing old table as old_rows for each statement execute function tidings.subscription_changed();

-- Makes the shards of a group unless they are there. The first number given stands for ever.
create function tidings.make_group(p_group text, p_shards int) returns void
language plpgsql as $$
begin
  if exists (select from tidings.shard s where s.group_name = p_group) then
    return;
  end if;
  insert into tidings.shard (group_name, shard)
  select p_group, n from generate_series(0, p_shards - 1) n
  on conflict do nothing;
end
$$;

select tidings.make_group('webhook', 64);
select tidings.make_group('system', 1);
select tidings.make_group('maintenance', 1);

-- The lane of our own work: expanding large fan-outs. Its id is 0, which no other lane has.
insert into tidings.subscriber (subscriber_id, name, kind, shard) overriding system value values (0, 'system', 'system', 0);

-- Tells the owner of a lane that its subscriber has changed. A trigger, so that no way of editing can forget it.
create function tidings.subscriber_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into tidings.shard_config as c (group_name, shard, config_version) values (new.kind, new.shard, 1)
  on conflict (group_name, shard) do update set config_version = c.config_version + 1;
  return null;
end
$$;
create trigger subscriber_changed
  after update of config, in_flight_max, rate_per_s, retry, paused_at, disabled_at, deleted_at, version on tidings.subscriber
  for each row execute function tidings.subscriber_changed();

create function tidings.secret_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tidings.subscriber s set version = s.version + 1, updated_at = clock_timestamp()
  where s.subscriber_id = coalesce(new.subscriber_id, old.subscriber_id);
  return null;
end
$$;
create trigger secret_changed after insert or update or delete on tidings.secret
  for each row execute function tidings.secret_changed();
