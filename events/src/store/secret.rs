//! What is stored sealed: keys that sign, and credentials.

use sqlx::PgConnection;

use crate::{
    Error, Result,
    secret::PublicKey,
    subscriber::{Purpose, StoredSecret},
};

/// A subscriber as a change of its secrets sees it.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) config: serde_json::Value,
}

/// A secret that is sealed and about to be stored.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) purpose: Purpose,
    pub(crate) is_legacy: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) public_key: Option<PublicKey>,
    pub(crate) fingerprint: Option<String>,
}

/// Locks a subscriber against other changes of its secrets; `None` if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: i32) -> Result<Option<Holder>> {
    sqlx::query_file_as!(Holder, "src/queries/lock_secrets.sql", id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("lock the subscriber"))
}

/// Returns how many keys of one purpose sign.
pub(crate) async fn count(conn: &mut PgConnection, id: i32, purpose: Purpose) -> Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from tidings.secret k where k.subscriber_id = $1 and k.purpose = $2
             and (k.expires_at is null or k.expires_at > clock_timestamp())"#,
        id,
        purpose.as_str(),
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("count the keys of the subscriber"))
}

/// What there is to sign with and to send.
#[derive(Debug)]
pub(crate) struct Which {
    pub(crate) secret: bool,
    /// Of the subscriber or of the installation.
    pub(crate) key_pair: bool,
    pub(crate) credentials: bool,
}

/// Returns what of a subscriber can sign and be sent; secrets of other systems count only where `legacy` says so.
pub(crate) async fn which(conn: &mut PgConnection, id: i32, legacy: bool) -> Result<Which> {
    sqlx::query_file_as!(Which, "src/queries/which_secrets.sql", id, legacy)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("read which secrets the subscriber has"))
}

/// Ends the keys of one purpose after `overlap_ms`; those that end sooner already are left at that.
pub(crate) async fn retire(
    conn: &mut PgConnection,
    id: i32,
    purpose: Purpose,
    overlap_ms: i64,
) -> Result<()> {
    sqlx::query_file!("src/queries/retire_secrets.sql", id, purpose.as_str(), overlap_ms)
        .execute(conn)
        .await
        .map_err(Error::unanswered("retire the keys of the subscriber"))?;
    Ok(())
}

/// Removes what of a subscriber signs no more.
pub(crate) async fn prune(conn: &mut PgConnection, id: i32) -> Result<()> {
    sqlx::query!(
        "delete from tidings.secret k where k.subscriber_id = $1 and k.expires_at <= clock_timestamp()",
        id
    )
    .execute(conn)
    .await
    .map_err(Error::unanswered("remove the expired keys of the subscriber"))?;
    Ok(())
}

/// Stores a secret, and returns the id of its row.
pub(crate) async fn add(conn: &mut PgConnection, id: i32, new: &Sealed) -> Result<i32> {
    sqlx::query_file_scalar!(
        "src/queries/add_secret.sql",
        id,
        new.purpose.as_str(),
        new.is_legacy,
        new.bytes,
        new.public_key.as_ref().map(|key| &key.as_bytes()[..]),
        new.fingerprint,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("store the secret of the subscriber"))
}

/// Removes the credentials of a subscriber.
pub(crate) async fn remove_credentials(conn: &mut PgConnection, id: i32) -> Result<()> {
    sqlx::query!(
        "delete from tidings.secret k where k.subscriber_id = $1 and k.purpose = 'credentials'",
        id
    )
    .execute(conn)
    .await
    .map_err(Error::unanswered("remove the credentials of the subscriber"))?;
    Ok(())
}

pub(crate) async fn list(conn: &mut PgConnection, id: i32) -> Result<Vec<StoredSecret>> {
    let rows = sqlx::query_file!("src/queries/list_secrets.sql", id)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read which secrets the subscriber has"))?;
    rows.into_iter()
        .map(|row| {
            let corrupt =
                |column| Error::Corrupt { table: "secret", column, row: row.secret_id.to_string() };
            let public_key = row.public_key.as_deref().map(PublicKey::from_bytes).transpose();
            Ok(StoredSecret {
                secret_id: row.secret_id,
                purpose: Purpose::parse(&row.purpose).ok_or_else(|| corrupt("purpose"))?,
                public_key: public_key.map_err(|_| corrupt("public_key"))?.map(|key| key.to_text()),
                fingerprint: row.fingerprint,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_verified_at: row.last_verified_at,
            })
        })
        .collect()
}

/// Returns the public halves of the key pairs of a subscriber that sign, newest first.
pub(crate) async fn public_keys(conn: &mut PgConnection, id: i32) -> Result<Vec<PublicKey>> {
    let rows = sqlx::query_file_scalar!("src/queries/list_public_keys.sql", id)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the public keys"))?;
    let corrupt = || Error::Corrupt { table: "secret", column: "public_key", row: id.to_string() };
    rows.iter().map(|key| PublicKey::from_bytes(key).map_err(|_| corrupt())).collect()
}

/// Notes that a receiver verifies by a key, and answers whether that was written down.
pub(crate) async fn note_verified(conn: &mut PgConnection, secret_id: i32) -> Result<bool> {
    let done = sqlx::query_file!("src/queries/note_verified.sql", secret_id)
        .execute(conn)
        .await
        .map_err(Error::unanswered("note by which key the receiver verifies"))?;
    Ok(done.rows_affected() > 0)
}
