-- project_ledger: keeps records of the ledger and adds what is new to their days.
select tidings.project_ledger_v1($1, $2, $3, $4, $5, $6) as "fresh!"
