//! What can happen in the shop, as others are told.
//!
//! Each event is its layers, the shop and the order, and what it adds itself.
//! `scope` lets a subscriber ask for one shop or one order, and `ordering_key` lets it ask for the events of an order in
//! their order.
//!
//! What is marked `#[telemetry]` is all that analytics see; a `String` cannot be marked so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings::{Anonymous, Catalogue, Event, catalogue, catalogue::CatalogueError};

use super::{Branch, order::Order};

/// A customer has placed an order.
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "shop:order:placed",
    version = 1,
    scope(shop, order),
    layers(Branch, Order),
    ordering_key = order
)]
pub(crate) struct OrderPlaced<'a> {
    pub(crate) shop: &'a Branch,
    pub(crate) order: &'a Order,
}

/// An order has been paid.
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "shop:order:paid",
    version = 1,
    scope(shop, order),
    layers(Branch, Order),
    ordering_key = order
)]
pub(crate) struct OrderPaid<'a> {
    pub(crate) shop: &'a Branch,
    pub(crate) order: &'a Order,
    #[telemetry]
    pub(crate) method: Method,
}

/// The parcel of an order has left the shop.
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "shop:order:shipped",
    version = 1,
    scope(shop, order),
    layers(Branch, Order),
    ordering_key = order
)]
pub(crate) struct OrderShipped<'a> {
    pub(crate) shop: &'a Branch,
    pub(crate) order: &'a Order,
    #[telemetry]
    pub(crate) carrier: Carrier,
    /// The number that tells the customer where the parcel is.
    pub(crate) parcel: &'a str,
}

/// An order has been given up, and its goods are on the shelf again.
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "shop:order:cancelled",
    version = 1,
    scope(shop, order),
    layers(Branch, Order),
    ordering_key = order
)]
pub(crate) struct OrderCancelled<'a> {
    pub(crate) shop: &'a Branch,
    pub(crate) order: &'a Order,
    #[telemetry]
    pub(crate) reason: Reason,
}

/// Somebody looks at a product.
///
/// The shop's page tells it to the relay, which checks it against this; nobody registers it here.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "shop:product:viewed", version = 1, audience(client, telemetry))]
pub(crate) struct ProductViewed {
    #[telemetry]
    pub(crate) product_id: i32,
}

/// Somebody has put a product into the basket, in the shop's page.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "shop:basket:filled", version = 1, audience(client, telemetry))]
pub(crate) struct BasketFilled {
    #[telemetry]
    pub(crate) product_id: i32,
    /// How many pieces are in it now.
    #[telemetry]
    pub(crate) pieces: u32,
}

/// How an order is paid.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    Card,
    Invoice,
}

/// Who brings the parcel.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    Bicycle,
    Post,
}

/// Why an order is cancelled.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    ChangedMind,
    FoundCheaper,
}

/// Returns every type of event that the shop registers; it is synced into the database at start.
pub(crate) fn catalogue() -> Result<Catalogue, CatalogueError> {
    catalogue![
        OrderPlaced<'_>,
        OrderPaid<'_>,
        OrderShipped<'_>,
        OrderCancelled<'_>,
        ProductViewed,
        BasketFilled,
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::shop::order::{Line, OrderState};

    fn branch() -> Branch {
        Branch { id: "tea".into(), name: "The Tea Shop".into() }
    }

    fn order() -> Order {
        Order {
            id: Uuid::from_u128(7),
            customer: "Ada Lovelace".into(),
            gift_card: Some("holiday/ada.PNG".into()),
            state: OrderState::Paid,
            revision: 2,
            total_cents: 24_900,
            lines: vec![Line { product_id: 41, quantity: 1 }],
        }
    }

    #[test]
    fn event_is_scoped_to_its_order_and_ordered_within_it() {
        let (shop, order) = (branch(), order());
        let event = OrderPaid { shop: &shop, order: &order, method: Method::Card };
        let id = order.id.to_string();
        assert_eq!(event.scope().unwrap().as_str(), format!("shop=tea/order={id}"));
        assert_eq!(event.ordering_key(), Some(id));
    }

    #[test]
    fn analytics_learn_nothing_about_the_customer() {
        let (shop, order) = (branch(), order());
        let event = OrderPaid { shop: &shop, order: &order, method: Method::Invoice };
        assert_eq!(
            serde_json::to_value(event.telemetry()).unwrap(),
            json!({
                "event_properties": {"shop": {"order": {"state": "paid"}}, "method": "invoice"},
                "derived_properties": {
                    "shop": {"order": {
                        "gift_card_extension": "png",
                        "total_cents_bucket": ">=20000",
                        "lines_count": 1,
                    }},
                },
            })
        );
        assert!(event.notification().unwrap().contains("Ada Lovelace"), "subscribers see all");
    }

    #[test]
    fn catalogue_knows_every_event() {
        assert_eq!(catalogue().unwrap().len(), 6);
    }
}
