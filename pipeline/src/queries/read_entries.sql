-- read_entries: a page of the ledger's records.
select log as "log!", partition as "partition!", ledger_offset as "ledger_offset!", entry as "entry!"
from tidings.telemetry_entries_v1($1, $2, $3, $4, $5, $6)
