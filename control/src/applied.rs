//! Objects that came over the configuration API, as files in `<configuration directory>/applied/`.
//!
//! The directory is the one source of truth: what is not in it does not survive. Each object has its
//! own file, which appears complete or not at all. It knows names and text, not what objects mean.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest file name that common file systems take, without the suffix of a temporary one.
const LONGEST_NAME: usize = 240;

/// The directory of applied objects.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    directory: PathBuf,
}

/// One object's file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Applied {
    pub(crate) fn new(config_dir: &Path) -> Self {
        Self { directory: config_dir.join("applied") }
    }

    /// Writes every document or none: all are on disk before the first takes its place.
    pub(crate) fn write(&self, documents: &[Document]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut staged: Vec<(PathBuf, PathBuf)> = Vec::new();
        let outcome = documents.iter().try_for_each(|document| {
            let path = self.path(&document.namespace, &document.kind, &document.name)?;
            // The watcher looks at *.yaml only.
            let temporary = path.with_extension("new");
            staged.push((temporary.clone(), path));
            write_private(&temporary, &document.text)
        });
        let outcome = outcome.and_then(|()| staged.iter().try_for_each(|(from, to)| fs::rename(from, to)));
        if outcome.is_err() {
            for (temporary, _) in &staged {
                // Those that took their place already are gone from here, which is no error.
                let _ = fs::remove_file(temporary);
            }
        }
        outcome
    }

    /// Removes an object's file; `false` when it has none here.
    pub(crate) fn remove(&self, namespace: &str, kind: &str, name: &str) -> io::Result<bool> {
        match fs::remove_file(self.path(namespace, kind, name)?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How the watcher of the directory names an object's file.
    pub(crate) fn name_of(namespace: &str, kind: &str, name: &str) -> String {
        format!("applied/{namespace}_{kind}_{name}.yaml")
    }

    /// What an object's file holds now, if it has one here.
    pub(crate) async fn read(&self, namespace: &str, kind: &str, name: &str) -> Option<String> {
        tokio::fs::read_to_string(self.path(namespace, kind, name).ok()?).await.ok()
    }

    fn path(&self, namespace: &str, kind: &str, name: &str) -> io::Result<PathBuf> {
        for part in [namespace, kind, name] {
            let safe = part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
            if !safe || part.starts_with('.') {
                let message =
                    format!("{part:?} cannot be part of a file name: letters, digits, '-' and '.' are allowed");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let file = format!("{namespace}_{kind}_{name}");
        if file.len() > LONGEST_NAME {
            let message = format!("{kind} {namespace}/{name} makes a file name of more than {LONGEST_NAME} characters");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(self.directory.join(format!("{file}.yaml")))
    }
}

/// For the owner's eyes alone: Secrets are among the documents.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // The mode counts only when the file is made.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, text: &str) -> Document {
        Document {
            kind: "VirtualService".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn documents_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let applied = Applied::new(directory.path());
        applied.write(&[document("a", "one"), document("b.example", "two")]).unwrap();
        applied.write(&[document("a", "three")]).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join("applied").join(name)).unwrap();
        assert_eq!(read("default_VirtualService_a.yaml"), "three");
        assert_eq!(read("default_VirtualService_b.example.yaml"), "two");
        assert!(applied.remove("default", "VirtualService", "a").unwrap());
        assert!(!applied.remove("default", "VirtualService", "a").unwrap());
    }

    #[test]
    fn files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let applied = Applied::new(directory.path());
        applied.write(&[document("a", "one")]).unwrap();
        let file = directory.path().join("applied/default_VirtualService_a.yaml");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let applied = Applied::new(directory.path());
        for bad in ["../../etc/passwd", "a/b", ".hidden", "a\0b", &"x".repeat(300)] {
            applied.write(&[document("good", "text"), document(bad, "text")]).unwrap_err();
            assert_eq!(fs::read_dir(directory.path().join("applied")).unwrap().count(), 0, "{bad}");
        }
    }
}
