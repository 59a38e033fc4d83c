-- read_plan: look for the plan that begins here.
select tidings.read_plan_v1($1, $2, $3, $4) as "found!: Json<Found>"
