-- forget_stale_file: it is deleted.
select tidings.forget_stale_file_v1($1, $2) as forgotten
