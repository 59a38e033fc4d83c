-- keep: make partitions ahead, forget old requests, drop old partitions.
select forgotten as "forgotten!", dropped as "dropped!" from tidings.keep_relay_v1($1, $2)
