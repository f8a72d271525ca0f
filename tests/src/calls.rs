//! Many calls through the mesh, counted by what answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::http::{Answer, Ask, Connection};

/// Which version of reviews answered, and whether it got no ratings.
pub fn reviews_version(answer: &Answer) -> String {
    if !answer.status.is_success() {
        return format!("status {}", answer.status.as_u16());
    }
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
        return format!("no JSON: {}", String::from_utf8_lossy(&answer.body));
    };
    let version = body["podname"].as_str().unwrap_or_default().trim_start_matches("reviews-");
    match body["reviews"][0]["rating"]["error"].is_null() {
        true => version.to_owned(),
        false => format!("{version} without ratings"),
    }
}

/// One call to `reviews` through a sidecar's outbound listener.
pub async fn reviews(outbound: SocketAddr, headers: &[(&str, &str)]) -> Result<Answer> {
    call(outbound, "reviews:9080", "/reviews/0", headers).await
}

/// One call to any service through a sidecar's outbound listener.
pub async fn call(outbound: SocketAddr, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut all = vec![("host", host)];
    all.extend_from_slice(headers);
    Connection::open(outbound).await?.ask(&Ask { path, headers: &all, ..Ask::default() }).await
}

/// One call, and how long it took.
pub async fn timed_call(
    outbound: SocketAddr,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(Answer, Duration)> {
    let begun = Instant::now();
    let answer = call(outbound, host, path, headers).await?;
    Ok((answer, begun.elapsed()))
}

/// `count` calls to reviews over eight kept connections, by answering version.
pub async fn reviews_split(
    outbound: SocketAddr,
    count: usize,
    headers: &[(&str, &str)],
) -> Result<BTreeMap<String, usize>> {
    const LANES: usize = 8;
    let headers: Vec<(String, String)> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let mut lanes = Vec::with_capacity(LANES);
    for lane in 0..LANES {
        let share = count / LANES + usize::from(lane < count % LANES);
        lanes.push(tokio::spawn(one_lane(outbound, share, headers.clone())));
    }
    let mut counts = BTreeMap::new();
    for lane in lanes {
        for (version, n) in lane.await?? {
            *counts.entry(version).or_default() += n;
        }
    }
    Ok(counts)
}

async fn one_lane(
    outbound: SocketAddr,
    count: usize,
    headers: Vec<(String, String)>,
) -> Result<BTreeMap<String, usize>> {
    let mut all = vec![("host", "reviews:9080")];
    all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut connection = Connection::open(outbound).await?;
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let answer = connection.ask(&Ask { path: "/reviews/0", headers: &all, ..Ask::default() }).await?;
        *counts.entry(reviews_version(&answer)).or_default() += 1;
    }
    Ok(counts)
}

/// Fails unless `hits` of `total` lies within three standard errors of `share`.
pub fn assert_share(what: &str, hits: usize, total: usize, share: f64) {
    #[allow(clippy::cast_precision_loss)]
    let (hits, n) = (hits as f64, total as f64);
    let limit = 3.0 * (share * (1.0 - share) / n).sqrt();
    let seen = hits / n;
    assert!(
        (seen - share).abs() <= limit,
        "{what}: {hits} of {n} calls are {seen:.4}, expected {share} within {limit:.4} (3 standard errors)"
    );
}
