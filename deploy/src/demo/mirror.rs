//! A directory of the user's, copied into the mesh's configuration again and again: the demo takes part in what the
//! user edits, and never writes there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::input::yaml_files;
use crate::print;

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The copy of a directory.
#[derive(Debug)]
pub(super) struct Mirror {
    from: PathBuf,
    to: PathBuf,
    copied: BTreeMap<PathBuf, Vec<u8>>,
}

impl Mirror {
    /// Copies the `.yaml` and `.yml` files of `from` into `to`, a directory that is nobody else's.
    ///
    /// # Errors
    /// When `from` cannot be read or `to` not be written.
    pub(super) fn start(from: &Path, to: PathBuf) -> anyhow::Result<Self> {
        if to.exists() {
            fs::remove_dir_all(&to).with_context(|| format!("cannot empty {}", to.display()))?;
        }
        fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        let mut mirror = Self { from: from.to_owned(), to, copied: BTreeMap::new() };
        mirror.copy()?;
        Ok(mirror)
    }

    /// Follows the directory for ever.
    pub(super) async fn follow(mut self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.copy() {
                Ok(()) => failing = false,
                Err(why) if !failing => {
                    print::warning(&format!("{why:#}; the mesh keeps what it has"));
                    failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Copies what changed, and removes what is gone.
    fn copy(&mut self) -> anyhow::Result<()> {
        let mut now = BTreeMap::new();
        for file in yaml_files(&self.from)? {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            now.insert(file, content);
        }
        for (file, content) in &now {
            if self.copied.get(file) != Some(content) {
                let target = self.target(file);
                // Under a name that nobody reads first, so that no half file is seen.
                let temporary = target.with_extension("new");
                let written = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, &target));
                written.with_context(|| format!("cannot write {}", target.display()))?;
            }
        }
        for gone in self.copied.keys().filter(|file| !now.contains_key(*file)) {
            let target = self.target(gone);
            fs::remove_file(&target).with_context(|| format!("cannot remove {}", target.display()))?;
        }
        self.copied = now;
        Ok(())
    }

    fn target(&self, file: &Path) -> PathBuf {
        self.to.join(file.file_name().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_changes_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a.yaml"), "one").unwrap();
        fs::write(from.join("notes.txt"), "not YAML").unwrap();
        let mut mirror = Mirror::start(&from, to.clone()).unwrap();
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["a.yaml"]);
        fs::write(from.join("a.yaml"), "two").unwrap();
        fs::write(from.join("b.yml"), "new").unwrap();
        mirror.copy().unwrap();
        assert_eq!(names(), ["a.yaml", "b.yml"]);
        assert_eq!(fs::read_to_string(to.join("a.yaml")).unwrap(), "two");
        fs::remove_file(from.join("a.yaml")).unwrap();
        mirror.copy().unwrap();
        assert_eq!(names(), ["b.yml"]);
        let said = format!("{:#}", Mirror::start(&dir.path().join("missing"), to.clone()).unwrap_err());
        assert!(said.contains("missing"), "{said}");
    }
}
