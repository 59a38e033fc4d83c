//! The proxy cuts where it says.

use sqlx::{Connection, PgConnection};

use super::*;
use crate::Database;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn commit_that_is_cut_before_the_server_sees_it_is_undone() {
    assert_eq!(rows_after_cut_commit(Moment::Before).await, 0);
}

#[tokio::test]
async fn commit_that_is_cut_after_the_server_has_done_it_stands() {
    assert_eq!(rows_after_cut_commit(Moment::After).await, 1);
}

/// Returns how many rows are there after a commit that the client saw fail.
async fn rows_after_cut_commit(moment: Moment) -> i64 {
    let database = Database::new().await;
    let proxy = Proxy::start(database.server().address().port).await;
    let mut conn = PgConnection::connect(&proxy.url(&database.url())).await.unwrap();
    let mut direct = database.connect().await;
    sqlx::query("create table note (text text)").execute(&mut direct).await.unwrap();

    let mut tx = conn.begin().await.unwrap();
    sqlx::query("insert into note values ('x')").execute(&mut *tx).await.unwrap();
    proxy.cut_at_commit(moment);
    tx.commit().await.unwrap_err();
    proxy.fired(1, PATIENCE).await;
    // The lock waits for the end of the transaction whose client is gone.
    let mut tx = direct.begin().await.unwrap();
    sqlx::query("lock table note").execute(&mut *tx).await.unwrap();
    sqlx::query_scalar("select count(*) from note").fetch_one(&mut *tx).await.unwrap()
}

#[tokio::test]
async fn stalled_cable_holds_bytes_back_and_loses_none() {
    let (server, proxy) = echo().await;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(round(&mut client, b"one").await, b"one");
    proxy.stall();
    client.write_all(b"two").await.unwrap();
    let mut answer = [0; 3];
    let early = tokio::time::timeout(Duration::from_millis(50), client.read(&mut answer)).await;
    assert!(early.is_err(), "nothing passes");
    proxy.resume();
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"two");
    server.abort();
}

#[tokio::test]
async fn cable_is_cut_behind_the_byte_that_was_named() {
    let (server, proxy) = echo().await;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    proxy.cut_after_bytes(Direction::ToClient, 5);
    assert_eq!(round(&mut client, b"abc").await, b"abc");
    client.write_all(b"def").await.unwrap();
    let mut rest = Vec::new();
    // A cut may look like an end or like an error.
    drop(client.read_to_end(&mut rest).await);
    assert_eq!(rest, b"de");
    proxy.fired(1, PATIENCE).await;
    server.abort();
}

#[tokio::test]
async fn refusing_proxy_cuts_everybody_until_it_accepts_again() {
    let (server, proxy) = echo().await;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(round(&mut client, b"one").await, b"one");
    assert_eq!(proxy.connections(), 1);
    proxy.refuse();
    assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)), "cut");
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)), "refused");
    proxy.accept();
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(round(&mut client, b"two").await, b"two");
    server.abort();
}

/// Starts a server that sends everything back, and a proxy before it.
async fn echo() -> (JoinHandle<()>, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = client.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    (server, Proxy::start(port).await)
}

async fn round(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    client.write_all(bytes).await.unwrap();
    let mut answer = vec![0; bytes.len()];
    client.read_exact(&mut answer).await.unwrap();
    answer
}
