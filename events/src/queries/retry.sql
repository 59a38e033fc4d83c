-- retry: make a pending delivery due now; our own lane's are not anybody's to move.
select d.subscriber_id as "subscriber_id!", tidings.retry(d.delivery_id) as "retried!"
from tidings.delivery d
where d.delivery_id = $1 and d.subscriber_id <> 0
