//! The live graph as server-sent events. One task computes for all clients that ask the same question; a client that does
//! not keep up is let go and comes back by itself.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use orrery_graph::kiali::Elements;
use orrery_graph::{GraphType, Options, Window};
use orrery_ui::layout::Flow;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::BroadcastStream;

use crate::drawing::draw;
use crate::error::ApiError;
use crate::shared::Shared;

/// An event comes at least this often.
const AT_LEAST: Duration = Duration::from_millis(400);
/// And at most this often.
const AT_MOST: Duration = Duration::from_millis(250);
/// Events that a client may be behind.
const BEHIND: usize = 8;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) graph_type: GraphType,
    pub(crate) inject_service_nodes: bool,
    pub(crate) include_idle_edges: bool,
    pub(crate) namespaces: Option<BTreeSet<String>>,
    /// Milliseconds.
    pub(crate) duration: i64,
    /// Which way calls run in the drawing.
    pub(crate) flow: Flow,
}

/// The questions that are being answered.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Vec<(Question, broadcast::Sender<Arc<str>>)>,
}

/// Content of an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    timestamp: i64,
    duration: i64,
    graph_type: &'static str,
    sequence: u64,
    elements: Elements,
    layout: orrery_ui::layout::Layout,
}

impl Question {
    /// The options for the graph builder.
    pub(crate) fn options(&self) -> Options {
        Options {
            inject_service_nodes: self.inject_service_nodes,
            include_idle_edges: self.include_idle_edges,
            namespaces: self.namespaces.clone(),
            ..Options::new(self.graph_type)
        }
    }
}

impl Streams {
    /// Number of clients.
    pub(crate) fn clients(&self) -> usize {
        self.open.iter().map(|(_, sender)| sender.receiver_count()).sum()
    }
}

/// Answers a client until it leaves, falls behind, or the aggregator ends.
pub(crate) fn subscribe(
    shared: &Arc<Shared>,
    question: &Question,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, ApiError> {
    let receiver = {
        let mut streams = shared.streams.lock();
        if streams.clients() >= shared.config.limits.streams {
            return Err(ApiError::busy("too many event streams are open: close some, or raise the limit"));
        }
        match streams.open.iter().find(|(open, _)| open == question) {
            Some((_, sender)) => sender.subscribe(),
            None => {
                let (sender, receiver) = broadcast::channel(BEHIND);
                streams.open.push((question.clone(), sender.clone()));
                tokio::spawn(answer(shared.clone(), question.clone(), sender));
                receiver
            }
        }
    };
    shared.tell();
    let events = BroadcastStream::new(receiver)
        .take_while(|received| std::future::ready(received.is_ok()))
        .filter_map(|received| std::future::ready(received.ok()))
        .map(|text| Ok(Event::default().event("graph").data(&*text)))
        .take_until(shared.closing.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Computes the graph whenever something changed, and a few times a second anyway, as long as anybody listens.
async fn answer(shared: Arc<Shared>, question: Question, sender: broadcast::Sender<Arc<str>>) {
    let mut news = shared.news.subscribe();
    let mut sequence = 0;
    loop {
        let began = Instant::now();
        sequence += 1;
        if let Some(text) = frame(&shared, &question, sequence) {
            // Fails only when nobody listens, which is found out below under the lock.
            let _ = sender.send(text);
        }
        sleep_until(began + AT_MOST).await;
        tokio::select! {
            () = sleep_until(began + AT_LEAST) => {}
            _ = news.changed() => {}
            () = shared.closing.cancelled() => return,
        }
        news.mark_unchanged();
        let mut streams = shared.streams.lock();
        if sender.receiver_count() == 0 {
            streams.open.retain(|(open, _)| *open != question);
            return;
        }
    }
}

fn frame(shared: &Shared, question: &Question, sequence: u64) -> Option<Arc<str>> {
    let now = shared.now();
    let graph = shared.graph(question.options(), Window::new(now, question.duration));
    let layout = draw(&graph, question.flow);
    let frame = Frame {
        timestamp: now,
        duration: graph.duration,
        graph_type: graph.graph_type,
        sequence,
        elements: graph.elements,
        layout,
    };
    match serde_json::to_string(&frame) {
        Ok(text) => Some(Arc::from(text)),
        Err(error) => {
            tracing::error!(%error, "graph cannot be written as JSON");
            None
        }
    }
}
