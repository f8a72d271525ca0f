//! UDP: a session for each client address, to one endpoint of a cluster, until nothing is sent for a while.
//!
//! Everything of a listener runs in one task: when the listener goes, its sessions go with it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hashbrown::HashMap;
use orrery_core::cluster::Discovery;
use orrery_core::datagram::DatagramListener;
use orrery_core::names::ListenerName;
use orrery_emit::series::DatagramSeries;
use orrery_net::datagram::{connect, send, send_to};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::live::{InFlight, Slot};
use crate::worker::Worker;

/// Sessions of one listener and worker; datagrams of further clients are dropped and counted.
const MAX_SESSIONS: usize = 4096;
/// The largest payload that UDP has.
const LARGEST: usize = 65_535;
/// How long receiving rests after an error of the socket itself.
const REST: Duration = Duration::from_millis(50);

/// A client's datagrams, and the endpoint that gets them.
struct Session {
    client: SocketAddr,
    upstream: UdpSocket,
    last: Cell<Instant>,
    series: Arc<DatagramSeries>,
    _in_flight: InFlight,
    _slot: Slot,
}

/// Serves a listener until it is aborted.
pub(crate) async fn serve(worker: Rc<Worker>, name: ListenerName, socket: UdpSocket) {
    let socket = Rc::new(socket);
    let mut sessions: HashMap<SocketAddr, Rc<Session>> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, client)) => {
                    let Some(datagram) = buffer.get(..length) else { continue };
                    let session = match sessions.get(&client) {
                        Some(session) => session.clone(),
                        None if sessions.len() >= MAX_SESSIONS => {
                            worker.shared.registry.datagrams().dropped.add(1);
                            continue;
                        }
                        None => match open(&worker, &name, client) {
                            Some((session, idle)) => {
                                sessions.insert(client, session.clone());
                                running.push(answer(session.clone(), socket.clone(), idle));
                                session
                            }
                            None => {
                                worker.shared.registry.datagrams().dropped.add(1);
                                continue;
                            }
                        },
                    };
                    session.forward(datagram);
                }
                // Such as the answer of a client that is gone: it says nothing about the others.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => {
                    tracing::warn!(listener = %name, %error, "cannot receive datagrams: resting");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(client) = running.next() => {
                sessions.remove(&client);
            }
        }
    }
}

/// Begins a session with an endpoint of the listener's cluster as it is configured now.
fn open(worker: &Rc<Worker>, name: &ListenerName, client: SocketAddr) -> Option<(Rc<Session>, Duration)> {
    let view = worker.view();
    let listener: &Arc<DatagramListener> = view.snapshot.datagram_listeners.get(name)?;
    let cluster = worker.cluster(&view, &listener.cluster)?;
    let endpoint = match cluster.config.discovery {
        Discovery::OriginalDst => None,
        Discovery::Static | Discovery::Eds(_) | Discovery::StrictDns | Discovery::LogicalDns => {
            cluster.pick(|| worker.random(), None, &[])
        }
    }?;
    let slot = cluster.gauges.connection(cluster.config.limits.max_connections)?;
    let upstream = match connect(endpoint.config.address) {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::debug!(listener = %name, endpoint = %endpoint.config.address, %error, "cannot open a UDP session");
            return None;
        }
    };
    let series = worker.shared.registry.datagrams().clone();
    series.opened.add(1);
    let last = Cell::new(Instant::now());
    let session = Session { client, upstream, last, series, _in_flight: endpoint.begin(), _slot: slot };
    Some((Rc::new(session), listener.idle_timeout))
}

/// Carries an endpoint's datagrams back; ends when the session is over.
async fn answer(session: Rc<Session>, socket: Rc<UdpSocket>, idle: Duration) -> SocketAddr {
    let mut buffer = vec![0; LARGEST];
    loop {
        let end = session.last.get() + idle;
        tokio::select! {
            received = session.upstream.recv(&mut buffer) => match received {
                Ok(length) => {
                    session.last.set(Instant::now());
                    let Some(datagram) = buffer.get(..length) else { continue };
                    match send_to(&socket, datagram, session.client) {
                        Ok(sent) => session.series.sent.add(sent as u64),
                        Err(_full_or_unreachable) => session.series.dropped.add(1),
                    }
                }
                // Nobody is there any more: the client's next datagram may find another endpoint.
                Err(_refused) => return session.client,
            },
            () = sleep_until(end) => {
                if session.last.get() + idle <= Instant::now() {
                    return session.client;
                }
            }
        }
    }
}

impl Session {
    fn forward(&self, datagram: &[u8]) {
        self.last.set(Instant::now());
        match send(&self.upstream, datagram) {
            Ok(sent) => self.series.received.add(sent as u64),
            Err(_full_or_refused) => self.series.dropped.add(1),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.series.closed.add(1);
    }
}
