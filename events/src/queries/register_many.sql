-- register_many: write many events, all of them or none.
select tidings.register_many_v1($1, $2, $3, $4, $5, $6, $7, $8) as "written!"
