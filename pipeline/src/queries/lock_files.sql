-- lock_files: one at a time writes files anew.
select tidings.lock_files_v1($1) as locked
