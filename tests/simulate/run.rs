//! Plays a file: configuration in, steps, calls, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use orrery_tests::tools::corpus;

use crate::case::{Call, Case, From, Name, Source, StatusExpectation, Step};
use crate::check;
use crate::cluster::Cluster;
use crate::files::{self, File, Which};
use crate::subject::core::CoreSubject;
use crate::subject::real::{Kind, RealSubject};
use crate::subject::{Facts, Subject};

/// Whether a subject has anything to do in a file: proxies answer calls, the rest is the core's.
pub(crate) fn concerns(which: Which, file: &File) -> bool {
    match which {
        Which::Core => true,
        Which::Envoy | Which::Proxy => read(file).is_ok_and(|mut case| !callers(&case.take_steps()).is_empty()),
    }
}

/// # Errors
/// What differs from what the file expects, a line each.
pub(crate) fn file(which: Which, file: &File) -> Result<(), Vec<String>> {
    let one = |wrong: String| vec![wrong];
    let mut case = read(file).map_err(one)?;
    let steps = case.take_steps();
    let mut wrong = Vec::new();
    let mut play = |subject: &mut dyn Subject| {
        let mut cluster = Cluster::default();
        if let Err(unusable) = prepare(&case, &mut cluster) {
            return wrong.push(unusable);
        }
        for (number, step) in steps.iter().enumerate() {
            let told = |line: String| format!("step {}: {line}", number + 1);
            wrong.extend(one_step(step, &mut cluster, subject).into_iter().map(told));
        }
    };
    let kind = match which {
        Which::Core => {
            play(&mut CoreSubject::new(&case.mesh).map_err(one)?);
            return if wrong.is_empty() { Ok(()) } else { Err(wrong) };
        }
        Which::Envoy => Kind::Envoy,
        Which::Proxy => Kind::Orrery,
    };
    for from in callers(&steps) {
        play(&mut RealSubject::new(kind, from, &case.mesh).map_err(one)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Whose proxies are called.
fn callers(steps: &[Step]) -> BTreeSet<From> {
    steps.iter().flat_map(|step| &step.calls).map(|call| call.from.clone()).collect()
}

fn read(file: &File) -> Result<Case, String> {
    let text = fs::read_to_string(&file.path).map_err(|error| error.to_string())?;
    let value: serde_json::Value = serde_saphyr::from_str(&text).map_err(|error| format!("no YAML: {error}"))?;
    let case: Case = serde_json::from_value(value).map_err(|error| format!("no simulate file: {error}"))?;
    if case.about.trim().is_empty() { Err("`about` says nothing".to_owned()) } else { Ok(case) }
}

fn prepare(case: &Case, cluster: &mut Cluster) -> Result<(), String> {
    cluster.make_secrets(&case.secrets)?;
    for source in &case.configuration {
        match source {
            Source::Corpus { corpus: path } => cluster.apply(&content(&corpus(path))?)?,
            Source::Shared { shared } => {
                cluster.apply(&content(&files::folder().join("configuration").join(shared))?)?
            }
            Source::Inline(text) => cluster.apply(text)?,
        }
    }
    Ok(())
}

fn content(path: &std::path::Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn one_step(step: &Step, cluster: &mut Cluster, subject: &mut dyn Subject) -> Vec<String> {
    if let Err(wrong) = change(step, cluster) {
        return vec![wrong];
    }
    let mut wrong = subject.configure(cluster, &step.refused).err().unwrap_or_default();
    let facts = Facts::of(cluster, subject.standard_errors());
    if !wrong.is_empty() {
        return wrong;
    }
    for call in &step.calls {
        if !subject.answers(&call.from) {
            continue;
        }
        let differs = match subject.call(cluster, call) {
            Ok(answers) => check::call(call, &answers, &facts),
            Err(senseless) => vec![senseless],
        };
        if !differs.is_empty() {
            wrong.push(format!("{}:", title(call)));
            wrong.extend(differs.into_iter().map(|line| format!("    {line}")));
        }
    }
    for expected in &step.status {
        if !subject.has_status() {
            break;
        }
        let differs = match subject.status(&expected.object) {
            Ok(status) => check::status(expected, status.as_ref()),
            Err(missing) => vec![missing],
        };
        wrong.extend(differs.into_iter().map(|line| format!("status of {}: {line}", expected.object)));
        wrong.extend(infrastructure(expected, cluster));
    }
    wrong
}

/// What is made for a Gateway has the metadata that it asks for.
fn infrastructure(expected: &StatusExpectation, cluster: &Cluster) -> Option<String> {
    let wanted = expected.infrastructure.as_ref()?;
    let name = Name { namespace: expected.object.namespace.clone(), name: expected.object.name.clone() };
    let node = match cluster.proxy(&From::Gateway(name)) {
        Ok(node) => node,
        Err(missing) => return Some(missing),
    };
    let has = |wanted: &BTreeMap<String, String>, got: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| got.get(key) == Some(value))
    };
    let all = has(&wanted.labels, &node.labels) && has(&wanted.annotations, &node.annotations);
    (!all).then(|| format!("{}: expected {wanted:?} on its proxy {node:?}", expected.object))
}

fn change(step: &Step, cluster: &mut Cluster) -> Result<(), String> {
    if let Some(text) = &step.apply {
        cluster.apply(text)?;
    }
    step.delete.iter().try_for_each(|key| cluster.delete(key))
}

fn title(call: &Call) -> String {
    let what = match (&call.request, &call.tcp, &call.udp) {
        (Some(request), _, _) => {
            let host = request.host.as_deref().unwrap_or("the gateway's address");
            format!("{} {} of {host} port {}", request.method(), request.path(), request.port())
        }
        (None, Some(tcp), _) => format!("tcp port {}", tcp.port),
        (None, None, Some(udp)) => format!("udp port {}", udp.port),
        (None, None, None) => "nothing".to_owned(),
    };
    format!("from {}: {what}", call.from)
}
