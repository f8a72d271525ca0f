//! The dashboards and rules of `dashboards/` use only what the mesh emits, and are well formed.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use catalogue::{Known, is_target_label};
use promql::{Uses, uses};
use serde_json::Value;

#[path = "dashboards/catalogue.rs"]
mod catalogue;
#[path = "dashboards/promql.rs"]
mod promql;

const GRID_WIDTH: u64 = 24;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards")
}

/// Every dashboard with its file name.
fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<(String, Value)> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name.clone(), serde_json::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}")))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 2, "the mesh and the service dashboard");
    all
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Every query of a dashboard's panels.
fn queries(dashboard: &Value) -> Vec<&str> {
    let panels = list(dashboard, "panels").iter();
    panels.flat_map(|panel| list(panel, "targets")).map(|target| text(target, "expr")).collect()
}

/// Every query of a dashboard's variables that goes to Prometheus.
fn variable_queries(dashboard: &Value) -> Vec<&str> {
    let variables = list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query");
    variables.map(|variable| text(&variable["query"], "query")).collect()
}

/// Name, if it is a recording rule, and expression of every rule.
fn rules() -> Vec<(Option<String>, String)> {
    let file = std::fs::read_to_string(folder().join("orrery.rules.yaml")).unwrap();
    let document: Value = serde_saphyr::from_str(&file).unwrap();
    let all = list(&document, "groups").iter().flat_map(|group| list(group, "rules"));
    all.map(|rule| (rule["record"].as_str().map(str::to_owned), text(rule, "expr").to_owned())).collect()
}

fn check(place: &str, query: &str, known: &Known) -> Vec<String> {
    let Uses { selectors, groupings } = uses(query);
    let mut wrong = Vec::new();
    let mut allowed: BTreeSet<&str> = BTreeSet::new();
    for (metric, labels) in &selectors {
        let Some(own) = known.labels(metric) else {
            wrong.push(format!("{place}: nobody emits {metric}, in {query}"));
            continue;
        };
        for label in labels.iter().filter(|label| !own.contains(&label.as_str()) && !is_target_label(label)) {
            wrong.push(format!("{place}: {metric} has no label {label}, in {query}"));
        }
        allowed.extend(own);
    }
    for label in groupings.iter().filter(|label| !allowed.contains(label.as_str()) && !is_target_label(label)) {
        wrong.push(format!("{place}: none of its metrics has the label {label}, in {query}"));
    }
    if selectors.is_empty() {
        wrong.push(format!("{place}: selects nothing: {query}"));
    }
    wrong
}

#[test]
fn queries_use_only_metrics_and_labels_that_are_emitted() {
    let rules = rules();
    let known = Known::with_recorded(rules.iter().filter_map(|(name, _)| name.as_deref()));
    let mut wrong: Vec<String> = rules.iter().flat_map(|(_, expr)| check("orrery.rules.yaml", expr, &known)).collect();
    for (name, dashboard) in dashboards() {
        for query in queries(&dashboard).into_iter().chain(variable_queries(&dashboard)) {
            wrong.extend(check(&name, query, &known));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn control_plane_metrics_are_those_that_it_emits() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../control/src/metrics/family.rs");
    let source = std::fs::read_to_string(source).unwrap();
    for name in catalogue::control_plane_names() {
        assert!(source.contains(&format!("\"{name}\"")), "the control plane emits no {name}");
    }
}

#[test]
fn each_dashboard_has_its_own_uid_and_lets_the_data_source_be_chosen() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(uids.insert(text(&dashboard, "uid").to_owned()), "{name}: uid is taken");
        let first = &list(&dashboard["templating"], "list")[0];
        assert_eq!((text(first, "type"), text(first, "name")), ("datasource", "datasource"), "{name}");
        let variables = list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query");
        let panels = list(&dashboard, "panels").iter().filter(|panel| panel["type"] != "row");
        let targets = list(&dashboard, "panels").iter().flat_map(|panel| list(panel, "targets"));
        for part in variables.chain(panels).chain(targets) {
            assert_eq!(text(&part["datasource"], "uid"), "${datasource}", "{name}: {part}");
        }
    }
}

#[test]
fn panels_have_ids_and_titles_of_their_own_and_do_not_overlap() {
    for (name, dashboard) in dashboards() {
        let (mut ids, mut titles, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard, "panels") {
            let title = text(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{name}: {title}: id is taken");
            assert!(panel["type"] == "row" || titles.insert(title), "{name}: {title} is there twice");
            let side = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            let (x, y, width, height) = (side("x"), side("y"), side("w"), side("h"));
            assert!(width > 0 && height > 0 && x + width <= GRID_WIDTH, "{name}: {title} is outside the grid");
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{name}: {title} overlaps another panel at {cell:?}");
            }
        }
    }
}

#[test]
fn variables_in_queries_are_declared_and_declared_ones_are_used() {
    for (name, dashboard) in dashboards() {
        let declared = list(&dashboard["templating"], "list").iter().map(|variable| text(variable, "name"));
        let declared: BTreeSet<&str> = declared.collect();
        let all = [queries(&dashboard), variable_queries(&dashboard)].concat();
        let mut used: BTreeSet<&str> = all.iter().flat_map(|query| promql::variables(query)).collect();
        assert!(used.remove("__rate_interval"), "{name}: rates fit the resolution");
        used.insert("datasource");
        assert_eq!(used, declared, "{name}");
    }
}

#[test]
fn the_mesh_dashboard_has_the_panels_that_people_know() {
    let (_, mesh) = dashboards().into_iter().find(|(name, _)| name == "mesh.json").expect("mesh.json");
    assert_eq!(text(&mesh, "title"), "Orrery Mesh Dashboard");
    let titles: Vec<&str> = list(&mesh, "panels").iter().map(|panel| text(panel, "title")).collect();
    for expected in [
        "Traffic Volume",
        "Success Rate (non-5xx responses)",
        "4xxs",
        "5xxs",
        "HTTP/gRPC Workloads",
        "TCP Workloads",
        "Istio Component Versions",
    ] {
        assert!(titles.contains(&expected), "{expected} is not among {titles:?}");
    }
}

#[test]
fn links_between_dashboards_lead_somewhere() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, dashboard)| text(dashboard, "uid")).collect();
    for (name, dashboard) in &all {
        let printed = dashboard.to_string();
        for link in printed.split("\"/d/").skip(1) {
            let uid = link.split(['?', '/', '"']).next().unwrap_or_default();
            assert!(uids.contains(uid), "{name}: there is no dashboard {uid}");
        }
    }
}

#[test]
fn prometheus_accepts_rules_and_queries() {
    promtool(&["check", "rules", "orrery.rules.yaml"]);
    promtool(&["test", "rules", "orrery.test.yaml"]);
    // A file of recording rules makes promtool parse the dashboards' queries too.
    let mut file = String::from("groups:\n- name: dashboards\n  rules:\n");
    let all = dashboards();
    for (number, query) in all.iter().flat_map(|(_, dashboard)| queries(dashboard)).enumerate() {
        let query = Value::from(query.replace("$__rate_interval", "1m"));
        file.push_str(&format!("  - record: query:{number}\n    expr: {query}\n"));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queries.rules.yaml");
    std::fs::write(&path, file).unwrap();
    promtool(&["check", "rules", &path.to_string_lossy()]);
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(folder())
        .output()
        .expect("promtool: install it with `apt-get install prometheus` (or run tests/run)");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}
