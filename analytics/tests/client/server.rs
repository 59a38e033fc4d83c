//! An HTTP server of few words: it writes down what it gets and answers what the test says.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The how manieth of the server it is, from zero.
    pub(crate) number: usize,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Json,
}

/// What the server does about a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Takes the request and never answers.
    Silence,
    /// Closes the connection in the middle of the body of a success.
    Cut,
    /// Waits until the gate is open, then replies with a success.
    Gate,
}

pub(crate) struct Server {
    pub(crate) url: Url,
    requests: watch::Sender<Vec<Request>>,
    gate: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct State {
    script: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    requests: watch::Sender<Vec<Request>>,
    gate: watch::Receiver<bool>,
    numbers: Mutex<usize>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The ids of the messages, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let items = self.body["batch"].as_array().unwrap();
        let id = |item: &Json| item.get("messageId").or_else(|| item.get("uuid")).cloned();
        items.iter().map(|item| id(item).unwrap().as_str().unwrap().to_owned()).collect()
    }
}

impl Reply {
    pub(crate) fn of(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }

    /// What Segment answers when it has the events.
    pub(crate) fn success() -> Self {
        Self::of(200, r#"{"success":true}"#)
    }

    pub(crate) fn with_header(self, name: &'static str, value: &str) -> Self {
        let Self::Answer(status, mut headers, body) = self else { return self };
        headers.push((name, value.to_owned()));
        Self::Answer(status, headers, body)
    }
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", script).await
    }

    pub(crate) async fn start_at(
        address: &str,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (requests, gate) = (watch::Sender::new(Vec::new()), watch::Sender::new(false));
        let state = Arc::new(State {
            script: Box::new(script),
            requests: requests.clone(),
            gate: gate.subscribe(),
            numbers: Mutex::new(0),
        });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&state), stream));
            }
        });
        Self { url, requests, gate, task }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Waits until `count` requests have come.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let arrived = requests.wait_for(|requests| requests.len() >= count);
        tokio::time::timeout(crate::PATIENCE, arrived).await.unwrap().unwrap();
    }

    pub(crate) fn open_gate(&self) {
        self.gate.send_replace(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves the requests of one connection until either side ends it.
async fn serve(state: Arc<State>, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read(&mut stream).await {
        {
            let mut number = state.numbers.lock().unwrap();
            request.number = *number;
            *number += 1;
        }
        let reply = (state.script)(&request);
        state.requests.send_modify(|requests| requests.push(request));
        let text = match reply {
            Reply::Answer(status, headers, body) => {
                let mut text =
                    format!("HTTP/1.1 {status} Reason\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.extend([name, ": ", &value, "\r\n"]);
                }
                format!("{text}\r\n{body}")
            }
            Reply::Silence => std::future::pending().await,
            Reply::Cut => {
                let text = "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"succ";
                stream.write_all(text.as_bytes()).await.ok();
                return;
            }
            Reply::Gate => {
                if state.gate.clone().wait_for(|open| *open).await.is_err() {
                    return;
                }
                "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"success\":true}".to_owned()
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
    Some(Request { number: 0, path, headers, body })
}
