-- keep: make days of the log ahead, and drop what nobody needs any more.
select dropped as "dropped!", deleted as "deleted!" from tidings.keep_log_v1()
