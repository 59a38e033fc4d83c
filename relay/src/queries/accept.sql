-- accept: append the requests that were not seen before to the raw log.
select tidings.accept_v1($1, $2, $3, $4, $5, $6) as "offsets!: Vec<Option<i64>>"
