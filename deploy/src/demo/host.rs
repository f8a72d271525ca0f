//! What a mesh on one machine needs: directories, ports, keys, and its processes.

use std::fs;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use orrery_ca::{Claims, store};
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::mpsc::Receiver;

use super::control_state;
use super::namespaces::Namespaces;
use super::planes::Planes;
use crate::cli::HostArgs;
use crate::interception::PROXY_GROUP;
use crate::mesh::{self, Mesh};
use crate::print;
use crate::supervise::{Group, Part, Report};
use crate::workload::{Network, Role, Workload};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TRUST_DOMAIN: &str = "cluster.local";
/// Tokens are issued anew whenever a proxy starts.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How addresses are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A line for each, for scripts.
    Plain,
    /// The same with a title, for people.
    Spaced,
    /// And in colour.
    Painted,
}

/// One mesh.
pub(super) struct Host {
    state_dir: PathBuf,
    config_dir: PathBuf,
    network: Network,
    sampling: f64,
    addresses: Planes,
    admin_token: String,
    program: PathBuf,
    group: Option<Group>,
    workloads: Vec<Workload>,
    /// Taken down after the parts that run in them.
    namespaces: Option<Namespaces>,
    /// Removed with the mesh when nobody named a directory.
    temporary: Option<tempfile::TempDir>,
}

impl Host {
    /// Directories, keys and free ports.
    pub(super) fn prepare(arguments: &HostArgs, namespaces: Option<Namespaces>) -> anyhow::Result<Self> {
        let network = network(arguments, namespaces.is_some())?;
        let temporary = match arguments.state_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("orrery-").tempdir().context("no temporary directory")?),
        };
        let state_dir = match (&arguments.state_dir, &temporary) {
            (Some(given), _) => given.clone(),
            (None, Some(made)) => made.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        for folder in ["config", "logs", "tokens", "control"] {
            let path = state_dir.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let state_dir = fs::canonicalize(&state_dir)?;
        mesh::refuse_running(&state_dir)?;
        let paths = store::Paths::in_directory(&control_state(&state_dir));
        store::load_or_create_root(&paths, TRUST_DOMAIN, SystemTime::now())?;
        store::load_or_create_token_key(&paths)?;
        let admin_token = Alphanumeric.sample_string(&mut rand::rng(), 40);
        mesh::write_secret(&state_dir.join("admin-token"), admin_token.as_bytes())?;
        Ok(Self {
            config_dir: state_dir.join("config"),
            network,
            sampling: arguments.trace_sampling,
            addresses: Planes::choose(arguments.ports, if namespaces.is_some() { network.host() } else { LOOPBACK })?,
            admin_token,
            program: std::env::current_exe().context("this program's own file is not known")?,
            group: None,
            workloads: Vec::new(),
            namespaces,
            state_dir,
            temporary,
        })
    }

    /// Watches another directory, which must exist.
    pub(super) fn with_config(mut self, directory: &Path) -> anyhow::Result<Self> {
        let found = fs::canonicalize(directory).with_context(|| format!("--config {}", directory.display()))?;
        ensure!(found.is_dir(), "--config {} is no directory", directory.display());
        self.config_dir = found;
        Ok(self)
    }

    /// Where to look when something does not start.
    pub(super) fn logs_hint(&self) -> String {
        format!("the mesh did not become ready; the logs of its parts are in {}", self.state_dir.join("logs").display())
    }

    pub(super) fn network(&self) -> Network {
        self.network
    }

    pub(super) fn config_dir(&self) -> &Path {
        &self.config_dir
    }

    pub(super) fn ui(&self) -> SocketAddr {
        self.addresses.ui
    }

    /// Addresses and paths that tell whether control plane and aggregator are ready.
    pub(super) fn planes(&self) -> Vec<(String, &'static str)> {
        vec![(self.addresses.debug.to_string(), "/ready"), (self.addresses.ui.to_string(), "/healthz")]
    }

    pub(super) fn proxies(&self) -> impl Iterator<Item = IpAddr> {
        self.workloads.iter().map(|workload| workload.address)
    }

    /// Starts the control plane and the aggregator.
    pub(super) fn start_planes(&mut self) -> anyhow::Result<Receiver<Report>> {
        let (group, reports) = Group::new();
        self.group = Some(group);
        let a = self.addresses;
        let state = control_state(&self.state_dir);
        let control = [
            ("--config-dir", self.config_dir.display().to_string()),
            ("--state-dir", state.display().to_string()),
            ("--xds", a.xds.to_string()),
            ("--xds-plaintext", a.plaintext.to_string()),
            ("--debug", a.debug.to_string()),
            ("--admin-token-file", self.state_dir.join("admin-token").display().to_string()),
            ("--trace-sampling", self.sampling.to_string()),
        ];
        self.start("control", &["control"], &control, 3)?;
        let telemetry = [
            ("--otlp-grpc", a.otlp_grpc.to_string()),
            ("--otlp-http", a.otlp_http.to_string()),
            ("--query", a.query.to_string()),
            ("--tracing", a.tracing.to_string()),
            ("--ui", a.ui.to_string()),
        ];
        self.start("telemetry", &["telemetry"], &telemetry, 3)?;
        Ok(reports)
    }

    /// Starts the proxy of a workload, with a fresh token at each start.
    pub(super) fn start_proxy(&mut self, workload: &Workload) -> anyhow::Result<()> {
        let token_file = self.state_dir.join("tokens").join(format!("{}.{}", workload.name, workload.namespace));
        let paths = store::Paths::in_directory(&control_state(&self.state_dir));
        let (file, namespace, account) =
            (token_file.clone(), workload.namespace.clone(), workload.service_account.clone());
        let root = paths.root_certificate.clone();
        let prepare = Arc::new(move || {
            let now = SystemTime::now();
            let claims =
                Claims { namespace: namespace.clone(), service_account: account.clone(), expires: now + TOKEN_LIFE };
            mesh::write_secret(&file, store::load_or_create_token_key(&paths)?.issue(&claims, now).as_bytes())
        });
        let mut flags = vec![
            ("--name", workload.name.clone()),
            ("--namespace", workload.namespace.clone()),
            ("--service-account", workload.service_account.clone()),
            ("--workload", workload.owner.clone()),
            ("--address", workload.address.to_string()),
            ("--admin", admin(workload, self.namespaces.is_some())),
            ("--discovery", self.addresses.xds.to_string()),
            ("--root-cert", root.display().to_string()),
            ("--token-file", token_file.display().to_string()),
            ("--telemetry", mesh::url(self.addresses.otlp_grpc)),
            ("--workers", "1".to_owned()),
        ];
        flags.extend(workload.labels.iter().map(|(key, value)| ("--label", format!("{key}={value}"))));
        let kind = match (workload.role, &self.namespaces) {
            (Role::Sidecar { .. }, Some(_)) => {
                flags.push(("--interception", "redirect".to_owned()));
                "sidecar"
            }
            (Role::Sidecar { app }, None) => {
                flags.push(("--app-address", app.to_string()));
                "sidecar"
            }
            (Role::Gateway, _) => "router",
        };
        if let Some(namespaces) = &mut self.namespaces {
            namespaces.add(workload)?;
        }
        let part = Part { prepare: Some(prepare), ..self.part(&proxy_name(workload), &["proxy", kind], &flags, 2) };
        self.add(Part { group: self.namespaces.is_some().then_some(PROXY_GROUP), ..self.place(part, workload) })?;
        self.workloads.push(workload.clone());
        Ok(())
    }

    /// Starts the proxies of new workloads and stops those of workloads that are gone; whether anything changed.
    pub(super) async fn follow(&mut self, wanted: &[Workload]) -> anyhow::Result<bool> {
        let gone: Vec<Workload> = self.workloads.iter().filter(|known| !wanted.contains(known)).cloned().collect();
        let new: Vec<&Workload> = wanted.iter().filter(|workload| !self.workloads.contains(workload)).collect();
        for workload in &gone {
            if let Some(group) = self.group.as_mut() {
                group.stop_one(&proxy_name(workload)).await;
            }
            self.workloads.retain(|known| known != workload);
        }
        for workload in &new {
            self.start_proxy(workload)?;
        }
        Ok(!gone.is_empty() || !new.is_empty())
    }

    /// Starts the traffic generator.
    pub(super) fn start_traffic(&mut self, gateway: &str, rps: u32) -> anyhow::Result<()> {
        self.start("traffic", &["traffic"], &[("--target", gateway.to_owned()), ("--rps", rps.to_string())], 0)
    }

    /// Starts a part of this binary.
    pub(super) fn start(
        &mut self,
        name: &str,
        words: &[&str],
        flags: &[(&str, String)],
        stop_order: u8,
    ) -> anyhow::Result<()> {
        let part = self.part(name, words, flags, stop_order);
        self.add(part)
    }

    /// Starts a workload's application, where the workload is.
    pub(super) fn start_application(
        &mut self,
        workload: &Workload,
        words: &[&str],
        flags: &[(&str, String)],
    ) -> anyhow::Result<()> {
        let part = self.part(&workload.name, words, flags, 1);
        self.add(self.place(part, workload))
    }

    /// The part in its workload's network namespace, when it has one.
    fn place(&self, part: Part, workload: &Workload) -> Part {
        let Some(namespaces) = &self.namespaces else { return part };
        let [program, before @ ..] = namespaces.enter(workload);
        let own = [part.program.display().to_string()];
        Part {
            program: PathBuf::from(program),
            arguments: before.into_iter().chain(own).chain(part.arguments).collect(),
            ..part
        }
    }

    fn part(&self, name: &str, words: &[&str], flags: &[(&str, String)], stop_order: u8) -> Part {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.push("--exit-with-parent".to_owned());
        arguments.extend(flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]));
        Part {
            name: name.to_owned(),
            program: self.program.clone(),
            arguments,
            group: None,
            log: self.state_dir.join("logs").join(format!("{name}.log")),
            stop_order,
            prepare: None,
        }
    }

    fn add(&mut self, part: Part) -> anyhow::Result<()> {
        self.group.as_mut().context("the control plane is started first")?.start(part)
    }

    /// Lets commands find this mesh.
    pub(super) fn publish(&self) -> anyhow::Result<()> {
        let a = self.addresses;
        let mesh = Mesh {
            control: mesh::url(a.debug),
            admin_token: self.admin_token.clone(),
            ui: mesh::url(a.ui),
            query: mesh::url(a.query),
            tracing: mesh::url(a.tracing),
            xds: a.xds.to_string(),
            otlp: mesh::url(a.otlp_grpc),
            proxies: self
                .workloads
                .iter()
                .map(|w| (w.name.clone(), format!("http://{}", admin(w, self.namespaces.is_some()))))
                .collect(),
            pid: std::process::id(),
        };
        mesh.write(&self.state_dir)?;
        mesh::remember(&self.state_dir)
    }

    /// What a person reads when everything runs. Its last line says that the mesh is ready.
    pub(super) fn welcome(&self, gateway: &str, after: Duration, look: Look) -> String {
        let a = self.addresses;
        let mut rows = vec![("Web UI", format!("http://{}/graph", a.ui))];
        if !gateway.is_empty() {
            rows.push(("Bookinfo", format!("http://{gateway}/productpage")));
        }
        rows.extend([
            ("Prometheus SD", format!("http://{}/api/sd/prometheus", a.query)),
            ("Jaeger query API", format!("http://{}", a.tracing)),
            ("OTLP", format!("{} (gRPC), {} (HTTP)", a.otlp_grpc, a.otlp_http)),
            ("Control plane", format!("{} (xDS, CA), http://{} (debug)", a.xds, a.debug)),
            ("Configuration", self.config_dir.display().to_string()),
            ("Logs", self.state_dir.join("logs").display().to_string()),
            ("Steer it", "orrery apply -f FILE".to_owned()),
            ("Stop it", "Ctrl-C".to_owned()),
        ]);
        let title = look.title(if gateway.is_empty() { "Orrery" } else { "Orrery with Bookinfo" });
        let lines = rows.iter().map(|(label, value)| look.row(label, value));
        let last = format!("ready after {:.1} s", after.as_secs_f64());
        title.into_iter().chain(lines).chain([last]).collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Ends every part.
    pub(super) async fn stop(mut self) {
        Mesh::remove(&self.state_dir);
        mesh::forget(&self.state_dir);
        if let Some(group) = self.group.take() {
            group.stop().await;
        }
        drop(self.namespaces.take());
        drop(self.temporary.take());
    }
}

/// The network that the flags name, or the usual one of its kind.
pub(super) fn network(arguments: &HostArgs, namespaces: bool) -> anyhow::Result<Network> {
    let usual = if namespaces { Network::PRIVATE } else { Network::LOOPBACK };
    let network = arguments.address_range.unwrap_or(usual);
    ensure!(
        network.is_loopback() != namespaces,
        "--address-range {network}: network namespaces take a private network, everything else one of loopback"
    );
    Ok(network)
}

impl Look {
    /// What this terminal, this user and this flag allow.
    pub(super) fn of(headless: bool) -> Self {
        match (headless, std::io::stdout().is_terminal() && print::colour_wanted()) {
            (true, _) => Self::Plain,
            (false, false) => Self::Spaced,
            (false, true) => Self::Painted,
        }
    }

    fn title(self, text: &str) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::Spaced => Some(format!("\n{text}\n")),
            Self::Painted => Some(format!("\n\x1b[1m{text}\x1b[0m\n")),
        }
    }

    fn row(self, label: &str, value: &str) -> String {
        match self {
            Self::Plain => format!("{label:<17} {value}"),
            Self::Spaced => format!("  {label:<17} {value}"),
            Self::Painted => format!("  \x1b[2m{label:<17}\x1b[0m \x1b[36m{value}\x1b[0m"),
        }
    }
}

/// The name of a workload's proxy among the parts.
fn proxy_name(workload: &Workload) -> String {
    match workload.namespace.as_str() {
        "default" => format!("proxy-{}", workload.name),
        namespace => format!("proxy-{}.{namespace}", workload.name),
    }
}

/// Where a proxy's admin interface listens: on loopback, or in a network namespace that lets only this machine call it.
fn admin(workload: &Workload, namespaces: bool) -> String {
    let own = workload.address.is_loopback() || namespaces;
    SocketAddr::new(if own { workload.address } else { LOOPBACK }, 15000).to_string()
}
