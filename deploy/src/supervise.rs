//! Child processes that belong together: started, started again when they die, asked to stop, and ended in any case.
//!
//! It knows commands and signals, not what the processes do.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Pause before a part is started again; doubled each time that it dies young.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A part that lived this long is healthy: its next death is a new one.
const HEALTHY: Duration = Duration::from_secs(10);
/// How long a part may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Log bytes after which a part's file is begun anew when the part starts again.
const LARGEST_LOG: u64 = 64 << 20;
/// Reports that wait to be read.
const REPORTS: usize = 256;

/// Done before each start of a part, such as issuing a fresh token.
pub(crate) type Prepare = Arc<dyn Fn() -> anyhow::Result<()> + Send + Sync>;

/// A process to keep running.
#[derive(Clone)]
pub(crate) struct Part {
    /// Its name in reports.
    pub name: String,
    /// Program and arguments.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// The group that it runs as; `None`: the supervisor's.
    pub group: Option<u32>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Stopped before all others of a higher number.
    pub stop_order: u8,
    pub prepare: Option<Prepare>,
}

/// Something happened to a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// It died and is started again after the pause.
    Died { name: String, how: String, pause: Duration },
    /// It is running again.
    Restarted { name: String },
    /// It could not be started; that is tried again.
    Failed { name: String, why: String },
}

/// Running parts. Dropping it kills them.
pub(crate) struct Group {
    members: Vec<Member>,
    reports: mpsc::Sender<Report>,
}

struct Member {
    name: String,
    stop_order: u8,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Group {
    /// An empty group, and where its reports arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(REPORTS);
        (Self { members: Vec::new(), reports }, receiver)
    }

    /// Starts a part and keeps it running.
    ///
    /// # Errors
    /// When it cannot be started the first time.
    pub(crate) fn start(&mut self, part: Part) -> anyhow::Result<()> {
        let child = spawn(&part)?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (name, stop_order) = (part.name.clone(), part.stop_order);
        tasks.spawn(keep(part, child, stop.clone(), self.reports.clone()));
        self.members.push(Member { name, stop_order, stop, tasks });
        Ok(())
    }

    /// Stops one part for good.
    pub(crate) async fn stop_one(&mut self, name: &str) {
        let Some(index) = self.members.iter().position(|member| member.name == name) else { return };
        let mut member = self.members.swap_remove(index);
        member.stop.cancel();
        while member.tasks.join_next().await.is_some() {}
    }

    /// Asks all parts to stop, in their order, and kills those that take too long.
    pub(crate) async fn stop(mut self) {
        let mut orders: Vec<u8> = self.members.iter().map(|member| member.stop_order).collect();
        orders.sort_unstable();
        orders.dedup();
        for order in orders {
            let due = self.members.iter().filter(|member| member.stop_order == order);
            due.for_each(|member| member.stop.cancel());
            for member in self.members.iter_mut().filter(|member| member.stop_order == order) {
                while member.tasks.join_next().await.is_some() {}
            }
        }
    }
}

async fn keep(part: Part, first: Child, stop: CancellationToken, reports: mpsc::Sender<Report>) {
    let mut child = first;
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        // Waiting for a child would close its input, which tells it that its parent is gone.
        let _open = child.stdin.take();
        let how = tokio::select! {
            outcome = child.wait() => describe(outcome),
            () = stop.cancelled() => return end(&part.name, child).await,
        };
        pause = if begun.elapsed() >= HEALTHY { FIRST_PAUSE } else { pause };
        // Reports that nobody reads are dropped: the parts matter more.
        let _ = reports.try_send(Report::Died { name: part.name.clone(), how, pause });
        child = loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match spawn(&part) {
                Ok(child) => break child,
                Err(why) => {
                    let report = Report::Failed { name: part.name.clone(), why: format!("{why:#}") };
                    let _ = reports.try_send(report);
                }
            }
        };
        let _ = reports.try_send(Report::Restarted { name: part.name.clone() });
    }
}

fn spawn(part: &Part) -> anyhow::Result<Child> {
    if let Some(prepare) = &part.prepare {
        prepare().with_context(|| format!("cannot prepare {}", part.name))?;
    }
    let grown = std::fs::metadata(&part.log).is_ok_and(|file| file.len() > LARGEST_LOG);
    let log = OpenOptions::new().create(true).append(!grown).write(true).truncate(grown).open(&part.log);
    let log = log.with_context(|| format!("cannot write {}", part.log.display()))?;
    let twin = log.try_clone().context("cannot share a log file")?;
    let mut command = Command::new(&part.program);
    if let Some(group) = part.group {
        command.gid(group);
    }
    command
        .args(&part.arguments)
        // The pipe's end tells the part that its parent is gone, however it went.
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(twin)
        // Ctrl-C on the terminal reaches the supervisor alone, which stops the parts in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", part.program.display()))
}

async fn end(name: &str, mut child: Child) {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
    // An error means that it is gone already, which the wait then finds.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    if timeout(PATIENCE, child.wait()).await.is_err() {
        tracing::warn!("{name} did not stop within {PATIENCE:?}; it is killed");
        let _ = child.kill().await;
    }
}

fn describe(outcome: std::io::Result<ExitStatus>) -> String {
    match outcome {
        Ok(status) => status.to_string(),
        Err(why) => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(directory: &std::path::Path, script: &str) -> Part {
        Part {
            name: "part".to_owned(),
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            group: None,
            log: directory.join("part.log"),
            stop_order: 0,
            prepare: None,
        }
    }

    #[tokio::test]
    async fn a_part_that_dies_is_started_again_later_and_later() {
        let dir = tempfile::tempdir().unwrap();
        let (mut group, mut reports) = Group::new();
        let begun = Instant::now();
        group.start(shell(dir.path(), "echo alive; exit 3")).unwrap();
        let died = |pause| Report::Died { name: "part".to_owned(), how: "exit status: 3".to_owned(), pause };
        assert_eq!(reports.recv().await, Some(died(FIRST_PAUSE)));
        assert_eq!(reports.recv().await, Some(Report::Restarted { name: "part".to_owned() }));
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(reports.recv().await, Some(died(FIRST_PAUSE * 2)));
        group.stop().await;
        assert!(std::fs::read_to_string(dir.path().join("part.log")).unwrap().starts_with("alive\nalive\n"));
    }

    #[tokio::test]
    async fn parts_are_asked_to_stop_and_see_the_end_of_their_input() {
        let dir = tempfile::tempdir().unwrap();
        let (mut group, _reports) = Group::new();
        let out = dir.path().join("stopped");
        let script = format!(
            "trap 'echo asked > {}; exit 0' TERM; echo up; while :; do read line || sleep 0.01; done",
            out.display()
        );
        group.start(shell(dir.path(), &script)).unwrap();
        group.start(Part { name: "other".to_owned(), ..shell(dir.path(), "sleep 100") }).unwrap();
        group.stop_one("other").await;
        assert_eq!(group.members.len(), 1);
        let log = dir.path().join("part.log");
        timeout(Duration::from_secs(10), async {
            while !std::fs::read_to_string(&log).unwrap_or_default().contains("up") {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        // `read` blocks on the open pipe, so the shell runs its trap once the read is interrupted.
        group.stop().await;
        assert_eq!(std::fs::read_to_string(out).unwrap(), "asked\n");
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (mut group, _reports) = Group::new();
        let part = Part { program: PathBuf::from("/does/not/exist"), ..shell(dir.path(), "") };
        let said = format!("{:#}", group.start(part).unwrap_err());
        assert!(said.contains("/does/not/exist"), "{said}");
        let part = Part { prepare: Some(Arc::new(|| anyhow::bail!("no token"))), ..shell(dir.path(), "") };
        let said = format!("{:#}", group.start(part).unwrap_err());
        assert!(said.contains("no token"), "{said}");
    }
}
