//! Serving a router to the public.

use std::{io, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request, body,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// The largest buffer of a connection, in bytes; the headers of a request have to fit.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// How long a client may take for the headers of a request, and a connection may lie idle.
const HEADERS_TIMEOUT: Duration = Duration::from_mins(1);

/// How long nobody is let in where the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `router` over HTTP/1.1 until `shutdown`; then idle connections are closed, and this returns when the last
/// request has been answered.
///
/// Unlike `axum::serve` it bounds what a stranger can hold: 64 KiB of buffers a connection, and 60 s for the headers of
/// a request or without one.
/// The number of connections is bounded by the process's file descriptors.
///
/// # Cancel safety
///
/// Connections go on.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error).await;
                continue;
            }
        };
        // It would only be slower.
        drop(stream.set_nodelay(true));
        let routes = TowerToHyperService::new(router.clone());
        // A site behind the relay is told who asks.
        let service = service_fn(move |mut request: Request<body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.call(request)
        });
        let connection = http.serve_connection(TokioIo::<TcpStream>::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async {
            // A client that goes away in the middle is no news.
            drop(connection.await);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Waits where the next attempt would fail as well.
async fn refused(error: &io::Error) {
    let of_client = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
    ];
    if !of_client.contains(&error.kind()) {
        telemetry::unaccepted(error);
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{body::Body, http::StatusCode, routing::post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::incoming::Incoming;

    /// More than the sockets of both sides hold.
    const LARGE: usize = 4_000_000;

    /// Serves a route that refuses everything unread.
    async fn refusing() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let refuse = async |body: Body| {
            drop(Incoming::from(body));
            (StatusCode::SERVICE_UNAVAILABLE, "later")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", post(refuse));
        let serving = tokio::spawn(serve(listener, router, shutdown.clone()));
        (address, shutdown, serving)
    }

    fn request(bytes: usize) -> String {
        format!(
            "POST / HTTP/1.1\r\nhost: relay\r\ncontent-length: {bytes}\r\n\r\n{}",
            "x".repeat(bytes)
        )
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        while !text.ends_with("later") {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "the connection was closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn client_that_is_refused_while_it_writes_reads_the_refusal_and_may_go_on() {
        let (address, _shutdown, _serving) = refusing().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for bytes in [LARGE, 10] {
            stream.write_all(request(bytes).as_bytes()).await.unwrap();
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 503"));
        }
    }

    #[tokio::test]
    async fn route_is_told_who_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tell = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| format!("{peer} later");
        let router = Router::new().route("/", post(tell));
        tokio::spawn(serve(listener, router, CancellationToken::new()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(1).as_bytes()).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        assert!(answer(&mut stream).await.contains(&own));
    }

    #[tokio::test]
    async fn body_without_an_end_is_cut_off() {
        let (address, _shutdown, _serving) = refusing().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let written = stream.write_all(request(4 * LARGE).as_bytes()).await;
        assert!(written.is_err(), "everything was read");
    }

    #[tokio::test(start_paused = true)]
    async fn connection_that_says_nothing_is_closed_and_so_is_one_that_never_finishes_its_headers()
    {
        let (address, _shutdown, _serving) = refusing().await;
        for said in ["", "POST / HTTP/1.1\r\nhost: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
    }

    #[tokio::test]
    async fn shutdown_closes_idle_connections_and_lets_nobody_in() {
        let (address, shutdown, serving) = refusing().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(1).as_bytes()).await.unwrap();
        answer(&mut stream).await;
        shutdown.cancel();
        serving.await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }
}
