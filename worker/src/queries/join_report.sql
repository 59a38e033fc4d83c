-- join_report: say that there is a reporter.
select from tidings.join_report_v1($1, $2, $3)
