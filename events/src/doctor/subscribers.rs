//! Subscribers that get nothing for now, and secrets that cannot be opened.

use sqlx::PgConnection;

use super::{Finding, named, span};
use crate::{
    Result,
    secret::{KeyId, Keyring},
    store::doctor::{self as store, KeyRow, SubscriberRow},
};

pub(super) async fn subscribers(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(store::subscribers(conn).await?.iter().flat_map(of_subscriber).collect())
}

pub(super) async fn secrets(
    conn: &mut PgConnection,
    keyring: Option<&Keyring>,
) -> Result<Vec<Finding>> {
    let rows = store::keys(conn).await?;
    Ok(rows.iter().filter_map(|row| of_key(row, keyring)).collect())
}

fn of_subscriber(row: &SubscriberRow) -> Vec<Finding> {
    let name = &row.name;
    let who = named(&row.tenant, name);
    let mut found = Vec::new();
    if let Some(disabled_s) = row.disabled_s {
        let reason = row.disabled_reason.as_deref().unwrap_or("for no stated reason");
        found.push(Finding::warning(
            "subscriber_disabled",
            format!(
                "`{name}` was disabled {} ago and gets nothing: {reason}",
                span(disabled_s)
            ),
            format!(
                "repair its endpoint, try it with `tidings subscriber ping {who}`, then `tidings subscriber resume {who}`"
            ),
        ));
    }
    if row.open {
        found.push(Finding::warning(
            "breaker_open",
            format!("the breaker of `{name}` is open: its endpoint fails, and one delivery at a time tries it"),
            format!("repair its endpoint, then `tidings subscriber resume {who}`"),
        ));
    }
    if let Some(paused_s) = row.paused_s {
        found.push(Finding::info(
            "subscriber_paused",
            format!("somebody paused `{name}` {} ago; its deliveries wait", span(paused_s)),
            format!("tidings subscriber resume {who}"),
        ));
    }
    if let Some(held_back_s) = row.held_back_s {
        found.push(Finding::info(
            "subscriber_held_back",
            format!("`{name}` asked for nothing to be sent for another {}", span(held_back_s)),
            format!("wait, or `tidings subscriber resume {who}`"),
        ));
    }
    found
}

fn of_key(row: &KeyRow, keyring: Option<&Keyring>) -> Option<Finding> {
    let id = KeyId::of_sealed(&row.header);
    if let (Some(keyring), Some(id)) = (keyring, id)
        && keyring.holds(id)
    {
        return None;
    }
    let whose = match row.subscribers {
        1 => format!("the secret of `{}`", row.name),
        many => format!("the secrets of {many} subscribers, `{}` for example,", row.name),
    };
    let sealed = if row.subscribers == 1 { "is sealed" } else { "are sealed" };
    let under =
        id.map_or_else(|| "in an unknown form".to_owned(), |id| format!("under the key {id}"));
    let (code, there) = match keyring {
        None => ("key_missing", "there is no key here".to_owned()),
        Some(keyring) => {
            ("key_unknown", format!("the keys here are {keyring:?}").replace("Keyring", ""))
        }
    };
    let cure = match keyring {
        None => "set TIDINGS_KEY or --key-file to what the workers have",
        Some(_) => {
            "put the old key behind the new one, with a comma, in TIDINGS_KEY or the key file; if it is lost, rotate: `tidings subscriber rotate NAME`"
        }
    };
    Some(Finding::error(code, format!("{whose} {sealed} {under}, and {there}"), cure))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn key_that_is_in_the_ring_is_nothing_to_speak_of() {
        let mut rng = StdRng::seed_from_u64(1);
        let (ours, theirs) = (Keyring::generate(&mut rng), Keyring::generate(&mut rng));
        let header = ours.seal(&mut rng, b"x", b"y")[..5].to_vec();
        let row = KeyRow { header, subscribers: 2, name: "billing".to_owned() };
        assert_eq!(of_key(&row, Some(&ours)), None);
        assert_eq!(of_key(&row, None).unwrap().code, "key_missing");
        let found = of_key(&row, Some(&theirs)).unwrap();
        assert_eq!(found.code, "key_unknown");
        let (ours, theirs) = (ours.current().to_string(), theirs.current().to_string());
        assert!(found.what.contains(&ours) && found.what.contains(&theirs), "{found:?}");
        assert!(found.what.starts_with("the secrets of 2 subscribers, `billing`"), "{found:?}");
    }
}
