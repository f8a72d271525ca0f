//! Runs one stream: requests and published sets into the session, its pushes out, and tells the hub.

use std::collections::HashSet;
use std::time::Duration;

use orrery_resource::ResourceType;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use crate::hub::{Event, Registration, Shared};
use crate::node::{NodeError, NodeIdentity, Peer};
use crate::session::{Delivered, Push, Reply, Session, Variant};
use crate::wire::Request;

/// Responses that wait for the connection; behind them, newer sets replace older ones.
pub(crate) const RESPONSES: usize = 4;
/// Unknown types that are remembered so as to be reported once.
const MOST_UNKNOWN_TYPES: usize = 16;

/// The sending half of the response stream.
pub(crate) type Responses<R> = mpsc::Sender<Result<<R as Request>::Response, Status>>;

/// Why a stream ends.
enum End {
    /// The client closed it.
    Closed(String),
    /// The server closes it; the client is told.
    Refused(Status),
}

pub(crate) struct Stream<R: Request> {
    session: Session,
    registration: Registration,
    responses: Responses<R>,
    events: mpsc::Sender<Event>,
    answer: Duration,
    reported: Option<u64>,
    unknown: HashSet<String>,
    _slot: OwnedSemaphorePermit,
}

/// Serves a stream until either side ends it.
pub(crate) async fn run<R: Request>(
    hub: std::sync::Arc<Shared>,
    slot: OwnedSemaphorePermit,
    peer: Peer,
    variant: Variant,
    mut requests: Streaming<R>,
    responses: Responses<R>,
) {
    let first = tokio::select! {
        first = greet(&mut requests, hub.limits.first_request) => first,
        () = hub.shutdown.cancelled() => Err(stopping()),
    };
    let (first, node) = match first {
        Ok(first) => first,
        Err(status) => return refuse::<R>(&responses, status),
    };
    let identity = match NodeIdentity::from_node(&node).and_then(|identity| identity.check(&peer).map(|()| identity)) {
        Ok(identity) => identity,
        Err(error) => return refuse::<R>(&responses, status_of(&error)),
    };
    let registration = hub.register();
    let connection = registration.connection;
    let events = hub.events.clone();
    let connected = Event::Connected { connection, node: Box::new(node), identity, peer, variant };
    if events.send(connected).await.is_err() {
        return refuse::<R>(&responses, stopping());
    }
    let mut stream = Stream::<R> {
        session: Session::new(variant),
        registration,
        responses: responses.clone(),
        events: events.clone(),
        answer: hub.limits.answer,
        reported: None,
        unknown: HashSet::new(),
        _slot: slot,
    };
    let reason = match stream.serve(first, &mut requests).await {
        End::Closed(reason) => reason,
        End::Refused(status) => {
            let reason = status.message().to_owned();
            refuse::<R>(&responses, status);
            reason
        }
    };
    drop(stream);
    // The receiver is gone only when the whole process stops.
    let _ = events.send(Event::Disconnected { connection, reason }).await;
}

async fn greet<R: Request>(
    requests: &mut Streaming<R>,
    limit: Duration,
) -> Result<(R, envoy_types::pb::envoy::config::core::v3::Node), Status> {
    let first = timeout(limit, requests.message())
        .await
        .map_err(|_| Status::deadline_exceeded(format!("no request within {} s", limit.as_secs())))??;
    let mut first = first.ok_or_else(|| Status::invalid_argument("the stream ended before its first request"))?;
    let node =
        first.node().ok_or_else(|| Status::invalid_argument("the first request of a stream must have a node"))?;
    Ok((first, node))
}

/// Tells the client why, if there is room; the end of the stream comes in any case.
fn refuse<R: Request>(responses: &Responses<R>, status: Status) {
    tracing::warn!(code = ?status.code(), reason = status.message(), "xDS stream refused or closed");
    let _ = responses.try_send(Err(status));
}

fn status_of(error: &NodeError) -> Status {
    match error {
        NodeError::Malformed(_) => Status::invalid_argument(error.to_string()),
        NodeError::Unauthenticated => Status::unauthenticated(error.to_string()),
        NodeError::Mismatch { .. } => Status::permission_denied(error.to_string()),
    }
}

fn stopping() -> Status {
    Status::unavailable("the control plane is stopping; reconnect")
}

impl<R: Request> Stream<R> {
    async fn serve(&mut self, first: R, requests: &mut Streaming<R>) -> End {
        let mut request = Some(first);
        loop {
            if let Some(request) = request.take()
                && let Err(end) = self.request(request).await
            {
                return end;
            }
            if let Err(end) = self.push_all().await {
                return end;
            }
            let wake = [self.session.wake_at(), self.session.waiting_since().map(|since| since + self.answer)];
            let wake = wake.into_iter().flatten().min();
            tokio::select! {
                message = requests.message() => match message {
                    Ok(Some(message)) => request = Some(message),
                    Ok(None) => return End::Closed("closed by the client".to_owned()),
                    Err(status) => return End::Closed(format!("broken: {}", status.message())),
                },
                () = self.registration.mailbox.rung() => {}
                () = self.registration.closed.cancelled() => return End::Refused(self.closed()),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    if self.session.waiting_since().is_some_and(|since| since.elapsed() >= self.answer) {
                        return End::Refused(self.no_answer());
                    }
                }
            }
            if let Some((set, changed)) = self.registration.mailbox.take() {
                self.session.publish(set, &changed);
            }
        }
    }

    async fn request(&mut self, request: R) -> Result<(), End> {
        let Some(kind) = ResourceType::from_type_url(request.type_url()) else {
            self.unknown_type(request.type_url());
            return Ok(());
        };
        let reply = request
            .apply(kind, &mut self.session)
            .map_err(|error| End::Refused(Status::resource_exhausted(error.to_string())))?;
        let connection = self.registration.connection;
        match reply {
            Reply::None => Ok(()),
            Reply::Stale => self.tell(Event::Stale { connection, kind }).await,
            Reply::Ack(Delivered { nonce, revision, names: _, since }) => {
                self.tell(Event::Acked { connection, kind, nonce, revision, took: since.elapsed() }).await
            }
            Reply::Nack(Delivered { nonce, revision, names, since: _ }, message) => {
                self.tell(Event::Nacked { connection, kind, nonce, revision, names, message }).await
            }
        }
    }

    async fn push_all(&mut self) -> Result<(), End> {
        while let Some(push) = self.session.next(Instant::now()) {
            self.push(push).await?;
        }
        if let Some(revision) = self.session.synced()
            && self.reported != Some(revision)
        {
            self.reported = Some(revision);
            self.tell(Event::Synced { connection: self.registration.connection, revision }).await?;
        }
        Ok(())
    }

    async fn push(&mut self, push: Push) -> Result<(), End> {
        let event = Event::Sent {
            connection: self.registration.connection,
            kind: push.kind,
            nonce: push.nonce.clone(),
            revision: push.revision,
            resources: push.resources.len(),
            bytes: push.resources.iter().map(|(_, resource)| resource.body.value.len()).sum(),
        };
        let sent = tokio::select! {
            sent = timeout(self.answer, self.responses.send(Ok(R::response(push)))) => sent,
            () = self.registration.closed.cancelled() => return Err(End::Refused(self.closed())),
        };
        match sent {
            Ok(Ok(())) => self.tell(event).await,
            Ok(Err(_)) => Err(End::Closed("closed by the client".to_owned())),
            Err(_) => Err(End::Refused(self.no_answer())),
        }
    }

    async fn tell(&self, event: Event) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Refused(stopping()))
    }

    fn closed(&self) -> Status {
        self.registration.refusal.get().map_or_else(stopping, Status::invalid_argument)
    }

    fn no_answer(&self) -> Status {
        Status::deadline_exceeded(format!("the client did not take or answer a push within {:?}", self.answer))
    }

    fn unknown_type(&mut self, url: &str) {
        if self.unknown.len() < MOST_UNKNOWN_TYPES && self.unknown.insert(url.to_owned()) {
            tracing::warn!(connection = self.registration.connection.0, type_url = url, "type is not served");
        }
    }
}
