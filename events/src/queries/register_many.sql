-- register_many: write many events, all of them or none.
select status as "status!", event_id, lanes
from tidings.register_many_v1($1, $2, $3, $4, $5, $6, $7, $8)
