-- amend_file: a file of a plan with fewer events, or none.
select tidings.amend_file_v1($1, $2, $3, $4) as "amended!"
