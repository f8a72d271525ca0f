//! The loop that owns the configuration: changes and commands in, resources for proxies out.
//!
//! One task, so that nothing needs a lock and every change has one place in an order. Changes from
//! files are gathered for a moment; what comes over the API takes effect at once.

use std::collections::BTreeSet;

use orrery_serve::{ConnectionId, Difference, Event, Hub};
use orrery_source::Change;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::applied::Applied;
use crate::apply::{self, Applicable, ApplyOutcome, Deletion, Refused};
use crate::changes::{self, Changed};
use crate::config::{Config, Debounce};
use crate::metrics::{Family, Metrics};
use crate::state::State;
use crate::status::Board;

/// Commands that wait; further callers wait themselves.
const COMMANDS: usize = 64;
/// Causes that a push remembers.
const CAUSES: usize = 20;

/// What others may ask the loop for.
pub(crate) enum Command {
    /// Apply objects: all or none.
    Apply { objects: Applicable, reply: oneshot::Sender<Result<ApplyOutcome, Refused>> },
    /// Delete one object.
    Delete { target: Deletion, reply: oneshot::Sender<Result<(), Refused>> },
    /// Look at the state; the closure answers whoever asked.
    Inspect(Box<dyn FnOnce(&State) + Send>),
}

/// How others talk to the loop; cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    ready: watch::Sender<bool>,
}

impl Handle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { commands, ready: watch::Sender::new(false) }, receiver)
    }

    /// Whether the whole configuration was read once.
    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    pub(crate) fn ready_flag(&self) -> watch::Sender<bool> {
        self.ready.clone()
    }

    /// Applies objects; `None` when the control plane is stopping.
    pub(crate) async fn apply(&self, objects: Applicable) -> Option<Result<ApplyOutcome, Refused>> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Apply { objects, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Deletes an object; `None` when the control plane is stopping.
    pub(crate) async fn delete(&self, target: Deletion) -> Option<Result<(), Refused>> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Delete { target, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Looks at the state; `None` when the control plane is stopping.
    pub(crate) async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let look = move |state: &State| {
            // Whoever asked may have gone.
            let _ = reply.send(look(state));
        };
        self.commands.send(Command::Inspect(Box::new(look))).await.ok()?;
        answer.await.ok()
    }
}

/// Where the loop's work comes from.
pub(crate) struct Inputs {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) changes: mpsc::Receiver<Change>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// Changes that no proxy was told of yet.
struct Pending {
    first: Instant,
    last: Instant,
    causes: BTreeSet<String>,
}

/// The loop.
pub(crate) struct Reconciler {
    state: State,
    hub: Hub,
    board: Board,
    metrics: Metrics,
    applied: Applied,
    debounce: Debounce,
    pending: Option<Pending>,
    loaded: bool,
}

impl Reconciler {
    pub(crate) fn new(config: &Config, hub: Hub, board: Board, metrics: Metrics, applied: Applied) -> Self {
        let state = State::new(config);
        let debounce = config.debounce;
        Self { state, hub, board, metrics, applied, debounce, pending: None, loaded: false }
    }

    pub(crate) async fn run(
        mut self,
        mut inputs: Inputs,
        ready: watch::Sender<bool>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            let flush_at = self
                .pending
                .as_ref()
                .filter(|_| self.loaded)
                .map(|pending| (pending.last + self.debounce.quiet).min(pending.first + self.debounce.most));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                event = inputs.events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return Ok(()),
                },
                change = inputs.changes.recv() => match change {
                    Some(change) => self.change(change, &ready).await,
                    None if stop.is_cancelled() => return Ok(()),
                    None => anyhow::bail!("the configuration directory is not watched any more"),
                },
                // Until the directory was read, nobody can say what exists.
                Some(command) = inputs.commands.recv(), if self.loaded => self.command(command).await,
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => self.flush(),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::Connected { connection, node, peer, .. } => {
                let connection = *connection;
                match self.state.connect(connection, node, peer) {
                    Ok(()) => {
                        self.board.event(event);
                        if self.loaded {
                            self.welcome(connection);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(node = node.id, %error, "proxy cannot be served");
                        self.hub.refuse(connection, &error.to_string());
                    }
                }
                return;
            }
            Event::Disconnected { connection, .. } => self.state.disconnect(*connection),
            Event::Sent { .. }
            | Event::Acked { .. }
            | Event::Nacked { .. }
            | Event::Stale { .. }
            | Event::Synced { .. } => {}
        }
        self.board.event(event);
    }

    async fn change(&mut self, change: Change, ready: &watch::Sender<bool>) {
        if self.loaded && changes::is_outdated(&self.state, &self.applied, &change).await {
            changes::pass_by(&mut self.state, change);
            return;
        }
        let update = changes::take(&mut self.state, change);
        self.metrics.add(Family::Updates, &[("type", "config")]);
        if update.refused > 0 {
            self.metrics.add_many(Family::RejectedConfigs, &[], update.refused as f64);
        }
        if let Some(changed) = update.changed {
            self.cause(&changed);
        }
        if update.loaded && !self.loaded {
            self.loaded = true;
            ready.send_replace(true);
            self.flush();
            // Proxies that came before the configuration was complete have nothing yet.
            for connection in self.state.waiting() {
                self.welcome(connection);
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Inspect(look) => look(&self.state),
            Command::Apply { objects, reply } => {
                let outcome = apply::apply(&mut self.state, &self.applied, objects).await;
                match &outcome {
                    Ok(outcome) => self.took_effect(&outcome.changed),
                    Err(_) => self.metrics.add(Family::RejectedConfigs, &[]),
                }
                let _ = reply.send(outcome);
            }
            Command::Delete { target, reply } => {
                let outcome = apply::delete(&mut self.state, &self.applied, &target).await;
                if let Ok(changed) = &outcome {
                    self.took_effect(std::slice::from_ref(changed));
                }
                let _ = reply.send(outcome.map(|_| ()));
            }
        }
    }

    /// What came over the API is pushed now: somebody waits for it.
    fn took_effect(&mut self, changed: &[Changed]) {
        for changed in changed {
            self.cause(changed);
        }
        self.flush();
    }

    fn cause(&mut self, changed: &Changed) {
        changed.count(&self.metrics);
        let now = Instant::now();
        let pending = self.pending.get_or_insert_with(|| Pending { first: now, last: now, causes: BTreeSet::new() });
        pending.last = now;
        if pending.causes.len() < CAUSES {
            pending.causes.insert(changed.key.to_string());
        }
    }

    /// Compiles what the gathered changes touched, and publishes what differs to whom it concerns.
    fn flush(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        self.metrics.observe(Family::Debounce, &[], pending.first.elapsed().as_secs_f64());
        self.metrics.add(Family::PushTriggers, &[("type", "config")]);
        let revision = self.state.next_revision();
        let started = Instant::now();
        let publications = self.state.update(revision);
        self.metrics.observe(Family::PushTime, &[], started.elapsed().as_secs_f64());
        let ids: Vec<ConnectionId> = publications.iter().map(|one| ConnectionId(one.proxy.0)).collect();
        self.board.published(revision, pending.first, pending.causes.into_iter().collect(), &ids);
        for publication in publications {
            self.hub.publish(ConnectionId(publication.proxy.0), publication.set, &publication.changed);
        }
        self.count();
    }

    /// Gives a new proxy everything that it needs.
    fn welcome(&mut self, connection: ConnectionId) {
        let revision = self.state.next_revision();
        let started = Instant::now();
        let Some(set) = self.state.welcome(connection, revision) else { return };
        self.metrics.observe(Family::PushTime, &[], started.elapsed().as_secs_f64());
        self.board.published(revision, started, Vec::new(), &[connection]);
        // Of a first set everything is new, whatever is said to have changed.
        self.hub.publish(connection, set, &Difference::default());
        self.count();
    }

    fn count(&self) {
        let counts = self.state.counts();
        self.metrics.set(Family::Services, &[], counts.services as f64);
        self.metrics.set(Family::VirtualServices, &[], counts.virtual_services as f64);
        let compiled = self.state.compilations();
        for (unit, count) in [
            ("clusters", compiled.clusters),
            ("hosts", compiled.parts),
            ("tables", compiled.tables),
            ("frames", compiled.frames),
        ] {
            self.metrics.set(Family::Compiled, &[("unit", unit)], count as f64);
        }
    }
}
