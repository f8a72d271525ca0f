//! `kill -9` of the aggregator, of the control plane and of one sidecar.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use orrery_tests::calls::{call, reviews, reviews_version};
use orrery_tests::demo::{Demo, is_running, signal};
use orrery_tests::eventually::eventually;
use orrery_tests::http::{Ask, Connection, get_json};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Steady calls to one service through one sidecar, every answer counted.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    lanes: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(outbound: SocketAddr, host: &'static str, path: &'static str) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let lanes =
            (0..4).map(|_| tokio::spawn(lane(outbound, host, path, Arc::clone(&stop), Arc::clone(&good)))).collect();
        Self { stop, good, lanes }
    }

    fn count(&self) -> usize {
        self.good.load(Ordering::Relaxed)
    }

    /// Waits for so many more good answers.
    async fn more(&self, calls: usize) {
        let goal = self.count() + calls;
        eventually("the load goes on", Duration::from_secs(20), || async {
            if self.count() >= goal { Ok(()) } else { Err(self.count()) }
        })
        .await;
    }

    /// Every call that did not end well.
    async fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for lane in self.lanes {
            failures.extend(lane.await.expect("a lane of the load"));
        }
        failures
    }
}

async fn lane(
    outbound: SocketAddr,
    host: &'static str,
    path: &'static str,
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) && failures.len() < 20 {
        let Ok(mut connection) = Connection::open(outbound).await else {
            failures.push("no connection to the sidecar".to_owned());
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            match connection.ask(&Ask { path, headers: &[("host", host)], ..Ask::default() }).await {
                Ok(answer) if answer.status == 200 => {
                    good.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => failures.push(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))),
                Err(why) => {
                    failures.push(format!("{why:#}"));
                    break;
                }
            }
        }
    }
    failures
}

#[tokio::test]
async fn killing_a_part_harms_only_what_passes_through_it() {
    let demo = Demo::start(37, &["--rps", "20"]).await;
    aggregator(&demo).await;
    control_plane(&demo).await;
    sidecar(&demo).await;
}

async fn aggregator(demo: &Demo) {
    let load = Load::start(demo.productpage_outbound(), "details:9080", "/details/0");
    load.more(200).await;
    let (old, new) = kill_and_await(demo, &["telemetry"]).await;
    assert_ne!(old, new);
    load.more(200).await;
    assert_eq!(load.finish().await, Vec::<String>::new(), "calls while the aggregator was killed");
    graph_moves(demo).await;
}

async fn control_plane(demo: &Demo) {
    let load = Load::start(demo.productpage_outbound(), "details:9080", "/details/0");
    load.more(200).await;
    kill_and_await(demo, &["control"]).await;
    load.more(200).await;
    assert_eq!(load.finish().await, Vec::<String>::new(), "calls while the control plane was killed");
    // The new control plane has the mesh's configuration and its proxies again: a change still arrives.
    eventually("apply works again", Duration::from_secs(10), || async {
        let file = orrery_tests::tools::corpus("istio/samples/bookinfo-networking/destination-rule-all.yaml");
        let output = demo.orrery(&["apply", "-f", &file.display().to_string()]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    })
    .await;
    demo.apply_sample("virtual-service-all-v1");
    eventually("a change arrives after the restart", Duration::from_secs(10), || async {
        for _ in 0..10 {
            let version = reviews_version(&reviews(demo.productpage_outbound(), &[]).await?);
            anyhow::ensure!(version == "v1", "{version}");
        }
        anyhow::Ok(())
    })
    .await;
    graph_moves(demo).await;
}

async fn sidecar(demo: &Demo) {
    let load = Load::start(demo.productpage_outbound(), "details:9080", "/details/0");
    load.more(200).await;
    kill_and_await(demo, &["proxy", "ratings-v1"]).await;
    load.more(200).await;
    assert_eq!(load.finish().await, Vec::<String>::new(), "calls that do not pass through the sidecar of ratings");
    eventually("ratings is reached again", Duration::from_secs(10), || async {
        let answer = call(demo.workload(14, 15001), "ratings:9080", "/ratings/0", &[]).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.status);
        anyhow::Ok(())
    })
    .await;
    graph_moves(demo).await;
}

/// Kills the one part with these words in its command line, and waits for its successor.
async fn kill_and_await(demo: &Demo, words: &[&str]) -> (u32, u32) {
    let before = demo.parts(words);
    assert_eq!(before.len(), 1, "one part {words:?}: {before:?}");
    signal(before[0], Signal::SIGKILL);
    let after = eventually(&format!("{words:?} is started again within 1 s"), Duration::from_secs(1), || async {
        match demo.parts(words).as_slice() {
            [pid] if *pid != before[0] && is_running(*pid) => Ok(*pid),
            other => Err(other.to_vec()),
        }
    })
    .await;
    (before[0], after)
}

/// The graph shows traffic that is seconds old.
async fn graph_moves(demo: &Demo) {
    eventually("the graph goes on", Duration::from_secs(20), || async {
        let graph = get_json(&format!(
            "{}/api/namespaces/graph?namespaces=all&graphType=versionedApp&duration=60s&injectServiceNodes=true",
            demo.state().ui
        ))
        .await?;
        let edges = graph["elements"]["edges"].as_array().context("edges")?;
        let live: f64 = edges.iter().filter_map(|edge: &Value| edge["data"]["orrery"]["live"]["rps"].as_f64()).sum();
        anyhow::ensure!(edges.len() >= 8 && live > 1.0, "{} edges, {live} live requests per second", edges.len());
        anyhow::Ok(())
    })
    .await;
}
