-- name_topic: the id under which the files of a topic lie.
select tidings.name_topic_v1($1) as "topic_id!"
