-- finish_plan: all files of a plan are up.
select tidings.finish_plan_v1($1) as "there!"
