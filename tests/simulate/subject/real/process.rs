//! A proxy's process: in the proxies' group, ended with this thread however that ends, its words kept.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use orrery_tests::tools;

use super::space::PROXY_GROUP;

pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to files below `dir`.
    pub(super) fn start(program: &Path, arguments: &[String], dir: &Path) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", program.display());
        let log = dir.join("proxy.log");
        let output = File::create(&log).map_err(wrong)?;
        let errors = output.try_clone().map_err(wrong)?;
        // The kernel ends the proxy when the thread that started it ends, also when that is killed.
        let child = Command::new(tools::program("setpriv", "util-linux"))
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .gid(PROXY_GROUP)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(wrong)?;
        Ok(Self { child, log })
    }

    /// Whether it has ended unasked.
    pub(super) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the proxy ended: {status}: {}", self.log().join("\n"))),
            Err(error) => Err(format!("the proxy cannot be asked: {error}")),
        }
    }

    /// The last it said.
    pub(super) fn log(&self) -> Vec<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].iter().map(|line| (*line).to_owned()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
