-- doctor_indexes: read which of these indexes are missing or were left invalid.
select n.name as "name!", c.oid is not null as "there!"
from unnest($1::text[]) as n (name)
left join pg_class c on c.relname = n.name and c.relnamespace = 'tidings'::regnamespace
left join pg_index i on i.indexrelid = c.oid
where i.indisvalid is not true
