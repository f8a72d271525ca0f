//! The house rules that no compiler checks: sizes, module documentation, living references, no paths of one machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file above which it is no longer one room. Tables of test cases may be longer.
const LONGEST_FILE: usize = 600;

#[test]
fn source_files_are_short_and_say_what_they_do() {
    let mut wrong = Vec::new();
    for file in tracked("rs") {
        let text = read(&file);
        let lines = text.lines().count();
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        if lines > LONGEST_FILE && !is_test {
            wrong.push(format!("{}: {lines} lines, at most {LONGEST_FILE}", file.display()));
        }
        if !text.starts_with("//!") && !is_test {
            wrong.push(format!("{}: does not open with //! and what it does", file.display()));
        }
        if file.ends_with("mod.rs") {
            wrong.push(format!("{}: foo.rs beside foo/, not mod.rs", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documents_mention_only_files_that_exist() {
    let mut wrong = Vec::new();
    for document in tracked("md") {
        let folder = document.parent().unwrap_or(Path::new(""));
        for word in read(&document).split('`').skip(1).step_by(2) {
            let is_path = word.contains('/')
                && [".rs", ".md", ".toml", ".yaml", ".yml", ".json", ".py", ".sh"]
                    .iter()
                    .any(|end| word.ends_with(end))
                && !word.contains(['<', '*', ' ', '{', '$', ':']);
            if is_path && !root().join(word).exists() && !root().join(folder).join(word).exists() {
                wrong.push(format!("{}: `{word}` does not exist", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dependencies_between_crates_point_only_where_they_may() {
    // The two planes share the protocol and nothing else; the pure crates know no other crate of ours that acts.
    let forbidden = [
        (
            "proxy/",
            "orrery-api orrery-source orrery-compile orrery-serve orrery-ca orrery-control orrery-store orrery-graph orrery-telemetry orrery-ui",
        ),
        (
            "control/",
            "orrery-core orrery-net orrery-engine orrery-xds orrery-proxy orrery-store orrery-graph orrery-telemetry orrery-ui",
        ),
        (
            "telemetry/",
            "orrery-core orrery-net orrery-engine orrery-xds orrery-proxy orrery-api orrery-source orrery-compile orrery-serve orrery-ca orrery-control",
        ),
        ("proxy/core/", "orrery-net orrery-engine orrery-xds orrery-emit tokio"),
        ("control/compile/", "orrery-serve orrery-source orrery-emit tokio"),
        ("control/gateway/", "orrery-compile orrery-serve orrery-source orrery-emit tokio"),
        ("telemetry/graph/", "orrery-store orrery-emit tokio"),
    ];
    let mut wrong = Vec::new();
    for manifest in tracked("toml").into_iter().filter(|file| file.ends_with("Cargo.toml")) {
        let text = read(&manifest);
        let dependencies: BTreeSet<&str> = text
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        for (folder, banned) in forbidden {
            if !manifest.starts_with(folder.trim_end_matches('/')) {
                continue;
            }
            for name in banned.split(' ').filter(|name| dependencies.contains(name)) {
                wrong.push(format!("{}: {folder} must not depend on {name}", manifest.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &Path) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Files under version control with this extension, relative to the root.
fn tracked(extension: &str) -> Vec<PathBuf> {
    let output =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git lists its files");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|e| e == extension) && root().join(path).exists())
        .collect()
}
