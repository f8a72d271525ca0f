//! The Bookinfo sample: productpage, details, reviews in three versions, and ratings, with the names, ports, paths and
//! answers that Istio's documentation works with.
//!
//! Each service only knows the names of those that it calls. All of them are one process each.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use clap::ValueEnum;
use tokio::net::TcpListener;

use crate::cli::BookinfoArgs;
use crate::shutdown;

mod calls;
mod details;
mod page;
mod productpage;
mod ratings;
mod reviews;

/// The port of every service.
pub const PORT: u16 = 9080;

/// The services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    Productpage,
    Details,
    Reviews,
    Ratings,
}

/// How reviews shows ratings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReviewsVersion {
    /// Not at all, and does not ask for them
    #[default]
    V1,
    /// Black stars
    V2,
    /// Red stars
    V3,
}

/// Runs one service until it is asked to stop.
///
/// # Errors
/// When its address is taken.
pub async fn run(arguments: BookinfoArgs) -> anyhow::Result<()> {
    let stop = shutdown::token(arguments.exit_with_parent)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is another one running?", arguments.listen))?;
    let router = router(arguments.service, arguments.reviews_version, arguments.outbound);
    tracing::info!("{:?} listens on {}", arguments.service, listener.local_addr()?);
    let asked = stop.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(asked.cancelled_owned());
    shutdown::run(stop, server.into_future()).await
}

/// The routes of a service; `outbound` is its sidecar's listener, without which others are found by DNS.
pub fn router(service: Service, version: ReviewsVersion, outbound: Option<SocketAddr>) -> Router {
    let calls = calls::Calls::new(outbound);
    match service {
        Service::Productpage => productpage::router(calls),
        Service::Details => details::router(),
        Service::Reviews => reviews::router(version, calls),
        Service::Ratings => ratings::router(),
    }
}

#[cfg(test)]
mod tests;
