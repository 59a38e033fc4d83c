-- prepare: make the topics that are missing; answers how many partitions each has.
select name as "name!", partitions as "partitions!" from tidings.prepare_log_v1($1, $2, $3)
