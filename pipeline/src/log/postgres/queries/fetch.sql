-- fetch: read on in partitions, in their order as given.
select
  partition as "partition!",
  record_offset as "record_offset!",
  appended_at as "appended_at!",
  key,
  headers as "headers!",
  value as "value!"
from tidings.fetch_log_v1($1, $2, $3, $4, $5, $6)
