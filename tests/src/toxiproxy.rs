//! Toxiproxy between a client and a server: slow, narrow, chopped, cut and half-open networks.
//!
//! It needs Go, and the network when it is built for the first time; the program stays under `target/tools`.
//! What has to happen at an exact byte or statement is for [`Proxy`](crate::Proxy).

use std::{net::TcpListener, time::Duration};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{Direction, Launch, Process, eventually, tool::Tool};

const TOOL: Tool = Tool {
    package: "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0",
    folder: "toxiproxy-2.5.0",
    program: "server",
};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// A running toxiproxy; all its proxies end with it.
#[derive(Debug)]
pub struct Toxiproxy {
    client: Client,
    api: String,
    _process: Process,
}

/// One of its proxies.
#[derive(Debug)]
pub struct Toxic<'a> {
    toxiproxy: &'a Toxiproxy,
    name: String,
    port: u16,
    server_port: u16,
}

impl Toxiproxy {
    /// Starts a server, and builds it before where that has not been done yet.
    ///
    /// # Panics
    ///
    /// Go is not installed, or cannot fetch and build it; the message says what to do.
    pub async fn start() -> Self {
        let program = tokio::task::spawn_blocking(|| TOOL.build()).await.unwrap();
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().build().unwrap();
        // It does not say which port it was given, so one is found for it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process =
            Launch::new(program).args(["-host", "127.0.0.1", "-port", &port.to_string()]).start();
        let this = Self { client, api: format!("http://127.0.0.1:{port}"), _process: process };
        eventually(START_MAX, "toxiproxy answers", async || {
            this.client.get(format!("{}/version", this.api)).send().await.ok()
        })
        .await;
        this
    }

    /// Opens a proxy to a server on loopback.
    pub async fn proxy(&self, name: &str, server_port: u16) -> Toxic<'_> {
        let upstream = format!("127.0.0.1:{server_port}");
        let proxy = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream});
        let made = self.call(Method::POST, "proxies", &proxy).await;
        let listen = made["listen"].as_str().unwrap();
        let port = listen.rsplit(':').next().unwrap().parse().unwrap();
        Toxic { toxiproxy: self, name: name.to_owned(), port, server_port }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.client.request(method, format!("{}/{path}", self.api));
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "toxiproxy answered {status} to {path}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}

impl Toxic<'_> {
    /// Returns the port of the proxy.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL with this proxy's port in place of the server's.
    #[must_use]
    pub fn url(&self, server_url: &str) -> String {
        let server = format!(":{}", self.server_port);
        assert!(server_url.contains(&server), "the URL does not lead to the proxy's server");
        server_url.replacen(&server, &format!(":{}", self.port), 1)
    }

    /// Adds a fault of this kind in one direction, to the connections that there are and to new ones; its `attributes`
    /// are those of toxiproxy's documentation.
    pub async fn add(&self, kind: &str, direction: Direction, attributes: &Value) {
        let stream = match direction {
            Direction::ToServer => "upstream",
            Direction::ToClient => "downstream",
        };
        let toxic = json!({"name": kind, "type": kind, "stream": stream, "attributes": attributes});
        let path = format!("proxies/{}/toxics", self.name);
        self.toxiproxy.call(Method::POST, &path, &toxic).await;
    }

    /// Takes a fault of this kind away.
    pub async fn remove(&self, kind: &str) {
        let path = format!("proxies/{}/toxics/{kind}", self.name);
        self.toxiproxy.call(Method::DELETE, &path, &Value::Null).await;
    }
}
