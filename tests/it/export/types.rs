//! Event types with whatever a schema can have.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tidings::{Event, Layer};
use uuid::Uuid;

/// A field that may hold anything.
pub(super) const ANYTHING: &str = "anything";

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "shop", id = id)]
pub(super) struct Shop {
    id: u32,
    /// Where it is; */ ends no comment.
    city: Option<String>,
}

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, scope(shop), layers(Shop))]
pub(super) struct OrderPlaced {
    shop: Shop,
    order: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    gift: Option<Gift>,
    #[serde(rename = "placed-at")]
    placed_at: DateTime<Utc>,
    lines: Vec<Line>,
    tags: BTreeMap<String, Vec<String>>,
    stock: BTreeMap<u32, f64>,
    place: (f64, f64),
    state: State,
    customer: Customer,
    anything: Value,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Line {
    article: Uuid,
    #[schemars(range(min = 1, max = 99))]
    quantity: u8,
    /// In cents.
    price: i64,
}

#[derive(Serialize, JsonSchema)]
struct Gift {
    #[schemars(length(min = 6, max = 40))]
    words: String,
}

#[derive(Serialize, JsonSchema)]
struct Customer {
    is_new: bool,
    #[serde(flatten)]
    person: Person,
    #[serde(flatten)]
    contact: Contact,
}

#[derive(Serialize, JsonSchema)]
struct Person {
    name: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Contact {
    Mail(String),
    Phone(String),
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    /// Nobody looks at it any more.
    Closed,
}

pub(super) mod v2 {
    use super::{Event, JsonSchema, Serialize};

    /// An order has been placed.
    ///
    /// With a number that people can read.
    #[derive(Event, Serialize, JsonSchema)]
    #[event(name = "order:placed", version = 2)]
    pub(in crate::export) struct OrderPlaced {
        number: i32,
    }

    impl OrderPlaced {
        pub(in crate::export) fn all() -> [Self; 1] {
            [Self { number: -7 }]
        }
    }
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:paid", version = 1)]
pub(super) struct OrderPaid {
    method: Method,
    voucher: Voucher,
    change: Change,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Method {
    Cash,
    Card { last_four: String, limit: Option<u32> },
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Voucher {
    None,
    Percent(u8),
    Code { code: String },
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "is", content = "of")]
enum Change {
    Exact,
    Coins(Vec<u16>),
}

/// A tree has grown.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "tree:grown", version = 1)]
pub(super) struct TreeGrown {
    root: Branch,
}

#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Branch {
    children: Vec<Self>,
    graft: Option<Box<Self>>,
}

/// Two types whose names would be the same without their separators.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "shelf:moved", version = 1)]
pub(super) struct ShelfMoved {
    pub(super) shelf: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "shelf:moved-back", version = 1)]
pub(super) struct ShelfMovedBack {
    pub(super) shelf: u32,
}

impl OrderPlaced {
    pub(super) fn all() -> [Self; 2] {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let line = Line { article: Uuid::from_u128(7), quantity: 3, price: 250 };
        let person = || Person { name: "Asha".to_owned() };
        let mail = Contact::Mail("asha@example.com".to_owned());
        let phone = Contact::Phone("1".to_owned());
        let customer = |is_new, contact| Customer { is_new, person: person(), contact };
        let least = Self {
            shop: Shop { id: 1, city: None },
            order: 1,
            note: None,
            gift: None,
            placed_at: at,
            lines: Vec::new(),
            tags: BTreeMap::new(),
            stock: BTreeMap::new(),
            place: (52.5, 13.4),
            state: State::Open,
            customer: customer(true, mail),
            anything: Value::Null,
        };
        let most = Self {
            shop: Shop { id: 2, city: Some("Pune".to_owned()) },
            order: 2,
            note: Some("*/ please ring".to_owned()),
            gift: Some(Gift { words: "with love".to_owned() }),
            placed_at: at,
            lines: vec![line.clone(), line],
            tags: BTreeMap::from([("colour".to_owned(), vec!["red".to_owned()])]),
            stock: BTreeMap::from([(7, 1.5)]),
            place: (0.0, 0.0),
            state: State::Closed,
            customer: customer(false, phone),
            anything: serde_json::json!({"a": [1]}),
        };
        [least, most]
    }
}

impl OrderPaid {
    pub(super) fn all() -> [Self; 3] {
        let code = || Voucher::Code { code: "X".to_owned() };
        let card = |limit| Method::Card { last_four: "4242".to_owned(), limit };
        [
            Self { method: Method::Cash, voucher: Voucher::None, change: Change::Coins(vec![50]) },
            Self { method: card(None), voucher: Voucher::Percent(5), change: Change::Exact },
            Self { method: card(Some(1)), voucher: code(), change: Change::Exact },
        ]
    }
}

impl TreeGrown {
    pub(super) fn example() -> Self {
        let leaf = || Branch { children: Vec::new(), graft: None };
        Self { root: Branch { children: vec![leaf(), leaf()], graft: Some(Box::new(leaf())) } }
    }
}
