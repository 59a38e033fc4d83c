-- explain: say who would be notified of an event, and why.
select
  r.subscriber_id as "subscriber_id!",
  r.name as "name!",
  r.kind as "kind!",
  r.subscription_id as "subscription_id!",
  r.pattern as "pattern!",
  r.matched_scope as "matched_scope!",
  r.ordered as "ordered!",
  r.filter as "filter: Filter",
  r.passes
from tidings.explain_route_v2($1, $2, $3, $4) r
