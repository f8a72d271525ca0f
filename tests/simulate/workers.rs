//! Plays files on several threads, each with a network of its own where sockets are needed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::files::{File, Which};
use crate::run;
use crate::subject::real;

/// Files that are played at the same time: mostly they wait.
const THREADS: usize = 4;

/// Plays all files, and tells of each as it ends.
pub(crate) fn run(which: Which, files: &[File], mut told: impl FnMut(&File, Result<(), Vec<String>>)) {
    let next = AtomicUsize::new(0);
    let (outcomes, ended) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (outcomes, next) = (outcomes.clone(), &next);
            scope.spawn(move || {
                let network = match which {
                    Which::Core => Ok(()),
                    Which::Envoy | Which::Proxy => real::enter(),
                };
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = network.clone().map_err(|wrong| vec![wrong]).and_then(|()| run::file(which, file));
                    if outcomes.send((file, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        for (file, outcome) in ended {
            told(file, outcome);
        }
    });
}
