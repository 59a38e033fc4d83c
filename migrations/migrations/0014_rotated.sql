-- Rotation is told as an event of our own, like whatever else happens to a subscriber.
-- Who is affected: subscribers to `tidings:subscriber:*` and the like, who get one type more. Locks: none that matter.

insert into tidings.event_type (type, version, audience, scopes, level, schema, documentation, partitioned_until)
values ('tidings:subscriber:rotated', 1, '{notification}', '{subscriber}', 'basic',
  '{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["subscriber", "version", "key"],
    "properties": {
      "subscriber": {"type": "object", "required": ["id", "tenant", "name", "kind"], "properties": {
        "id": {"type": "integer"}, "tenant": {"type": "string"}, "name": {"type": "string"}, "kind": {"type": "string"}}},
      "version": {"type": "integer"},
      "key": {"type": "object", "required": ["purpose"], "properties": {
        "purpose": {"type": "string", "enum": ["signing", "key_pair", "credentials"]},
        "fingerprint": {"type": ["string", "null"]}}}}}',
  'A subscriber has a new secret, key pair or credentials; an old one may be in use for a while yet.',
  tidings.partitioned_until())
on conflict do nothing;

-- Tells of new keys. Those that a subscriber was added with are no news beside its addition.
create function tidings.secret_reported() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_version bigint;
begin
  select s.version into v_version from tidings.subscriber s
  where s.subscriber_id = new.subscriber_id and s.subscriber_id <> 0 and s.created_at < transaction_timestamp();
  if found then
    perform tidings.report('tidings:subscriber:rotated', new.subscriber_id, jsonb_build_object(
      'version', v_version,
      'key', jsonb_build_object('purpose', new.purpose, 'fingerprint', new.fingerprint)));
  end if;
  return null;
end
$$;
create trigger secret_reported
  after insert on tidings.secret
  for each row execute function tidings.secret_reported();

-- A type has appeared.
select tidings.match_patterns();

revoke execute on all functions in schema tidings from public;
