//! The shop's queries, one function each.
//!
//! They are checked when they run, so that this folder compiles without a database when you copy it.

use sqlx::{PgConnection, PgPool, PgTransaction};
use uuid::Uuid;

use super::{
    order::{Cart, Order, OrderState, Product},
    problem::Problem,
};

/// Brings the shop's own tables up to date.
///
/// The record is in the usual place, `_sqlx_migrations`; that of the outbox is in `tidings.migration`.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!("./migrations").run(pool).await
}

/// Reads what the shop sells.
pub(crate) async fn products(conn: &mut PgConnection) -> Result<Vec<Product>, Problem> {
    let products = sqlx::query_as(
        "select p.product_id, p.name, p.price_cents from shop.product p order by p.product_id",
    );
    Ok(products.fetch_all(conn).await?)
}

/// Writes a new order.
pub(crate) async fn place(tx: &mut PgTransaction<'_>, cart: &Cart) -> Result<Order, Problem> {
    let lines = cart.sorted_lines().map_err(Problem::BadCart)?;
    let (products, quantities): (Vec<i32>, Vec<i32>) =
        lines.iter().map(|line| (line.product_id, line.quantity)).unzip();
    let order = sqlx::query_as(
        "with line as (
           select p.product_id, w.quantity, p.price_cents
           from unnest($4::int[], $5::int[]) w (product_id, quantity) join shop.product p using (product_id)
         ), placed as (
           insert into shop.orders (order_id, customer, gift_card, total_cents)
           select $1, $2, $3, sum(l.quantity * l.price_cents) from line l having count(*) = cardinality($4)
           returning order_id, customer, gift_card, state, revision, total_cents
         ), written as (
           insert into shop.order_line (order_id, product_id, quantity, price_cents)
           select p.order_id, l.product_id, l.quantity, l.price_cents from placed p cross join line l
         )
         select p.order_id, p.customer, p.gift_card, p.state, p.revision, p.total_cents, $6::jsonb as lines
         from placed p",
    )
    .bind(Uuid::new_v4())
    .bind(&cart.customer)
    .bind(&cart.gift_card)
    .bind(&products)
    .bind(&quantities)
    .bind(sqlx::types::Json(&lines))
    .fetch_optional(&mut **tx)
    .await?;
    order.ok_or(Problem::UnknownProduct)
}

/// Brings an order into another state.
pub(crate) async fn advance(
    tx: &mut PgTransaction<'_>,
    order_id: Uuid,
    next: OrderState,
) -> Result<Order, Problem> {
    let order: Option<Order> = sqlx::query_as(
        "update shop.orders o set state = $2, revision = o.revision + 1
         where o.order_id = $1 and o.state = any($3)
         returning o.order_id, o.customer, o.gift_card, o.state, o.revision, o.total_cents, (
           select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'quantity', l.quantity) order by l.product_id)
           from shop.order_line l where l.order_id = o.order_id
         ) as lines",
    )
    .bind(order_id)
    .bind(next)
    .bind(next.before().iter().map(|state| state.as_str()).collect::<Vec<_>>())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(order) = order else {
        let order = find(tx, order_id).await?.ok_or(Problem::NoSuchOrder { order_id })?;
        return Err(Problem::WrongState { state: order.state, next });
    };
    Ok(order)
}

/// Reads an order.
pub(crate) async fn find(
    conn: &mut PgConnection,
    order_id: Uuid,
) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as(
        "select o.order_id, o.customer, o.gift_card, o.state, o.revision, o.total_cents,
           jsonb_agg(jsonb_build_object('product_id', l.product_id, 'quantity', l.quantity) order by l.product_id) as lines
         from shop.orders o join shop.order_line l using (order_id)
         where o.order_id = $1
         group by o.order_id",
    )
    .bind(order_id)
    .fetch_optional(conn)
    .await
}

/// Takes what was ordered off the shelf.
pub(crate) async fn take_stock(tx: &mut PgTransaction<'_>, order: &Order) -> Result<(), Problem> {
    for line in &order.lines {
        let taken = sqlx::query(
            "update shop.product set stock = stock - $2 where product_id = $1 and stock >= $2",
        )
        .bind(line.product_id)
        .bind(line.quantity)
        .execute(&mut **tx)
        .await?;
        if taken.rows_affected() == 0 {
            return Err(Problem::OutOfStock { product_id: line.product_id });
        }
    }
    Ok(())
}

/// Puts what was ordered back on the shelf.
pub(crate) async fn return_stock(tx: &mut PgTransaction<'_>, order: &Order) -> Result<(), Problem> {
    for line in &order.lines {
        sqlx::query("update shop.product set stock = stock + $2 where product_id = $1")
            .bind(line.product_id)
            .bind(line.quantity)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
