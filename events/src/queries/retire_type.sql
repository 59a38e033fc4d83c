-- retire_type: retire a version of an event type, or all of them.
select v as "version!"
from tidings.retire_type_v1($1, $2::smallint) v
