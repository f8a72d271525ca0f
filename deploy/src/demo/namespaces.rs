//! A network namespace for each workload, joined by a bridge on this machine; gone when dropped.
//!
//! Names carry the supervisor's process id, by which the next start finds what a killed one left behind.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use nix::unistd::Pid;

use crate::interception;
use crate::print;
use crate::workload::{Network, Role, Workload};

/// Where `ip netns exec` looks for files that take the place of those in /etc.
const ETC: &str = "/etc/netns";
const PREFIX: &str = "orrery-";

/// Namespaces, their bridge, and their files.
pub(super) struct Namespaces {
    process: u32,
    network: Network,
    names: Vec<String>,
    hosts: String,
}

impl Namespaces {
    /// The bridge, which has the network's first address.
    ///
    /// # Errors
    /// Without the right or the programs to make one, and when the network is in use.
    pub(super) fn prepare(network: Network, services: &[(String, IpAddr)]) -> anyhow::Result<Self> {
        ensure!(
            nix::unistd::Uid::effective().is_root(),
            "--netns makes network namespaces, which takes root: run it with sudo, or without --netns"
        );
        run("nft", ["--version"], "").context("--netns needs nft: install the package nftables")?;
        remove_leftovers();
        let taken = output("ip", ["-o", "-4", "address"]).context("--netns needs ip: install the package iproute2")?;
        ensure!(
            !taken.contains(&format!("inet {}", network.prefix())),
            "{network} is in use on this machine: name another network with --address-range"
        );
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        for (name, address) in services {
            // Writing into a string cannot fail.
            let _ =
                writeln!(hosts, "{address} {name} {name}.default {name}.default.svc {name}.default.svc.cluster.local");
        }
        let made = Self { process: std::process::id(), network, names: Vec::new(), hosts };
        let bridge = made.bridge();
        batch(
            &[],
            &format!(
                "link add {bridge} type bridge\naddress add {}/16 dev {bridge}\nlink set {bridge} up\n",
                network.host()
            ),
        )?;
        Ok(made)
    }

    /// Makes the namespace of a workload, with redirection to its sidecar.
    pub(super) fn add(&mut self, workload: &Workload) -> anyhow::Result<()> {
        let name = self.name(workload);
        let (bridge, link) = (self.bridge(), format!("or{}-{}", self.process, self.names.len()));
        let etc = Path::new(ETC).join(&name);
        self.names.push(name.clone());
        fs::create_dir_all(&etc).with_context(|| format!("cannot create {}", etc.display()))?;
        fs::write(etc.join("hosts"), &self.hosts).with_context(|| format!("cannot write below {}", etc.display()))?;
        batch(
            &[],
            &format!(
                "netns add {name}\nlink add {link} type veth peer name eth0 netns {name}\nlink set {link} master {bridge} up\n"
            ),
        )?;
        batch(
            &["-n", &name],
            &format!(
                "link set lo up\naddress add {}/16 dev eth0\nlink set eth0 up\nroute add default via {}\n",
                workload.address,
                self.network.host()
            ),
        )?;
        let rules = match workload.role {
            Role::Sidecar { .. } => interception::rules(self.network.host()),
            Role::Gateway => interception::gateway_rules(self.network.host()),
        };
        run("ip", ["netns", "exec", &name, "nft", "-f", "-"], &rules)
            .with_context(|| format!("no redirection in the namespace {name}"))
    }

    /// Words that run a program in a workload's namespace, the same process throughout.
    pub(super) fn enter(&self, workload: &Workload) -> [String; 4] {
        ["ip".to_owned(), "netns".to_owned(), "exec".to_owned(), self.name(workload)]
    }

    fn name(&self, workload: &Workload) -> String {
        format!("{PREFIX}{}-{}", self.process, workload.name)
    }

    fn bridge(&self) -> String {
        format!("{PREFIX}{}", self.process)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| remove_namespace(name));
        remove_bridge(&self.bridge());
    }
}

/// What supervisors that were killed left behind.
fn remove_leftovers() {
    let names = |text: String| -> Vec<String> { text.lines().filter_map(first_word).collect() };
    let spaces = output("ip", ["netns", "list"]).map(names).unwrap_or_default();
    spaces.iter().filter(|name| is_orphan(name)).for_each(|name| remove_namespace(name));
    let bridges = output("ip", ["-br", "link", "show", "type", "bridge"]).map(names).unwrap_or_default();
    bridges.iter().filter(|name| is_orphan(name)).for_each(|name| remove_bridge(name));
}

fn first_word(line: &str) -> Option<String> {
    line.split_whitespace().next().map(str::to_owned)
}

/// Whether a name is one of ours and its supervisor has ended.
fn is_orphan(name: &str) -> bool {
    let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).and_then(|id| id.parse().ok());
    process.is_some_and(|id| nix::sys::signal::kill(Pid::from_raw(id), None).is_err())
}

fn remove_namespace(name: &str) {
    if let Err(why) = run("ip", ["netns", "delete", name], "") {
        print::warning(&format!("the network namespace {name} stays: {why:#}"));
    }
    // Without the file there is nothing to remove.
    let _ = fs::remove_dir_all(Path::new(ETC).join(name));
}

fn remove_bridge(name: &str) {
    if let Err(why) = run("ip", ["link", "delete", name], "") {
        print::warning(&format!("the network interface {name} stays: {why:#}"));
    }
}

/// Several commands of `ip` at once.
fn batch(before: &[&str], commands: &str) -> anyhow::Result<()> {
    run("ip", before.iter().copied().chain(["-batch", "-"]), commands)
}

fn run<I, S>(program: &str, arguments: I, input: &str) -> anyhow::Result<()>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    feed(program, arguments, input).map(|_output| ())
}

fn output<I, S>(program: &str, arguments: I) -> anyhow::Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    feed(program, arguments, "")
}

fn feed<I, S>(program: &str, arguments: I, input: &str) -> anyhow::Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut child = Command::new(find(program))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("{program} does not read its input"))?;
    }
    let done = child.wait_with_output().with_context(|| format!("{program} cannot be waited for"))?;
    if !done.status.success() {
        bail!("{program}: {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// System programs are not on every user's path.
fn find(program: &str) -> PathBuf {
    let known = ["/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(program));
    known.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_supervisor_left_is_an_orphan() {
        assert!(!is_orphan(&format!("{PREFIX}{}-reviews-v1", std::process::id())));
        // Process ids end below this.
        assert!(is_orphan("orrery-4194305-reviews-v1") && is_orphan("orrery-4194305"));
        for foreign in ["docker0", "orrery", "orrery-x-1", "cni-1"] {
            assert!(!is_orphan(foreign), "{foreign}");
        }
    }
}
