//! `orrery proxy-config bootstrap --envoy`: lets an Envoy join the running mesh as one of its workloads.
//!
//! The certificate is asked of the mesh's authority with a token for the workload's service account; Envoy reads it, and
//! the mesh's roots, from files that it watches.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use orrery_ca::store;
use orrery_proxy::Config;
use serde_json::Value;

use super::api::Api;
use super::token;
use crate::cli::{BootstrapArgs, BootstrapFormat, EnvoyKind, ProxyArgs};
use crate::demo::{control_state, described};
use crate::mesh::{self, Mesh};
use crate::print;
use crate::role::proxy::{Kind, config};
use crate::workload::{Role, Workload};

mod envoy;

/// The token is used once, at once.
const TOKEN_LIFE: Duration = Duration::from_secs(300);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// As the roles' flags have them by default.
const TRUST_DOMAIN: &str = "cluster.local";
const CLUSTER: &str = "Kubernetes";

pub(super) async fn bootstrap(arguments: BootstrapArgs) -> anyhow::Result<ExitCode> {
    let state_dir = mesh::state_dir(&arguments.mesh)?;
    let mesh = Mesh::find(&arguments.mesh)?;
    let workload = workload(&mesh, &arguments).await?;
    let dir = secrets_dir(&arguments, &state_dir)?;
    let config = node(&arguments, &workload, &mesh, &state_dir, &dir);
    let token_file = dir.join("token");
    let account = workload.service_account.clone();
    let token = token::issue(&state_dir, workload.namespace.clone(), account, TOKEN_LIFE)?;
    mesh::write_secret(&token_file, token.as_bytes())?;
    let issued = orrery_proxy::issue(&config.control).await;
    fs::remove_file(&token_file).with_context(|| format!("cannot remove {}", token_file.display()))?;
    let issued = issued?;
    mesh::write_secret(&dir.join("ROOTCA.yaml"), &serde_json::to_vec_pretty(&envoy::roots(&issued))?)?;
    mesh::write_secret(&dir.join("default.yaml"), &serde_json::to_vec_pretty(&envoy::certificate(&issued))?)?;
    let bootstrap = envoy::bootstrap(&config, &dir);
    match arguments.output {
        BootstrapFormat::Yaml => print::yaml(&bootstrap)?,
        BootstrapFormat::Json => print::json(&bootstrap)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The workload as the mesh's configuration describes it.
async fn workload(mesh: &Mesh, arguments: &BootstrapArgs) -> anyhow::Result<Workload> {
    let (namespace, name) = (&arguments.namespace, &arguments.workload);
    let api = Api::new(mesh);
    for kind in ["Pod", "WorkloadEntry"] {
        let Some(document) = api.list(Some(kind), Some(namespace), Some(name)).await?.into_iter().next() else {
            continue;
        };
        return described(&document, arguments);
    }
    bail!("there is no Pod and no WorkloadEntry {namespace}/{name}; `orrery get pod -A` lists the pods")
}

fn described(document: &Value, arguments: &BootstrapArgs) -> anyhow::Result<Workload> {
    let objects = orrery_api::parse(&document.to_string(), "the mesh's configuration", &arguments.namespace);
    let objects = objects.map_err(|problems| anyhow!("{}", problems.first().map_or("", |one| &one.message)))?;
    let object = objects.first().context("the control plane's answer is empty")?;
    let said = described::role(object).map_err(|problem| anyhow!(problem))?;
    let sidecar = |app: Option<IpAddr>| Role::Sidecar { app: arguments.app_address.or(app).unwrap_or(LOOPBACK) };
    let role = match (arguments.kind, said) {
        (Some(EnvoyKind::Router), _) | (None, Some(Role::Gateway)) => Role::Gateway,
        (_, Some(Role::Sidecar { app })) => sidecar(Some(app)),
        (Some(EnvoyKind::Sidecar), Some(Role::Gateway) | None) | (None, None) => sidecar(None),
    };
    let workload = described::with_role(object, role).context("the control plane's answer is no workload")?;
    workload.map_err(|problem| anyhow!(problem))
}

/// The directory, made and readable by the user alone.
fn secrets_dir(arguments: &BootstrapArgs, state_dir: &Path) -> anyhow::Result<PathBuf> {
    let own = || state_dir.join("envoy").join(format!("{}.{}", arguments.workload, arguments.namespace));
    let dir = arguments.secrets_dir.clone().unwrap_or_else(own);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    fs::canonicalize(&dir).with_context(|| format!("cannot find {}", dir.display()))
}

/// The node that our own proxy would be beside this workload.
fn node(arguments: &BootstrapArgs, workload: &Workload, mesh: &Mesh, state_dir: &Path, dir: &Path) -> Config {
    let (kind, app_address) = match workload.role {
        Role::Sidecar { app } => (Kind::Sidecar, Some(app)),
        Role::Gateway => (Kind::Router, None),
    };
    let admin = if workload.address.is_loopback() { workload.address } else { LOOPBACK };
    let root = store::Paths::in_directory(&control_state(state_dir)).root_certificate;
    let flags = ProxyArgs {
        name: workload.name.clone(),
        namespace: workload.namespace.clone(),
        service_account: workload.service_account.clone(),
        workload: Some(workload.owner.clone()),
        labels: workload.labels.clone().into_iter().collect(),
        address: workload.address,
        app_address,
        discovery: mesh.xds.clone(),
        root_cert: root,
        token_file: dir.join("token"),
        telemetry: None,
        interception: arguments.interception,
        trust_domain: TRUST_DOMAIN.to_owned(),
        cluster_id: CLUSTER.to_owned(),
        mesh_id: None,
        domain: TRUST_DOMAIN.to_owned(),
        admin: arguments.admin.unwrap_or(SocketAddr::new(admin, 15000)),
        workers: Some(1),
        exit_with_parent: false,
    };
    config(flags, kind)
}
