//! A receiver of our own, which does what no HTTP library would let it do.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What a receiver does with every request.
#[derive(Clone, Debug)]
pub(super) enum Script {
    /// Writes these bytes and reads the next request.
    Answer(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Says nothing.
    Silent,
    /// Writes these bytes, then one byte at each interval, for ever.
    Dribble(Vec<u8>, Duration),
    /// Writes these bytes, then others as fast as it can, for ever.
    Endless(Vec<u8>),
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A listener on loopback that follows its scripts, the last one for ever.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    scripts: Vec<Script>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    written: AtomicUsize,
}

impl Script {
    /// Returns the script of an ordinary answer.
    pub(super) fn status(line: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(
            format!("HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\n\r\n{body}").into(),
        )
    }
}

impl Receiver {
    pub(super) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { scripts: scripts.into_iter().collect(), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        // It ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&accepting)));
            }
        });
        Self { address, shared }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns how many bytes the system took of what was written.
    pub(super) fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|header| header.0 == name);
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there twice");
        Some(&value.1)
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read(&mut stream).await {
        let number = {
            let mut requests = shared.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let script = &shared.scripts[number.min(shared.scripts.len() - 1)];
        // A client that has gone away is what some scripts are for.
        if follow(script, &mut stream, &shared).await.is_err() {
            return;
        }
    }
}

async fn follow(script: &Script, stream: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    match script {
        Script::Answer(bytes) => stream.write_all(bytes).await,
        Script::Close(bytes) => {
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
        Script::Silent => std::future::pending().await,
        Script::Dribble(head, interval) => {
            stream.write_all(head).await?;
            loop {
                tokio::time::sleep(*interval).await;
                stream.write_all(b"x").await?;
            }
        }
        Script::Endless(head) => {
            stream.write_all(head).await?;
            let bytes = vec![b'x'; 65_536];
            loop {
                let written = stream.write(&bytes).await?;
                shared.written.fetch_add(written, Ordering::SeqCst);
            }
        }
    }
}

/// Reads one request, or `None` when the client has closed the connection.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n").map(str::to_owned);
    let line = lines.next().unwrap();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let mut request = Request { line, headers, body: bytes.split_off(head + 4) };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
