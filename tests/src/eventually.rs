//! Waiting for something to become true: the only place in the tests that lets time pass.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// Asks again until `probe` says `Ok`, and fails with its last word after `limit`.
pub async fn eventually<T, E, F, P>(what: &str, limit: Duration, mut probe: P) -> T
where
    E: Debug,
    F: Future<Output = Result<T, E>>,
    P: FnMut() -> F,
{
    let begun = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) => {
                assert!(begun.elapsed() < limit, "{what}: not within {limit:?}; last: {last:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
