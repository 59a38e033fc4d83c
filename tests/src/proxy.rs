//! A cable between a client and a server, which can be cut at the worst moment.
//!
//! ```text
//! client ──▶ proxy ──▶ server        Direction::ToServer
//! client ◀── proxy ◀── server        Direction::ToClient
//! ```

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::signal::watched;

/// What one read takes at most: larger than any statement of the tests, so that needles seldom lie on a seam.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// On which side of a statement the cable is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// The server never sees it.
    Before,
    /// The server has carried it out, and the client does not learn how.
    After,
}

/// A TCP proxy on loopback.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: watch::Sender<State>,
    rule: Mutex<Option<Rule>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    refusing: bool,
    stalled: bool,
    /// How often all connections were cut by hand.
    cuts: u64,
    /// How many connections a rule has cut.
    fired: u64,
    /// How many connections there are.
    open: usize,
}

/// When a connection is cut by itself; used up by the first that it meets.
#[derive(Clone, Debug)]
enum Rule {
    /// After this many more bytes in this direction, over all connections.
    Bytes(Direction, usize),
    /// Around the next chunk from a client that contains these bytes.
    Needle(Vec<u8>, Moment),
}

/// What a chunk is allowed to do.
enum Passage {
    /// Goes through.
    Through,
    /// Goes through up to here; then the cable is cut.
    UpTo(usize),
    /// Goes through; what comes back does not, and then the cable is cut.
    Unanswered,
}

impl Proxy {
    /// Opens a proxy to a server on loopback.
    pub async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], server_port)),
            state: watch::Sender::new(State::default()),
            rule: Mutex::new(None),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// Returns the port that clients connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the URL with this proxy's port in place of the server's.
    #[must_use]
    pub fn url(&self, server_url: &str) -> String {
        let server = format!(":{}/", self.shared.server.port());
        assert!(server_url.contains(&server), "the URL does not lead to the proxy's server");
        server_url.replacen(&server, &format!(":{}/", self.port()), 1)
    }

    /// Cuts all connections that there are. New ones are accepted.
    pub fn cut(&self) {
        self.shared.state.send_modify(|state| state.cuts += 1);
    }

    /// Cuts all connections and closes new ones at once, until [`accept`](Self::accept).
    pub fn refuse(&self) {
        self.shared.state.send_modify(|state| {
            state.refusing = true;
            state.cuts += 1;
        });
    }

    /// Accepts connections again.
    pub fn accept(&self) {
        self.shared.state.send_modify(|state| state.refusing = false);
    }

    /// Holds back all bytes in both directions, until [`resume`](Self::resume). Connections stay open.
    pub fn stall(&self) {
        self.shared.state.send_modify(|state| state.stalled = true);
    }

    /// Lets bytes pass again, those that were held back first.
    pub fn resume(&self) {
        self.shared.state.send_modify(|state| state.stalled = false);
    }

    /// Cuts the connection that carries the `bytes`-th byte from now in this direction, right behind that byte.
    pub fn cut_after_bytes(&self, direction: Direction, bytes: usize) {
        *self.shared.rule() = Some(Rule::Bytes(direction, bytes));
    }

    /// Cuts the next connection on which a client commits, before or after the server has done it.
    pub fn cut_at_commit(&self, moment: Moment) {
        self.cut_at(b"COMMIT", moment);
    }

    /// Cuts the next connection on which a client sends these bytes.
    ///
    /// They must be in one piece: a statement that is sent as text, not one that was prepared before.
    pub fn cut_at(&self, needle: &[u8], moment: Moment) {
        *self.shared.rule() = Some(Rule::Needle(needle.to_vec(), moment));
    }

    /// Waits until rules have cut `count` connections in all.
    ///
    /// # Panics
    ///
    /// They have not `within` this time.
    pub async fn fired(&self, count: u64, within: Duration) {
        let state = self.shared.state.subscribe();
        watched(state, within, "the cable was cut", |state| state.fired >= count).await;
    }

    /// Returns how many connections there are now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state.borrow().open
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Shared {
    fn rule(&self) -> std::sync::MutexGuard<'_, Option<Rule>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about a chunk, and uses up the rule if it applies.
    fn passage(&self, direction: Direction, chunk: &[u8]) -> Passage {
        let mut rule = self.rule();
        let passage = match rule.as_mut() {
            Some(Rule::Bytes(along, left)) if *along == direction => {
                if chunk.len() < *left {
                    *left -= chunk.len();
                    return Passage::Through;
                }
                Passage::UpTo(*left)
            }
            Some(Rule::Needle(needle, moment))
                if direction == Direction::ToServer
                    && chunk.windows(needle.len()).any(|window| window == *needle) =>
            {
                match moment {
                    Moment::Before => Passage::UpTo(0),
                    Moment::After => Passage::Unanswered,
                }
            }
            _ => return Passage::Through,
        };
        *rule = None;
        passage
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.state.borrow().refusing {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut state = shared.state.subscribe();
            let cuts = state.borrow_and_update().cuts;
            shared.state.send_modify(|state| state.open += 1);
            let fired = tokio::select! {
                fired = carry(client, &shared) => fired,
                _ = state.wait_for(|state| state.cuts != cuts) => false,
            };
            shared.state.send_modify(|state| {
                state.open -= 1;
                state.fired += u64::from(fired);
            });
        });
    }
}

/// Carries bytes both ways until one side closes, and returns whether it was a rule that cut the cable.
async fn carry(mut client: TcpStream, shared: &Shared) -> bool {
    let Ok(mut server) = TcpStream::connect(shared.server).await else { return false };
    let mut state = shared.state.subscribe();
    let (mut from_client, mut from_server) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut unanswered = false;
    loop {
        let (direction, read) = tokio::select! {
            read = client.read(&mut from_client) => (Direction::ToServer, read),
            read = server.read(&mut from_server) => (Direction::ToClient, read),
        };
        let Ok(bytes @ 1..) = read else { return false };
        if state.wait_for(|state| !state.stalled).await.is_err() {
            return false;
        }
        let (chunk, to) = match direction {
            Direction::ToServer => (&from_client[..bytes], &mut server),
            Direction::ToClient => (&from_server[..bytes], &mut client),
        };
        if unanswered && direction == Direction::ToClient {
            return true;
        }
        let (chunk, cut) = match shared.passage(direction, chunk) {
            Passage::Through => (chunk, false),
            Passage::UpTo(end) => (&chunk[..end], true),
            Passage::Unanswered => {
                unanswered = true;
                (chunk, false)
            }
        };
        let written = to.write_all(chunk).await;
        if cut || written.is_err() {
            return cut;
        }
    }
}

#[cfg(test)]
mod tests;
