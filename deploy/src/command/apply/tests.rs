use std::collections::BTreeMap;
use std::fs;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

use super::*;
use crate::cli::MeshArgs;

#[test]
fn an_error_says_what_where_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.yaml");
    fs::write(&file, "a\nb\nc\n").unwrap();
    let input = Input::read(std::slice::from_ref(&file)).unwrap();
    let problem: Problem = serde_json::from_value(json!({
        "file": "ignored", "line": 3, "column": 7, "kind": "VirtualService", "namespace": "default", "name": "reviews",
        "field": "spec.http[0].timeout", "message": "\"soon\" is no duration", "hint": "write 5s",
    }))
    .unwrap();
    assert_eq!(
        explain(&problem, &input),
        format!(
            "{}:3:7: VirtualService default/reviews: spec.http[0].timeout: \"soon\" is no duration\n  write 5s",
            file.display()
        )
    );
    let bare: Problem = serde_json::from_value(json!({ "message": "no" })).unwrap();
    assert_eq!(explain(&bare, &input), format!("{}: no", file.display()));
    assert_eq!(words(&json!("careful"), &input), "careful");
}

/// A control plane that accepts what mentions `good`.
async fn control() -> String {
    async fn apply(headers: HeaderMap, request: Request) -> (StatusCode, String) {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        if token != Some("Bearer secret") {
            return (StatusCode::UNAUTHORIZED, json!({ "errors": [{ "message": "no token" }] }).to_string());
        }
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        if String::from_utf8_lossy(&body).contains("good") {
            let result = json!({ "kind": "Service", "namespace": "default", "name": "good", "result": "created" });
            (StatusCode::OK, json!({ "results": [result], "warnings": [] }).to_string())
        } else {
            let error = json!({ "line": 1, "message": "bad" });
            (StatusCode::UNPROCESSABLE_ENTITY, json!({ "errors": [error] }).to_string())
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().route("/api/v1/apply", post(apply))).into_future());
    format!("http://{address}")
}

fn mesh(control: String, admin_token: &str) -> Mesh {
    Mesh {
        control,
        admin_token: admin_token.to_owned(),
        ui: String::new(),
        query: String::new(),
        tracing: String::new(),
        xds: String::new(),
        otlp: String::new(),
        proxies: BTreeMap::new(),
        pid: 1,
    }
}

#[tokio::test]
async fn exit_status_follows_the_control_planes_answer() {
    let dir = tempfile::tempdir().unwrap();
    mesh(control().await, "secret").write(dir.path()).unwrap();
    for (content, status) in [("good", ExitCode::SUCCESS), ("broken", ExitCode::FAILURE)] {
        let file = dir.path().join("input.yaml");
        fs::write(&file, content).unwrap();
        let arguments = ApplyArgs {
            file: vec![file],
            namespace: "default".to_owned(),
            dry_run: false,
            output: Output::Json,
            mesh: MeshArgs { state_dir: Some(dir.path().to_owned()) },
        };
        assert_eq!(run(arguments).await.unwrap(), status, "{content}");
    }
}

#[tokio::test]
async fn a_refused_token_and_a_missing_control_plane_are_told_apart() {
    let refused = mesh(control().await, "wrong");
    let error = Api::new(&refused).apply("good", None, "default", false).await.unwrap_err();
    assert!(error.to_string().contains("401") && error.to_string().contains("no token"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = mesh(format!("http://{}", listener.local_addr().unwrap()), "secret");
    drop(listener);
    let error = Api::new(&gone).apply("good", None, "default", false).await.unwrap_err();
    assert!(format!("{error:#}").contains("does the mesh still run?"), "{error:#}");
}
