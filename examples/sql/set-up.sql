-- What the four programs find: a table of the application, an event type, and a role that may do no more than it has to.
-- Run it once, as the owner of the schema tidings: psql -v role=shop -f set-up.sql "$DATABASE_URL"
\set ON_ERROR_STOP on

-- The application's own table.
create table if not exists shop_order (
  number bigint primary key,
  customer text not null
);

-- The type of the events. An application in Rust declares its types in code; from other languages, this is how.
select *
from tidings.sync_catalogue_v1('[{
  "type": "order:placed",
  "version": 1,
  "audience": ["notification"],
  "scopes": ["shop"],
  "level": "basic",
  "schema": {"type": "object", "properties": {"order": {"type": "integer"}, "customer": {"type": "string"}}},
  "documentation": "A customer has placed an order."
}]');

-- The role that the application connects as: its own table, and registering. It reads nothing of what is registered.
select format('create role %I login', :'role')
where not exists (select from pg_roles where rolname = :'role') \gexec
grant select, insert on shop_order to :"role";
grant usage on schema tidings to :"role";
grant execute on function tidings.register_event, tidings.register_events to :"role";
