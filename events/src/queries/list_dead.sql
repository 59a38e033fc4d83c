-- list_dead: read a page of the dead letters, newest first.
select
  d.dead_id as "dead_id!",
  d.delivery_id,
  d.event_id,
  d.subscriber_id,
  s.name as "subscriber?",
  d.subscription_id,
  d.type as event_type,
  d.version,
  d.tenant,
  d.scope,
  d.ordering_key,
  d.occurred_at,
  d.attempts,
  d.first_due_at,
  d.died_at,
  d.reason,
  d.last_status,
  d.last_error,
  d.replayed_at
from tidings.dead d
left join tidings.subscriber s using (subscriber_id)
where d.subscriber_id <> 0
  and ($1::text is null or d.tenant = $1)
  and ($2::int is null or d.subscriber_id = $2)
  and ($3::uuid is null or d.event_id = $3)
  and ($4::text is null or tidings.pattern_matches($4, d.type))
  and ($5::text is null or d.reason = $5)
  and ($6::bool is null or (d.replayed_at is not null) = $6)
  and ($7::bigint is null or d.dead_id < $7)
  and ($9::bigint is null or d.dead_id = $9)
order by d.dead_id desc
limit $8
