-- store_plan: decide what lies in which file.
select tidings.store_plan_v1($1, $2, $3, $4) as "found!: Json<Found>"
