//! Applications that say who they are and note what they got: HTTP/1, HTTP/2, gRPC, WebSocket, TLS, opaque bytes and
//! datagrams on the same sockets, told apart by the first bytes.

mod serve;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

pub(super) use serve::OPAQUE;

use super::recorder::Recorder;
use super::tls;
use crate::case::Name;
use crate::cluster::{Cluster, Listening};

/// Every application of a case.
pub(super) struct Backends {
    shared: Arc<Shared>,
    tcp: HashMap<SocketAddr, JoinHandle<()>>,
    udp: HashMap<SocketAddr, JoinHandle<()>>,
    outside: BTreeSet<SocketAddr>,
}

/// What connections look at.
pub(super) struct Shared {
    recorder: Arc<Recorder>,
    names: RwLock<HashMap<IpAddr, BTreeSet<Name>>>,
    tls: RwLock<HashMap<IpAddr, Arc<ServerConfig>>>,
}

impl Backends {
    pub(super) fn new(recorder: Arc<Recorder>) -> Self {
        let shared = Shared { recorder, names: RwLock::default(), tls: RwLock::default() };
        Self { shared: Arc::new(shared), tcp: HashMap::new(), udp: HashMap::new(), outside: BTreeSet::new() }
    }

    /// Listens where the cluster's applications listen now, and nowhere else.
    pub(super) async fn serve(&mut self, cluster: &Cluster) -> Result<(), String> {
        let Listening { tcp, udp } = cluster.listening();
        for at in tcp.iter().chain(&udp).chain(&self.outside) {
            self.introduce(cluster, at.ip())?;
        }
        let wanted: BTreeSet<SocketAddr> = tcp.union(&self.outside).copied().collect();
        self.tcp.retain(|at, task| keep(wanted.contains(at), task));
        self.udp.retain(|at, task| keep(udp.contains(at), task));
        for at in wanted {
            self.listen(at).await?;
        }
        for at in udp.into_iter().filter(|at| !self.udp.contains_key(at)).collect::<Vec<_>>() {
            let socket =
                UdpSocket::bind(at).await.map_err(|error| format!("an application cannot listen on {at}: {error}"))?;
            self.udp.insert(at, tokio::task::spawn_local(serve::datagrams(self.shared.clone(), socket, at)));
        }
        Ok(())
    }

    /// Hosts outside answer on the port that is called.
    pub(super) async fn serve_outside(&mut self, cluster: &Cluster, port: u16) -> Result<(), String> {
        for ip in cluster.outside() {
            let at = SocketAddr::new(ip, port);
            self.introduce(cluster, ip)?;
            self.outside.insert(at);
            self.listen(at).await?;
        }
        Ok(())
    }

    async fn listen(&mut self, at: SocketAddr) -> Result<(), String> {
        if self.tcp.contains_key(&at) {
            return Ok(());
        }
        let listener =
            TcpListener::bind(at).await.map_err(|error| format!("an application cannot listen on {at}: {error}"))?;
        self.tcp.insert(at, tokio::task::spawn_local(serve::connections(self.shared.clone(), listener)));
        Ok(())
    }

    /// Who is at an address, and with which certificate.
    fn introduce(&self, cluster: &Cluster, ip: IpAddr) -> Result<(), String> {
        let names = cluster.names_at(ip);
        self.shared.names.write().unwrap_or_else(PoisonError::into_inner).insert(ip, names);
        let known = self.shared.tls.read().unwrap_or_else(PoisonError::into_inner).contains_key(&ip);
        if !known {
            let config = tls::server(&cluster.server_pair(ip)?)?;
            self.shared.tls.write().unwrap_or_else(PoisonError::into_inner).insert(ip, config);
        }
        Ok(())
    }
}

impl Shared {
    fn names(&self, ip: IpAddr) -> BTreeSet<Name> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&ip).cloned().unwrap_or_default()
    }

    fn tls(&self, ip: IpAddr) -> Option<Arc<ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).get(&ip).cloned()
    }
}

fn keep(wanted: bool, task: &JoinHandle<()>) -> bool {
    if !wanted {
        task.abort();
    }
    wanted
}
