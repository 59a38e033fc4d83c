//! Simulated customers, who use the shop over HTTP and know nothing else of it.
//!
//! What each of them does follows from its number, so that every run is the same.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::shop::{
    event::{self, Carrier, Reason},
    http::{Cancellation, Parcel, Payment},
    order::{Cart, Line},
};

/// The product of which there are too few.
const SAMOVAR: i32 = 41;

/// A shop that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many customers come, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// How many in all.
    pub(crate) customers: u64,
    /// How many per second, if the shop keeps up.
    pub(crate) per_second: u32,
    /// How many at once, at most.
    pub(crate) at_once: usize,
    /// Nobody comes after so long, however many have.
    pub(crate) time_max: Duration,
}

/// What the customers have been told so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// The tally at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Orders that the shop has taken.
    pub(crate) taken: u64,
    /// Orders that it refused and rolled back: out of stock.
    pub(crate) refused: u64,
    /// Customers who were told something else than they may expect.
    pub(crate) failed: u64,
    /// What the first of them was told.
    pub(crate) failure: Option<String>,
}

/// What a customer wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mind {
    Buys,
    CancelsUnpaid,
    CancelsPaid,
    PaysAndForgets,
}

/// The way to the shop.
#[derive(Debug)]
struct Door {
    client: Client,
    url: String,
}

/// What a customer keeps of an order.
#[derive(Deserialize)]
struct Order {
    id: Uuid,
    revision: i32,
}

impl Crowd {
    /// Returns the crowd of the demo: a quarter of a minute, at a pace that keeps one core of a small machine busy and
    /// leaves the other for what accounting has to catch up with.
    pub(crate) const fn of_the_demo() -> Self {
        Self { customers: 2_000, per_second: 130, at_once: 16, time_max: Duration::from_secs(20) }
    }

    /// Sends the customers to the shop at `url` and waits until the last has left.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made. What customers are told is in `tally`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends everybody home.
    pub(crate) async fn visit(self, url: &str, tally: &Tally) -> Result<()> {
        let door = Door::open(url)?;
        let (next, began) = (AtomicU64::new(0), Instant::now());
        let queue = || async {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs(number) / self.per_second;
                if number >= self.customers || began.elapsed().max(due) > self.time_max {
                    return;
                }
                tokio::time::sleep_until(began + due).await;
                tally.note(door.serve(number, tally).await);
            }
        };
        join_all((0..self.at_once).map(|_| queue())).await;
        Ok(())
    }
}

impl Door {
    fn open(url: &str) -> Result<Self> {
        let (client, url) = (client()?, url.to_owned());
        Ok(Self { client, url })
    }

    /// Lets one customer do what it came for.
    async fn serve(&self, number: u64, tally: &Tally) -> Result<()> {
        let (status, body) = self.ask(Method::POST, "/orders", Some(&cart(number))).await?;
        let order: Order = match status {
            StatusCode::CREATED => serde_json::from_slice(&body)?,
            StatusCode::CONFLICT => {
                tally.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            _ => bail!("POST /orders was answered with {status}"),
        };
        tally.taken.fetch_add(1, Ordering::Relaxed);
        let mind = Mind::of(number);
        if mind != Mind::CancelsUnpaid {
            let method =
                if number.is_multiple_of(3) { event::Method::Invoice } else { event::Method::Card };
            self.change(&order, "pay", &Payment { method }).await?;
        }
        let revision = match mind {
            Mind::Buys => {
                let carrier =
                    if number.is_multiple_of(2) { Carrier::Bicycle } else { Carrier::Post };
                let parcel = Parcel { carrier, number: format!("P{number:06}") };
                self.change(&order, "ship", &parcel).await?
            }
            Mind::CancelsUnpaid => {
                let reason = Reason::ChangedMind;
                self.change(&order, "cancel", &Cancellation { reason }).await?
            }
            Mind::CancelsPaid => {
                let reason = Reason::FoundCheaper;
                self.change(&order, "cancel", &Cancellation { reason }).await?
            }
            Mind::PaysAndForgets => return Ok(()),
        };
        let path = format!("/orders/{}", order.id);
        let (status, body) = self.ask::<()>(Method::GET, &path, None).await?;
        let seen: Order = serde_json::from_slice(&body).with_context(|| status.to_string())?;
        if seen.revision != revision {
            bail!("{path} is at revision {}, and {revision} was promised", seen.revision);
        }
        Ok(())
    }

    /// Changes an order, and returns its revision afterwards.
    async fn change<T: Serialize + Sync>(
        &self,
        order: &Order,
        verb: &str,
        body: &T,
    ) -> Result<i32> {
        let path = format!("/orders/{}/{verb}", order.id);
        let (status, body) = self.ask(Method::POST, &path, Some(body)).await?;
        if status != StatusCode::OK {
            bail!("POST {path} was answered with {status}");
        }
        let order: Order = serde_json::from_slice(&body)?;
        Ok(order.revision)
    }

    async fn ask<T: Serialize + Sync>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request =
                request.header(CONTENT_TYPE, "application/json").body(serde_json::to_vec(body)?);
        }
        let answer = request.send().await.with_context(|| format!("ask for {path}"))?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| format!("read the answer to {path}"))?;
        Ok((status, body.to_vec()))
    }
}

impl Tally {
    /// Returns the tally at this moment.
    pub(crate) fn told(&self) -> Told {
        Told {
            taken: self.taken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            failure: self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn note(&self, outcome: Result<()>) {
        let Err(error) = outcome else { return };
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| format!("{error:#}"));
    }
}

impl Mind {
    const fn of(number: u64) -> Self {
        match number % 20 {
            3 | 13 => Self::CancelsUnpaid,
            7 => Self::CancelsPaid,
            11 => Self::PaysAndForgets,
            _ => Self::Buys,
        }
    }
}

/// Returns a client that wants to be able to speak TLS, although the shop is next door.
pub(super) fn client() -> Result<Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder().tls_backend_preconfigured(tls).timeout(TIMEOUT).no_proxy();
    client.build().context("make the customers' client")
}

/// Returns what a customer puts into the cart: every eighth wants the samovar.
fn cart(number: u64) -> Cart {
    let tea = |shift: u64| Line {
        product_id: i32::try_from((number + shift) % 40).unwrap_or_default() + 1,
        quantity: i32::try_from(number % 3).unwrap_or_default() + 1,
    };
    let mut lines = vec![tea(0), tea(17)];
    if number.is_multiple_of(8) {
        lines.push(Line { product_id: SAMOVAR, quantity: 1 });
    }
    Cart {
        customer: format!("Customer {number}"),
        gift_card: number.is_multiple_of(5).then(|| format!("photos/{number}.png")),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cart_is_one_that_the_shop_accepts() {
        for number in 0..1_000 {
            assert!(cart(number).sorted_lines().is_ok(), "{number}");
        }
    }

    #[test]
    fn customers_differ() {
        let minds: Vec<_> = (0..20).map(Mind::of).collect();
        for mind in [Mind::Buys, Mind::CancelsUnpaid, Mind::CancelsPaid, Mind::PaysAndForgets] {
            assert!(minds.contains(&mind), "{mind:?}");
        }
    }
}
