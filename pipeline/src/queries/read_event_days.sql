-- read_event_days: the days that the table of events has.
select day as "day!" from tidings.event_days_v1() as d (day)
