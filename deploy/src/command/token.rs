//! `orrery token create`: a bootstrap token, signed with the control plane's key.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::ensure;
use orrery_ca::{Claims, store};

use crate::cli::TokenCommand;
use crate::demo::control_state;
use crate::{mesh, print};

pub(super) fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create { service_account, namespace, ttl, mesh: arguments } = command;
    for (what, name) in [("namespace", &namespace), ("service account", &service_account)] {
        ensure!(!name.is_empty() && !name.contains(':'), "{what} {name:?} is no Kubernetes name");
    }
    print::data(&issue(&mesh::state_dir(&arguments)?, namespace, service_account, ttl)?)?;
    Ok(ExitCode::SUCCESS)
}

/// A token signed with the key of the mesh in a state directory.
pub(super) fn issue(
    state_dir: &Path,
    namespace: String,
    service_account: String,
    ttl: Duration,
) -> anyhow::Result<String> {
    let paths = store::Paths::in_directory(&control_state(state_dir));
    ensure!(
        paths.token_key.exists(),
        "{} does not exist: name the --state-dir of a mesh that was started on this machine",
        paths.token_key.display()
    );
    let now = SystemTime::now();
    let claims = Claims { namespace, service_account, expires: now + ttl };
    Ok(store::load_or_create_token_key(&paths)?.issue(&claims, now))
}
