//! The file in which a running mesh says where it is, and how commands find it.
//!
//! A mesh writes `mesh.json` into its state directory, and the directory's path into a file of the user's, so that
//! commands find the mesh that was started last. Both hold what grants control, so others can neither read nor place them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cli::MeshArgs;

const FILE: &str = "mesh.json";

/// Where a running mesh is. URLs without a path.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mesh {
    /// The control plane's debug and configuration API.
    pub control: String,
    /// Bearer token of the configuration API.
    pub admin_token: String,
    /// Web UI and its API.
    pub ui: String,
    /// Prometheus HTTP API.
    pub query: String,
    /// Jaeger query API.
    pub tracing: String,
    /// xDS over TLS.
    pub xds: String,
    /// OTLP over gRPC.
    pub otlp: String,
    /// Admin interfaces of the proxies, by name of the workload.
    pub proxies: BTreeMap<String, String>,
    /// The supervisor's process.
    pub pid: u32,
}

/// An HTTP URL without a path.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// The `host:port` of such a URL.
///
/// # Errors
/// When it is something else.
pub(crate) fn authority(url: &str) -> anyhow::Result<&str> {
    url.strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .with_context(|| format!("{url:?} is no http URL"))
}

impl Mesh {
    /// The mesh that a command means.
    ///
    /// # Errors
    /// When there is none, with the way to start one.
    pub(crate) fn find(arguments: &MeshArgs) -> anyhow::Result<Self> {
        Self::read(&state_dir(arguments)?)
    }

    fn read(state_dir: &Path) -> anyhow::Result<Self> {
        let file = state_dir.join(FILE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("no mesh runs in {}; start one with `orrery demo` or `orrery up`", state_dir.display())
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged; start the mesh again", file.display()))
    }

    /// Writes the file, readable by the user alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, state_dir: &Path) -> anyhow::Result<()> {
        write_secret(&state_dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes the file.
    pub(crate) fn remove(state_dir: &Path) {
        // What is left over names a process that is gone; the next start replaces it.
        let _ = fs::remove_file(state_dir.join(FILE));
    }
}

/// The state directory that a command means: the one it was given, or that of the mesh started last.
///
/// # Errors
/// When no mesh was started by this user.
pub(crate) fn state_dir(arguments: &MeshArgs) -> anyhow::Result<PathBuf> {
    if let Some(given) = &arguments.state_dir {
        return Ok(given.clone());
    }
    let none = "no mesh is running; start one with `orrery demo` or `orrery up`, or name its --state-dir";
    let text = fs::read_to_string(private_dir()?.join("current")).context(none)?;
    Ok(PathBuf::from(text.trim_end_matches('\n')))
}

/// Makes this the mesh that commands mean by default.
///
/// # Errors
/// When the user's file cannot be written.
pub(crate) fn remember(state_dir: &Path) -> anyhow::Result<()> {
    let text = format!("{}\n", state_dir.display());
    write_secret(&private_dir()?.join("current"), text.as_bytes())
}

/// Makes sure that no other mesh runs in a state directory.
///
/// # Errors
/// When one does.
pub(crate) fn refuse_running(state_dir: &Path) -> anyhow::Result<()> {
    let Ok(other) = Mesh::read(state_dir) else { return Ok(()) };
    let pid = i32::try_from(other.pid).map(nix::unistd::Pid::from_raw);
    let runs = other.pid != std::process::id() && pid.is_ok_and(|pid| nix::sys::signal::kill(pid, None).is_ok());
    ensure!(
        !runs,
        "a mesh runs in {} already, as process {}: stop it, or name another --state-dir",
        state_dir.display(),
        other.pid
    );
    Ok(())
}

/// Undoes [`remember`], unless another mesh was started since.
pub(crate) fn forget(state_dir: &Path) {
    let Ok(file) = private_dir().map(|dir| dir.join("current")) else { return };
    if fs::read_to_string(&file).is_ok_and(|text| Path::new(text.trim_end_matches('\n')) == state_dir) {
        let _ = fs::remove_file(file);
    }
}

/// A file that only the user can read, complete or not there.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_secret(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let temporary = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        out.set_permissions(Permissions::from_mode(0o600))?;
        out.write_all(content)?;
        fs::rename(&temporary, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// The user's own directory for such files. In a directory that all may write to, it must be the user's and closed to others.
#[allow(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn private_dir() -> anyhow::Result<PathBuf> {
    let user = nix::unistd::Uid::effective();
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir());
    let dir = match runtime {
        Some(runtime) => runtime.join("orrery"),
        None => std::env::temp_dir().join(format!("orrery-{user}")),
    };
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("cannot create {}", dir.display())),
    }
    let found = fs::symlink_metadata(&dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    ensure!(
        found.is_dir() && found.uid() == user.as_raw() && found.mode() & 0o077 == 0,
        "{} is not a directory that only you can use: remove it",
        dir.display()
    );
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_for_the_user_alone_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = MeshArgs { state_dir: Some(dir.path().to_owned()) };
        let error = Mesh::find(&arguments).unwrap_err().to_string();
        assert!(error.contains("orrery demo") && error.contains(&dir.path().display().to_string()), "{error}");
        let mesh = Mesh {
            control: "http://127.0.0.1:15014".to_owned(),
            admin_token: "secret".to_owned(),
            ui: String::new(),
            query: String::new(),
            tracing: String::new(),
            xds: String::new(),
            otlp: String::new(),
            proxies: BTreeMap::new(),
            pid: 1,
        };
        mesh.write(dir.path()).unwrap();
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(text.contains("\"adminToken\": \"secret\""), "{text}");
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(authority(&Mesh::find(&arguments).unwrap().control).unwrap(), "127.0.0.1:15014");
        refuse_running(dir.path()).expect_err("process 1 always runs");
        fs::write(dir.path().join(FILE), "{").unwrap();
        refuse_running(dir.path()).unwrap();
        assert!(Mesh::find(&arguments).unwrap_err().to_string().contains("damaged"));
        Mesh::remove(dir.path());
        assert!(authority("ftp://x").is_err());
    }
}
