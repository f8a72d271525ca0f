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

/// Limits of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// HTTP/1 connections kept while idle.
    pub max_idle: usize,
    pub idle_timeout: Option<Duration>,
    pub max_requests_per_connection: Option<u32>,
    /// Connections that are older take no more requests.
    pub max_age: Option<Duration>,
    /// Requests at the same time on one HTTP/2 connection; with more another is opened.
    pub streams_per_connection: u32,
}

/// An HTTP/1 connection for one request. `G` is kept as long as the connection is: whatever counts it.
#[derive(Debug)]
pub struct Http1<B, G> {
    pub sender: http1::SendRequest<B>,
    pub facts: Rc<ConnectionFacts>,
    // Boxed: a request holds this connection while it waits, and need not hold all that is known of it.
    life: Box<Reserved<G>>,
}

/// A share of an HTTP/2 connection for one request; dropping it gives the stream back.
#[derive(Debug)]
pub struct Http2<B> {
    pub sender: http2::SendRequest<B>,
    pub facts: Rc<ConnectionFacts>,
    streams: Rc<Cell<u32>>,
    room: Rc<Room>,
}

/// How many connections an endpoint has, and who waits for one.
#[derive(Debug, Default)]
struct Room {
    open: Cell<u32>,
    freed: Notify,
}

/// A connection that counts, from before it stands until it ends.
#[derive(Debug)]
pub struct Reserved<G> {
    room: Rc<Room>,
    since: Instant,
    /// Requests sent on it so far, over HTTP/1.
    served: u32,
    _guard: G,
}

impl<B, G> Http1<B, G> {
    /// A connection that stands, for its first request.
    pub fn new(sender: http1::SendRequest<B>, facts: ConnectionFacts, life: Box<Reserved<G>>) -> Self {
        Self { sender, facts: Rc::new(facts), life }
    }

    /// Requests sent on it so far.
    pub fn served(&self) -> u32 {
        self.life.served
    }

    /// Notes that another request is sent on it.
    pub fn serve(&mut self) {
        self.life.served += 1;
    }
}

/// All connections to an endpoint.
#[derive(Debug)]
pub struct Pool<B, G> {
    limits: PoolLimits,
    idle: RefCell<Vec<(Instant, Http1<B, G>)>>,
    shared: RefCell<Vec<Shared<B, G>>>,
    connecting: Cell<bool>,
    connected: Notify,
    room: Rc<Room>,
}

#[derive(Debug)]
struct Shared<B, G> {
    sender: http2::SendRequest<B>,
    facts: Rc<ConnectionFacts>,
    streams: Rc<Cell<u32>>,
    served: u32,
    idle_since: Instant,
    life: Box<Reserved<G>>,
}

impl<B, G> Pool<B, G> {
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: Cell::new(false),
            connected: Notify::new(),
            room: Rc::default(),
        }
    }

    pub fn limits(&self) -> PoolLimits {
        self.limits
    }

    /// Connections of either kind, those in use and those that are being opened included.
    pub fn open(&self) -> u32 {
        self.room.open.get()
    }

    /// Waits until a connection or a stream of one is free, or a connection has ended.
    pub async fn freed(&self) {
        self.room.freed.notified().await;
    }

    /// Counts a connection that is about to be opened.
    pub fn reserve(&self, guard: G) -> Box<Reserved<G>> {
        self.room.open.set(self.room.open.get() + 1);
        Box::new(Reserved { room: self.room.clone(), since: Instant::now(), served: 0, _guard: guard })
    }

    fn is_old(&self, opened: Instant, now: Instant) -> bool {
        self.limits.max_age.is_some_and(|most| now.duration_since(opened) >= most)
    }

    /// The connection used last that is free: the others can then grow idle and be closed.
    pub fn take_http1(&self) -> Option<Http1<B, G>> {
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
    pub fn put_http1(&self, connection: Http1<B, G>, now: Instant) {
        let worn_out = self.limits.max_requests_per_connection.is_some_and(|most| connection.served() >= most)
            || self.is_old(connection.life.since, now);
        let mut idle = self.idle.borrow_mut();
        if !worn_out && !connection.sender.is_closed() && idle.len() < self.limits.max_idle {
            idle.push((now, connection));
            self.room.freed.notify_one();
        }
    }

    /// Closes what has been idle for too long or was closed by the other side.
    pub fn expire(&self, now: Instant) {
        let fresh = |since: Instant| self.limits.idle_timeout.is_none_or(|limit| now.duration_since(since) < limit);
        let young = |opened: Instant| !self.is_old(opened, now);
        self.idle.borrow_mut().retain(|(since, connection)| {
            !connection.sender.is_closed() && fresh(*since) && young(connection.life.since)
        });
        self.shared.borrow_mut().retain(|shared| {
            let kept = shared.streams.get() > 0 || (fresh(shared.idle_since) && young(shared.life.since));
            !shared.sender.is_closed() && kept
        });
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

    /// A share of a connection that stands, if there is one with room.
    pub fn share(&self) -> Option<Http2<B>> {
        let now = Instant::now();
        let mut all = self.shared.borrow_mut();
        all.retain(|shared| !shared.sender.is_closed());
        let most = self.limits.streams_per_connection;
        let has_room = |shared: &Shared<B, G>| shared.streams.get() < most && !self.is_old(shared.life.since, now);
        let shared = all.iter_mut().find(|shared| has_room(shared))?;
        shared.streams.set(shared.streams.get() + 1);
        shared.served += 1;
        shared.idle_since = now;
        let lease = Http2 {
            sender: shared.sender.clone(),
            facts: shared.facts.clone(),
            streams: shared.streams.clone(),
            room: self.room.clone(),
        };
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
        F: Future<Output = Result<(http2::SendRequest<B>, ConnectionFacts, Box<Reserved<G>>), E>>,
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
        let (sender, facts, life) = connect().await?;
        let (facts, streams, now) = (Rc::new(facts), Rc::new(Cell::new(1)), Instant::now());
        let room = self.room.clone();
        let lease = Http2 { sender: sender.clone(), facts: facts.clone(), streams: streams.clone(), room };
        let shared = Shared { sender, facts, streams, served: 1, idle_since: now, life };
        if self.limits.max_requests_per_connection.is_none_or(|most| most > 1) {
            self.shared.borrow_mut().push(shared);
        }
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
    fn begin<B, G>(pool: &'a Pool<B, G>) -> Self {
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
        self.room.freed.notify_one();
    }
}

impl<G> Drop for Reserved<G> {
    fn drop(&mut self) {
        self.room.open.set(self.room.open.get().saturating_sub(1));
        self.room.freed.notify_one();
    }
}
