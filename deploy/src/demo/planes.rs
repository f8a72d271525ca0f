//! Where control plane and aggregator listen on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, bail};
use rand::Rng;

use crate::cli::Ports;

/// Ports that systems do not give to outgoing connections by themselves: a part that is started again finds its own free.
const FREE: std::ops::Range<u16> = 10_000..32_000;
const ATTEMPTS: usize = 200;

/// The addresses of both planes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    pub xds: SocketAddr,
    pub plaintext: SocketAddr,
    pub debug: SocketAddr,
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub query: SocketAddr,
    pub tracing: SocketAddr,
    pub ui: SocketAddr,
}

/// Ports that are held until all are chosen, so that no two of them are the same.
struct Choice {
    ports: Ports,
    address: IpAddr,
    held: Vec<TcpListener>,
}

impl Planes {
    /// Addresses that are free now: on loopback, and for what the workloads' proxies call on the address by which they
    /// reach this machine.
    ///
    /// # Errors
    /// Which of the usual ports is taken, and what to do about it.
    pub(super) fn choose(ports: Ports, workloads: IpAddr) -> anyhow::Result<Self> {
        let mut choice = Choice { ports, address: IpAddr::V4(Ipv4Addr::LOCALHOST), held: Vec::new() };
        let mut shared = Choice { ports, address: workloads, held: Vec::new() };
        Ok(Self {
            xds: shared.take("xDS", 15012)?,
            plaintext: choice.take("plaintext xDS", 15010)?,
            debug: choice.take("the control plane's API", 15014)?,
            otlp_grpc: shared.take("OTLP over gRPC", 4317)?,
            otlp_http: choice.take("OTLP over HTTP", 4318)?,
            query: choice.take("the Prometheus API", 9090)?,
            tracing: choice.take("the Jaeger API", 16686)?,
            ui: choice.take("the web UI", 20001)?,
        })
    }
}

impl Choice {
    fn take(&mut self, what: &str, usual: u16) -> anyhow::Result<SocketAddr> {
        let socket = match self.ports {
            Ports::Default => TcpListener::bind((self.address, usual)).with_context(|| {
                format!(
                    "port {usual} of {}, for {what}, is taken: end what uses it, or start with --ports any",
                    self.address
                )
            })?,
            Ports::Any => any(self.address).with_context(|| format!("no free port for {what}"))?,
        };
        let address = socket.local_addr().context("a bound socket has no address")?;
        self.held.push(socket);
        Ok(address)
    }
}

fn any(address: IpAddr) -> anyhow::Result<TcpListener> {
    let mut random = rand::rng();
    for _ in 0..ATTEMPTS {
        if let Ok(socket) = TcpListener::bind((address, random.random_range(FREE))) {
            return Ok(socket);
        }
    }
    bail!("{ATTEMPTS} ports between {} and {} were taken", FREE.start, FREE.end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn free_ports_are_eight_different_ones() {
        let a = Planes::choose(Ports::Any, IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let all = [a.xds, a.plaintext, a.debug, a.otlp_grpc, a.otlp_http, a.query, a.tracing, a.ui];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 8, "{a:?}");
        assert!(all.iter().all(|address| FREE.contains(&address.port())), "{a:?}");
    }

    #[test]
    fn a_usual_port_that_is_taken_is_named_with_the_way_out() {
        // Somebody may hold it already, which serves as well.
        let _held = TcpListener::bind("127.0.0.1:15012");
        let said = format!("{:#}", Planes::choose(Ports::Default, IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap_err());
        assert!(said.contains("15012") && said.contains("--ports any"), "{said}");
    }
}
