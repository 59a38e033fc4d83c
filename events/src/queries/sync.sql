-- sync: add and update the event types of an application; remove none.
select c.type as "event_type!", c.version as "version!", c.change as "change!"
from tidings.sync_catalogue_v1($1::text::json) c
