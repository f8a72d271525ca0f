//! The simulate files below this folder.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct File {
    /// Its path below this folder, without the ending.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Folders of cases; `configuration` holds what cases share.
const FOLDERS: [&str; 2] = ["cases", "conformance"];

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Core,
    Envoy,
    Proxy,
}

/// What `SUBJECT` says.
#[allow(clippy::disallowed_methods, reason = "how a test is run is said in the environment")]
pub(crate) fn which() -> Which {
    match std::env::var("SUBJECT").as_deref() {
        Err(_) | Ok("" | "core") => Which::Core,
        Ok("envoy") => Which::Envoy,
        Ok("proxy") => Which::Proxy,
        Ok(other) => panic!("SUBJECT={other:?} is neither core, envoy nor proxy"),
    }
}

/// This folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("simulate")
}

/// What names of files are chosen by: the arguments that are no flags, and `CASE`.
#[allow(clippy::disallowed_methods, reason = "how a test is run is said in the environment and in arguments")]
pub(crate) fn filters() -> Vec<String> {
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    arguments.chain(std::env::var("CASE").ok()).collect()
}

/// The files that a filter takes, in order; all without a filter.
pub(crate) fn matching(filters: &[String]) -> Vec<File> {
    let mut files = Vec::new();
    for folder_name in FOLDERS {
        walk(&folder().join(folder_name), &mut files);
    }
    files.retain(|file| filters.is_empty() || filters.iter().any(|filter| file.name.contains(filter)));
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn walk(dir: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("an entry of a directory can be read").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.strip_prefix(folder()).unwrap_or(&path).with_extension("");
            files.push(File { name: name.display().to_string(), path });
        }
    }
}
