//! Starting, stopping, and the summary.

use std::process::{Command, Stdio};
use std::time::Duration;

use orrery_tests::demo::{Demo, is_running};
use orrery_tests::eventually::eventually;
use orrery_tests::http::get;
use orrery_tests::tools;

#[tokio::test]
async fn is_ready_within_five_seconds_and_leaves_nothing_behind() {
    let mut demo = Demo::start(31, &[]).await;
    assert!(demo.ready_after < Duration::from_secs(5), "ready after {:?}", demo.ready_after);
    let page = get(&format!("http://{}/productpage", demo.gateway())).await.expect("the page");
    assert_eq!(page.status, 200);

    let parts = demo.all_parts();
    assert!(parts.len() >= 15, "control, telemetry, 7 proxies, 6 services, traffic: {parts:?}");
    let status = demo.interrupt().await;
    assert!(status.success(), "Ctrl-C is a normal end: {status}");
    eventually("every part has ended", Duration::from_secs(2), || async {
        let left: Vec<u32> = parts.iter().copied().filter(|pid| is_running(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[test]
fn a_headless_run_of_some_seconds_ends_with_a_table_of_edges() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let output = Command::new(tools::orrery())
        .args([
            "demo",
            "--headless",
            "--duration",
            "10s",
            "--ports",
            "any",
            "--address-range",
            "127.33.0.0/16",
            "--state-dir",
        ])
        .arg(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("the demo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    for service in ["productpage", "details", "reviews", "ratings"] {
        assert!(text.contains(service), "no edge with {service} in:\n{text}");
    }
}
