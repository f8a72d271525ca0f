//! `orrery proxy hop`.

use std::net::ToSocketAddrs;
use std::process::ExitCode;

use anyhow::Context;
use orrery_engine::hop;

use crate::cli::{HopArgs, HopMode, HopProtocol, HopTlsIn, HopTlsOut};
use crate::shutdown;

pub(crate) fn run(arguments: HopArgs) -> anyhow::Result<ExitCode> {
    let upstream = arguments.upstream.to_socket_addrs().ok().and_then(|mut all| all.next());
    let upstream = upstream.with_context(|| format!("--upstream {} is no address", arguments.upstream))?;
    let protocol = |flag| match flag {
        HopProtocol::H1 => hop::HopProtocol::H1,
        HopProtocol::H2 => hop::HopProtocol::H2,
    };
    let config = hop::HopConfig {
        listen: arguments.listen,
        upstream,
        mode: match arguments.mode {
            HopMode::Http => hop::HopMode::Http,
            HopMode::H2 => hop::HopMode::H2,
            HopMode::Mesh => hop::HopMode::Mesh,
            HopMode::Tcp => hop::HopMode::Tcp,
        },
        tls_in: match arguments.tls_in {
            HopTlsIn::None => hop::HopTlsIn::None,
            HopTlsIn::Server => hop::HopTlsIn::Server,
            HopTlsIn::Mutual => hop::HopTlsIn::Mutual,
        },
        tls_out: match arguments.tls_out {
            HopTlsOut::None => hop::HopTlsOut::None,
            HopTlsOut::Mutual => hop::HopTlsOut::Mutual,
        },
        proto_in: protocol(arguments.proto_in),
        proto_out: protocol(arguments.proto_out),
        certs: arguments.certs,
        workers: usize::from(arguments.workers),
        services: arguments.services,
        endpoints: arguments.endpoints,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = shutdown::token(false)?;
        let serving = hop::run(config, stop.clone(), |address| tracing::info!("hop listens on {address}"));
        shutdown::run(stop, serving).await
    })?;
    Ok(ExitCode::SUCCESS)
}
