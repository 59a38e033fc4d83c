//! A door before a broker that holds one request, or the answer to it: a client that is killed meanwhile is killed between
//! two steps.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// The largest request or answer that goes through.
const FRAME_BYTES_MAX: u32 = 256 << 20;

/// How many bytes of a request come before the name of the client: kind, version, number, and the length of the name.
const HEAD: usize = 10;

/// A request of Kafka's protocol, by its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// Records are written.
    Produce = 0,
    /// Records are read.
    Fetch = 1,
    /// It is asked where a partition begins or ends.
    ListOffsets = 2,
    /// It is asked where a group has committed.
    OffsetFetch = 9,
    /// A producer of transactions begins to exist.
    InitProducerId = 22,
    /// A transaction takes partitions in.
    AddPartitions = 24,
    /// A transaction takes a group's positions in.
    AddOffsets = 25,
    /// A transaction ends.
    EndTransaction = 26,
    /// A group's positions are written in a transaction.
    CommitOffsets = 28,
}

/// What of a request is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// The request: the broker never sees it.
    Request,
    /// The answer: the broker has done it, and the client does not know.
    Answer,
}

/// Which request is held: the first of this kind by a client whose name ends so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The kind.
    pub request: Request,
    /// The end of the client's name.
    pub client: &'static str,
    /// What of it.
    pub held: Held,
}

/// The door. It lets everything through until it is told otherwise.
#[derive(Debug)]
pub struct Gate {
    listener: Option<TcpListener>,
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    step: Mutex<Option<Step>>,
    held: watch::Sender<bool>,
}

impl Gate {
    /// Takes a port, which the broker has to be told before it starts.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { step: Mutex::new(None), held: watch::Sender::new(false) };
        Self { listener: Some(listener), port, shared: Arc::new(shared), accepting: None }
    }

    /// Returns its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Lets clients through to a broker.
    ///
    /// # Panics
    ///
    /// It is open already.
    pub fn open(&mut self, broker_port: u16) {
        let listener = self.listener.take().expect("the gate is open already");
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let Ok(broker) = TcpStream::connect(("127.0.0.1", broker_port)).await else {
                        return;
                    };
                    carry(client, broker, &shared).await;
                });
            }
        }));
    }

    /// Holds the next request of this step.
    pub fn hold(&self, step: Step) {
        self.shared.held.send_replace(false);
        *self.step() = Some(step);
    }

    /// Waits until it is held.
    ///
    /// # Panics
    ///
    /// It does not come in time.
    pub async fn held(&self, within: Duration) {
        let mut held = self.shared.held.subscribe();
        let waited = tokio::time::timeout(within, held.wait_for(|held| *held)).await;
        assert!(waited.is_ok(), "{:?} has not come within {within:?}", self.step());
    }

    fn step(&self) -> std::sync::MutexGuard<'_, Option<Step>> {
        self.shared.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl Shared {
    /// Returns what is to be held of a request, if it is the one.
    fn take(&self, request: &[u8]) -> Option<Held> {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let found = step.filter(|step| step.is(request))?;
        *step = None;
        Some(found.held)
    }
}

impl Step {
    fn is(&self, request: &[u8]) -> bool {
        let Some((head, rest)) = request.split_at_checked(HEAD) else { return false };
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let client = rest.get(..length).unwrap_or_default();
        kind == self.request as u16 && client.ends_with(self.client.as_bytes())
    }
}

/// Carries requests and answers until either side is gone.
async fn carry(client: TcpStream, broker: TcpStream, shared: &Shared) {
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let awaited = watch::Sender::new(None);
    let asked = awaited.subscribe();
    tokio::select! {
        _ = carry_requests(from_client, to_broker, shared, &awaited) => {}
        _ = carry_answers(from_broker, to_client, shared, asked) => {}
    }
}

async fn carry_requests(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    shared: &Shared,
    awaited: &watch::Sender<Option<u32>>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut client).await?;
        match shared.take(&frame) {
            None => {}
            Some(Held::Answer) => drop(awaited.send_replace(number(&frame[4..]))),
            Some(Held::Request) => {
                shared.held.send_replace(true);
                // Until the client has gone.
                io::copy(&mut client, &mut io::sink()).await?;
                return Ok(());
            }
        }
        write_frame(&mut broker, &frame).await?;
    }
}

/// Carries answers up to the one that is held.
async fn carry_answers(
    mut broker: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    asked: watch::Receiver<Option<u32>>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut broker).await?;
        let awaited = *asked.borrow();
        if awaited.is_some() && awaited == number(&frame) {
            shared.held.send_replace(true);
            io::copy(&mut broker, &mut io::sink()).await?;
            return Ok(());
        }
        write_frame(&mut client, &frame).await?;
    }
}

/// Returns the number at the beginning, by which requests and answers belong together.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
}

async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    assert!(length <= FRAME_BYTES_MAX, "{length} bytes at once");
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    to.write_u32(u32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await
}
