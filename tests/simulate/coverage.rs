//! That no manifest of the Gateway API conformance suite is without its file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use orrery_tests::tools::corpus;

use crate::files::folder;

/// Where the suite's manifests are.
const MANIFESTS: &str = "gateway-api/conformance/tests";

/// # Errors
/// The manifests that no file of `conformance/` has the name of, a line each.
pub(crate) fn conformance() -> Result<(), Vec<String>> {
    let manifests = names(&corpus(MANIFESTS))?;
    let stated = names(&folder().join("conformance"))?;
    let forgotten: Vec<String> =
        manifests.difference(&stated).map(|name| format!("{MANIFESTS}/{name} has no file in conformance/")).collect();
    if manifests.is_empty() {
        return Err(vec![format!("there are no manifests in {MANIFESTS}")]);
    }
    if forgotten.is_empty() { Ok(()) } else { Err(forgotten) }
}

fn names(dir: &Path) -> Result<BTreeSet<String>, Vec<String>> {
    let wrong = |error: std::io::Error| vec![format!("{}: {error}", dir.display())];
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") {
            names.insert(name);
        }
    }
    Ok(names)
}
