-- list_bounds: where the partitions of a topic begin and end.
select partition as "partition!", first_offset as "first!", next_offset as "end!" from tidings.list_log_bounds_v1($1)
