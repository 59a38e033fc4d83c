-- adopt: write down the terms under which we hold partitions; answers where we go on.
select
  partition as "partition!",
  term as "term!",
  commits as "commits!",
  committed_offset as committed,
  first_offset as "first!"
from tidings.adopt_log_v1($1, $2, $3, $4)
