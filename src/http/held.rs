//! A response body with something that lasts as long as the response does. Does not look at either.

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use hyper::body::Frame;
use hyper::body::SizeHint;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

/// This body; `guard` is dropped when its last byte is handed over, or the client is gone.
pub(super) fn hold<T: Send + Unpin + 'static>(body: Body, guard: T) -> Body {
    Body::new(Held { body, _guard: guard })
}

/// The body is dropped first, so that what its end leaves behind is there when the guard goes.
struct Held<T> {
    body: Body,
    _guard: T,
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
