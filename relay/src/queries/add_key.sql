-- add_key: add a key to a channel, and the channel if it is not there.
select tidings.add_key_v1($1, $2, $3) as "key_id!"
