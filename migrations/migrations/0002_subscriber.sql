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

-- Computes which subscribed patterns match each type. Called when a type or a pattern appears or goes; the lock makes
-- two such calls follow each other, so that neither misses the other's row.
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
end
$$;

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
select tidings.make_group('memory', 16);
select tidings.make_group('system', 1);
select tidings.make_group('maintenance', 1);

-- The lane of our own work: expanding large fan-outs. Its id is 0, which no other lane has.
insert into tidings.subscriber (subscriber_id, name, kind, shard) overriding system value values (0, 'system', 'system', 0);

-- Tells the owner of a lane that its subscriber has changed. A trigger, so that no way of editing can forget it.
create function tidings.subscriber_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
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
language plpgsql security definer set search_path = pg_catalog as $$
begin
  update tidings.subscriber s set version = s.version + 1, updated_at = clock_timestamp()
  where s.subscriber_id = coalesce(new.subscriber_id, old.subscriber_id);
  return null;
end
$$;
create trigger secret_changed after insert or update or delete on tidings.secret
  for each row execute function tidings.secret_changed();
