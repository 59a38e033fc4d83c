-- append: write records of many partitions; answers the first offset in each of these.
select tidings.append_log_v1($1, $2, $3, $4, $5, $6, $7, $8) as "firsts!"
