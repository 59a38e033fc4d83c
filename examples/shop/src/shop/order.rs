//! An order: what it holds, and what may become of it.
//!
//! ```text
//! placed ──▶ paid ──▶ shipped
//!    └────────┴─────▶ cancelled
//! ```

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings::{Anonymous, Layer};
use uuid::Uuid;

/// The most lines of an order.
const LINES_MAX: usize = 20;

/// The most pieces of one product.
const QUANTITY_MAX: i32 = 100;

/// An order as it is stored, and the inner layer of every event about it.
///
/// Subscribers see all of it. Analytics see what is marked, and the compiler refuses to mark the customer's name.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema, sqlx::FromRow)]
#[layer(name = "order", id = id)]
pub(crate) struct Order {
    #[sqlx(rename = "order_id")]
    pub(crate) id: Uuid,
    pub(crate) customer: String,
    /// The file with the customer's picture for the card; only its kind is told, `png` for example.
    #[telemetry(extension)]
    pub(crate) gift_card: Option<String>,
    #[telemetry]
    pub(crate) state: OrderState,
    /// How often the order has changed, its placing included.
    pub(crate) revision: i32,
    #[telemetry(bucket(1_000, 5_000, 20_000))]
    pub(crate) total_cents: i64,
    #[telemetry(count)]
    #[sqlx(json)]
    pub(crate) lines: Vec<Line>,
}

/// What the shop sells.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Product {
    #[serde(rename = "product_id")]
    #[sqlx(rename = "product_id")]
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) price_cents: i64,
}

/// One product in an order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Line {
    pub(crate) product_id: i32,
    pub(crate) quantity: i32,
}

/// Where an order stands.
#[derive(Anonymous, Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum OrderState {
    Placed,
    Paid,
    Shipped,
    Cancelled,
}

/// What a customer wants to buy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Cart {
    pub(crate) customer: String,
    pub(crate) gift_card: Option<String>,
    pub(crate) lines: Vec<Line>,
}

impl OrderState {
    /// Returns the states from which an order may come into this one.
    pub(crate) const fn before(self) -> &'static [Self] {
        match self {
            Self::Placed => &[],
            Self::Paid => &[Self::Placed],
            Self::Shipped => &[Self::Paid],
            Self::Cancelled => &[Self::Placed, Self::Paid],
        }
    }

    /// Returns the word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Cart {
    /// Returns the lines in the order of products, or what is wrong with them.
    ///
    /// In one order, so that two transactions never take the same two products crosswise and wait for each other.
    pub(crate) fn sorted_lines(&self) -> Result<Vec<Line>, &'static str> {
        let mut lines = self.lines.clone();
        lines.sort_by_key(|line| line.product_id);
        if !(1..=LINES_MAX).contains(&lines.len()) {
            return Err("an order has 1 to 20 lines");
        }
        if lines.iter().any(|line| !(1..=QUANTITY_MAX).contains(&line.quantity)) {
            return Err("a line has 1 to 100 pieces");
        }
        if lines.windows(2).any(|pair| pair[0].product_id == pair[1].product_id) {
            return Err("a product stands in one line only");
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [OrderState; 4] =
        [OrderState::Placed, OrderState::Paid, OrderState::Shipped, OrderState::Cancelled];

    #[test]
    fn shipped_and_cancelled_are_final() {
        for last in [OrderState::Shipped, OrderState::Cancelled] {
            assert!(ALL.iter().all(|next| !next.before().contains(&last)), "{last}");
        }
    }

    #[test]
    fn order_cannot_be_shipped_before_it_is_paid() {
        assert_eq!(OrderState::Shipped.before(), [OrderState::Paid]);
    }

    #[test]
    fn cart_is_sorted_by_product_and_its_limits_are_kept() {
        let cart = |lines: &[(i32, i32)]| {
            let lines = lines.iter().map(|&(product_id, quantity)| Line { product_id, quantity });
            let cart = Cart { customer: "Ada".into(), gift_card: None, lines: lines.collect() };
            cart.sorted_lines().map(|lines| lines.iter().map(|line| line.product_id).collect())
        };
        assert_eq!(cart(&[(7, 1), (3, 100)]), Ok(vec![3, 7]));
        for lines in [&[][..], &[(1, 0)], &[(1, 101)], &[(1, -1)], &[(1, 1), (1, 2)], &[(1, 1); 21]]
        {
            assert!(cart(lines).is_err(), "{lines:?}");
        }
    }
}
