//! `orrery version`: this program's, and that of the running control plane if there is one.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Output, VersionArgs};
use crate::client::Client;
use crate::mesh::{Mesh, authority};
use crate::print;

const OWN: &str = env!("CARGO_PKG_VERSION");
/// How long the control plane may take: a version is not worth waiting for.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: VersionArgs) -> anyhow::Result<ExitCode> {
    if arguments.short {
        print::data(OWN)?;
        return Ok(ExitCode::SUCCESS);
    }
    let control = control_plane(&arguments).await;
    match arguments.output {
        Output::Json => print::json(&json!({ "client": OWN, "controlPlane": control }))?,
        Output::Yaml => print::yaml(&json!({ "client": OWN, "controlPlane": control }))?,
        Output::Table => {
            let running = match &control {
                None => "not running".to_owned(),
                Some(Value::Object(fields)) => {
                    fields.get("version").and_then(Value::as_str).unwrap_or("unknown").to_owned()
                }
                Some(other) => other.as_str().unwrap_or("unknown").to_owned(),
            };
            print::data(&format!("client version: {OWN}\ncontrol plane version: {running}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn control_plane(arguments: &VersionArgs) -> Option<Value> {
    let mesh = Mesh::find(&arguments.mesh).ok()?;
    let answer = Client::default().get(authority(&mesh.control).ok()?, "/version", LIMIT).await.ok()?;
    let text = String::from_utf8_lossy(answer.body());
    Some(serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.trim().to_owned())))
}
