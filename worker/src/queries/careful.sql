-- careful: note that a delivery is about to be alone in flight.
select tidings.careful_v1($1, $2, $3, $4, $5, $6, $7) as crashes
