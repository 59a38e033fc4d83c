//! Connections to this machine, and how they end.

use std::{future::Future, io, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{exit::Exit, failure::Coded};

/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// What answers requests.
pub(super) trait Receive: Send + Sync + 'static {
    /// Answers a request, or closes the connection with an error.
    fn receive(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Full<Bytes>>>> + Send;
}

/// Connections under way, and the word to end them.
#[derive(Debug, Default)]
pub(super) struct Door {
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Door {
    /// Takes connections for ever.
    pub(super) async fn accept<R: Receive>(
        &self,
        receiver: &Arc<R>,
        listener: &TcpListener,
    ) -> Result<()> {
        loop {
            let (stream, _) = listener.accept().await.context("take a connection")?;
            let stop = self.stop.clone();
            self.connections.spawn(serve(Arc::clone(receiver), stream, stop));
        }
    }

    /// Ends what is under way; whoever waits for an answer gets it, if it does not take too long.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.connections.close();
        drop(tokio::time::timeout(GRACE, self.connections.wait()).await);
    }
}

/// Takes a port of this machine; 0 is a free one.
pub(super) async fn bind(port: u16) -> Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    Ok(bound.map_err(|error| {
        Coded::new(Exit::Failed, format!("listen on 127.0.0.1:{port}"))
            .hint("choose another with --port, or a free one with --port 0")
            .because(error)
    })?)
}

/// Answers the requests of one connection; told to stop, it ends the one under way.
async fn serve<R: Receive>(receiver: Arc<R>, stream: TcpStream, stop: CancellationToken) {
    let service = service_fn(|request| receiver.receive(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A sender that hangs up, and a connection that we close on purpose, are no news.
    tokio::select! {
        ended = &mut connection => drop(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
