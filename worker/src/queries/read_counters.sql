-- read_counters: read what the processes of a reporter have counted.
select r.boot_id as "boot_id!", r.counters as "counters!: Stored<BTreeMap<String, u64>>"
from tidings.read_counters_v1($1) r
