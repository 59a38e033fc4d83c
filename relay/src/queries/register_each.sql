-- register_each: register events, each with an answer of its own.
select tidings.register_each_v1($1, $2, $3, $4, $5, $6, $7) as "written!"
