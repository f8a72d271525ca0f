//! Files of a directory as they are on disk: which there are, and whether one looks as before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Largest file, and most files.
const LARGEST: u64 = 8 << 20;
const MOST: usize = 100_000;

/// How a file looks from outside; another text gives another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// All YAML and JSON files at or below a path; hidden ones and links out of the root are left out.
pub(super) fn files(root: &Path, path: &Path) -> BTreeMap<PathBuf, Look> {
    let mut found = BTreeMap::new();
    let inside = fs::canonicalize(path).is_ok_and(|real| real.starts_with(root));
    let below = path.strip_prefix(root).unwrap_or(path);
    let hidden = below.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    if inside && !hidden {
        collect(root, path, &mut found);
    }
    found
}

fn collect(root: &Path, path: &Path, found: &mut BTreeMap<PathBuf, Look>) {
    let Ok(facts) = fs::metadata(path) else { return };
    if facts.is_dir() {
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            // What is no link is where its directory is.
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let outside = link && !fs::canonicalize(&path).is_ok_and(|real| real.starts_with(root));
            if !hidden && !outside {
                collect(root, &path, found);
            }
        }
    } else if is_configuration(path) && found.len() < MOST {
        let look = Look {
            inode: facts.ino(),
            length: facts.len(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        };
        found.insert(path.to_owned(), look);
    }
}

fn is_configuration(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
}

/// A file's text, or why it cannot be read; nothing if it was renamed away since it was listed, which will be told.
pub(super) fn read(path: &Path, look: &Look) -> Option<Result<String, String>> {
    if look.length > LARGEST {
        return Some(Err(format!("the file has {} bytes; at most {LARGEST} are read", look.length)));
    }
    match fs::read(path) {
        Ok(bytes) => Some(String::from_utf8(bytes).map_err(|error| {
            format!("this is no UTF-8 text: byte {} is none of it", error.utf8_error().valid_up_to() + 1)
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("the file cannot be read: {error}"))),
    }
}
