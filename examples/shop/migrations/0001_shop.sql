-- The shop's own tables, in the database that the outbox is in as well: one transaction covers both.
-- Who is affected: nobody yet; the schema is new. Locks: none that matter.

create schema shop;

create table shop.product (
  product_id int primary key,
  name text not null,
  price_cents bigint not null,
  stock int not null,
  constraint product_price_positive check (price_cents > 0),
  constraint product_stock_not_negative check (stock >= 0)
);

create table shop.orders (
  order_id uuid primary key,
  customer text not null,
  gift_card text,
  state text not null default 'placed',
  revision int not null default 1,
  total_cents bigint not null,
  placed_at timestamptz not null default clock_timestamp(),
  constraint orders_state check (state in ('placed', 'paid', 'shipped', 'cancelled'))
);
comment on column shop.orders.revision is 'How often the order has changed, its placing included: one event each.';

create table shop.order_line (
  order_id uuid not null references shop.orders (order_id),
  product_id int not null references shop.product (product_id),
  quantity int not null,
  price_cents bigint not null,
  primary key (order_id, product_id),
  constraint order_line_quantity_positive check (quantity > 0)
);

insert into shop.product (product_id, name, price_cents, stock)
select n, 'Tea no. ' || n, 490 + 70 * n, 1000000 from generate_series(1, 40) n;

-- Everybody wants one, and there are only a few.
insert into shop.product (product_id, name, price_cents, stock) values (41, 'Samovar', 24900, 40);
