//! The access log: Envoy's default text line, or JSON with Istio's keys, written by a thread of its own.
//!
//! Entries wait in a bounded queue; one that finds no room is dropped and counted. A request never waits for a disk.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::flags::ResponseFlags;

/// One request or TCP connection. Empty strings and `None` print as `-` (text) or null (JSON).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub start: SystemTime,
    pub method: String,
    /// With query, as the client sent it.
    pub path: String,
    pub protocol: &'static str,
    pub response_code: u16,
    pub flags: ResponseFlags,
    pub details: String,
    pub connection_termination_details: String,
    pub upstream_transport_failure_reason: String,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub duration: Duration,
    pub upstream_service_ms: Option<u64>,
    pub x_forwarded_for: String,
    pub user_agent: String,
    pub request_id: String,
    pub authority: String,
    pub upstream_host: String,
    pub upstream_cluster: String,
    pub upstream_local_address: String,
    pub downstream_local_address: String,
    pub downstream_remote_address: String,
    pub requested_server_name: String,
    pub route_name: String,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Where entries are offered. Clones share the queue.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

/// What the writer is asked to do.
enum Order {
    Write(Box<Entry>, Format),
    /// Answer when everything before is written.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Starts the writer; it ends when every clone is gone.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(mut output: Box<dyn Write + Send>, capacity: usize) -> io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            if let Err(error) = write_all(&entries, &mut output) {
                tracing::error!(%error, "the access log cannot be written; its entries are dropped from now on");
            }
        })?;
        Ok(Self { queue, dropped: Arc::default() })
    }

    /// Never waits.
    pub fn offer(&self, entry: Entry, format: Format) {
        if self.queue.try_send(Order::Write(Box::new(entry), format)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until what was offered before is written, at most so long; says whether it is. For the end of a process;
    /// it blocks the thread.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, written) = sync_channel(1);
        let until = Instant::now() + patience;
        let mut order = Order::Flush(done);
        loop {
            match self.queue.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < until => {
                    order = back;
                    thread::yield_now();
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return false,
            }
        }
        written.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }

    /// Entries dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Writes entries as they come, and flushes whenever none is waiting.
fn write_all(orders: &Receiver<Order>, output: &mut dyn Write) -> io::Result<()> {
    while let Ok(first) = orders.recv() {
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Write(entry, format) => {
                    let mut line = entry.line(format);
                    line.push('\n');
                    output.write_all(line.as_bytes())?;
                }
                Order::Flush(done) => {
                    output.flush()?;
                    // Nobody may wait any more.
                    let _ = done.try_send(());
                }
            }
            next = orders.try_recv().ok();
        }
        output.flush()?;
    }
    Ok(())
}

impl Entry {
    /// The entry as one line, without its end.
    pub fn line(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
        }
    }

    /// Envoy's default format.
    fn text(&self) -> String {
        let or_dash = |value: &str| if value.is_empty() { "-".to_owned() } else { printable(value) };
        let service_time = self.upstream_service_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        format!(
            "[{start}] \"{method} {path} {protocol}\" {code} {flags} {details} {termination} \"{failure}\" {received} {sent} {duration} {service_time} \"{forwarded}\" \"{agent}\" \"{id}\" \"{authority}\" \"{host}\" {cluster} {local} {down_local} {down_remote} {server_name} {route}",
            start = self.start_time(),
            method = or_dash(&self.method),
            path = or_dash(&self.path),
            protocol = or_dash(self.protocol),
            code = self.response_code,
            flags = self.flags,
            details = or_dash(&self.details),
            termination = or_dash(&self.connection_termination_details),
            failure = or_dash(&self.upstream_transport_failure_reason),
            received = self.bytes_received,
            sent = self.bytes_sent,
            duration = self.duration.as_millis(),
            forwarded = or_dash(&self.x_forwarded_for),
            agent = or_dash(&self.user_agent),
            id = or_dash(&self.request_id),
            authority = or_dash(&self.authority),
            host = or_dash(&self.upstream_host),
            cluster = or_dash(&self.upstream_cluster),
            local = or_dash(&self.upstream_local_address),
            down_local = or_dash(&self.downstream_local_address),
            down_remote = or_dash(&self.downstream_remote_address),
            server_name = or_dash(&self.requested_server_name),
            route = or_dash(&self.route_name),
        )
    }

    fn json(&self) -> String {
        let text = |value: &str| if value.is_empty() { Value::Null } else { Value::from(value) };
        let fields = [
            ("start_time", Value::from(self.start_time())),
            ("method", text(&self.method)),
            ("path", text(&self.path)),
            ("protocol", text(self.protocol)),
            ("response_code", json!(self.response_code)),
            ("response_flags", Value::from(self.flags.to_string())),
            ("response_code_details", text(&self.details)),
            ("connection_termination_details", text(&self.connection_termination_details)),
            ("upstream_transport_failure_reason", text(&self.upstream_transport_failure_reason)),
            ("bytes_received", json!(self.bytes_received)),
            ("bytes_sent", json!(self.bytes_sent)),
            ("duration", json!(u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX))),
            ("upstream_service_time", json!(self.upstream_service_ms)),
            ("x_forwarded_for", text(&self.x_forwarded_for)),
            ("user_agent", text(&self.user_agent)),
            ("request_id", text(&self.request_id)),
            ("authority", text(&self.authority)),
            ("upstream_host", text(&self.upstream_host)),
            ("upstream_cluster", text(&self.upstream_cluster)),
            ("upstream_local_address", text(&self.upstream_local_address)),
            ("downstream_local_address", text(&self.downstream_local_address)),
            ("downstream_remote_address", text(&self.downstream_remote_address)),
            ("requested_server_name", text(&self.requested_server_name)),
            ("route_name", text(&self.route_name)),
        ];
        let object: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Value::Object(object).to_string()
    }

    /// ISO 8601 in UTC with milliseconds.
    fn start_time(&self) -> String {
        Timestamp::try_from(self.start).map_or_else(|_| "-".to_owned(), |start| format!("{start:.3}"))
    }
}

/// What a client sends must not end a line or a quoted field.
fn printable(value: &str) -> String {
    value
        .chars()
        .flat_map(|c| if c == '"' || c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests;
