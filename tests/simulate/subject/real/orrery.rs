//! Our own proxy, as `orrery proxy` starts it.

use orrery_tests::http::get;
use orrery_tests::tools;

use super::control::Control;
use super::process::Process;
use crate::cluster::{NodeKind, ProxyNode};

const ADMIN: &str = "127.0.0.1:15000";

pub(super) struct Orrery(Process);

impl Orrery {
    pub(super) fn start(control: &Control, node: &ProxyNode) -> Result<Self, String> {
        let (root, token) = control.credentials()?;
        let (kind, interception) = match node.kind {
            NodeKind::Sidecar => ("sidecar", "redirect"),
            NodeKind::Gateway => ("router", "none"),
        };
        let (address, discovery) = (node.address.to_string(), control.xds.to_string());
        let (root, token) = (root.display().to_string(), token.display().to_string());
        let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut words = vec!["proxy", kind, "--name", &node.pod, "--namespace", &node.namespace];
        words.extend(["--service-account", &node.service_account, "--workload", &node.workload]);
        words.extend(["--address", &address, "--discovery", &discovery, "--root-cert", &root, "--token-file", &token]);
        words.extend(["--interception", interception, "--admin", ADMIN, "--workers", "1"]);
        words.extend(labels.iter().flat_map(|label| ["--label", label]));
        let arguments: Vec<String> = words.into_iter().map(str::to_owned).collect();
        Process::start(&tools::orrery(), &arguments, control.dir()).map(Self)
    }

    /// It acknowledges what is in force, so that readiness is all that is left.
    pub(super) async fn in_force(&mut self) -> Result<(), String> {
        self.0.check()?;
        let ready = get(&format!("http://{ADMIN}/ready")).await.map_err(|error| format!("{error:#}"))?;
        if ready.status == 200 { Ok(()) } else { Err(String::from_utf8_lossy(&ready.body).trim().to_owned()) }
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.0.log()
    }
}
