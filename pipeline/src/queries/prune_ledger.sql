-- prune_ledger: forgets records of the ledger that are older; their days stay.
select tidings.prune_ledger_v1($1) as "gone!"
