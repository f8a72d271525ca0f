//! A real proxy, configured by our control plane over ADS, answering real calls: everything lives in a network namespace of
//! this thread's own, in which every address is local.
//!
//! One subject has one proxy and all steps of a case; a case with calls from several places is played once for each.

mod backends;
mod client;
mod control;
mod envoy;
mod orrery;
mod process;
mod recorder;
mod space;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::Subject;
use crate::answer::Answer;
use crate::call::tcp_tls;
use crate::case::{Call, Expect, From, Mirrors, ObjectRef, Request};
use crate::cluster::{Cluster, NodeKind, ProxyNode};
use backends::Backends;
use control::Control;
use recorder::Recorder;

pub(crate) use space::enter;

/// Calls of one `count` at the same time.
const AT_ONCE: usize = 16;
/// A change is in force everywhere within this.
const IN_FORCE: Duration = Duration::from_secs(20);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(5);
/// Copies that are expected arrive within this.
const COPIES: Duration = Duration::from_secs(5);

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Envoy,
    Orrery,
}

/// One proxy in force.
pub(crate) struct RealSubject {
    runtime: Runtime,
    local: LocalSet,
    kind: Kind,
    from: From,
    recorder: Arc<Recorder>,
    backends: Backends,
    mesh: serde_json::Map<String, Value>,
    running: Option<Running>,
    next_call: u64,
}

struct Running {
    control: Control,
    proxy: Proxy,
    node: ProxyNode,
}

/// A proxy's process.
enum Proxy {
    Envoy(envoy::Envoy),
    Orrery(orrery::Orrery),
}

impl Proxy {
    /// `Ok` when everything that it was told is in force; otherwise what it still waits for.
    async fn in_force(&mut self) -> Result<(), String> {
        match self {
            Self::Envoy(envoy) => envoy.in_force().await,
            Self::Orrery(orrery) => orrery.in_force().await,
        }
    }

    /// The last that it said.
    fn log(&self) -> Vec<String> {
        match self {
            Self::Envoy(envoy) => envoy.log(),
            Self::Orrery(orrery) => orrery.log(),
        }
    }
}

impl RealSubject {
    pub(crate) fn new(kind: Kind, from: From, mesh: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let recorder = Arc::new(Recorder::default());
        Ok(Self {
            runtime,
            local: LocalSet::new(),
            kind,
            from,
            backends: Backends::new(recorder.clone()),
            recorder,
            mesh: mesh.clone(),
            running: None,
            next_call: 0,
        })
    }

    fn start(&mut self, cluster: &Cluster) -> Result<(), String> {
        let node = cluster.proxy(&self.from)?;
        space::redirect(node.kind)?;
        let (kind, mesh) = (self.kind, &self.mesh);
        let running = self.local.block_on(&self.runtime, async {
            let control = Control::start(cluster, mesh, &node).await?;
            let proxy = match kind {
                Kind::Envoy => Proxy::Envoy(envoy::Envoy::start(&control, &node).await?),
                Kind::Orrery => Proxy::Orrery(orrery::Orrery::start(&control, &node)?),
            };
            Ok::<_, String>(Running { control, proxy, node })
        })?;
        self.running = Some(running);
        Ok(())
    }
}

impl Subject for RealSubject {
    fn configure(&mut self, cluster: &Cluster, refused: &[ObjectRef]) -> Result<(), Vec<String>> {
        let one = |wrong: String| vec![wrong];
        space::hosts(&cluster.host_names()).map_err(one)?;
        let (runtime, local, backends) = (&self.runtime, &self.local, &mut self.backends);
        local.block_on(runtime, backends.serve(cluster)).map_err(one)?;
        let first = self.running.is_none();
        if first {
            self.start(cluster).map_err(one)?;
        }
        let Some(running) = &mut self.running else { return Err(vec!["the proxy is not running".to_owned()]) };
        self.local.block_on(&self.runtime, async {
            let Running { control, proxy, node } = running;
            if !first {
                control.change(cluster).await.map_err(one)?;
            }
            control.check_refused(refused).await?;
            control.in_force(&node.pod, &node.namespace).await.map_err(one)?;
            let begun = Instant::now();
            loop {
                match proxy.in_force().await {
                    Ok(()) => return Ok(()),
                    Err(waits) if begun.elapsed() > IN_FORCE => {
                        let told = std::iter::once(format!("not in force within {IN_FORCE:?}: {waits}"));
                        return Err(told.chain(proxy.log()).collect());
                    }
                    Err(_waits) => tokio::time::sleep(LOOK).await,
                }
            }
        })
    }

    fn call(&mut self, cluster: &mut Cluster, call: &Call) -> Result<Vec<Answer>, String> {
        let Some(running) = &mut self.running else { return Err("the proxy is not running".to_owned()) };
        let destination = destination(cluster, &running.node, call)?;
        space::hosts(&cluster.host_names())?;
        let first = self.next_call;
        self.next_call += u64::from(call.count);
        let (recorder, backends) = (self.recorder.clone(), &mut self.backends);
        let facts = client::Facts::of(cluster, call, &running.node, destination)?;
        let mut answers = self.local.block_on(&self.runtime, async {
            backends.serve_outside(cluster, destination.port()).await?;
            let mut answers = Vec::new();
            let numbers: Vec<u64> = (first..first + u64::from(call.count)).collect();
            for some in numbers.chunks(AT_ONCE) {
                let calls = some.iter().map(|number| {
                    recorder.expect(*number, call);
                    client::call(&facts, call, destination, *number)
                });
                answers.extend(futures_util::future::join_all(calls).await);
            }
            copies(&recorder, &call.expect, first, call.count).await;
            Ok::<_, String>(answers)
        })?;
        for (answer, number) in answers.iter_mut().zip(first..) {
            (answer.attempts, answer.mirrored) = self.recorder.take(number);
            answer.path = running.proxy.log();
        }
        Ok(answers)
    }

    fn standard_errors(&self) -> f64 {
        // Chance is a real proxy's own: out of a hundred thousand shares, one may be further off.
        4.5
    }

    fn answers(&self, from: &From) -> bool {
        *from == self.from
    }

    fn has_status(&self) -> bool {
        false
    }

    fn status(&mut self, _key: &ObjectRef) -> Result<Option<Value>, String> {
        Err("the status of objects is asked of the core".to_owned())
    }
}

/// Waits until the copies that are expected have arrived, as far as they come.
async fn copies(recorder: &Recorder, expect: &Expect, first: u64, count: u32) {
    let Some(mirrors) = &expect.mirrors else { return };
    let wanted = match mirrors {
        Mirrors::All(names) => names.len() as f64 * f64::from(count),
        // What is missing within the tolerance need not come.
        Mirrors::Shares(shares) => {
            let of = |share: &f64| {
                let n = f64::from(count);
                n * share - 2.0 * (n * share * (1.0 - share)).sqrt()
            };
            shares.values().map(of).sum()
        }
    };
    let begun = Instant::now();
    while (recorder.copies(first, count) as f64) < wanted && begun.elapsed() < COPIES {
        tokio::time::sleep(LOOK).await;
    }
}

fn destination(cluster: &mut Cluster, node: &ProxyNode, call: &Call) -> Result<SocketAddr, String> {
    let (target, port) = match (&call.request, &call.tcp, &call.udp) {
        (Some(request), None, None) => (request.target().map(str::to_owned), Request::port(request)),
        (None, Some(tcp), None) => (tcp.to.clone().or_else(|| tcp_tls(tcp)?.sni), tcp.port),
        (None, None, Some(udp)) => (None, udp.port),
        _ => return Err("a call is either a request, or tcp, or udp".to_owned()),
    };
    let target = target.map(|host| cluster.with_facts(&host)).transpose()?;
    let ip = match (node.kind, target) {
        (NodeKind::Gateway, _) | (NodeKind::Sidecar, None) => node.address,
        (NodeKind::Sidecar, Some(host)) => cluster.resolve(&host, &node.namespace),
    };
    Ok(SocketAddr::new(ip, port))
}
