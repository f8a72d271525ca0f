//! `orrery apply` of what is meant to do harm: refused by name, line and reason, while calls are answered as before.

use orrery_tests::calls::{reviews, reviews_version};
use orrery_tests::demo::Demo;

/// A route of its own host, with these fields.
fn service(name: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: {name}\nspec:\n  hosts: [poison.example]\n  http:\n  - {http}\n"
    )
}

/// Name, text, and what must be said of it.
fn cases() -> Vec<(&'static str, String, &'static str)> {
    let to = "route: [{destination: {host: reviews}}]";
    let matches: Vec<String> = (0..10_000).map(|number| format!("{{uri: {{exact: /{number}}}}}")).collect();
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    vec![
        ("regex", service("poison", &format!("{{match: [{{uri: {{regex: '('}}}}], {to}}}")), "poison.yaml:8"),
        ("nowhere", service("poison", "{route: [{destination: {host: nowhere}}]}"), "poison.yaml:8"),
        ("matches", service("poison", &format!("{{match: [{}], {to}}}", matches.join(", "))), "10000 matches"),
        ("name", service(&"x".repeat(1 << 20), &format!("{{{to}}}")), "poison.yaml:4"),
        (
            "header",
            service("poison", &format!("{{headers: {{request: {{set: {{a: {}}}}}}}, {to}}}", "x".repeat(1 << 20))),
            "bytes",
        ),
        ("bomb", bomb, "poison.yaml:"),
        ("nesting", format!("a: {}", "[".repeat(10_000)), "poison.yaml:1"),
    ]
}

#[tokio::test]
async fn harmful_files_are_refused_while_calls_go_on() {
    let demo = Demo::start(43, &["--no-traffic"]).await;
    demo.apply_sample("destination-rule-all");
    demo.apply_sample("virtual-service-all-v1");
    let before = demo.orrery(&["get", "-o", "json"]);
    let file = demo.scratch("poison.yaml");
    for (name, text, says) in cases() {
        std::fs::write(&file, text).expect("a scratch file");
        let output = demo.orrery(&["apply", "-f", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(says) && said.len() < 10_000, "{name}: {said}");
        for _ in 0..5 {
            let answer = reviews(demo.productpage_outbound(), &[]).await.expect("an answer");
            assert_eq!(reviews_version(&answer), "v1", "{name}");
        }
    }
    assert_eq!(demo.orrery(&["get", "-o", "json"]).stdout, before.stdout, "the configuration is what it was");
}
