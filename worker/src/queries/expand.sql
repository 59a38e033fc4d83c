-- expand: write the next chunk of a large fan-out.
select tidings.expand_v1($1, $2, $3, $4, $5) as lanes
