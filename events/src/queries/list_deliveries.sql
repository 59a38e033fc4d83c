-- list_deliveries: read a page of what is pending, by id.
select
  d.delivery_id as "delivery_id!",
  d.event_id as "event_id!",
  e.type as "event_type?",
  d.subscriber_id as "subscriber_id!",
  s.name as "subscriber?",
  d.subscription_id,
  d.due_at,
  d.due as "due!",
  d.first_due_at as "first_due_at!",
  d.attempts as "attempts!",
  d.crashes as "crashes!",
  d.ordered as "ordered!"
from (
  select
    d.delivery_id,
    d.event_id,
    d.subscriber_id,
    d.subscription_id,
    nullif(d.due_at, 'infinity') as due_at,
    d.due_at <= clock_timestamp() as due,
    d.first_due_at,
    d.attempt as attempts,
    d.crashes,
    d.key_hash is not null as ordered
  from tidings.delivery d
  where d.subscriber_id <> 0
    and ($1::bigint is null or d.delivery_id = $1)
    and ($2::int is null or d.subscriber_id = $2)
    and ($3::uuid is null or d.event_id = $3)
    and ($4::text is null or $4 = case
      when d.due_at = 'infinity' then 'parked'
      when d.due_at <= clock_timestamp() then 'due'
      else 'waiting'
    end)
    and d.delivery_id > coalesce($5::bigint, 0)
  order by d.delivery_id
  limit $6
) d
left join tidings.subscriber s using (subscriber_id)
left join lateral (select e.type from tidings.event e where e.event_id = d.event_id limit 1) e on true
order by d.delivery_id
