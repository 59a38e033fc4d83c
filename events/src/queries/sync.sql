-- sync: add and update the event types of an application, and retire those that it retires; remove none.
select c.type as "event_type!", c.version as "version!", c.change as "change!", c.previous::text as "previous"
from tidings.sync_catalogue_v3($1::text::json, $2::text::json) c
