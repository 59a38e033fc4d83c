-- read_plans: a page of the plans of a sink.
select topic_id as "topic_id!", partition as "partition!", plan as "plan!: Json<Plan>" from tidings.plans_v1($1, $2, $3, $4, $5)
