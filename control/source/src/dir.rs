//! A directory, read whole again whenever something in it changes, and now and then in case the system told nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use orrery_api::{Key, Object, Problem, parse};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Change, SourceError};

/// Writers touch a file several times; so long a silence ends it.
const QUIET: Duration = Duration::from_millis(50);
/// Looked at again even when nothing was told.
const RESCAN: Duration = Duration::from_secs(5);
/// Largest file, and most files.
const LARGEST: u64 = 8 << 20;
const MOST: usize = 20_000;

/// What was read of the directory last.
#[derive(Default)]
struct Seen {
    texts: BTreeMap<PathBuf, String>,
    /// Objects of each file's last good text.
    objects: BTreeMap<PathBuf, Vec<Object>>,
    refused: BTreeSet<PathBuf>,
    told: BTreeMap<Key, Object>,
}

pub(crate) fn follow(
    directory: PathBuf,
    changes: mpsc::Sender<Change>,
    stop: CancellationToken,
) -> Result<(), SourceError> {
    let failed = |source| SourceError::Directory { path: directory.clone(), source };
    fs::create_dir_all(&directory).map_err(failed)?;
    let directory = fs::canonicalize(&directory).map_err(failed)?;
    let (bell, mut rung) = mpsc::channel(1);
    let broken = |source| SourceError::Watch { path: directory.clone(), source };
    let mut watcher = notify::recommended_watcher(move |_event| {
        // One waiting ring is enough: the whole directory is read.
        let _ = bell.try_send(());
    })
    .map_err(broken)?;
    watcher.watch(&directory, RecursiveMode::Recursive).map_err(broken)?;
    tokio::spawn(async move {
        let _watcher = watcher;
        let mut seen = Seen::default();
        let mut loaded = false;
        loop {
            let (next, news) = match tokio::task::spawn_blocking({
                let directory = directory.clone();
                move || scan(&directory, seen)
            })
            .await
            {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "reading the configuration directory failed");
                    return;
                }
            };
            seen = next;
            let first = (!loaded).then_some(Change::Loaded);
            loaded = true;
            for change in news.into_iter().chain(first) {
                if changes.send(change).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESCAN) => {}
                ring = rung.recv() => {
                    if ring.is_none() {
                        return;
                    }
                    tokio::time::sleep(QUIET).await;
                    let _ = rung.try_recv();
                }
            }
        }
    });
    Ok(())
}

/// Reads what is there and tells what differs from before.
fn scan(directory: &Path, mut seen: Seen) -> (Seen, Vec<Change>) {
    let mut changes = Vec::new();
    let mut texts = BTreeMap::new();
    collect(directory, directory, &mut texts);
    seen.objects.retain(|path, _| texts.contains_key(path));
    for path in seen.refused.iter().filter(|path| !texts.contains_key(*path)) {
        changes.push(Change::Refused { file: shown(directory, path), problems: Vec::new() });
    }
    seen.refused.retain(|path| texts.contains_key(path));
    for (path, text) in &texts {
        if seen.texts.get(path) == Some(text) {
            continue;
        }
        let file = shown(directory, path);
        match parse(text, &file, "default") {
            Ok(objects) => {
                seen.objects.insert(path.clone(), objects);
                if seen.refused.remove(path) {
                    changes.push(Change::Refused { file, problems: Vec::new() });
                }
            }
            Err(problems) => {
                seen.refused.insert(path.clone());
                changes.push(Change::Refused { file, problems });
            }
        }
    }
    seen.texts = texts;
    tell(directory, &mut seen, &mut changes);
    (seen, changes)
}

/// Objects of all files; of two with one key the first file's counts, and the other is told to be in vain. What was
/// applied to a running mesh comes before what lies in other files.
fn tell(directory: &Path, seen: &mut Seen, changes: &mut Vec<Change>) {
    let applied = directory.join("applied");
    let mut now: BTreeMap<Key, Object> = BTreeMap::new();
    let (first, rest): (Vec<_>, Vec<_>) = seen.objects.iter().partition(|(path, _)| path.starts_with(&applied));
    for (path, objects) in first.into_iter().chain(rest) {
        for object in objects {
            match now.get(&object.key) {
                None => {
                    now.insert(object.key.clone(), object.clone());
                }
                Some(other) if other.file.starts_with("applied/") => {}
                Some(other) => changes.push(twice(directory, path, object, other)),
            }
        }
    }
    for (key, object) in &now {
        if seen.told.get(key) != Some(object) {
            changes.push(Change::Put(Box::new(object.clone())));
        }
    }
    for key in seen.told.keys().filter(|key| !now.contains_key(key)) {
        changes.push(Change::Gone(key.clone()));
    }
    seen.told = now;
}

fn twice(directory: &Path, path: &Path, object: &Object, other: &Object) -> Change {
    let file = shown(directory, path);
    let problem = Problem {
        file: file.clone(),
        line: 1,
        column: 1,
        kind: object.key.kind.to_string(),
        namespace: object.key.namespace.clone(),
        name: object.key.name.clone(),
        field: String::new(),
        message: format!("the same object is in {}, which counts", other.file),
        hint: "leave one of them".to_owned(),
    };
    Change::Refused { file, problems: vec![problem] }
}

fn shown(directory: &Path, path: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}

/// Texts of all YAML and JSON files below; hidden ones and links out of the directory are left out.
fn collect(root: &Path, directory: &Path, texts: &mut BTreeMap<PathBuf, String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let inside = fs::canonicalize(&path).is_ok_and(|real| real.starts_with(root));
        if hidden || !inside || texts.len() >= MOST {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known)) {
            let small = fs::metadata(&path).is_ok_and(|facts| facts.len() <= LARGEST);
            match fs::read_to_string(&path) {
                Ok(text) if small => {
                    texts.insert(path, text);
                }
                Ok(_) => tracing::error!(file = %path.display(), "too large to be read"),
                // It may have been renamed away since it was listed; the next scan tells.
                Err(error) => tracing::debug!(file = %path.display(), %error, "cannot be read"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n";

    fn words(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Put(object) => format!("put {}", object.key),
            Change::Gone(key) => format!("gone {key}"),
            Change::Refused { file, problems } => format!("refused {file} {}", problems.len()),
            Change::Loaded => "loaded".to_owned(),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn a_file_with_mistakes_keeps_its_last_good_objects() {
        let directory = tempfile::TempDir::new().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        let file = root.join("a.yaml");
        fs::write(&file, SERVICE).unwrap();
        fs::write(root.join(".hidden.yaml"), "{").unwrap();
        let (seen, changes) = scan(&root, Seen::default());
        assert_eq!(words(&changes), ["put Service/default/a"]);
        let (seen, changes) = scan(&root, seen);
        assert_eq!(words(&changes), Vec::<String>::new());
        fs::write(&file, SERVICE.replace("80", "eighty")).unwrap();
        let (seen, changes) = scan(&root, seen);
        assert_eq!(words(&changes), ["refused a.yaml 1"]);
        fs::write(&file, SERVICE.replace("80", "81")).unwrap();
        let (seen, changes) = scan(&root, seen);
        assert_eq!(words(&changes), ["refused a.yaml 0", "put Service/default/a"]);
        fs::remove_file(&file).unwrap();
        let (_, changes) = scan(&root, seen);
        assert_eq!(words(&changes), ["gone Service/default/a"]);
    }

    #[test]
    fn of_two_files_the_first_counts() {
        let directory = tempfile::TempDir::new().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        fs::write(root.join("a.yaml"), SERVICE).unwrap();
        fs::write(root.join("b.yaml"), SERVICE).unwrap();
        let (_, changes) = scan(&root, Seen::default());
        assert_eq!(words(&changes), ["refused b.yaml 1", "put Service/default/a"]);
    }
}
