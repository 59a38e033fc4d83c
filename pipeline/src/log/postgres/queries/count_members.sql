-- count_members: how many members a group has that are believed alive.
select tidings.count_log_members_v1($1, $2) as "members!"
