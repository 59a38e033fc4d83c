-- unpark: make every parked head of these lanes due.
select tidings.unpark_heads($1) as "unparked!"
