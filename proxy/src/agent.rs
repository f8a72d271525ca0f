//! The proxy's identity: a key made here, a certificate asked of the mesh's authority, renewed at half of its life.
//!
//! While renewal fails the certificate at hand stays in use, and is asked for again with growing pauses.

mod authority;
mod key;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use orrery_core::names::SecretName;
use orrery_core::secret::{PrivateKeyPem, Secret, SecretContent};
use rand::Rng;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::ControlPlane;
use crate::readiness::{Readiness, Waiting};

pub(crate) use authority::control_channel;

/// Name of the proxy's own certificate in SDS.
const OWN: &str = "default";
/// Name of the mesh's roots in SDS.
const ROOTS: &str = "ROOTCA";
/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the authority gave, with the key that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Svid {
    /// Leaf first.
    pub(crate) chain: Arc<str>,
    pub(crate) key: PrivateKeyPem,
    pub(crate) roots: Arc<str>,
    pub(crate) spiffe_id: String,
    pub(crate) serial: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// A certificate of the mesh, with its key and what others' certificates are checked against. All PEM.
pub struct Issued {
    /// Leaf first.
    pub chain: String,
    pub key: PrivateKeyPem,
    pub roots: String,
}

/// One certificate for a proxy that is not this one, such as an Envoy, by the token that `control` names.
///
/// # Errors
/// When the authority cannot be reached or refuses.
pub async fn issue(control: &ControlPlane) -> anyhow::Result<Issued> {
    let svid = authority::certificate(control, None).await?;
    Ok(Issued { chain: svid.chain.to_string(), key: svid.key, roots: svid.roots.to_string() })
}

/// Why no certificate was got.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error("a key cannot be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error("{path} cannot be read: {source}; it is written when the control plane starts")]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("the control plane's address {address} is not host:port: {source}")]
    Address { address: String, source: tonic::transport::Error },
    #[error("the token in {0} holds characters that no header may have")]
    Token(std::path::PathBuf),
    #[error("the certificate authority at {address} refused: {} ({:?})", status.message(), status.code())]
    Refused { address: String, status: tonic::Status },
    #[error("the certificate authority's answer is of no use: {0}")]
    Answer(String),
}

/// Gets and renews the certificate until `shutdown`.
pub(crate) async fn run(
    control: ControlPlane,
    publish: watch::Sender<Option<Arc<Svid>>>,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let mut failures = 0;
    loop {
        let current = publish.borrow().clone();
        let pause = match authority::certificate(&control, current.as_deref()).await {
            Ok(svid) => {
                failures = 0;
                let pause = renewal(&svid, SystemTime::now(), rand::rng().random_range(0.9..1.1));
                tracing::info!(identity = svid.spiffe_id, serial = svid.serial, renewal = ?pause, "certificate issued");
                publish.send_replace(Some(Arc::new(svid)));
                readiness.done(Waiting::Certificate);
                pause
            }
            Err(error) => {
                failures += 1;
                let pause = after_failure(failures);
                tracing::warn!(%error, failures, again_in = ?pause, "no certificate");
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Until half of the life is over, give or take the jitter, so that not all proxies come at once.
fn renewal(svid: &Svid, now: SystemTime, jitter: f64) -> Duration {
    let life = svid.not_after.duration_since(svid.not_before).unwrap_or_default();
    let due = svid.not_before + life.mul_f64(0.5 * jitter);
    due.duration_since(now).unwrap_or_default().max(FIRST_PAUSE)
}

fn after_failure(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

impl Svid {
    /// The two secrets that SDS names for it.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let own = SecretContent::Certificate { chain: self.chain.clone(), key: self.key.clone() };
        let roots = SecretContent::Roots { bundle: self.roots.clone(), revoked: None };
        vec![
            Secret { name: SecretName::from(OWN), content: own },
            Secret { name: SecretName::from(ROOTS), content: roots },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svid(life: Duration) -> Svid {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        Svid {
            chain: "".into(),
            key: PrivateKeyPem::new(""),
            roots: "".into(),
            spiffe_id: String::new(),
            serial: String::new(),
            not_before: now,
            not_after: now + life,
        }
    }

    #[test]
    fn renewal_is_due_at_half_of_the_life() {
        let svid = svid(Duration::from_secs(86_400));
        for (age, jitter, expected) in [(0, 1.0, 43_200), (0, 0.9, 38_880), (40_000, 1.0, 3_200)] {
            let now = svid.not_before + Duration::from_secs(age);
            assert_eq!(renewal(&svid, now, jitter).as_secs(), expected);
        }
        assert_eq!(renewal(&svid, svid.not_after, 1.0), FIRST_PAUSE, "overdue is at once, but never a busy loop");
    }

    #[test]
    fn pauses_after_failures_grow_to_a_limit() {
        let pauses: Vec<u64> = [1, 2, 3, 9, 60].map(|n| u64::try_from(after_failure(n).as_millis()).unwrap()).to_vec();
        assert_eq!(pauses, [250, 500, 1_000, 60_000, 60_000]);
    }
}
