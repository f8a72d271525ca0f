//! The demo with a network namespace for each workload, redirected as in a pod. Takes root.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use orrery_tests::demo::Demo;
use orrery_tests::eventually::eventually;
use orrery_tests::http::get;

use crate::graph::draws_bookinfo_with_mutual_tls;

#[tokio::test]
async fn unaware_applications_get_mutual_tls_and_a_killed_run_is_cleaned_up() {
    let mut killed = Demo::start_in_namespaces(78, &["--rps", "1"]).await;
    let of_killed = killed.pid();
    assert_eq!(left_of(of_killed).len(), 8, "a bridge and 7 namespaces: {:?}", left_of(of_killed));
    killed.kill();

    let mut demo = Demo::start_in_namespaces(79, &["--rps", "30"]).await;
    assert_eq!(left_of(of_killed), [] as [String; 0], "the next start removes what a killed one left");
    let page = get(&format!("http://{}/productpage", demo.gateway())).await.expect("the page");
    assert_eq!(page.status, 200);
    draws_bookinfo_with_mutual_tls(&demo).await;

    let of_demo = demo.pid();
    // A plain call from outside the mesh, straight to a workload: redirected to its sidecar, which lets it in (PERMISSIVE).
    let plain = get(&format!("http://{}/details/0", demo.workload(12, 9080))).await.expect("an answer");
    assert_eq!(plain.status, 200);
    eventually("details' sidecar counts the plain call", Duration::from_secs(10), || async {
        let graph = demo.graph("duration=60s").await?;
        anyhow::ensure!(graph.to_string().contains("\"unknown\""), "no unknown source: {graph}");
        anyhow::Ok(())
    })
    .await;
    let status = demo.interrupt().await;
    assert!(status.success(), "Ctrl-C is a normal end: {status}");
    assert_eq!(left_of(of_demo), [] as [String; 0]);
}

/// Bridges and namespaces of a supervisor, by the process id in their names.
fn left_of(supervisor: u32) -> Vec<String> {
    let mark = format!("orrery-{supervisor}");
    let ip = |arguments: &[&str]| {
        let program = if Path::new("/usr/sbin/ip").exists() { "/usr/sbin/ip" } else { "ip" };
        let output = Command::new(program).args(arguments).output().expect("ip, of the package iproute2");
        assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let lines = ip(&["netns", "list"]) + &ip(&["-br", "link", "show", "type", "bridge"]);
    let first_words = lines.lines().filter_map(|line| line.split_whitespace().next());
    first_words.filter(|name| name.starts_with(&mark)).map(str::to_owned).collect()
}
