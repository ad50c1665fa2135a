//! The answers of one connection, and since when their client takes nothing of them: what nobody takes is given up, and with
//! it whatever still computes it. HTTP/2 needs this beside [`Taking`](crate::http::taking::Taking): there a client may leave
//! single answers, of a connection that moves. Does not look at what they are.

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use hyper::body::Frame;
use hyper::body::SizeHint;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;
use std::time::Instant;
use tokio::time::sleep;

/// The most that is handed over at a time: what was handed over is out of reach here.
const PIECE: usize = 64 << 10;

/// The answers of a connection, each with a guard that goes when it does.
pub(super) struct Untaken<G>(Arc<Mutex<Answers<G>>>);

type Answers<G> = BTreeMap<u64, Answer<G>>;

struct Answer<G> {
    body: Body,
    /// What is left of a piece that is too large.
    rest: Bytes,
    /// Since when it is the client's turn; `None` while more is being computed.
    since: Option<Instant>,
    _guard: G,
}

/// One of the answers, as a body.
struct Handed<G> {
    id: u64,
    answers: Untaken<G>,
}

impl<G: Send + 'static> Untaken<G> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// This body; `guard` is dropped when its last byte is handed over, it is given up, or the client is gone.
    pub(super) fn hand(&self, body: Body, guard: G) -> Body {
        let answer =
            Answer { body, rest: Bytes::new(), since: Some(Instant::now()), _guard: guard };
        let mut answers = self.lock();
        let id = answers.last_key_value().map_or(0, |(id, _)| id + 1);
        answers.insert(id, answer);
        Body::new(Handed { id, answers: self.clone() })
    }

    /// Gives up whatever is not taken for so long, or twice as long at most.
    pub(super) async fn give_up(&self, patience: Duration) -> Infallible {
        loop {
            sleep(patience).await;
            drop(self.overdue(patience));
        }
    }

    fn overdue(&self, patience: Duration) -> Vec<Answer<G>> {
        let is_late = |since: Instant| since.elapsed() >= patience;
        let late = |answer: &mut Answer<G>| answer.since.is_some_and(is_late);
        self.lock().extract_if(.., |_, answer| late(answer)).map(|(_, answer)| answer).collect()
    }
}

impl<G> Clone for Untaken<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G> Untaken<G> {
    fn lock(&self) -> MutexGuard<'_, Answers<G>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G> Answer<G> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data)
            {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl<G: Send + 'static> HttpBody for Handed<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut answers = self.answers.lock();
        let Some(answer) = answers.get_mut(&self.id) else {
            let given_up = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(given_up))));
        };
        let frame = answer.poll(cx);
        answer.since = frame.is_ready().then(Instant::now);
        frame
    }

    fn is_end_stream(&self) -> bool {
        let answers = self.answers.lock();
        let answer = answers.get(&self.id);
        answer.is_some_and(|answer| answer.rest.is_empty() && answer.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let answers = self.answers.lock();
        let Some(answer) = answers.get(&self.id) else { return SizeHint::default() };
        let (of_body, rest) = (answer.body.size_hint(), answer.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        of_body.upper().into_iter().for_each(|upper| hint.set_upper(upper + rest));
        hint
    }
}

impl<G> Drop for Handed<G> {
    fn drop(&mut self) {
        // Dropped once the lock is free: what it holds may take its time.
        let answer = self.answers.lock().remove(&self.id);
        drop(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use futures::FutureExt as _;
    use futures::stream;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn an_answer_that_is_taken_is_whole_and_told_of_at_the_end() {
        let (untaken, guard) = (Untaken::new(), Arc::new(()));
        let text = vec![7; 3 * PIECE + 5];
        let body = untaken.hand(Body::from(text.clone()), Arc::clone(&guard));
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        assert_eq!(to_bytes(body, usize::MAX).await.unwrap(), text);
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn what_is_not_taken_is_given_up_and_what_is_computed_is_waited_for() {
        let (untaken, guard) = (Untaken::new(), Arc::new(()));
        let mut left = untaken.hand(Body::from(vec![7; 3 * PIECE]), Arc::clone(&guard));
        let piece = left.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), PIECE);
        let slow = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let mut slow = untaken.hand(slow, Arc::clone(&guard));
        assert!(slow.frame().now_or_never().is_none());

        assert!(untaken.overdue(Duration::from_secs(60)).is_empty());
        drop(untaken.overdue(Duration::ZERO));
        assert_eq!(Arc::strong_count(&guard), 2, "only that which is there to be taken");
        assert!(left.frame().await.unwrap().is_err());
        assert!(slow.frame().now_or_never().is_none());
    }
}
