-- set_channel: add a channel, or change what is given.
select tidings.set_channel_v1($1, $2, $3) as "channel_id!"
