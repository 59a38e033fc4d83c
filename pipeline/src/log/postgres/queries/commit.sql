-- commit: write outputs and move positions, or neither.
select tidings.commit_log_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) as "status!"
