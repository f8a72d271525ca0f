//! `orrery dashboard`: prints the address of a page and opens it in the browser.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::cli::{DashboardArgs, Page};
use crate::mesh::Mesh;
use crate::print;

pub(super) fn run(arguments: &DashboardArgs) -> anyhow::Result<ExitCode> {
    let mesh = Mesh::find(&arguments.mesh)?;
    let url = url(&mesh, arguments)?;
    print::data(&url)?;
    if arguments.browser && !open(&url) {
        print::note("no browser could be started: open the address above");
    }
    Ok(ExitCode::SUCCESS)
}

fn url(mesh: &Mesh, arguments: &DashboardArgs) -> anyhow::Result<String> {
    Ok(match arguments.page {
        Page::Ui => mesh.ui.clone(),
        Page::Prometheus => mesh.query.clone(),
        Page::Tracing => format!("{}/traces", mesh.ui),
        Page::Control => format!("{}/debug/syncz", mesh.control),
        Page::Proxy => {
            let name = arguments.name.as_deref().unwrap_or_default();
            let known = || mesh.proxies.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            mesh.proxies.get(name).with_context(|| format!("no proxy {name:?}; there are: {}", known()))?.clone()
        }
    })
}

/// Whether a program that opens pages was found.
fn open(url: &str) -> bool {
    ["xdg-open", "open", "wslview"].iter().any(|program| {
        let started =
            Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        started.is_ok_and(|status| status.success())
    })
}
