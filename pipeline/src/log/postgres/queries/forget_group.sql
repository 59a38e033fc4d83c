-- forget_group: take a group out, so that nothing is kept for it any more.
select tidings.forget_log_group_v1($1) as "forgotten!"
