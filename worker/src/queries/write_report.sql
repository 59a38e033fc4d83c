-- write_report: move the baseline on and register the events of the report, or neither.
select tidings.write_report_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as lanes
