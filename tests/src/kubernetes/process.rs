//! One program of a cluster, its output kept in a file for when a test fails.

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of output that a message has.
const LINES: usize = 12;

pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(name: &str, mut command: Command, home: &Path) -> Self {
        let log = home.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child, log }
    }

    /// A complaint with the last lines of the program's output.
    pub(super) fn told(&self, why: &dyn Display) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(LINES).collect();
        format!("{why}\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Ends it at once and waits for its end.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself; waiting is right in both cases.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
