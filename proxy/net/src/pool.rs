//! Connections to one endpoint, owned by one worker: idle HTTP/1 ones, and HTTP/2 ones that many requests share.
//!
//! Not shared between threads, so it needs no lock. It does not choose endpoints and does not connect by itself.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connect::ConnectionFacts;

/// Streams on one HTTP/2 connection before another is opened.
const STREAMS_PER_CONNECTION: u32 = 100;

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// HTTP/1 connections kept while idle.
    pub max_idle: usize,
    pub idle_timeout: Option<Duration>,
    pub max_requests_per_connection: Option<u32>,
}

/// An HTTP/1 connection for one request.
#[derive(Debug)]
pub struct Http1<B> {
    pub sender: http1::SendRequest<B>,
    pub facts: Rc<ConnectionFacts>,
    /// Requests sent on it so far.
    pub served: u32,
}

/// A share of an HTTP/2 connection for one request; dropping it gives the stream back.
#[derive(Debug)]
pub struct Http2<B> {
    pub sender: http2::SendRequest<B>,
    pub facts: Rc<ConnectionFacts>,
    streams: Rc<Cell<u32>>,
}

/// All connections to an endpoint.
#[derive(Debug)]
pub struct Pool<B> {
    limits: PoolLimits,
    idle: RefCell<Vec<(Instant, Http1<B>)>>,
    shared: RefCell<Vec<Shared<B>>>,
    connecting: Cell<bool>,
    connected: Notify,
}

#[derive(Debug)]
struct Shared<B> {
    sender: http2::SendRequest<B>,
    facts: Rc<ConnectionFacts>,
    streams: Rc<Cell<u32>>,
    served: u32,
    idle_since: Instant,
}

impl<B> Pool<B> {
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: Cell::new(false),
            connected: Notify::new(),
        }
    }

    /// The connection used last that is free: the others can then grow idle and be closed.
    pub fn take_http1(&self) -> Option<Http1<B>> {
        let mut idle = self.idle.borrow_mut();
        while idle.last().is_some_and(|(_, connection)| connection.sender.is_closed()) {
            idle.pop();
        }
        let ready = idle.iter().rposition(|(_, connection)| connection.sender.is_ready());
        match ready {
            Some(at) => Some(idle.remove(at).1),
            None => idle.pop().map(|(_, connection)| connection),
        }
    }

    /// Gives a connection back after its answer has been read to the end.
    pub fn put_http1(&self, connection: Http1<B>, now: Instant) {
        let worn_out = self.limits.max_requests_per_connection.is_some_and(|most| connection.served >= most);
        let mut idle = self.idle.borrow_mut();
        if !worn_out && !connection.sender.is_closed() && idle.len() < self.limits.max_idle {
            idle.push((now, connection));
        }
    }

    /// Closes what has been idle for too long or was closed by the other side.
    pub fn expire(&self, now: Instant) {
        let fresh = |since: Instant| self.limits.idle_timeout.is_none_or(|limit| now.duration_since(since) < limit);
        self.idle.borrow_mut().retain(|(since, connection)| !connection.sender.is_closed() && fresh(*since));
        self.shared
            .borrow_mut()
            .retain(|shared| !shared.sender.is_closed() && (shared.streams.get() > 0 || fresh(shared.idle_since)));
    }

    /// Closes everything idle; requests under way finish.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }

    /// HTTP/1 connections that wait for work.
    pub fn idle_http1(&self) -> usize {
        self.idle.borrow().len()
    }

    fn share(&self) -> Option<Http2<B>> {
        let mut all = self.shared.borrow_mut();
        all.retain(|shared| !shared.sender.is_closed());
        let shared = all.iter_mut().find(|shared| shared.streams.get() < STREAMS_PER_CONNECTION)?;
        shared.streams.set(shared.streams.get() + 1);
        shared.served += 1;
        shared.idle_since = Instant::now();
        let lease =
            Http2 { sender: shared.sender.clone(), facts: shared.facts.clone(), streams: shared.streams.clone() };
        let worn_out = self.limits.max_requests_per_connection.is_some_and(|most| shared.served >= most);
        if worn_out {
            let streams = lease.streams.clone();
            all.retain(|shared| !Rc::ptr_eq(&shared.streams, &streams));
        }
        Some(lease)
    }

    /// A share of a connection that stands, or of one that `connect` opens. Requests that come while a connection is
    /// being opened wait for it; if that fails each tries by itself.
    pub async fn http2<C, F, E>(&self, connect: C) -> Result<Http2<B>, E>
    where
        C: FnOnce() -> F,
        F: Future<Output = Result<(http2::SendRequest<B>, ConnectionFacts), E>>,
    {
        if let Some(lease) = self.share() {
            return Ok(lease);
        }
        if self.connecting.get() {
            self.connected.notified().await;
            if let Some(lease) = self.share() {
                return Ok(lease);
            }
        }
        let opening = Opening::begin(self);
        let (sender, facts) = connect().await?;
        let (facts, streams) = (Rc::new(facts), Rc::new(Cell::new(1)));
        let lease = Http2 { sender: sender.clone(), facts: facts.clone(), streams: streams.clone() };
        self.shared.borrow_mut().push(Shared { sender, facts, streams, served: 1, idle_since: Instant::now() });
        drop(opening);
        Ok(lease)
    }
}

/// While a shared connection is being opened; also tells those who wait when that is given up.
struct Opening<'a> {
    connecting: &'a Cell<bool>,
    connected: &'a Notify,
}

impl<'a> Opening<'a> {
    fn begin<B>(pool: &'a Pool<B>) -> Self {
        pool.connecting.set(true);
        Self { connecting: &pool.connecting, connected: &pool.connected }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.connecting.set(false);
        self.connected.notify_waiters();
    }
}

impl<B> Drop for Http2<B> {
    fn drop(&mut self) {
        self.streams.set(self.streams.get().saturating_sub(1));
    }
}
