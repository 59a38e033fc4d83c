-- hold_back: remember until when nothing may be sent to a subscriber, so that a new owner starts from it.
update tidings.subscriber s set retry_after_until = clock_timestamp() + $2::bigint * interval '1 ms'
where s.subscriber_id = $1
