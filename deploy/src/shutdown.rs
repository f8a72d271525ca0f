//! When a process should end: SIGINT, SIGTERM, or the end of standard input if a parent holds it.

use std::io::Read;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a role may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(8);

/// A token that is cancelled when the process should end.
///
/// # Errors
/// When signals cannot be handled.
pub(crate) fn token(exit_with_parent: bool) -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let asked = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        asked.cancel();
    });
    if exit_with_parent {
        let orphaned = token.clone();
        std::thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || {
                let mut ignored = [0_u8; 64];
                // Nothing is ever said on this pipe; its end is the message.
                while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
                orphaned.cancel();
            })
            .context("cannot watch the parent process")?;
    }
    Ok(token)
}

/// Runs `work`, which ends by itself some time after `token` was cancelled; cuts it off if it does not.
///
/// # Errors
/// What `work` failed with.
pub(crate) async fn run<E>(token: CancellationToken, work: impl Future<Output = Result<(), E>>) -> anyhow::Result<()>
where
    anyhow::Error: From<E>,
{
    let patience = async {
        token.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        outcome = work => Ok(outcome?),
        () = patience => {
            tracing::warn!("work did not end within {PATIENCE:?}; it is cut off");
            Ok(())
        }
    }
}
