//! `orrery delete`: removes objects by kind and name, or those that files describe.

use std::process::ExitCode;

use crate::cli::DeleteArgs;
use crate::command::api::Api;
use crate::command::kinds;
use crate::input::{Input, Reference};
use crate::mesh::Mesh;
use crate::print;

pub(super) async fn run(arguments: DeleteArgs) -> anyhow::Result<ExitCode> {
    let targets = match (arguments.kind, arguments.name) {
        (Some(kind), Some(name)) => vec![Reference { kind, namespace: None, name }],
        (Some(_) | None, _) => Input::read(&arguments.file)?.references()?,
    };
    let mesh = Mesh::find(&arguments.mesh)?;
    let api = Api::new(&mesh);
    let mut status = ExitCode::SUCCESS;
    for Reference { kind, namespace, name } in targets {
        let kind = kinds::canonical(&kind);
        let namespace = namespace.unwrap_or_else(|| arguments.namespace.clone());
        if api.delete(&kind, &namespace, &name).await? {
            print::data(&format!("{kind} {namespace}/{name} deleted"))?;
        } else if !arguments.ignore_not_found {
            print::error(&format!("{kind} {namespace}/{name} does not exist, or is not from `orrery apply`"));
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}
