//! Where the metrics of a pipeline are.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use tidings_pipeline::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What Prometheus expects.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where metrics are going to be.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    url: String,
}

impl Listener {
    /// Listens, if it is asked for, so that an address that is taken is known before anything begins.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub(super) async fn open(address: Option<SocketAddr>) -> Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let doing = || format!("listen for metrics on {address}");
        let listener = TcpListener::bind(address).await.with_context(doing)?;
        let url = format!("http://{}/metrics", listener.local_addr().with_context(doing)?);
        Ok(Some(Self { listener, url }))
    }

    /// Shows metrics until the shutdown; returns their URL.
    pub(super) fn show(self, metrics: Arc<Metrics>, shutdown: CancellationToken) -> String {
        let page = move || {
            let page = metrics.render();
            async move { ([(CONTENT_TYPE, TEXT)], page) }
        };
        let router = Router::new().route("/metrics", get(page));
        tokio::spawn(tidings_relay::serve(self.listener, router, shutdown));
        self.url
    }
}
