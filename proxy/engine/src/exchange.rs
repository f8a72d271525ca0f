//! The answer's body on its way to the client. It carries what must happen when the answer is over: the upstream
//! connection goes back to its pool, the record is finished.
//!
//! Does not know how the answer was obtained.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use orrery_emit::flags::ResponseFlags;
use orrery_net::pool::{Http1, Http2};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::{RequestBody, UpBody};
use crate::live::{InFlight, Slot};
use crate::record::Record;

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
    #[error("the answer took longer than the route allows")]
    Timeout,
    #[error("nothing of the answer arrived for too long")]
    Idle,
}

/// An upstream connection while one exchange uses it.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1(Http1<UpBody, Slot>),
    Http2(Http2<UpBody>),
}

/// One exchange with an endpoint.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) lease: Lease,
    pub(crate) in_flight: InFlight,
    pub(crate) slot: Slot,
    pub(crate) request: RequestBody,
}

/// Limits on an answer's body.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) deadline: Option<Instant>,
    /// Longest pause between two pieces.
    pub(crate) pause: Option<Duration>,
}

/// What the client gets.
pub(crate) struct DownBody {
    content: Content,
    exchange: Option<Box<Exchange>>,
    record: Option<Box<Record>>,
    limits: Limits,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Content {
    Whole(Bytes),
    Upstream(Incoming),
}

impl Exchange {
    /// The answer was read to its end: a connection on which nothing is left goes back to the pool.
    pub(crate) fn complete(self) {
        let Self { lease, in_flight, slot: _slot, request } = self;
        match lease {
            Lease::Http1(connection) if request.has_ended() && in_flight.endpoint().shares_connections() => {
                in_flight.endpoint().state().pool.put_http1(connection, Instant::now());
            }
            Lease::Http1(unfinished) => drop(unfinished),
            Lease::Http2(shared) => drop(shared),
        }
    }
}

impl DownBody {
    /// An answer of the proxy itself.
    pub(crate) fn whole(bytes: Bytes, record: Box<Record>) -> Self {
        let mut body = Self {
            content: Content::Whole(bytes),
            exchange: None,
            record: Some(record),
            limits: Limits::default(),
            timer: None,
        };
        if body.is_end_stream() {
            body.complete();
        }
        body
    }

    /// Nothing, and nothing to report: what follows is not HTTP any more.
    pub(crate) fn empty() -> Self {
        Self {
            content: Content::Whole(Bytes::new()),
            exchange: None,
            record: None,
            limits: Limits::default(),
            timer: None,
        }
    }

    /// An upstream's answer.
    pub(crate) fn upstream(incoming: Incoming, exchange: Box<Exchange>, record: Box<Record>, limits: Limits) -> Self {
        let mut body = Self {
            content: Content::Upstream(incoming),
            exchange: Some(exchange),
            record: Some(record),
            limits,
            timer: None,
        };
        if body.is_end_stream() {
            body.complete();
        }
        body
    }

    fn complete(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.complete();
        }
        if let Some(mut record) = self.record.take() {
            record.finish();
        }
    }

    fn fail(&mut self, error: AnswerError) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.exchange = None;
        if let Some(mut record) = self.record.take() {
            match error {
                AnswerError::Upstream(_) => {
                    record.broken(ResponseFlags::UC, "upstream_reset_after_response_started{connection_termination}");
                }
                AnswerError::Timeout => record.broken(ResponseFlags::UT, "response_timeout"),
                AnswerError::Idle => record.broken(ResponseFlags::SI, "stream_idle_timeout"),
            }
            record.finish();
        }
        Poll::Ready(Some(Err(error)))
    }

    /// While nothing arrives: watches the limits. The timer exists only for answers that do not arrive at once.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Limits { deadline, pause } = self.limits;
        if deadline.is_none() && pause.is_none() {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| {
            let pause_ends = pause.map(|pause| Instant::now() + pause);
            let first = match (deadline, pause_ends) {
                (Some(deadline), Some(pause_ends)) => deadline.min(pause_ends),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => Instant::now(),
            };
            Box::pin(sleep_until(first))
        });
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.fail(if is_over { AnswerError::Timeout } else { AnswerError::Idle })
    }

    fn take_frame(&mut self, mut frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.timer = None;
        if let Some(record) = &mut self.record {
            if let Some(data) = frame.data_ref() {
                record.body(data);
            } else if let Some(trailers) = frame.trailers_mut() {
                record.grpc_trailers(trailers);
            }
        }
        if self.is_end_stream() {
            self.complete();
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for DownBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let body = &mut *self;
        let polled = match &mut body.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Upstream(incoming) => Pin::new(incoming).poll_frame(cx),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => body.take_frame(frame),
            Poll::Ready(Some(Err(error))) => body.fail(error.into()),
            Poll::Ready(None) => {
                body.complete();
                Poll::Ready(None)
            }
            Poll::Pending => body.poll_limits(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Upstream(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Upstream(incoming) => incoming.size_hint(),
        }
    }
}
