-- settle_delivered: end a delivery in a test.
delete from tidings.delivery d
where d.subscriber_id = $1 and d.due_at = $2 and d.delivery_id = $3
