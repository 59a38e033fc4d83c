-- add_subscriber: write a subscriber unless its name is taken; its shard follows from its id and never changes.
with next as (
  select nextval(pg_get_serial_sequence('tidings.subscriber', 'subscriber_id'))::int as subscriber_id
), shards as (
  select count(*) as number from tidings.shard s where s.group_name = $3
)
insert into tidings.subscriber
  (subscriber_id, tenant, name, kind, shard, view, config, in_flight_max, rate_per_s, retry)
overriding system value
select n.subscriber_id, $1, $2, $3, (n.subscriber_id % s.number)::smallint, $4, $5, $6, $7, $8
from next n
cross join shards s
on conflict (tenant, name) where deleted_at is null do nothing
returning subscriber_id
