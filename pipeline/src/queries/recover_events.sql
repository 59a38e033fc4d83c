-- recover_events: what a sink has refused before and taken now.
select tidings.recover_events_v1($1, $2, $3) as "moved!"
