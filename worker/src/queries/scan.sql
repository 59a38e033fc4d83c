-- scan: which lanes have pending rows, and when the first of each is due.
select lane as "lane!", group_name, shard, due_in_ms
from tidings.scan_v1($1, $2)
