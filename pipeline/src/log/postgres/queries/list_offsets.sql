-- list_offsets: where a group goes on in each partition of a topic.
select committed_offset as committed from tidings.list_log_offsets_v1($1, $2) order by partition
