-- replay: register the delivery of a dead letter again, and say what stands in the way where that cannot be.
select
  d.subscriber_id as "subscriber_id!",
  d.payload is not null as "has_event!",
  exists (
    select from tidings.subscriber s where s.subscriber_id = d.subscriber_id and s.deleted_at is null
  ) as "has_subscriber!",
  tidings.replay_v1(d.dead_id) as delivery_id
from tidings.dead d
where d.dead_id = $1 and d.subscriber_id <> 0
