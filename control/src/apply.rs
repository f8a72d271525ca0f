//! Applying and deleting objects of a running mesh: all of a request takes effect, or nothing.
//!
//! The state changes first, in memory; then the files are written. If either fails, both are as before.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use orrery_api::{Key, Object, Problem};
use orrery_compile::validate_references;
use serde::Serialize;

use crate::applied::{Applied, Document};
use crate::changes::{Changed, Event};
use crate::state::State;

/// Objects that were parsed and wait to be applied.
#[derive(Debug)]
pub(crate) struct Applicable {
    objects: Vec<Object>,
    dry_run: bool,
}

/// What became of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Created,
    Configured,
    Unchanged,
}

/// What became of a request that was accepted.
#[derive(Debug, Serialize)]
pub(crate) struct ApplyOutcome {
    results: Vec<ObjectResult>,
    warnings: Vec<Problem>,
    /// What proxies have to be told.
    #[serde(skip)]
    pub(crate) changed: Vec<Changed>,
}

#[derive(Debug, Serialize)]
struct ObjectResult {
    kind: String,
    namespace: String,
    name: String,
    result: Verdict,
}

/// Why a request changed nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Mistakes in the documents.
    Invalid(Vec<Problem>),
    /// There is no such object.
    NotFound(String),
    /// The object is not the API's to change.
    Conflict(String),
    /// The files cannot be written.
    Disk(String),
}

/// The object to delete.
#[derive(Debug, Clone)]
pub(crate) struct Deletion {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// Reads documents; every mistake of all of them is reported at once.
pub(crate) fn parse(text: &str, file: &str, namespace: &str, dry_run: bool) -> Result<Applicable, Refused> {
    let objects = orrery_api::parse(text, file, namespace).map_err(Refused::Invalid)?;
    Ok(Applicable { objects, dry_run })
}

/// Applies objects to the state and to the files.
pub(crate) async fn apply(state: &mut State, applied: &Applied, request: Applicable) -> Result<ApplyOutcome, Refused> {
    // Of two documents for one object the later one counts, as when they are applied one after the other.
    let objects: BTreeMap<Key, Object> = request.objects.into_iter().map(|object| (object.key(), object)).collect();
    let mut before: Vec<(Key, Option<Arc<Object>>)> = Vec::new();
    let mut results = Vec::new();
    for (key, object) in &objects {
        let previous = state.shared(key);
        let result = match &previous {
            None => Verdict::Created,
            Some(previous) if **previous == *object => Verdict::Unchanged,
            Some(_) => Verdict::Configured,
        };
        results.push(ObjectResult {
            kind: key.kind.to_string(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            result,
        });
        if result != Verdict::Unchanged {
            state.put(Object { file: applied_file(key), ..object.clone() });
            before.push((key.clone(), previous));
        }
    }
    let references = validate_references(state.world(), objects.values());
    if !references.errors.is_empty() {
        undo(state, before);
        return Err(Refused::Invalid(references.errors));
    }
    if request.dry_run {
        undo(state, before);
        return Ok(ApplyOutcome { results, warnings: references.warnings, changed: Vec::new() });
    }
    let changed = before.iter().filter_map(|(key, _)| objects.get(key));
    let documents = changed.map(document).collect();
    if let Err(error) = write(applied.clone(), documents).await {
        undo(state, before);
        return Err(Refused::Disk(format!("cannot write to the configuration directory: {error}")));
    }
    let mut changed = Vec::new();
    for (key, previous) in before {
        let event = if previous.is_some() { Event::Updated } else { Event::Added };
        if let Some(previous) = previous.filter(|previous| !is_applied(previous)) {
            state.shadow(previous);
        }
        changed.push(Changed { key, event });
    }
    Ok(ApplyOutcome { results, warnings: references.warnings, changed })
}

/// Deletes an object that came over the API.
pub(crate) async fn delete(state: &mut State, applied: &Applied, target: &Deletion) -> Result<Changed, Refused> {
    let found = state.find(&target.kind, &target.namespace, &target.name);
    let key = match found.as_slice() {
        [] => return Err(Refused::NotFound(format!("there is no {target}"))),
        [key] => key.clone(),
        [_, ..] => {
            let words: Vec<String> =
                found.iter().map(|key| format!("{}.{}", key.kind.in_documents(), key.kind.group())).collect();
            return Err(Refused::Conflict(format!("{target} names several objects: say {}", words.join(" or "))));
        }
    };
    let (applied, kind) = (applied.clone(), key.kind.to_string());
    let (namespace, name) = (key.namespace.clone(), key.name.clone());
    match blocking(move || applied.remove(&namespace, &kind, &name)).await {
        Ok(true) => {
            let event = if state.uncover(&key) { Event::Updated } else { Event::Deleted };
            Ok(Changed { key, event })
        }
        Ok(false) => Err(Refused::Conflict(format!(
            "{target} was not applied here: it is in a file of the configuration directory; delete it there"
        ))),
        Err(error) => Err(Refused::Disk(format!("cannot delete from the configuration directory: {error}"))),
    }
}

/// Whether the object came over the API, or from the file that the API wrote.
fn is_applied(object: &Object) -> bool {
    object.file == applied_file(&object.key)
}

fn applied_file(key: &Key) -> String {
    Applied::name_of(&key.namespace, key.kind.as_str(), &key.name)
}

fn undo(state: &mut State, before: Vec<(Key, Option<Arc<Object>>)>) {
    for (key, object) in before {
        match object {
            Some(object) => {
                state.put(object);
            }
            None => {
                state.remove(&key);
            }
        }
    }
}

fn document(object: &Object) -> Document {
    let key = object.key();
    Document { kind: key.kind.to_string(), namespace: key.namespace, name: key.name, text: object.to_yaml() }
}

async fn write(applied: Applied, documents: Vec<Document>) -> io::Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    blocking(move || applied.write(&documents)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
