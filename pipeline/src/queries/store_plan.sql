-- store_plan: decide what lies in which file.
select tidings.store_plan_v2($1, $2, $3, $4, $5) as "found!: Json<Found>"
