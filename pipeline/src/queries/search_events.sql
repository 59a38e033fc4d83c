-- search_events: a page of the table, the latest first.
select document_id as "document_id!", ets as "ets!", syncts as "syncts!", eid, mid, device, actor, channel, pdata_id,
  env, event as "event!"
from tidings.search_events_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)
