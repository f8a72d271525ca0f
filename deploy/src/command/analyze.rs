//! `orrery analyze`: what is wrong with configuration in files, in a running mesh, or in the one with the other applied.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::ensure;
use orrery_analyze::{ALL, Finding, ON_DEMAND, Snapshot, SnapshotBuilder};
use orrery_api::Kind;
use serde_json::{Value, json};

use crate::cli::{AnalyzeArgs, MeshArgs, Output};
use crate::command::api::Api;
use crate::input::{read_file, texts};
use crate::mesh::Mesh;
use crate::print;

/// istioctl's exit status when something was found.
const FOUND: u8 = 79;
/// istioctl's exit status when a file cannot be parsed.
const UNREADABLE: u8 = 65;
const REFERENCE: &str = "https://istio.io/latest/docs/reference/config/analysis/";

pub(super) async fn run(arguments: AnalyzeArgs) -> anyhow::Result<ExitCode> {
    if arguments.list_analyzers {
        let lines: Vec<String> =
            ALL.iter().chain(ON_DEMAND).map(|one| format!("* {}: {}", one.name, one.description)).collect();
        print::data(&lines.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (snapshot, unreadable, what) = gather(&arguments).await?;
    not_acted_on(&snapshot);
    let analyzers = if arguments.analyzer.is_empty() { ALL } else { &arguments.analyzer };
    let findings = told(&arguments, orrery_analyze::analyze(&snapshot, analyzers));
    show(&findings, arguments.output)?;
    let failed = findings.iter().any(|finding| finding.code.level() >= arguments.failure_threshold.level());
    print::note(&match findings.len() {
        0 => format!("no issue found in {what}"),
        1 => format!("1 issue found in {what}"),
        several => format!("{several} issues found in {what}"),
    });
    Ok(match (failed, unreadable) {
        (_, true) => ExitCode::from(UNREADABLE),
        (true, false) => ExitCode::from(FOUND),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Everything to analyze, whether some file could not be read as YAML, and what it all is in words.
async fn gather(arguments: &AnalyzeArgs) -> anyhow::Result<(Snapshot, bool, String)> {
    let mut builder = SnapshotBuilder::new(&arguments.namespace, SystemTime::now());
    if let Some(file) = &arguments.mesh_config {
        builder.mesh_config(document_of(file)?);
    }
    if let Some(file) = &arguments.mesh_networks {
        builder.mesh_networks(document_of(file)?);
    }
    let mut what: Vec<String> = arguments.file.iter().map(|path| path.display().to_string()).collect();
    if let Some(mesh) = running(&arguments.mesh, arguments.use_kube)? {
        let living = Api::new(&mesh).list(None, None, None).await;
        match (living, arguments.use_kube, arguments.file.is_empty()) {
            (Ok(objects), ..) => {
                objects.into_iter().for_each(|object| builder.add_living(object));
                what.push("the running mesh".to_owned());
            }
            // A mesh that ended without a word is no reason not to analyze files.
            (Err(_), None, false) => {}
            (Err(why), ..) => return Err(why),
        }
    }
    ensure!(!what.is_empty(), "there is nothing to analyze: name files or directories, or start a mesh");
    let mut unreadable = false;
    let own = arguments.file.iter().map(|path| (None, path));
    let others = arguments.cluster.iter().map(|(cluster, path)| (Some(cluster), path));
    for (cluster, path) in own.chain(others) {
        for (name, text) in texts(path, arguments.recursive)? {
            let added = match cluster {
                None => builder.add_file(&name, &text),
                Some(cluster) => builder.add_file_of_cluster(cluster, &name, &text),
            };
            match added {
                Ok(0) => {}
                Ok(ignored) => print::warning(&format!(
                    "{name}: {ignored} documents have no kind, apiVersion or name, and were ignored"
                )),
                Err(why) => {
                    print::error(&format!("{name}:{}:{}: {}", why.line, why.column, why.message));
                    unreadable = true;
                }
            }
        }
    }
    Ok((builder.build(), unreadable, what.join(", ")))
}

/// What this mesh keeps and does not act on: no mistake, so not among the findings.
fn not_acted_on(snapshot: &Snapshot) {
    for kind in Kind::ALL {
        let Some(why) = kind.not_acted_on() else { continue };
        for resource in snapshot.all(kind.as_str()) {
            print::note(&format!("{} has no effect here: {why}", resource.origin()));
        }
    }
}

/// The first document of a file.
fn document_of(file: &Path) -> anyhow::Result<Value> {
    let (text, name) = (read_file(file)?, file.display());
    let documents =
        orrery_api::documents(&text).map_err(|why| anyhow::anyhow!("{name}:{}: {}", why.line, why.message))?;
    Ok(documents.first().map(orrery_api::Document::to_json).unwrap_or_default())
}

/// The mesh to ask, if one is wanted and there.
fn running(mesh: &MeshArgs, wanted: Option<bool>) -> anyhow::Result<Option<Mesh>> {
    match wanted {
        Some(true) => Mesh::find(mesh).map(Some),
        Some(false) => Ok(None),
        None => Ok(Mesh::find(mesh).ok()),
    }
}

fn told(arguments: &AnalyzeArgs, findings: Vec<Finding>) -> Vec<Finding> {
    let own = |finding: &Finding| {
        let elsewhere =
            finding.reference.is_empty() && finding.namespace.as_ref().is_some_and(|of| *of != arguments.namespace);
        arguments.all_namespaces || !elsewhere
    };
    findings
        .into_iter()
        .filter(|finding| finding.code.level() >= arguments.output_threshold.level())
        .filter(|finding| !arguments.suppress.iter().any(|suppression| suppression.covers(finding)))
        .filter(own)
        .collect()
}

fn show(findings: &[Finding], output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => print::json(&Value::Array(findings.iter().map(document).collect())),
        Output::Yaml => print::data(&serde_saphyr::to_string(&findings.iter().map(document).collect::<Vec<_>>())?),
        Output::Table if findings.is_empty() => Ok(()),
        Output::Table => {
            let lines: Vec<String> =
                findings.iter().map(|finding| format!("{finding}\n    {}", finding.code.fix())).collect();
            print::data(&lines.join("\n"))
        }
    }
}

/// istioctl's fields, and what to do.
fn document(finding: &Finding) -> Value {
    json!({
        "code": finding.code.number(),
        "level": finding.code.level().as_str(),
        "origin": finding.origin,
        "message": finding.message,
        "reference": finding.reference,
        "fix": finding.code.fix(),
        "documentationUrl": format!("{REFERENCE}{}/", finding.code.number().to_ascii_lowercase()),
    })
}
