-- replay_many: register the deliveries of dead letters again, in the order given.
select
  c.subscriber_id as "subscriber_id!",
  tidings.replay_v1(c.dead_id) as delivery_id
from (
  select d.subscriber_id, d.dead_id
  from unnest($1::bigint[]) with ordinality o (dead_id, n)
  join tidings.dead d using (dead_id)
  order by o.n
  offset 0
) c
