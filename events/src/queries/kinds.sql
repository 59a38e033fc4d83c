-- kinds: read which kinds of subscriber there are; our own groups, and those of reporters, are none.
select distinct s.group_name as "kind!"
from tidings.shard s
where s.group_name not in ('maintenance', 'system') and not starts_with(s.group_name, 'report:')
order by 1
