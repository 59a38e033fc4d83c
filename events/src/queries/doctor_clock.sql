-- doctor_clock: read the database's clock.
select clock_timestamp() as "now!"
