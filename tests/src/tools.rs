//! Where programs and inputs are found. A missing one fails the test with the way to get it.

use std::path::{Path, PathBuf};

/// The built `orrery` binary, beside the test's own.
pub fn orrery() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.ancestors().nth(2).map(|profile| profile.join("orrery"));
    match built {
        Some(path) if path.is_file() => path,
        Some(path) => panic!("{} is missing: build it with `cargo build -p orrery`", path.display()),
        None => panic!("{} is not in a target directory", test.display()),
    }
}

/// A program of the system.
pub fn program(name: &str, package: &str) -> PathBuf {
    let search = ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin"];
    search
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: install it with `apt-get install {package}` (or run tests/run)"))
}

/// A file of the corpus of real inputs that lies beside the project.
pub fn corpus(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus").join(path);
    assert!(file.exists(), "{} is missing: the corpus of reference inputs belongs beside the checkout", file.display());
    file
}

/// A program that `tests/run` builds or installs for the tests alone.
pub fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("ORRERY_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: run tests/run once, which makes it", path.display());
    path
}

/// kubectl, wherever it is on the path.
pub fn kubectl() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("kubectl"))
        .find(|file| file.is_file())
        .unwrap_or_else(|| built("kubectl"))
}
