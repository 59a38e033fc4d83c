//! What registering costs the application: one round trip, counted on the wire.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::{Connection, PgConnection};
use tidings::{Event, register_event, register_events};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{failed, placed, world};

/// A wire on which requests are counted: messages of the client for whose answer it waits.
struct Wire {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Wire {
    async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
            let (mut client_read, mut client_write) = client.into_split();
            let (mut server_read, mut server_write) = server.into_split();
            let forth = async {
                // The first message has a length and no type.
                let length = client_read.read_u32().await.unwrap();
                server_write.write_u32(length).await.unwrap();
                let mut body = vec![0; length as usize - 4];
                client_read.read_exact(&mut body).await.unwrap();
                server_write.write_all(&body).await.unwrap();
                while let Ok(kind) = client_read.read_u8().await {
                    let length = client_read.read_u32().await.unwrap();
                    body.resize(length as usize - 4, 0);
                    client_read.read_exact(&mut body).await.unwrap();
                    // A query, a synchronisation, a flush.
                    if matches!(kind, b'Q' | b'S' | b'H') {
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                    server_write.write_u8(kind).await.unwrap();
                    server_write.write_u32(length).await.unwrap();
                    server_write.write_all(&body).await.unwrap();
                }
            };
            let back = tokio::io::copy(&mut server_read, &mut client_write);
            tokio::join!(forth, back).1.ok();
        });
        Self { port, requests }
    }

    /// Returns how many there were since the last time.
    fn taken(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_is_one_round_trip_whatever_the_number_of_subscribers() {
    let world = world().await;
    let server_port = world.database.server().address().port;
    let wire = Wire::to(server_port).await;
    let url =
        world.database.url().replace(&format!(":{server_port}/"), &format!(":{}/", wire.port));
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let (one, other) = (placed(1), failed("p", "j"));
    let many: [&dyn Event; 3] = [&one, &other, &one];
    // Statements are prepared once in the life of a session.
    let mut tx = conn.begin().await.unwrap();
    register_event(&mut tx, &one).await.unwrap();
    register_events(&mut tx, &many).await.unwrap();
    tx.commit().await.unwrap();
    for subscribers in [0, 1, 30, 70] {
        for n in 0..subscribers {
            world.subscriber(&format!("s{subscribers}-{n}"), "**").await;
        }
        let mut tx = conn.begin().await.unwrap();
        wire.taken();
        register_event(&mut tx, &one).await.unwrap();
        assert_eq!(wire.taken(), 1, "{subscribers} subscribers");
        register_event(&mut tx, &other).await.unwrap();
        assert_eq!(wire.taken(), 1, "{subscribers} subscribers, with scope and key");
        register_events(&mut tx, &many).await.unwrap();
        assert_eq!(wire.taken(), 1, "{subscribers} subscribers, many events");
        tx.commit().await.unwrap();
    }
}
