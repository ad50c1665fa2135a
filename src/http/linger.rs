//! A request body whose rest is read although nobody wants it any more. A request may be answered before its body has
//! arrived (401, 404, 413, ...); closing the connection then would reset a client in the middle of its writing, and it
//! would never see the answer. Does not know what the answer is, and does not hold it up.

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper::body::SizeHint;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How much of a body that nobody wants is read; who sends more is reset.
const MOST_BYTES: usize = 32 << 20;

/// How long that may take.
const MOST_TIME: Duration = Duration::from_secs(30);

/// How long the client may pause meanwhile.
const MOST_SILENCE: Duration = Duration::from_secs(5);

/// A body that, once it is dropped, is read to its end by a task of its own, within bounds.
#[derive(Debug)]
pub(super) struct Lingering {
    body: Body,
    sending: Sending,
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// It waits for `100 Continue`, which is sent when the body is first asked for, and sends nothing until then.
    WhenAsked,
    /// It sends the body, wanted or not.
    Already,
    /// It is done, or has broken off.
    Done,
}

impl Lingering {
    pub(super) fn new(body: Body, sending: Sending) -> Self {
        Self { body, sending }
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.sending = match frame {
            Poll::Ready(None | Some(Err(_))) => Sending::Done,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => Sending::Already,
        };
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.sending != Sending::Already || self.body.is_end_stream() {
            return;
        }
        // Outside a runtime there is no connection to read from.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(MOST_TIME, discard(std::mem::take(&mut self.body))));
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = timeout(MOST_SILENCE, body.frame()).await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > MOST_BYTES {
            return;
        }
    }
}
