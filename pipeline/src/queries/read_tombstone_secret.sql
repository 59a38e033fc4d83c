-- read_tombstone_secret: the key of tombstones.
select tidings.tombstone_secret_v1() as "secret!"
