//! Opaque TCP: to an endpoint of a cluster, with metadata exchange between proxies of the mesh, and its metrics.
//!
//! It does not look into the bytes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use orrery_core::cluster::Discovery;
use orrery_core::forward::pick_cluster;
use orrery_core::listener::TcpProxy;
use orrery_emit::flags::ResponseFlags;
use orrery_emit::labels::TcpLabels;
use orrery_emit::series::TcpSeries;
use orrery_net::activity::Activity;
use orrery_net::connect::Connected;
use orrery_net::copy::{Progress, both_ways};
use orrery_net::stream::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::attempt::{TryFailure, open};
use crate::connection::Downstream;
use crate::live::{LiveCluster, LiveEndpoint};
use crate::peer::{Peer, tcp_length};
use crate::record::labels::Known;
use crate::secrets::Wire;
use crate::worker::{Patience, View, Worker};

/// The protocol name with which proxies agree to exchange metadata.
const PEER_EXCHANGE: &[u8] = b"istio-peer-exchange";
/// The other proxy must send its metadata within this.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries to connect, each to another endpoint if there is one.
const CONNECT_TRIES: usize = 3;
/// How often bytes are reported while a connection stands.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Serves one opaque connection.
pub(crate) async fn proxy(
    worker: Rc<Worker>,
    view: Rc<View>,
    downstream: Downstream,
    proxy: Arc<TcpProxy>,
    mut stream: Stream,
) {
    let activity = Activity::new();
    activity.begin();
    let _listed = worker.list(&activity, &downstream.listener, Patience::default());
    let agreed = downstream.tls.as_ref().and_then(|tls| tls.alpn.as_deref()) == Some(PEER_EXCHANGE);
    let mut leading = Vec::new();
    let source = if agreed { exchange(&worker, &mut stream, &mut leading).await } else { None };
    let Some(cluster) = pick_cluster(&proxy.clusters, worker.random()).and_then(|to| worker.cluster(&view, &to.name))
    else {
        let known = known(&worker, &downstream, source.as_deref(), None, None, None);
        report_failure(&worker, &known, ResponseFlags::NC);
        return;
    };
    // Before connecting: what is over the limit must not reach the upstream at all.
    let Some(_slot) = cluster.gauges.connection(cluster.config.limits.max_connections) else {
        let known = known(&worker, &downstream, source.as_deref(), Some(&cluster), None, None);
        report_failure(&worker, &known, ResponseFlags::UO);
        return;
    };
    let reached = reach(&worker, &view, &downstream, &cluster).await;
    let (endpoint, mut connected) = match reached {
        Ok(reached) => reached,
        Err((endpoint, flags)) => {
            let known = known(&worker, &downstream, source.as_deref(), Some(&cluster), endpoint.as_deref(), None);
            report_failure(&worker, &known, flags);
            return;
        }
    };
    let _in_flight = endpoint.begin();
    let mut answered = Vec::new();
    if connected.facts.alpn.as_deref() == Some(PEER_EXCHANGE)
        && let Some(peer) = exchange(&worker, &mut connected.stream, &mut answered).await
    {
        endpoint.state().learn_peer(peer);
    }
    let series = {
        let known = known(&worker, &downstream, source.as_deref(), Some(&cluster), Some(&endpoint), Some(&connected));
        series(&worker, &known, ResponseFlags::NONE)
    };
    let flow = Flow { series, leading, answered, idle: proxy.idle_timeout };
    flow.run(&mut stream, &mut connected.stream).await;
}

fn known<'a>(
    worker: &'a Worker,
    downstream: &'a Downstream,
    source: Option<&'a Peer>,
    cluster: Option<&'a LiveCluster>,
    endpoint: Option<&'a LiveEndpoint>,
    connected: Option<&'a Connected>,
) -> Known<'a> {
    Known {
        own: &worker.own,
        downstream,
        source,
        cluster,
        endpoint,
        facts: connected.map(|connected| &connected.facts),
        host: None,
    }
}

fn series(worker: &Worker, known: &Known<'_>, flags: ResponseFlags) -> Arc<TcpSeries> {
    worker.shared.registry.tcp(&TcpLabels { ends: known.ends(), response_flags: flags, security: known.security() })
}

fn report_failure(worker: &Worker, known: &Known<'_>, flags: ResponseFlags) {
    let series = series(worker, known, flags);
    series.opened.add(1);
    series.closed.add(1);
}

/// Tells the other proxy who we are and hears who it is. Bytes that are no metadata are left in `leading`.
async fn exchange(worker: &Worker, stream: &mut Stream, leading: &mut Vec<u8>) -> Option<Rc<Peer>> {
    let exchanging = async {
        stream.write_all(&worker.shared.metadata.tcp).await.ok()?;
        stream.flush().await.ok()?;
        let mut head = [0; 8];
        stream.read_exact(&mut head).await.ok()?;
        let Some(length) = tcp_length(head) else {
            leading.extend_from_slice(&head);
            return None;
        };
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await.ok()?;
        worker.peers.of_tcp(&message)
    };
    timeout(EXCHANGE_TIMEOUT, exchanging).await.ok().flatten()
}

type Unreached = (Option<Rc<LiveEndpoint>>, ResponseFlags);

async fn reach(
    worker: &Worker,
    view: &View,
    downstream: &Downstream,
    cluster: &Rc<LiveCluster>,
) -> Result<(Rc<LiveEndpoint>, Connected), Unreached> {
    let mut tried = Vec::new();
    let mut last = None;
    for _ in 0..CONNECT_TRIES {
        let picked = match cluster.config.discovery {
            Discovery::OriginalDst => {
                let addresses = &downstream.addresses;
                (addresses.original.0 != addresses.local.0).then(|| cluster.original(addresses.original.0))
            }
            Discovery::Static | Discovery::Eds(_) | Discovery::StrictDns | Discovery::LogicalDns => {
                cluster.pick(|| worker.random(), None, &tried)
            }
        };
        let Some(endpoint) = picked else { return Err((None, ResponseFlags::UH)) };
        match open(worker, view, cluster, &endpoint, Wire::Opaque, &downstream.addresses).await {
            Ok(connected) => return Ok((endpoint, connected)),
            Err(TryFailure::Connect | TryFailure::ConnectTimeout | TryFailure::Tls) => {
                tried.push(endpoint.config.address);
                last = Some(endpoint);
            }
            Err(
                TryFailure::NoEndpoint
                | TryFailure::Overflow
                | TryFailure::Reset { .. }
                | TryFailure::Refused
                | TryFailure::Protocol
                | TryFailure::PerTryTimeout
                | TryFailure::RequestBody,
            ) => return Err((Some(endpoint), ResponseFlags::UF)),
        }
    }
    Err((last, ResponseFlags::UF | ResponseFlags::URX))
}

/// A connection that stands on both sides.
struct Flow {
    series: Arc<TcpSeries>,
    /// Read from the client already.
    leading: Vec<u8>,
    /// Read from the upstream already.
    answered: Vec<u8>,
    idle: Option<Duration>,
}

impl Flow {
    async fn run(self, client: &mut Stream, upstream: &mut Stream) {
        let closing = Closing(&self.series);
        self.series.opened.add(1);
        let progress = Progress::default();
        progress.forth.set(self.leading.len() as u64);
        progress.back.set(self.answered.len() as u64);
        let mut reported = Reported::default();
        {
            let moving = async {
                if !self.leading.is_empty() && upstream.write_all(&self.leading).await.is_err() {
                    return;
                }
                if !self.answered.is_empty() && client.write_all(&self.answered).await.is_err() {
                    return;
                }
                if let Err(broken) = both_ways(client, upstream, &progress).await {
                    tracing::debug!(%broken, "an opaque connection broke");
                }
            };
            let watching = watch(&progress, &self.series, &mut reported, self.idle);
            tokio::select! {
                () = moving => {}
                () = watching => {}
            }
        }
        reported.report(&progress, &self.series);
        drop(closing);
    }
}

/// Counts the end of a connection however it comes.
struct Closing<'a>(&'a TcpSeries);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}

#[derive(Default)]
struct Reported {
    forth: u64,
    back: u64,
}

impl Reported {
    /// Adds what moved since the last time; whether anything did.
    fn report(&mut self, progress: &Progress, series: &TcpSeries) -> bool {
        let (forth, back) = (progress.forth.get() - self.forth, progress.back.get() - self.back);
        series.received.add(forth);
        series.sent.add(back);
        self.forth += forth;
        self.back += back;
        forth + back > 0
    }
}

/// Reports now and then; returns when nothing has moved for the idle time.
async fn watch(progress: &Progress, series: &TcpSeries, reported: &mut Reported, idle: Option<Duration>) {
    let every = idle.map_or(REPORT_EVERY, |idle| REPORT_EVERY.min(idle).max(Duration::from_millis(1)));
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_move = Instant::now();
    loop {
        ticks.tick().await;
        if reported.report(progress, series) {
            last_move = Instant::now();
        } else if idle.is_some_and(|idle| last_move.elapsed() >= idle) {
            return;
        }
    }
}
