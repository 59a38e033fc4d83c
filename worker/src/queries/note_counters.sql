-- note_counters: write down what a process of a reporter has counted.
select from tidings.note_counters_v1($1, $2, $3)
