//! The shop's front door: what customers can ask for over HTTP.
//!
//! Every handler that changes something has the same shape: begin, write the shop's own tables, register the event in
//! the same transaction, commit.
//! Whatever goes wrong on the way rolls back both.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Shop,
    event::{Carrier, Method, OrderCancelled, OrderPaid, OrderPlaced, OrderShipped, Reason},
    order::{Cart, Order, OrderState, Product},
    page,
    problem::Problem,
    store,
};

/// How an order is paid.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Payment {
    pub(crate) method: Method,
}

/// How an order is sent.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Parcel {
    pub(crate) carrier: Carrier,
    pub(crate) number: String,
}

/// Why an order is given up.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Cancellation {
    pub(crate) reason: Reason,
}

/// Returns the routes of the shop.
pub(crate) fn router(shop: Shop) -> Router {
    page::router()
        .route("/products", get(products))
        .route("/orders", post(place))
        .route("/orders/{order_id}", get(show))
        .route("/orders/{order_id}/pay", post(pay))
        .route("/orders/{order_id}/ship", post(ship))
        .route("/orders/{order_id}/cancel", post(cancel))
        .with_state(shop)
}

async fn products(State(shop): State<Shop>) -> Result<Json<Vec<Product>>, Problem> {
    let mut conn = shop.pool.acquire().await?;
    Ok(Json(store::products(&mut conn).await?))
}

async fn place(
    State(shop): State<Shop>,
    Json(cart): Json<Cart>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let mut tx = shop.pool.begin().await?;
    let order = store::place(&mut tx, &cart).await?;
    // Before the shelf is looked at, to show it: where that is empty, the event goes with the order.
    tidings::register_event(&mut tx, &OrderPlaced { shop: &shop.branch, order: &order }).await?;
    store::take_stock(&mut tx, &order).await?;
    tidings::commit(tx).await?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn show(
    State(shop): State<Shop>,
    Path(order_id): Path<Uuid>,
) -> Result<Json<Order>, Problem> {
    let mut conn = shop.pool.acquire().await?;
    let order = store::find(&mut conn, order_id).await?;
    order.map(Json).ok_or(Problem::NoSuchOrder { order_id })
}

async fn pay(
    State(shop): State<Shop>,
    Path(order_id): Path<Uuid>,
    Json(Payment { method }): Json<Payment>,
) -> Result<Json<Order>, Problem> {
    let mut tx = shop.pool.begin().await?;
    let order = store::advance(&mut tx, order_id, OrderState::Paid).await?;
    let event = OrderPaid { shop: &shop.branch, order: &order, method };
    tidings::register_event(&mut tx, &event).await?;
    tidings::commit(tx).await?;
    Ok(Json(order))
}

async fn ship(
    State(shop): State<Shop>,
    Path(order_id): Path<Uuid>,
    Json(Parcel { carrier, number }): Json<Parcel>,
) -> Result<Json<Order>, Problem> {
    let mut tx = shop.pool.begin().await?;
    let order = store::advance(&mut tx, order_id, OrderState::Shipped).await?;
    let event = OrderShipped { shop: &shop.branch, order: &order, carrier, parcel: &number };
    tidings::register_event(&mut tx, &event).await?;
    tidings::commit(tx).await?;
    Ok(Json(order))
}

async fn cancel(
    State(shop): State<Shop>,
    Path(order_id): Path<Uuid>,
    Json(Cancellation { reason }): Json<Cancellation>,
) -> Result<Json<Order>, Problem> {
    let mut tx = shop.pool.begin().await?;
    let order = store::advance(&mut tx, order_id, OrderState::Cancelled).await?;
    let event = OrderCancelled { shop: &shop.branch, order: &order, reason };
    tidings::register_event(&mut tx, &event).await?;
    store::return_stock(&mut tx, &order).await?;
    tidings::commit(tx).await?;
    Ok(Json(order))
}
