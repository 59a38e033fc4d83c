-- amend_plan: the same events as other bytes.
select tidings.amend_plan_v1($1, $2, $3, $4) as "amended!"
