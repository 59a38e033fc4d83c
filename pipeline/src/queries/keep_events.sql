-- keep_events: drops one day of the table that is older than it is kept.
select tidings.keep_events_v1($1) as "dropped!"
