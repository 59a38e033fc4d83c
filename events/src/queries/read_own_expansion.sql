-- read_own_expansion: read one large fan-out that this very transaction leaves to a worker.
select x.event_id
from tidings.expansion x
cross join (select pg_current_xact_id()::text::bigint as id offset 0) mine
where pg_xact_status(
    (mine.id + (((x.xmin::text::bigint - mine.id) << 32) >> 32))::text::xid8
  ) = 'in progress'
limit 1
