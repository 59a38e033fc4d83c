-- lock_dead_keys: lock the ordering keys of dead letters in one order, as registering many does, so that two calls
-- cannot wait for each other.
select pg_advisory_xact_lock(1414087764, k.key_hash)::text
from (
  select distinct tidings.key_hash(d.tenant, d.ordering_key) as key_hash
  from tidings.dead d
  join tidings.subscription s using (subscription_id)
  where d.dead_id = any($1::bigint[]) and d.ordering_key is not null and s.ordered
  order by 1
  offset 0
) k
