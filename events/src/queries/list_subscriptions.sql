-- list_subscriptions: read the subscriptions of a subscriber, oldest first.
select
  s.subscription_id as "subscription_id!",
  s.subscriber_id,
  p.pattern,
  s.tenant,
  s.scope,
  s.ordered,
  s.filter as "filter: Filter",
  s.created_at
from tidings.subscription s
join tidings.pattern p using (pattern_id)
where s.subscriber_id = $1 and s.deleted_at is null
order by s.subscription_id
