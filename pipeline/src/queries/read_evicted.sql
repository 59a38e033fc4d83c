-- read_evicted: which keys of dedup went before their time.
select keys, reaches_s from tidings.telemetry_evicted_v1($1)
