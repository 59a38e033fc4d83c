-- kinds: read which kinds of subscriber there are; our own groups are none.
select distinct s.group_name as "kind!"
from tidings.shard s
where s.group_name not in ('maintenance', 'system')
order by 1
