-- read_levels: the levels that were in force.
select until_ms as "until_ms!", level as "level!" from tidings.telemetry_levels_v1()
