-- settle_refused: bury a delivery in a test, as a worker does.
select tidings.bury($1, $2, $3, 1, 'refused', $4, $5)::text
