-- open: where a reader of a partition begins and ends.
select topic_id as "topic_id!", begins_at as "begins_at!", ends_at as "ends_at!"
from tidings.open_log_v1($1, $2, $3, $4)
