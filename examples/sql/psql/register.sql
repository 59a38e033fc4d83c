-- Registers events beside the application's own writes. Run it with register.sh, which says what `number` is.

-- A write and its event: both are there after the commit, or neither.
begin;
insert into shop_order (number, customer) values (:number, 'Ada') on conflict do nothing;
select tidings.register_event(
  'order:placed',
  json_build_object('order', :number, 'customer', 'Ada'),
  scope => 'shop=berlin',
  ordering_key => 'order-' || :number,
  idempotency_key => 'order-' || :number
) as event \gset
commit;
\echo order :number is placed: event :event

-- The same again, as after an answer that got lost: the key says that it is the same event, so nobody is told twice.
begin;
insert into shop_order (number, customer) values (:number, 'Ada') on conflict do nothing;
select tidings.register_event(
  'order:placed',
  json_build_object('order', :number, 'customer', 'Ada'),
  scope => 'shop=berlin',
  ordering_key => 'order-' || :number,
  idempotency_key => 'order-' || :number
) as event \gset
commit;
\echo order :number once more: event :event

-- What cannot be registered is an error. A savepoint before it keeps the transaction usable.
\set ON_ERROR_STOP off
\set SHOW_CONTEXT never
begin;
select :number + 1 as next \gset
insert into shop_order (number, customer) values (:next, 'Bob');
select tidings.register_event('order:placed', json_build_object('order', :next, 'customer', 'Bob'), scope => 'shop=berlin') as event \gset
\echo order :next is placed: event :event

savepoint attempt;
select tidings.register_event('order:lost', '{}');
rollback to attempt;
\echo :LAST_ERROR_SQLSTATE: nobody has declared the type

savepoint attempt;
select tidings.register_event('order:placed', '{}', scope => 'shop berlin');
rollback to attempt;
\echo :LAST_ERROR_SQLSTATE: the scope is no path

savepoint attempt;
select tidings.register_event('order:placed', '{}', idempotency_key => 'order-' || :number);
rollback to attempt;
\echo :LAST_ERROR_SQLSTATE: the key belongs to another event

-- The write and its event go together.
rollback;
select count(*) as orders from shop_order where number = :next \gset
\echo order :next is rolled back: :orders orders
