-- register: write the event and one delivery per matching subscriber.
select tidings.register_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as "written!"
