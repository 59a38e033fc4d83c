//! How many round trips registering costs: counted on the wire, by what the server says when it is ready again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use sqlx::{Connection, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use crate::{fixture::Fixture, register::OrderPlaced, report::Report};

/// The server's message "ready for query", one per round trip.
const READY: u8 = b'Z';

/// Round trips of a transaction with `register_event`, less those of the same transaction without.
pub(crate) async fn round_trips(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let trips = Arc::new(AtomicU64::new(0));
    let port = relay(fixture.port(), Arc::clone(&trips)).await?;
    let url = fixture.url().replace(&format!(":{}/", fixture.port()), &format!(":{port}/"));
    let mut conn = PgConnection::connect(&url).await?;
    let event = OrderPlaced::new(1);
    let mut counts = Vec::new();
    for turn in 0..20 {
        let before = trips.load(Ordering::SeqCst);
        let tx = conn.begin().await?;
        tx.commit().await?;
        let empty = trips.load(Ordering::SeqCst) - before;
        let before = trips.load(Ordering::SeqCst);
        let mut tx = conn.begin().await?;
        tidings::register_event(&mut tx, &event).await?;
        tx.commit().await?;
        let full = trips.load(Ordering::SeqCst) - before;
        // The first call prepares the statement.
        if turn > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a handful")]
            counts.push((full - empty) as f64);
        }
    }
    conn.close().await?;
    report.add(
        "register.round_trips",
        "round trips",
        &counts,
        "direct session, statement prepared".to_owned(),
    );
    Ok(())
}

/// Listens on a port of its own and passes everything on, counting the server's ready messages.
async fn relay(server: u16, trips: Arc<AtomicU64>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            let (mut client_read, client_write) = client.into_split();
            let (server_read, mut server_write) = upstream.into_split();
            tokio::spawn(async move { copy(&mut client_read, &mut server_write).await });
            tokio::spawn(count(server_read, client_write, Arc::clone(&trips)));
        }
    });
    Ok(port)
}

/// Passes the server's messages on, one by one: a type byte, a length that includes itself, and the rest.
async fn count(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    trips: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let mut body = Vec::new();
    loop {
        let kind = server.read_u8().await?;
        let length = server.read_u32().await?;
        body.resize(usize::try_from(length).unwrap_or(4) - 4, 0);
        server.read_exact(&mut body).await?;
        if kind == READY {
            trips.fetch_add(1, Ordering::SeqCst);
        }
        let mut message = vec![kind];
        message.extend(length.to_be_bytes());
        message.extend(&body);
        client.write_all(&message).await?;
    }
}
