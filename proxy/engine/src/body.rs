//! A request's body on its way to the upstream: counted, and kept while it is small so that it can be sent again.
//!
//! It does not decide about retries; it only says whether the beginning is still there.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TE, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use orrery_core::grpc_messages::MessageCounter;
use tokio::time::Instant;

/// Bytes kept for another try.
const KEPT_AT_MOST: usize = 64 * 1024;

/// Why a request's body did not reach the upstream whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("the client's request body broke off or is malformed: {0}")]
    Client(#[from] hyper::Error),
    #[error("another try has taken over this request body")]
    TakenOver,
}

/// The body of one request, for any number of tries. `None` inside: there is no body.
#[derive(Clone, Debug)]
pub(crate) struct RequestBody(Option<Rc<Shared>>);

#[derive(Debug)]
struct Shared {
    incoming: RefCell<Incoming>,
    /// The data so far; `None` once it was too much, or if it is not wanted.
    kept: RefCell<Option<Kept>>,
    received: Cell<u64>,
    /// Of gRPC messages; `None` for other bodies.
    messages: Option<RefCell<MessageCounter>>,
    ended: Cell<Option<Instant>>,
    failed: Cell<bool>,
    /// The only try that may read now.
    reader: Cell<u32>,
}

#[derive(Debug, Default)]
struct Kept {
    data: Vec<Bytes>,
    size: usize,
    trailers: Option<HeaderMap>,
}

/// Whether the beginning of a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    No,
    WhileSmall,
}

/// One try's view of a request body; what hyper's client sends.
#[derive(Debug)]
pub(crate) enum UpBody {
    Empty,
    /// All of it, for mirrored copies.
    Whole(Option<Bytes>),
    Stream(Reader),
}

#[derive(Debug)]
pub(crate) struct Reader {
    shared: Rc<Shared>,
    number: u32,
    position: usize,
}

impl RequestBody {
    /// `is_grpc`: its messages are counted.
    pub(crate) fn new(incoming: Incoming, keep: Keep, is_grpc: bool) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        let kept = match keep {
            Keep::No => None,
            Keep::WhileSmall => Some(Kept::default()),
        };
        Self(Some(Rc::new(Shared {
            incoming: RefCell::new(incoming),
            kept: RefCell::new(kept),
            received: Cell::new(0),
            messages: is_grpc.then(RefCell::default),
            ended: Cell::new(None),
            failed: Cell::new(false),
            reader: Cell::new(0),
        })))
    }

    /// No body.
    pub(crate) fn absent() -> Self {
        Self(None)
    }

    /// A body for the next try; earlier ones get an error.
    pub(crate) fn reader(&self) -> UpBody {
        match &self.0 {
            None => UpBody::Empty,
            Some(shared) => {
                shared.reader.set(shared.reader.get() + 1);
                UpBody::Stream(Reader { shared: shared.clone(), number: shared.reader.get(), position: 0 })
            }
        }
    }

    /// Whether it can be sent from the beginning once more.
    pub(crate) fn is_replayable(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| !shared.failed.get() && (shared.kept.borrow().is_some() || shared.received.get() == 0))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes received from the client so far.
    pub(crate) fn received(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.received.get())
    }

    /// gRPC messages received from the client so far.
    pub(crate) fn messages(&self) -> u64 {
        let counter = self.0.as_ref().and_then(|shared| shared.messages.as_ref());
        counter.map_or(0, |counter| counter.borrow().messages())
    }

    /// Whether all of it has been received.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.ended.get().is_some())
    }

    /// When the last of it was received; `None` also when there never was any.
    pub(crate) fn ended_at(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|shared| shared.ended.get())
    }

    /// Whether the client broke off or sent something that is not a body.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.failed.get())
    }

    /// The whole body, if it has ended and was kept.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        let Some(shared) = &self.0 else { return Some(Bytes::new()) };
        let kept = shared.kept.borrow();
        let kept = kept.as_ref().filter(|_| shared.ended.get().is_some())?;
        Some(kept.data.concat().into())
    }
}

impl Shared {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let polled = Pin::new(&mut *self.incoming.borrow_mut()).poll_frame(cx);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.failed.set(true);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    strip_trailers(trailers);
                }
                self.keep(&frame);
                if self.incoming.borrow().is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn end(&self) {
        self.ended.set(self.ended.get().or_else(|| Some(Instant::now())));
    }

    fn keep(&self, frame: &Frame<Bytes>) {
        let mut kept = self.kept.borrow_mut();
        if let Some(data) = frame.data_ref() {
            self.received.set(self.received.get() + data.len() as u64);
            if let Some(counter) = &self.messages {
                counter.borrow_mut().feed(data);
            }
            if let Some(all) = kept.as_mut() {
                all.size += data.len();
                all.data.push(data.clone());
            }
            if kept.as_ref().is_some_and(|all| all.size > KEPT_AT_MOST) {
                *kept = None;
            }
        } else if let (Some(trailers), Some(all)) = (frame.trailers_ref(), kept.as_mut()) {
            all.trailers = Some(trailers.clone());
        }
    }
}

impl Reader {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if self.number != self.shared.reader.get() {
            return Poll::Ready(Some(Err(RequestBodyError::TakenOver)));
        }
        let again = self.shared.kept.borrow().as_ref().and_then(|kept| kept.data.get(self.position).cloned());
        self.position += 1;
        if let Some(data) = again {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.shared.ended.get().is_some() {
            let known = self.shared.kept.borrow().as_ref().map_or(0, |kept| kept.data.len());
            let trailers = self.shared.kept.borrow().as_ref().and_then(|kept| kept.trailers.clone());
            let first_time = self.position == known + 1;
            return Poll::Ready(
                trailers.filter(|_| first_time && known > 0).map(|trailers| Ok(Frame::trailers(trailers))),
            );
        }
        let polled = self.shared.poll(cx);
        if polled.is_pending() {
            self.position -= 1;
        }
        polled
    }
}

impl Body for UpBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Stream(reader) => reader.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(data) => data.is_none(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(data) => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Self::Stream(reader) if reader.number == 1 => reader.shared.incoming.borrow().size_hint(),
            Self::Stream(_) => SizeHint::new(),
        }
    }
}

/// Fields that must not come after the body (RFC 9110 section 6.5.1): they would decide about it too late.
fn strip_trailers(trailers: &mut HeaderMap) {
    const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, HOST, TE, AUTHORIZATION, COOKIE, FORWARDED_FOR] {
        trailers.remove(name);
    }
}
