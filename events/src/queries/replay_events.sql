-- replay_events: deliver events again that are still kept.
select
  r.events as "events!",
  r.deliveries as "deliveries!",
  r.lanes as "lanes!",
  r.after_event_id
from tidings.replay_events_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) r
