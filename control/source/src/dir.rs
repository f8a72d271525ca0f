//! A directory, read once, and then file by file as the system tells of changes; and now and then looked through in case it
//! told nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{Change, SourceError};
use seen::Seen;

mod seen;
mod tree;

/// Writers touch a file several times; so long a silence ends it.
const QUIET: Duration = Duration::from_millis(20);
/// So long a reader waits for silence at most.
const PATIENCE: Duration = Duration::from_millis(200);
/// Looked through again even when nothing was told.
const RESCAN: Duration = Duration::from_secs(5);
/// Paths that wait to be looked at; when more are told, everything is.
const MOST_PATHS: usize = 1_000;

/// What the system told and nobody looked at yet.
#[derive(Default)]
struct Told {
    paths: Mutex<Paths>,
    bell: Notify,
}

/// What has to be looked at.
#[derive(Debug, Default)]
enum Paths {
    #[default]
    None,
    Some(BTreeSet<PathBuf>),
    /// Everything, if it does not look as before.
    All,
}

pub(crate) fn follow(
    directory: PathBuf,
    changes: mpsc::Sender<Change>,
    stop: CancellationToken,
) -> Result<(), SourceError> {
    let failed = |source| SourceError::Directory { path: directory.clone(), source };
    fs::create_dir_all(&directory).map_err(failed)?;
    let directory = fs::canonicalize(&directory).map_err(failed)?;
    let told = Arc::<Told>::default();
    let ear = Arc::clone(&told);
    let broken = |source| SourceError::Watch { path: directory.clone(), source };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() || (event.paths.is_empty() && !event.need_rescan()) => {}
        Ok(event) if !event.need_rescan() => ear.tell(event.paths),
        // What was missed is found by looking at everything.
        Ok(_) | Err(_) => ear.tell_all(),
    })
    .map_err(broken)?;
    watcher.watch(&directory, RecursiveMode::Recursive).map_err(broken)?;
    tokio::spawn(async move {
        let _watcher = watcher;
        let mut seen = Seen::new(directory);
        let mut look_at = Paths::All;
        let mut loaded = false;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let news = seen.look(look_at);
                (seen, news)
            });
            let news;
            (seen, news) = match read.await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "reading the configuration directory failed");
                    return;
                }
            };
            let first = (!loaded).then_some(Change::Loaded);
            loaded = true;
            for change in news.into_iter().chain(first) {
                if changes.send(change).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESCAN) => look_at = Paths::All,
                () = told.bell.notified() => look_at = told.settled().await,
            }
        }
    });
    Ok(())
}

impl Told {
    fn tell(&self, paths: Vec<PathBuf>) {
        let mut waiting = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Paths::None => *waiting = Paths::Some(paths.into_iter().collect()),
            Paths::Some(known) => {
                known.extend(paths);
                if known.len() > MOST_PATHS {
                    *waiting = Paths::All;
                }
            }
            Paths::All => {}
        }
        drop(waiting);
        self.bell.notify_one();
    }

    fn tell_all(&self) {
        *self.paths.lock().unwrap_or_else(PoisonError::into_inner) = Paths::All;
        self.bell.notify_one();
    }

    /// What was told, when nothing more was for a moment.
    async fn settled(&self) -> Paths {
        let more = async { while tokio::time::timeout(QUIET, self.bell.notified()).await.is_ok() {} };
        // Whoever writes without a pause is read in between.
        let _ = tokio::time::timeout(PATIENCE, more).await;
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
