//! Istio's own Bookinfo traffic tasks, unmodified: each takes effect within a second and does what it says.

use std::time::Duration;

use orrery_tests::calls::{assert_share, call, reviews, reviews_split, reviews_version, timed_call};
use orrery_tests::demo::Demo;
use orrery_tests::eventually::eventually;
use orrery_tests::http::get;

/// An applied file must be in force within this.
const EFFECT: Duration = Duration::from_secs(1);
const CALLS: usize = 2_000;

#[tokio::test]
async fn the_traffic_tasks_of_bookinfo() {
    let demo = Demo::start(32, &["--no-traffic"]).await;
    let outbound = demo.productpage_outbound();

    demo.apply_sample("bookinfo-gateway");
    demo.await_url(&format!("http://{}/productpage", demo.gateway()), EFFECT).await;
    let page = get(&format!("http://{}/productpage", demo.gateway())).await.expect("the page");
    assert!(String::from_utf8_lossy(&page.body).contains("Comedy of Errors"), "the product page");
    let other = get(&format!("http://{}/nowhere", demo.gateway())).await.expect("an answer");
    assert_eq!(other.status, 404, "the gateway serves only the paths of its VirtualService");

    demo.apply_sample("destination-rule-all");
    let before = reviews_split(outbound, 300, &[]).await.expect("calls");
    assert_eq!(
        before.keys().map(String::as_str).collect::<Vec<_>>(),
        ["v1", "v2", "v3"],
        "no route yet: all versions, {before:?}"
    );

    demo.apply_sample("virtual-service-all-v1");
    only(&demo, "v1", &[]).await;
    let all = reviews_split(outbound, CALLS, &[]).await.expect("calls");
    assert_eq!(all.get("v1"), Some(&CALLS), "{all:?}");

    demo.apply_sample("virtual-service-reviews-test-v2");
    only(&demo, "v2", &[("end-user", "jason")]).await;
    let jason = reviews_split(outbound, CALLS / 4, &[("end-user", "jason")]).await.expect("calls");
    let anna = reviews_split(outbound, CALLS / 4, &[("end-user", "anna")]).await.expect("calls");
    let nobody = reviews_split(outbound, CALLS / 4, &[]).await.expect("calls");
    assert_eq!(jason.get("v2"), Some(&(CALLS / 4)), "end-user jason: {jason:?}");
    assert_eq!(anna.get("v1"), Some(&(CALLS / 4)), "another user: {anna:?}");
    assert_eq!(nobody.get("v1"), Some(&(CALLS / 4)), "no user: {nobody:?}");

    split(&demo, "virtual-service-reviews-50-v3", ["v1", "v3"], 0.5).await;
    split(&demo, "virtual-service-reviews-80-20", ["v1", "v2"], 0.2).await;
    split(&demo, "virtual-service-reviews-90-10", ["v1", "v2"], 0.1).await;

    ratings_faults(&demo).await;
}

/// Delay and abort of ratings for one user, an abort of details for everybody.
async fn ratings_faults(demo: &Demo) {
    let outbound = demo.workload(14, 15001);
    let jason = [("end-user", "jason")];
    demo.apply_sample("virtual-service-ratings-test-delay");
    let (answer, took) = eventually("ratings is delayed for jason", EFFECT + Duration::from_secs(7), || async {
        let (answer, took) = timed_call(outbound, "ratings:9080", "/ratings/0", &jason).await?;
        anyhow::ensure!(took >= Duration::from_secs(7), "answered after {took:?}");
        anyhow::Ok((answer, took))
    })
    .await;
    assert_eq!(answer.status, 200);
    assert!(took < Duration::from_millis(7_500), "7 s of delay, not {took:?}");
    let (answer, took) = timed_call(outbound, "ratings:9080", "/ratings/0", &[]).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(took < Duration::from_secs(2), "others are not delayed: {took:?}");

    demo.apply_sample("virtual-service-ratings-test-abort");
    status_becomes(demo, "ratings:9080", "/ratings/0", &jason, 500).await;
    assert_eq!(call(outbound, "ratings:9080", "/ratings/0", &[]).await.expect("an answer").status, 200);

    demo.apply_sample("fault-injection-details-v1");
    status_becomes(demo, "details:9080", "/details/0", &[], 555).await;
}

async fn status_becomes(demo: &Demo, host: &str, path: &str, headers: &[(&str, &str)], status: u16) {
    let outbound = demo.productpage_outbound();
    eventually(&format!("{host} answers {status}"), EFFECT, || async {
        // Until the change is in force a call may be held up by the fault that was there before.
        let answer = tokio::time::timeout(EFFECT / 2, call(outbound, host, path, headers)).await??;
        anyhow::ensure!(answer.status.as_u16() == status, "{}", answer.status);
        anyhow::Ok(())
    })
    .await;
}

/// Applies a split and measures it over many calls.
async fn split(demo: &Demo, sample: &str, versions: [&str; 2], second: f64) {
    demo.apply_sample(sample);
    let outbound = demo.productpage_outbound();
    eventually(&format!("{sample} is in force"), EFFECT, || async {
        let counts = reviews_split(outbound, 60, &[]).await?;
        anyhow::ensure!(
            counts.contains_key(versions[1]) && counts.keys().all(|v| versions.contains(&v.as_str())),
            "{counts:?}"
        );
        anyhow::Ok(())
    })
    .await;
    let counts = reviews_split(outbound, CALLS, &[]).await.expect("calls");
    let [first, other] = versions.map(|version| counts.get(version).copied().unwrap_or_default());
    assert_eq!(first + other, CALLS, "{sample}: {counts:?}");
    assert_share(sample, other, CALLS, second);
}

/// Waits until calls with these headers reach only this version.
async fn only(demo: &Demo, version: &str, headers: &[(&str, &str)]) {
    let outbound = demo.productpage_outbound();
    eventually(&format!("calls with {headers:?} reach {version}"), EFFECT, || async {
        for _ in 0..10 {
            let seen = reviews_version(&reviews(outbound, headers).await?);
            anyhow::ensure!(seen == version, "{seen}");
        }
        anyhow::Ok(())
    })
    .await;
}
