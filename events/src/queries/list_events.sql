-- list_events: read a page of the event log, newest first; the bounds are those of ids, which are those of partitions.
select
  e.event_id as "event_id!",
  e.type as "event_type!",
  e.version as "version!",
  e.tenant as "tenant!",
  e.scope as "scope!",
  e.ordering_key,
  e.created_at as "created_at!",
  e.occurred_at as "occurred_at!",
  e.payload_bytes as "payload_bytes!"
from tidings.event e
where e.event_id >= tidings.uuid_floor(greatest($4::timestamptz, to_timestamp(0)))
  and e.event_id < least(
    $6::uuid,
    tidings.uuid_floor(greatest(least($5::timestamptz, to_timestamp(253402300799)), to_timestamp(0)))
  )
  -- Nothing is read at all where no type matches.
  and ($1::text is null or exists (
    select from tidings.event_type t where tidings.pattern_matches($1, t.type)
  ))
  and ($1::text is null or tidings.pattern_matches($1, e.type))
  and ($2::text is null or e.tenant = $2)
  and ($3::text is null or $3 = '' or e.scope = $3 or starts_with(e.scope, $3 || '/'))
order by e.event_id desc
limit $7
