//! The body of a request as it comes in.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::Handle;

/// How much is read of a body that nobody wants, in bytes: as much as a whole one may have by default.
const UNWANTED_BYTES_MAX: usize = 5_000_000;

/// How long an unwanted body is read.
const UNWANTED_TIME_MAX: Duration = Duration::from_secs(30);

/// A body that is read to its end even where it is refused.
///
/// A server that answers and closes while the client still writes makes the client's network throw the answer away; the
/// client then sees a broken connection in place of a refusal that says when to come back.
/// So what is left when this is dropped is read and forgotten, within bounds and in a task of its own; the answer does
/// not wait for it.
#[derive(Debug)]
pub(crate) struct Incoming(Option<BodyDataStream>);

impl Incoming {
    /// Returns the next piece; nothing at the end, and after an error.
    ///
    /// # Cancel safety
    ///
    /// No piece is lost.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        let piece = self.0.as_mut()?.next().await;
        if !matches!(piece, Some(Ok(_))) {
            self.0 = None;
        }
        piece
    }
}

impl From<Body> for Incoming {
    fn from(body: Body) -> Self {
        Self(Some(body.into_data_stream()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        // Outside of a runtime nothing comes in any more.
        if let (Some(body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(async {
                // Whoever takes longer, or sends more, is cut off.
                drop(tokio::time::timeout(UNWANTED_TIME_MAX, forget(body)).await);
            });
        }
    }
}

/// Reads a body and keeps nothing of it.
async fn forget(mut body: BodyDataStream) {
    let mut left = UNWANTED_BYTES_MAX;
    while let Some(Ok(piece)) = body.next().await {
        match left.checked_sub(piece.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}
