//! `orrery analyze` on a living mesh, with files as if they were applied.

use std::process::Command;

use orrery_tests::demo::Demo;
use orrery_tests::tools;
use serde_json::Value;

#[tokio::test]
async fn a_file_is_analyzed_with_the_running_mesh() {
    let demo = Demo::start(41, &["--no-traffic"]).await;
    let quiet = demo.orrery(&["analyze", "-A", "--output-threshold", "error"]);
    assert!(quiet.status.success(), "{}{}", text(&quiet.stdout), text(&quiet.stderr));

    let file = demo.scratch("service.yaml");
    let service = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: broken}\nspec:\n  hosts: [details]\n  \
        http:\n  - route:\n    - {destination: {host: details, subset: v9}, weight: 1}\n    - {destination: {host: nowhere}, weight: 1}\n";
    std::fs::write(&file, service).expect("a scratch file");
    let output = demo.orrery(&["analyze", "-o", "json", "--output-threshold", "error", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(79), "{}", text(&output.stderr));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let found: Vec<_> =
        findings.iter().map(|finding| (&finding["code"], &finding["origin"], &finding["reference"])).collect();
    let at = |line: usize| Value::from(format!("{}:{line}", file.display()));
    let (code, origin) = (Value::from("IST0101"), Value::from("VirtualService broken"));
    assert_eq!(found, [(&code, &origin, &at(8)), (&code, &origin, &at(9))], "{findings:#?}");
}

#[test]
fn every_case_of_istio_runs_by_the_command_line() {
    let directory = tools::corpus("istio/analysis");
    let cases = std::fs::read_to_string(directory.join("cases.json")).expect("the cases");
    for case in serde_json::from_str::<Vec<Value>>(&cases).expect("JSON") {
        let files =
            case["input"].as_array().expect("files").iter().map(|file| directory.join(file.as_str().expect("a name")));
        let mut command = Command::new(tools::orrery());
        command.args(["analyze", "--use-kube=false", "-o", "json"]).args(files);
        if let Some(file) = case["meshConfig"].as_str() {
            command.arg("--mesh-config").arg(directory.join(file));
        }
        let output = command.output().expect("the command line runs");
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let failed = findings.iter().any(|finding| finding["level"] == "Error");
        assert_eq!(output.status.code(), Some(if failed { 79 } else { 0 }), "{}: {findings:#?}", case["name"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
