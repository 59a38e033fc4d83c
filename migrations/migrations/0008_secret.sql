-- Keys of webhooks: what a stored secret is for, public keys, and when a receiver was last seen to verify by it.
-- Who is affected: workers from before this migration take every stored secret for one that signs by `v1`, so they
-- cannot open a subscriber that has a key pair or credentials. Update workers before storing the first of those.
-- Locks: tidings.secret exclusively while its rows are checked, which are a few for each subscriber.

alter table tidings.secret
  add column purpose text not null default 'signing',
  add column legacy bool not null default false,
  add column public_key bytea,
  add column fingerprint text,
  add column last_verified_at timestamptz,
  add constraint secret_purpose check (purpose in ('signing', 'key_pair', 'credentials')),
  add constraint secret_legacy_signs check (not legacy or purpose = 'signing'),
  add constraint secret_public_key check (
    (purpose = 'key_pair') = (public_key is not null) and (public_key is null or octet_length(public_key) = 32)),
  add constraint secret_fingerprint check (fingerprint ~ '^[0-9a-f]{8}$'),
  add constraint secret_credentials_stay check (purpose <> 'credentials' or expires_at is null);
comment on column tidings.secret.purpose is 'signing: a symmetric secret. key_pair: Ed25519; subscriber 0 has those of the installation. credentials: what a receiver asks for.';
comment on column tidings.secret.legacy is 'The secret is a text of another system, used as it is, and not bytes behind whsec_.';
comment on column tidings.secret.public_key is 'Of a key pair, so that it can be published without the key that opens `sealed`.';
comment on column tidings.secret.fingerprint is 'The beginning of a hash of the key, by which a receiver names it. Null where the key is short enough to be guessed from it, or older than this column.';
comment on column tidings.secret.last_verified_at is 'When a receiver last said, or let it be seen, that it verifies by this key; written at most once an hour.';

-- A subscriber has one set of credentials.
create unique index secret_credentials on tidings.secret (subscriber_id) where purpose = 'credentials';
-- What is past its time, for pruning.
create index secret_expires on tidings.secret (expires_at) where expires_at is not null;

-- Tells the owners of the lanes which the secret signs for. A key pair of the installation signs for all that ask for
-- `v1a` and have none of their own: their shards are told in one order, so that two changes cannot wait for each other.
create or replace function tidings.secret_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_subscriber int := coalesce(new.subscriber_id, old.subscriber_id);
begin
  -- An expired one has stopped signing by itself.
  if tg_op = 'DELETE' and old.expires_at <= clock_timestamp() then
    return null;
  end if;
  update tidings.subscriber s set version = s.version + 1, updated_at = clock_timestamp()
  where s.subscriber_id = v_subscriber;
  if v_subscriber = 0 then
    insert into tidings.shard_config as c (group_name, shard, config_version)
    select s.kind, s.shard, 1
    from tidings.subscriber s
    where s.config @> '{"signatures": ["v1a"]}' and s.deleted_at is null
    group by s.kind, s.shard
    order by s.kind, s.shard
    on conflict (group_name, shard) do update set config_version = c.config_version + 1;
  end if;
  return null;
end
$$;

-- Noting that a receiver verifies changes nothing for the owner of the lane.
drop trigger secret_changed on tidings.secret;
create trigger secret_changed
  after insert or delete or update of sealed, expires_at, purpose, legacy, public_key
  on tidings.secret
  for each row execute function tidings.secret_changed();

revoke execute on all functions in schema tidings from public;
