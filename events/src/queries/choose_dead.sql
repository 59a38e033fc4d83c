-- choose_dead: lock the oldest dead letters that can be replayed and have not been.
select d.dead_id as "dead_id!"
from tidings.dead d
where d.subscriber_id <> 0
  and d.replayed_at is null
  and d.payload is not null
  and exists (
    select from tidings.subscriber s where s.subscriber_id = d.subscriber_id and s.deleted_at is null
  )
  and ($1::text is null or d.tenant = $1)
  and ($2::int is null or d.subscriber_id = $2)
  and ($3::uuid is null or d.event_id = $3)
  and ($4::text is null or tidings.pattern_matches($4, d.type))
  and ($5::text is null or d.reason = $5)
order by d.dead_id
limit $6
for update of d skip locked
