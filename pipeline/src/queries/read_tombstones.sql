-- read_tombstones: a page of those that were erased, in the order in which they became visible.
select tombstone_id as "tombstone_id!", kind as "kind!", hash as "hash!" from tidings.tombstones_v1($1, $2)
