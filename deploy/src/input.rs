//! YAML from files, directories and standard input, as one text that remembers which line came from where.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Most bytes of all files together.
const LARGEST: u64 = 8 << 20;

/// The documents of several files as one text.
#[derive(Debug, Default)]
pub(crate) struct Input {
    text: String,
    files: Vec<Start>,
}

/// Where a file begins in the text.
#[derive(Debug)]
struct Start {
    name: String,
    /// Lines of the text before the file's first.
    before: u64,
}

/// What identifies an object, read from a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

impl Input {
    /// Reads files, directories (`.yaml` and `.yml`, by name) and `-` for standard input.
    ///
    /// # Errors
    /// What cannot be read, or is no UTF-8.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut input = Self::default();
        for path in paths {
            if path == Path::new("-") {
                input.add("standard input", &read_standard_input()?)?;
            } else if path.is_dir() {
                let files = yaml_files(path)?;
                ensure!(!files.is_empty(), "{} has no .yaml or .yml file", path.display());
                for file in files {
                    input.add_file(&file)?;
                }
            } else {
                input.add_file(path)?;
            }
        }
        Ok(input)
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        self.add(&path.display().to_string(), &read_file(path)?)
    }

    fn add(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        ensure!(self.text.len() + text.len() <= LARGEST as usize, "{name}: more than {LARGEST} bytes in all");
        if !self.files.is_empty() {
            if !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            self.text.push_str("---\n");
        }
        let before = self.text.lines().count() as u64;
        self.files.push(Start { name: name.to_owned(), before });
        self.text.push_str(text);
        Ok(())
    }

    /// All documents.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the file, if there is only one.
    pub(crate) fn only_name(&self) -> Option<&str> {
        match self.files.as_slice() {
            [one] => Some(&one.name),
            _ => None,
        }
    }

    /// File and line of a line of the text, both counted from 1; an unknown line is one of the whole.
    pub(crate) fn place(&self, line: Option<u64>) -> String {
        let Some(line) = line.filter(|line| *line > 0) else {
            return self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        };
        let mut place = String::new();
        if let Some(file) = self.files.iter().rev().find(|file| file.before < line) {
            // Writing to a string does not fail.
            let _ = write!(place, "{}:{}", file.name, line - file.before);
        }
        place
    }

    /// The objects that the documents describe.
    ///
    /// # Errors
    /// A document that is no YAML, or names no kind or name.
    pub(crate) fn references(&self) -> anyhow::Result<Vec<Reference>> {
        let names = || self.place(None);
        let documents: Vec<Value> = serde_saphyr::from_multiple(&self.text).with_context(names)?;
        documents.iter().filter(|document| !document.is_null()).map(|one| reference(one).with_context(names)).collect()
    }
}

fn reference(document: &Value) -> anyhow::Result<Reference> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let metadata = &document["metadata"];
    let kind = text(&document["kind"]).context("a document has no kind")?;
    let name = text(&metadata["name"]).with_context(|| format!("a {kind} has no metadata.name"))?;
    // Two kinds share this name; the group tells them apart.
    let version = text(&document["apiVersion"]).unwrap_or_default();
    let kind = match version.split_once('/') {
        Some((group, _)) if kind == "Gateway" => format!("{kind}.{group}"),
        Some(_) | None => kind,
    };
    Ok(Reference { kind, namespace: text(&metadata["namespace"]), name })
}

/// The `.yaml` and `.yml` files of a directory, by name.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn yaml_files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", directory.display()))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|e| e == "yaml" || e == "yml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Names and texts of the files that a path stands for: a file, `-`, or the YAML files of a directory.
///
/// # Errors
/// What cannot be read.
pub(crate) fn texts(path: &Path, recursive: bool) -> anyhow::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        return Ok(vec![("standard input".to_owned(), read_standard_input()?)]);
    }
    if !path.is_dir() {
        return Ok(vec![(path.display().to_string(), read_file(path)?)]);
    }
    let mut found = Vec::new();
    for file in yaml_files(path)? {
        found.push((file.display().to_string(), read_file(&file)?));
    }
    if recursive {
        for directory in directories(path)? {
            found.extend(texts(&directory, true)?);
        }
    }
    Ok(found)
}

/// Directories in a directory by name; links are not followed, so that there is an end.
fn directories(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A file's text.
///
/// # Errors
/// What cannot be read, is too large, or is no UTF-8.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<String> {
    let name = path.display().to_string();
    let file = fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    read_all(file, &name)
}

/// What comes on standard input.
///
/// # Errors
/// As for a file.
pub(crate) fn read_standard_input() -> anyhow::Result<String> {
    read_all(std::io::stdin().lock(), "standard input")
}

fn read_all(from: impl Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    ensure!(bytes.len() as u64 <= LARGEST, "{name}: more than {LARGEST} bytes");
    String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_back_to_files() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.yaml", "b.yml"].map(|name| dir.path().join(name));
        fs::write(&a, "kind: A\nmetadata:\n  name: one").unwrap();
        fs::write(&b, "kind: B\nmetadata: {name: two, namespace: x}\n").unwrap();
        fs::write(dir.path().join("c.txt"), "kind: C").unwrap();
        let input = Input::read(&[dir.path().to_owned()]).unwrap();
        assert_eq!(input.text().lines().nth(3), Some("---"));
        assert_eq!(input.place(Some(3)), format!("{}:3", a.display()));
        assert_eq!(input.place(Some(5)), format!("{}:1", b.display()));
        assert_eq!(input.place(None), format!("{}, {}", a.display(), b.display()));
        let found = input.references().unwrap();
        assert_eq!(found[0], Reference { kind: "A".to_owned(), namespace: None, name: "one".to_owned() });
        assert_eq!(found[1].namespace.as_deref(), Some("x"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.yaml");
        let said = format!("{:#}", Input::read(std::slice::from_ref(&missing)).unwrap_err());
        assert!(said.contains("missing.yaml") && said.contains("No such file"), "{said}");
        let said = format!("{:#}", Input::read(&[dir.path().to_owned()]).unwrap_err());
        assert!(said.contains("no .yaml or .yml file"), "{said}");
        let binary = dir.path().join("binary.yaml");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(format!("{:#}", Input::read(&[binary]).unwrap_err()).contains("UTF-8"));
        let nameless = dir.path().join("nameless.yaml");
        fs::write(&nameless, "kind: Service\n").unwrap();
        let said = format!("{:#}", Input::read(&[nameless]).unwrap().references().unwrap_err());
        assert!(said.contains("nameless.yaml") && said.contains("metadata.name"), "{said}");
    }
}
