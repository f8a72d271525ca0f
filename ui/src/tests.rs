//! Every page and asset answers, with the headers that protect it, and refers only to what exists.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower_service::Service;

use crate::{assets, not_found, router};

const PAGES: [&str; 7] = [
    "/",
    "/graph",
    "/services",
    "/namespaces/default/services/reviews",
    "/traces",
    "/traces/5f3c9b1e7a2d4c80",
    "/about",
];

async fn ask(request: Request<Body>) -> Response {
    router().call(request).await.expect("the router cannot fail")
}

async fn get(path: &str) -> Response {
    ask(Request::get(path).body(Body::empty()).expect("a request")).await
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Values of an attribute in the text of a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn assert_protected(response: &Response, path: &str) {
    let header =
        |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text")).unwrap_or_default();
    let policy = header(CONTENT_SECURITY_POLICY.as_str());
    for part in ["default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{path}: {part} is missing in {policy:?}");
    }
    assert!(!policy.contains("unsafe"), "{path}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(header("referrer-policy"), "same-origin", "{path}");
}

#[tokio::test]
async fn every_page_answers_and_is_protected() {
    for path in PAGES {
        let response = get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_protected(&response, path);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache", "{path}");
    }
}

#[tokio::test]
async fn pages_have_no_inline_script_or_style_and_refer_only_to_what_exists() {
    for path in PAGES {
        let html = text(get(path).await).await;
        assert!(!html.contains("<style") && !html.contains(" style="), "{path}");
        assert!(!html.contains("javascript:"), "{path}");
        for tag in html.split("<script").skip(1) {
            assert!(tag.contains(" src=\"") && tag.contains("></script>"), "{path}: inline script");
        }
        for name in ["onclick", "onload", "onerror", "onsubmit", "onchange"] {
            assert!(values(&html, name).is_empty(), "{path}: {name}");
        }
        let found: Vec<&str> = values(&html, "href").into_iter().chain(values(&html, "src")).collect();
        assert!(found.iter().any(|one| one.starts_with(assets::base())), "{path}");
        for reference in found {
            assert!(reference.starts_with('/') || reference.starts_with('#'), "{path} refers to {reference}");
            if reference.starts_with("/assets/") {
                assert_eq!(get(reference).await.status(), StatusCode::OK, "{path} refers to {reference}");
            }
        }
    }
}

#[tokio::test]
async fn scripts_import_only_what_exists_and_never_write_markup() {
    for asset in assets::ALL.iter().filter(|asset| asset.path.ends_with(".js")) {
        let script = std::str::from_utf8(asset.body).expect("text");
        assert!(script.starts_with("// "), "{} does not say what it does", asset.path);
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "http://",
            "https://",
        ] {
            assert!(!script.replace("http://www.w3.org/2000/svg", "").contains(banned), "{} uses {banned}", asset.path);
        }
        let folder = asset.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for import in script.split("from \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let path = resolve(folder, import);
            assert!(assets::ALL.iter().any(|other| other.path == path), "{} imports {import}", asset.path);
        }
    }
}

fn resolve(folder: &str, import: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[tokio::test]
async fn every_file_in_the_folder_of_assets_is_served_with_its_type() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let mut folders = vec![root.clone()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).expect("inside").to_str().expect("text").to_owned();
            let response = get(&format!("{}/{relative}", assets::base())).await;
            assert_eq!(response.status(), StatusCode::OK, "{relative}");
            assert_protected(&response, &relative);
            assert_ne!(response.headers()[CONTENT_TYPE], "application/octet-stream", "{relative}");
            assert!(response.headers()[CACHE_CONTROL].to_str().expect("text").contains("immutable"), "{relative}");
            count += 1;
        }
    }
    assert_eq!(count, assets::ALL.len());
}

#[tokio::test]
async fn a_known_asset_is_not_sent_again() {
    let path = format!("{}/js/theme.js", assets::base());
    let tag = get(&path).await.headers()[ETAG].clone();
    let again = Request::get(&path).header(IF_NONE_MATCH, tag).body(Body::empty()).expect("a request");
    let response = ask(again).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(text(response).await, "");
    let older = get("/assets/0000/js/theme.js").await;
    assert_eq!(older.headers()[CACHE_CONTROL], "no-cache");
    assert_eq!(get("/assets/0000/js/nothing.js").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get("/favicon.ico").await.headers()[CONTENT_TYPE], "image/svg+xml");
}

#[tokio::test]
async fn names_in_the_address_cannot_become_markup() {
    let html = text(get("/namespaces/%22%3E%3Cscript%3Ealert(1)/services/%3Cb%3E").await).await;
    assert!(!html.contains("<script>alert") && !html.contains("<b>"));
    let html = text(get("/traces/%22%20onclick=%22x").await).await;
    assert!(values(&html, "onclick").is_empty());
}

#[tokio::test]
async fn an_address_that_leads_nowhere_says_so() {
    let response = not_found().await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_protected(&response, "not found");
    assert!(text(response).await.contains("Nothing orbits here"));
}
