-- store_events: stores unique events that are not in the table, and says which were.
select tidings.store_events_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as "there!"
