-- registered: read how many events each partition has taken since it was made, and how many deliveries were written.
select p.name as "partition", s.n_tup_ins as "rows!"
from tidings.partition p
join pg_stat_user_tables s on s.schemaname = 'tidings' and s.relname = p.name
where p.parent = 'event'
union all
select null, s.n_tup_ins from pg_stat_user_tables s where s.schemaname = 'tidings' and s.relname = 'delivery'
