//! A connection on its way in: listener, first bytes, filter chain.

use std::net::SocketAddr;
use std::sync::Arc;

use orrery_core::chain::{FirstBytes, chain_for};
use orrery_core::listener::{Binding, FilterChain, OriginalDst};
use orrery_net::detect::{Found, Verdict, Wanted, inspect};

use super::CoreProxy;
use crate::case::Outcome;
use crate::cluster::NodeKind;

/// Where redirected connections arrive.
const REDIRECTED_TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 15001);

/// Finds the filter chain for a connection to `destination` that begins with these bytes.
pub(super) fn take(
    proxy: &CoreProxy,
    destination: SocketAddr,
    first: &[u8],
    path: &mut Vec<String>,
) -> Result<Arc<FilterChain>, Outcome> {
    let bound_at = match proxy.node.kind {
        // Calls to the loopback are not redirected: what listens there takes them.
        NodeKind::Sidecar if destination.ip().is_loopback() => destination,
        NodeKind::Sidecar => REDIRECTED_TO,
        NodeKind::Gateway => destination,
    };
    let bound = proxy.listeners.find(bound_at).filter(|listener| listener.binding == Binding::Socket);
    let Some(bound) = bound else {
        path.push(format!("no listener at {bound_at}"));
        return Err(Outcome::Refused);
    };
    let listener = match bound.original_dst {
        OriginalDst::HandedOver => proxy.listeners.find(destination).unwrap_or(bound),
        OriginalDst::Restored | OriginalDst::Ignored => bound,
    };
    path.push(format!("listener {} for {destination}", listener.name));
    let wanted = Wanted { tls: listener.inspection.tls, http: listener.inspection.http };
    let found = match wanted {
        Wanted { tls: false, http: false } => Found::Opaque,
        Wanted { .. } => match inspect(first, wanted) {
            Verdict::Is(found) => found,
            // As after the inspectors' patience.
            Verdict::More => Found::Opaque,
        },
    };
    let first = match &found {
        Found::Tls(hello) => FirstBytes::Tls { server_name: hello.server_name.as_deref(), alpn: &hello.alpn },
        Found::Http1 => FirstBytes::Http1,
        Found::Http2 => FirstBytes::Http2,
        Found::Opaque => FirstBytes::Opaque,
    };
    let Some(chain) = chain_for(listener, destination, first) else {
        path.push(format!("no filter chain for {found:?}"));
        return Err(Outcome::Reset);
    };
    path.push(format!("filter chain {:?}", chain.name));
    Ok(chain.clone())
}
