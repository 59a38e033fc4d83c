-- restore_type: end the retirement of a version of an event type, or of all of them.
select v as "version!"
from tidings.restore_type_v1($1, $2::smallint) v
