//! A network of this thread's own: everything that it starts lives there, and goes with it.
//!
//! Every address is local, so that applications and gateways can listen on those that the cluster gives out; nothing outside
//! is touched. Names come from a hosts file of its own.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use orrery_tests::tools;
use tempfile::TempDir;

use crate::cluster::NodeKind;

/// The group that proxies run as: what they send is left alone.
pub(super) const PROXY_GROUP: u32 = 1337;

thread_local! {
    /// Files that stand in place of those of the machine.
    static FILES: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Moves this thread into namespaces of its own, for good.
///
/// # Errors
/// Without the right to do so.
pub(crate) fn enter() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("no network namespace can be made ({error}): run as root, or SUBJECT=core"))?;
    let files = tempfile::tempdir().map_err(|error| error.to_string())?;
    run("mount", &["--make-rprivate", "/"], "")?;
    // A name that the hosts file does not have is asked of nobody, and fails at once.
    let lookups = [("hosts", "127.0.0.1 localhost\n"), ("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1\n")];
    for (name, content) in lookups {
        let file = files.path().join(name);
        fs::write(&file, content).map_err(|error| error.to_string())?;
        run("mount", &["--bind", &file.display().to_string(), &format!("/etc/{name}")], "")?;
    }
    run("ip", &["-batch", "-"], "link set lo up\nroute add local 0.0.0.0/0 dev lo\n")?;
    FILES.with(|own| own.replace(Some(files)));
    Ok(())
}

/// Replaces what names stand for.
pub(super) fn hosts(lines: &str) -> Result<(), String> {
    FILES.with_borrow(|files| {
        let files = files.as_ref().ok_or("this thread has no network of its own")?;
        // The same file throughout: it is mounted.
        fs::write(files.path().join("hosts"), lines).map_err(|error| error.to_string())
    })
}

/// What applications send goes to their sidecar; to a gateway nothing is redirected.
pub(super) fn redirect(kind: NodeKind) -> Result<(), String> {
    let rules = match kind {
        NodeKind::Gateway => "flush ruleset\n".to_owned(),
        NodeKind::Sidecar => format!(
            "flush ruleset
table ip simulate {{
  chain output {{
    type nat hook output priority -100; policy accept;
    meta skgid {PROXY_GROUP} return
    ip daddr 127.0.0.0/8 return
    meta l4proto tcp redirect to :15001
  }}
}}
"
        ),
    };
    run("nft", &["-f", "-"], &rules)
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), String> {
    let package = match program {
        "ip" => "iproute2",
        "nft" => "nftables",
        _ => "mount",
    };
    let wrong = |error: std::io::Error| format!("{program}: {error}");
    let path: &Path = &tools::program(program, package);
    let mut child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(wrong)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(wrong)?;
    }
    let done = child.wait_with_output().map_err(wrong)?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}
