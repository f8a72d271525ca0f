//! Broken YAML: each file is refused with file, line and field, and the mesh keeps what it had.

use orrery_tests::calls::{reviews, reviews_version};
use orrery_tests::demo::Demo;

/// A file, the line and the words that its error must name.
struct Case {
    name: &'static str,
    yaml: &'static str,
    line: usize,
    says: &'static str,
}

mod cases;

#[tokio::test]
async fn thirty_broken_files_are_refused_and_change_nothing() {
    let demo = Demo::start(40, &["--no-traffic"]).await;
    demo.apply_sample("destination-rule-all");
    demo.apply_sample("virtual-service-all-v1");
    let before = demo.orrery(&["get", "-o", "json"]);
    assert!(before.status.success());
    assert!(cases::CASES.len() >= 30, "{} cases", cases::CASES.len());
    let mut wrong = Vec::new();
    for case in cases::CASES {
        let file = demo.scratch(&format!("{}.yaml", case.name));
        std::fs::write(&file, case.yaml.trim_start_matches('\n')).expect("a scratch file");
        let output = demo.orrery(&["apply", "-f", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let place = format!("{}.yaml:{}", case.name, case.line);
        if output.status.code() != Some(1) || !said.contains(&place) || !said.contains(case.says) {
            wrong.push(format!("{}: {}, must say {place} and {}:\n{said}", case.name, output.status, case.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let after = demo.orrery(&["get", "-o", "json"]);
    assert_eq!(after.stdout, before.stdout, "the configuration is what it was");
    for _ in 0..20 {
        let answer = reviews(demo.productpage_outbound(), &[]).await.expect("an answer");
        assert_eq!(reviews_version(&answer), "v1");
    }
}
