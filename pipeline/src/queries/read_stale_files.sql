-- read_stale_files: files that are to be deleted, with what has taken their place.
select name as "name!", topic_id as "topic_id!", partition as "partition!", first_offset as "first_offset!",
  last_offset as "last_offset!", codec as "codec!", dt as "dt!", file as "file: Json<PlannedFile>"
from tidings.stale_files_v1($1)
