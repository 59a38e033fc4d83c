-- stats: count what is pending and what is dead, by subscriber.
select
  t.subscriber_id as "subscriber_id!",
  t.name as "name!",
  t.kind as "kind!",
  t.pending as "pending!",
  t.parked as "parked!",
  t.due as "due!",
  nullif(t.oldest_due_at, 'infinity') as oldest_due_at,
  t.dead as "dead!"
from tidings.stats() t
where t.subscriber_id <> 0
