//! What was read of the directory, and what of it was told. A look at some files costs what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orrery_api::{Key, Object, Parsed, Problem, parse_each};

use super::Paths;
use super::tree::{self, Look};
use crate::Change;

/// Mistakes of one file that are told.
const MOST_PROBLEMS: usize = 100;

/// What was read of the directory last.
#[derive(Debug)]
pub(super) struct Seen {
    directory: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// Files that have an object of a key, those that count first.
    places: BTreeMap<Key, BTreeSet<Place>>,
    told: BTreeMap<Key, Arc<Object>>,
}

/// What was applied to a running mesh comes before what lies in other files; then the order of names decides.
type Place = (bool, PathBuf);

#[derive(Debug)]
struct File {
    look: Look,
    /// Hash of the text.
    text: u64,
    /// Of its good documents, and of the others as they were before.
    objects: Vec<Arc<Object>>,
    /// Of the text as it is.
    mistakes: Vec<Problem>,
    /// What was told of mistakes and of objects that are in vain.
    told: Vec<Problem>,
}

impl Seen {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, files: BTreeMap::new(), places: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Reads what does not look as before, and tells what differs.
    pub(super) fn look(&mut self, paths: Paths) -> Vec<Change> {
        let mut keys = BTreeSet::new();
        let mut files = BTreeSet::new();
        match paths {
            Paths::None => return Vec::new(),
            Paths::Some(paths) => {
                for path in paths {
                    self.look_below(&path, true, &mut keys, &mut files);
                }
            }
            Paths::All => {
                let directory = self.directory.clone();
                self.look_below(&directory, false, &mut keys, &mut files);
            }
        }
        let mut changes = self.tell_problems(&keys, files);
        self.tell_objects(keys, &mut changes);
        changes
    }

    /// Reads files at and below a path: all of them if it was told that they changed, else those that look otherwise.
    fn look_below(&mut self, path: &Path, changed: bool, keys: &mut BTreeSet<Key>, files: &mut BTreeSet<PathBuf>) {
        let now = tree::files(&self.directory, path);
        let known = self.files.range(path.to_owned()..).map(|(file, _)| file);
        let gone = known.take_while(|file| file.starts_with(path)).filter(|file| !now.contains_key(*file));
        for file in gone.cloned().collect::<Vec<PathBuf>>() {
            self.forget(&file, keys);
            files.insert(file);
        }
        for (file, look) in now {
            if changed || self.files.get(&file).is_none_or(|known| known.look != look) {
                self.read(&file, look, keys);
                files.insert(file);
            }
        }
    }

    fn read(&mut self, path: &Path, look: Look, keys: &mut BTreeSet<Key>) {
        let Some(text) = tree::read(path, &look) else { return };
        let hash = hash(&text);
        let last = self.files.remove(path);
        if let Some(mut last) = last {
            if last.text == hash {
                last.look = look;
                self.files.insert(path.to_owned(), last);
                return;
            }
            self.replace(path, look, hash, &text, Some(last), keys);
        } else {
            self.replace(path, look, hash, &text, None, keys);
        }
    }

    fn replace(
        &mut self,
        path: &Path,
        look: Look,
        hash: u64,
        text: &Result<String, String>,
        last: Option<File>,
        keys: &mut BTreeSet<Key>,
    ) {
        let (before, told) = last.map(|last| (last.objects, last.told)).unwrap_or_default();
        let (objects, mistakes) = read(text, &self.shown(path), &before);
        self.move_places(path, &before, &objects, keys);
        self.files.insert(path.to_owned(), File { look, text: hash, objects, mistakes, told });
    }

    fn forget(&mut self, path: &Path, keys: &mut BTreeSet<Key>) {
        if let Some(file) = self.files.remove(path) {
            self.move_places(path, &file.objects, &[], keys);
        }
    }

    fn move_places(&mut self, path: &Path, from: &[Arc<Object>], to: &[Arc<Object>], keys: &mut BTreeSet<Key>) {
        let place = (!path.starts_with(self.directory.join("applied")), path.to_owned());
        for object in from {
            if let Some(places) = self.places.get_mut(&object.key) {
                places.remove(&place);
                if places.is_empty() {
                    self.places.remove(&object.key);
                }
            }
        }
        for object in to {
            self.places.entry(object.key.clone()).or_default().insert(place.clone());
        }
        keys.extend(from.iter().chain(to).map(|object| object.key.clone()));
    }

    /// Tells what is new of mistakes in files, and of objects that another file's come before.
    fn tell_problems(&mut self, keys: &BTreeSet<Key>, mut files: BTreeSet<PathBuf>) -> Vec<Change> {
        for key in keys {
            files.extend(self.places.get(key).into_iter().flatten().map(|(_, path)| path.clone()));
        }
        let mut changes = Vec::new();
        for path in files {
            let problems = self.problems(&path);
            let file = self.shown(&path);
            match self.files.get_mut(&path) {
                Some(known) if known.told == problems => {}
                Some(known) => {
                    known.told.clone_from(&problems);
                    changes.push(Change::Refused { file, problems });
                }
                // Whatever its mistakes were, they are gone with it.
                None => changes.push(Change::Refused { file, problems: Vec::new() }),
            }
        }
        changes
    }

    fn problems(&self, path: &Path) -> Vec<Problem> {
        let Some(file) = self.files.get(path) else { return Vec::new() };
        let in_vain = file.objects.iter().filter_map(|object| {
            let (own, counts) = self.places.get(&object.key)?.first()?;
            // What was applied is meant to come before the file's.
            (*own && counts != path).then(|| twice(&self.shown(path), object, &self.shown(counts)))
        });
        file.mistakes.iter().cloned().chain(in_vain).take(MOST_PROBLEMS).collect()
    }

    fn tell_objects(&mut self, keys: BTreeSet<Key>, changes: &mut Vec<Change>) {
        for key in keys {
            let counts = self.places.get(&key).and_then(|places| places.first());
            let objects = counts.and_then(|(_, path)| self.files.get(path)).map(|file| &file.objects);
            let now = objects.and_then(|objects| objects.iter().find(|object| object.key == key)).cloned();
            match now {
                Some(object) if self.told.get(&key) == Some(&object) => {}
                Some(object) => {
                    self.told.insert(key, Arc::clone(&object));
                    changes.push(Change::Put(object));
                }
                None => {
                    if self.told.remove(&key).is_some() {
                        changes.push(Change::Gone(key));
                    }
                }
            }
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.directory).unwrap_or(path).display().to_string()
    }
}

/// The objects of a file's text. A refused document leaves its object as it was; one that does not say what it is about,
/// or a text that cannot be read at all, leaves everything of the file that is not said anew.
fn read(text: &Result<String, String>, file: &str, before: &[Arc<Object>]) -> (Vec<Arc<Object>>, Vec<Problem>) {
    let parsed = match text {
        Ok(text) => parse_each(text, file, "default"),
        Err(why) => Err(Box::new(of_file(file, why.clone(), ""))),
    };
    let Parsed { objects: read, mut problems, refused } = match parsed {
        Ok(parsed) => parsed,
        Err(problem) => return (before.to_vec(), vec![*problem]),
    };
    let nameless = refused.iter().any(Option::is_none);
    let mut stated = BTreeSet::new();
    let mut objects = Vec::new();
    for object in read {
        if stated.insert(object.key.clone()) {
            objects.push(Arc::new(object));
        } else {
            problems.push(twice(file, &object, "this file before"));
        }
    }
    let refused: BTreeSet<&Key> = refused.iter().flatten().collect();
    let stays = |key: &Key| !stated.contains(key) && (nameless || refused.contains(key));
    objects.extend(before.iter().filter(|object| stays(&object.key)).cloned());
    (objects, problems)
}

fn hash(text: &Result<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn twice(file: &str, object: &Object, other: &str) -> Problem {
    Problem {
        kind: object.key.kind.to_string(),
        namespace: object.key.namespace.clone(),
        name: object.key.name.clone(),
        ..of_file(file, format!("the same object is in {other}, which counts"), "leave one of them")
    }
}

/// Something about a file as a whole.
fn of_file(file: &str, message: String, hint: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line: 1,
        column: 1,
        kind: String::new(),
        namespace: String::new(),
        name: String::new(),
        field: String::new(),
        message,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n";

    fn words(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Put(object) => format!("put {} of {}", object.key, object.file),
            Change::Gone(key) => format!("gone {key}"),
            Change::Refused { file, problems } => format!("refused {file} {}", problems.len()),
            Change::Loaded => "loaded".to_owned(),
        };
        changes.iter().map(word).collect()
    }

    struct Setup {
        _directory: tempfile::TempDir,
        root: PathBuf,
        seen: Seen,
    }

    impl Setup {
        fn new() -> Self {
            let directory = tempfile::TempDir::new().unwrap();
            let root = fs::canonicalize(directory.path()).unwrap();
            Self { _directory: directory, seen: Seen::new(root.clone()), root }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn all(&mut self) -> Vec<String> {
            words(&self.seen.look(Paths::All))
        }

        fn told(&mut self, name: &str) -> Vec<String> {
            let path = self.root.join(name);
            words(&self.seen.look(Paths::Some([path].into())))
        }
    }

    #[test]
    fn a_file_with_mistakes_keeps_its_last_good_objects() {
        let mut setup = Setup::new();
        setup.write("a.yaml", SERVICE);
        setup.write(".hidden.yaml", "{");
        assert_eq!(setup.all(), ["put Service/default/a of a.yaml"]);
        assert_eq!(setup.all(), Vec::<String>::new());
        setup.write("a.yaml", &SERVICE.replace("80", "eighty"));
        assert_eq!(setup.all(), ["refused a.yaml 1"]);
        setup.write("a.yaml", &SERVICE.replace("80", "81"));
        assert_eq!(setup.all(), ["refused a.yaml 0", "put Service/default/a of a.yaml"]);
        fs::remove_file(setup.root.join("a.yaml")).unwrap();
        assert_eq!(setup.all(), ["refused a.yaml 0", "gone Service/default/a"]);
    }

    #[test]
    fn a_bad_document_takes_no_other_with_it() {
        let mut setup = Setup::new();
        let (one, two) = (SERVICE.to_owned(), SERVICE.replace("name: a", "name: b"));
        let bad = two.replace("80", "eighty");
        for (text, expected) in [
            (format!("{one}---\n{bad}"), vec!["refused a.yaml 1", "put Service/default/a of a.yaml"]),
            (format!("{one}---\n{two}"), vec!["refused a.yaml 0", "put Service/default/b of a.yaml"]),
            (format!("{one}---\n{two}---\n{two}"), vec!["refused a.yaml 1"]),
            (
                format!("{}---\n{bad}", one.replace("80", "81")),
                vec!["refused a.yaml 1", "put Service/default/a of a.yaml"],
            ),
            (format!("---\n{two}---\nkind: nothing\n"), vec!["refused a.yaml 1"]),
            ("[".to_owned(), vec!["refused a.yaml 1"]),
            (two, vec!["refused a.yaml 0", "gone Service/default/a"]),
        ] {
            setup.write("a.yaml", &text);
            assert_eq!(setup.told("a.yaml"), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut setup = Setup::new();
        fs::write(setup.root.join("a.yaml"), b"a: \xff\n").unwrap();
        fs::write(setup.root.join("b.yaml"), vec![b'#'; 9 << 20]).unwrap();
        setup.write("c.yaml", SERVICE);
        let changes = setup.seen.look(Paths::All);
        assert_eq!(words(&changes), ["refused a.yaml 1", "refused b.yaml 1", "put Service/default/a of c.yaml"]);
        let said = |change: &Change| match change {
            Change::Refused { problems, .. } => problems[0].message.clone(),
            Change::Put(_) | Change::Gone(_) | Change::Loaded => String::new(),
        };
        assert!(said(&changes[0]).contains("UTF-8") && said(&changes[1]).contains("bytes"), "{changes:?}");
    }

    #[test]
    fn of_two_files_the_first_counts_and_what_was_applied_before_both() {
        let mut setup = Setup::new();
        setup.write("b.yaml", SERVICE);
        setup.write("c.yaml", SERVICE);
        assert_eq!(setup.all(), ["refused c.yaml 1", "put Service/default/a of b.yaml"]);
        setup.write("applied/z.yaml", &SERVICE.replace("80", "82"));
        assert_eq!(setup.told("applied/z.yaml"), ["refused c.yaml 0", "put Service/default/a of applied/z.yaml"]);
        fs::remove_dir_all(setup.root.join("applied")).unwrap();
        let back = ["refused applied/z.yaml 0", "refused c.yaml 1", "put Service/default/a of b.yaml"];
        assert_eq!(setup.told("applied"), back);
        fs::remove_file(setup.root.join("b.yaml")).unwrap();
        assert_eq!(setup.told("b.yaml"), ["refused b.yaml 0", "refused c.yaml 0"], "the other says the same");
    }

    #[test]
    fn only_what_was_told_is_read() {
        let mut setup = Setup::new();
        setup.write("a.yaml", SERVICE);
        setup.write("b.yaml", &SERVICE.replace("name: a", "name: b"));
        setup.all();
        setup.write("a.yaml", &SERVICE.replace("80", "81"));
        setup.write("b.yaml", &SERVICE.replace("name: a", "name: b").replace("80", "81"));
        assert_eq!(setup.told("a.yaml"), ["put Service/default/a of a.yaml"]);
        assert_eq!(setup.told(".a.yaml.swp"), Vec::<String>::new());
        assert_eq!(setup.all(), ["put Service/default/b of b.yaml"]);
    }
}
