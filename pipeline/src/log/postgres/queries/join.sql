-- join: register a group with a topic; answers by which shards its members share the partitions.
select topic_id as "topic_id!", shards as "shards!" from tidings.join_log_v1($1, $2)
