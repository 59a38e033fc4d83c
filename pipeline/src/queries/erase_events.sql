-- erase_events: deletes some events of these from a day of the table.
select tidings.erase_events_v1($1, $2, $3, $4) as "erased!"
