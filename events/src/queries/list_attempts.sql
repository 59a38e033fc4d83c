-- list_attempts: read what was tried for an event, oldest first; ids are up to an hour ahead of the clock.
select
  a.at,
  a.delivery_id,
  a.subscriber_id,
  s.name as "subscriber?",
  a.subscription_id,
  a.attempt,
  a.outcome,
  a.status,
  a.elapsed_ms,
  a.error
from tidings.attempt a
left join tidings.subscriber s using (subscriber_id)
where a.event_id = $1
  and a.at >= tidings.uuid_at($1) - interval '2 hours'
  and ($2::bigint is null or a.delivery_id = $2)
  and a.subscriber_id <> 0
order by a.at, a.delivery_id, a.attempt
limit $3
