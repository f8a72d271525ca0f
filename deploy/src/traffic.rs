//! The traffic generator: a steady rate of requests to a Bookinfo gateway, however slow the answers are.
//!
//! Open loop: each request has its time, and a slow mesh is not spared. What cannot be sent since too many are under
//! way is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::cli::TrafficArgs;
use crate::client::Client;
use crate::shutdown;

/// Requests under way at the same time.
const UNDER_WAY: usize = 512;
/// How long one request may take: longer than the slowest fault of Bookinfo's tasks.
const LIMIT: Duration = Duration::from_secs(20);
/// How often counts are logged.
const REPORT: Duration = Duration::from_secs(30);

/// One round of requests: mostly the page, by nobody and by two users, and some of the API.
const ROUND: &[(&str, Option<&str>)] = &[
    ("/productpage", None),
    ("/productpage?u=normal", None),
    ("/productpage", Some("jason")),
    ("/productpage", None),
    ("/api/v1/products/0", None),
    ("/productpage?u=test", None),
    ("/productpage", Some("anna")),
    ("/productpage", None),
    ("/api/v1/products", None),
    ("/productpage", Some("jason")),
];

#[derive(Debug, Default)]
struct Counts {
    good: AtomicU64,
    client_errors: AtomicU64,
    server_errors: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

/// Sends until it is asked to stop.
///
/// # Errors
/// When signals cannot be handled.
pub async fn run(arguments: TrafficArgs) -> anyhow::Result<()> {
    let stop = shutdown::token(arguments.exit_with_parent)?;
    let counts = Arc::new(Counts::default());
    tracing::info!("{} requests per second to {}", arguments.rps, arguments.target);
    tokio::select! {
        () = send(arguments.target, arguments.rps, Arc::clone(&counts)) => {}
        () = stop.cancelled() => {}
    }
    counts.log();
    Ok(())
}

async fn send(target: SocketAddr, rps: u32, counts: Arc<Counts>) {
    let client = Arc::new(Client::default());
    let slots = Arc::new(Semaphore::new(UNDER_WAY));
    let mut ticks = interval_at(Instant::now(), Duration::from_secs(1) / rps.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut report = interval_at(Instant::now() + REPORT, REPORT);
    for step in ROUND.iter().cycle() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = report.tick() => {
                counts.log();
                ticks.tick().await;
            }
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            counts.skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (client, counts) = (Arc::clone(&client), Arc::clone(&counts));
        tokio::spawn(async move {
            let _slot = slot;
            counts.count(client.send(&target.to_string(), request(target, step), LIMIT).await.map(|a| a.status()));
        });
    }
}

fn request(target: SocketAddr, (path, user): &(&str, Option<&str>)) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    // The paths are constants, and a name makes a valid cookie.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let cookie = user.map(|name| format!("bookinfo-user={name}"));
    let headers = [
        (header::HOST, Some(target.to_string())),
        (header::USER_AGENT, Some("orrery-traffic".to_owned())),
        (header::COOKIE, cookie),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|text| text.parse().ok()) {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

impl Counts {
    fn count(&self, outcome: Result<http::StatusCode, crate::client::Error>) {
        let counter = match outcome {
            Ok(status) if status.is_server_error() => &self.server_errors,
            Ok(status) if status.is_client_error() => &self.client_errors,
            Ok(_) => &self.good,
            Err(error) => {
                tracing::debug!(%error, "no answer");
                &self.failed
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn log(&self) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        tracing::info!(
            good = of(&self.good),
            client_errors = of(&self.client_errors),
            server_errors = of(&self.server_errors),
            no_answer = of(&self.failed),
            not_sent = of(&self.skipped),
            "requests so far"
        );
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn sends_a_round_and_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let answer = |headers: HeaderMap| async move {
            if headers.contains_key("cookie") {
                (http::StatusCode::IM_A_TEAPOT, "user")
            } else {
                (http::StatusCode::OK, "nobody")
            }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        let counts = Arc::new(Counts::default());
        let users = ROUND.iter().filter(|(_, user)| user.is_some()).count() as u64;
        let sender = tokio::spawn(send(target, 1000, Arc::clone(&counts)));
        while counts.client_errors.load(Ordering::Relaxed) < users {
            tokio::task::yield_now().await;
        }
        sender.abort();
        assert!(counts.good.load(Ordering::Relaxed) >= users);
        assert_eq!(counts.failed.load(Ordering::Relaxed), 0);
    }
}
