-- read_report: read the baseline of a reporter, and whether the level permits the next report.
select
  r.read_at as "read_at!",
  r.baseline,
  r.requested,
  r.permitted,
  r.permitted_throughout
from tidings.read_report_v1($1) r
