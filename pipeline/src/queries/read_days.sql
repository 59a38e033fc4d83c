-- read_days: what each step and sink has done with the telemetry of these days.
select day as "day!", step as "step!", sink as "sink!", batches as "batches!", batches_failed as "batches_failed!",
  bytes_failed as "bytes_failed!", received as "received!", passed as "passed!", taken as "taken!",
  derived as "derived!", unique_events as "unique_events!", duplicate as "duplicate!", failed as "failed!",
  filtered as "filtered!", collision as "collision!", stored as "stored!", already_there as "already_there!",
  rejected as "rejected!"
from tidings.telemetry_days_v1($1, $2)
