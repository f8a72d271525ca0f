//! Servers of several Gateways on one proxy: which listen together on a port, and which lose to older ones.

use std::collections::BTreeMap;
use std::net::IpAddr;

use orrery_api::{Gateway, GatewayOrigin, Key, Server, ServerProtocol};

/// A server and the Gateway that it is of.
#[derive(Clone, Debug)]
pub(super) struct Attached<'a> {
    /// `namespace/name` of the Gateway.
    pub(super) name: String,
    pub(super) key: &'a Key,
    pub(super) origin: &'a GatewayOrigin,
    pub(super) server: &'a Server,
}

/// What is listened for on one port.
#[derive(Debug)]
pub(super) struct Port<'a> {
    /// Of the proxy.
    pub(super) number: u16,
    pub(super) bind: Option<IpAddr>,
    pub(super) content: Content<'a>,
}

/// Servers that share a port.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// Requests in plain text: hosts tell the servers apart.
    Http(Vec<Attached<'a>>),
    /// Server names tell the servers apart.
    Tls(Vec<Attached<'a>>),
    /// Connections: nothing tells servers apart, so there is one.
    Tcp(Attached<'a>),
}

/// Merges the servers of Gateways, which come oldest first; `listening` gives the proxy's port for a Gateway's.
pub(super) fn ports<'a>(gateways: &[(&'a Key, &'a Gateway)], listening: impl Fn(u16) -> u16) -> Vec<Port<'a>> {
    let mut ports: BTreeMap<(u16, Option<IpAddr>), Content<'a>> = BTreeMap::new();
    for (key, gateway) in gateways {
        for server in &gateway.servers {
            let attached = Attached::of(key, gateway, server);
            let place = (listening(server.port), server.bind);
            match ports.get_mut(&place) {
                Some(content) => content.merge(attached),
                None => drop(Content::of(attached).map(|content| ports.insert(place, content))),
            }
        }
    }
    ports.into_iter().map(|((number, bind), content)| Port { number, bind, content }).collect()
}

impl<'a> Content<'a> {
    fn of(attached: Attached<'a>) -> Option<Self> {
        match attached.server.protocol {
            ServerProtocol::Grpc | ServerProtocol::Http | ServerProtocol::Http2 => Some(Self::Http(vec![attached])),
            ServerProtocol::Https | ServerProtocol::Tls => Some(Self::Tls(vec![attached])),
            ServerProtocol::Tcp if attached.server.tls.is_some() => Some(Self::Tls(vec![attached])),
            ServerProtocol::Tcp => Some(Self::Tcp(attached)),
            // Datagrams have sockets of their own, and conflict with none of these.
            ServerProtocol::Udp => None,
        }
    }

    /// Adds a younger server where it fits; one that does not is left out.
    fn merge(&mut self, attached: Attached<'a>) {
        let server = attached.server;
        match self {
            Self::Http(servers) if server.protocol.is_plain_http() => servers.push(attached),
            Self::Tls(servers) if server.tls.is_some() && !server.protocol.is_plain_http() => {
                if !servers.iter().any(|older| clash(older, &attached)) {
                    servers.push(attached);
                }
            }
            Self::Http(_) | Self::Tls(_) | Self::Tcp(_) => {}
        }
    }
}

/// Two servers ask for one server name, or would have one name for their routes.
fn clash(older: &Attached<'_>, younger: &Attached<'_>) -> bool {
    let same_host = younger
        .server
        .hosts
        .iter()
        .any(|host| older.server.hosts.iter().any(|known| known.host.value == host.host.value));
    let (one, other) = (older.https_routes(), younger.https_routes());
    same_host || (one.is_some() && one == other)
}

impl<'a> Attached<'a> {
    pub(super) fn of(key: &'a Key, gateway: &'a Gateway, server: &'a Server) -> Self {
        Self { name: format!("{}/{}", key.namespace, key.name), key, origin: &gateway.origin, server }
    }
}

impl Attached<'_> {
    /// `https.<port>.<port name>.<gateway>.<namespace>`, where HTTPS ends here.
    pub(super) fn https_routes(&self) -> Option<String> {
        let (server, key) = (self.server, self.key);
        let bind = server.bind.map(|ip| format!(".{ip}")).unwrap_or_default();
        let name = format!("https.{}.{}.{}.{}{bind}", server.port, server.port_name, key.name, key.namespace);
        server.ends_https().then_some(name)
    }

    pub(super) fn is_gateway_api(&self) -> bool {
        matches!(self.origin, GatewayOrigin::GatewayApi { .. })
    }
}

#[cfg(test)]
mod tests {
    use orrery_api::{Object, Spec};

    use super::*;

    fn objects(servers: &[&str]) -> Vec<Object> {
        let one = |(at, server): (usize, &&str)| {
            let text = format!(
                "{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: g{at}}}, spec: {{servers: [{server}]}}}}"
            );
            orrery_api::parse(&text, "f", "ns").unwrap().remove(0)
        };
        servers.iter().enumerate().map(one).collect()
    }

    fn merged(servers: &[&str]) -> Vec<String> {
        let objects = objects(servers);
        let gateways: Vec<(&Key, &Gateway)> = objects
            .iter()
            .map(|object| match &object.spec {
                Spec::Gateway(gateway) => (&object.key, gateway),
                other => panic!("{other:?}"),
            })
            .collect();
        let names =
            |servers: &[Attached<'_>]| servers.iter().map(|one| one.key.name.clone()).collect::<Vec<_>>().join(" ");
        let shown = |port: Port<'_>| {
            let what = match &port.content {
                Content::Http(servers) => format!("http {}", names(servers)),
                Content::Tls(servers) => format!("tls {}", names(servers)),
                Content::Tcp(server) => format!("tcp {}", server.key.name),
            };
            format!("{}{} {what}", port.number, port.bind.map(|ip| format!("@{ip}")).unwrap_or_default())
        };
        ports(&gateways, |number| if number == 80 { 8080 } else { number }).into_iter().map(shown).collect()
    }

    #[test]
    fn the_oldest_decides_what_a_port_is() {
        let http = "{port: {number: 80, protocol: HTTP}, hosts: ['*']}";
        let grpc = "{port: {number: 8080, protocol: GRPC}, hosts: [a.example]}";
        let tcp = "{port: {number: 80, protocol: TCP}, hosts: ['*']}";
        let tls = |host: &str, more: &str| {
            format!(
                "{{port: {{number: 443, name: p, protocol: HTTPS}}, hosts: [{host}], tls: {{mode: SIMPLE, credentialName: x}}{more}}}"
            )
        };
        let (a, b, again) = (tls("a.example", ""), tls("b.example", ""), tls("a.example", ""));
        let elsewhere = tls("a.example", ", bind: 10.0.0.1");
        let plain = "{port: {number: 443, protocol: HTTP}, hosts: ['*']}";
        for (servers, expect) in [
            (vec![http, grpc, tcp], vec!["8080 http g0 g1"]),
            (vec![tcp, http], vec!["8080 tcp g0"]),
            (vec![tcp, tcp], vec!["8080 tcp g0"]),
            (vec![a.as_str(), &b, &again, plain], vec!["443 tls g0 g1"]),
            (vec![&a, &elsewhere], vec!["443 tls g0", "443@10.0.0.1 tls g1"]),
            (vec![plain, &a], vec!["443 http g0"]),
        ] {
            assert_eq!(merged(&servers), expect, "{servers:?}");
        }
    }
}
