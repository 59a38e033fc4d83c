-- settle_failed: count a failed attempt in a test; the delivery stays due, so that the next drain tries again.
update tidings.delivery d set attempt = least(d.attempt + 1, 32767)
where d.subscriber_id = $1 and d.due_at = $2 and d.delivery_id = $3
