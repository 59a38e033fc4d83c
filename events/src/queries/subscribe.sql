-- subscribe: add a subscription, or find the one that is there.
select s.subscription_id as "subscription_id!", s.added as "added!"
from tidings.subscribe_v2($1, $2, $3, $4, $5, $6) s
