//! The pages' shells. Each names its section and its scripts; the data comes from the JSON APIs, in the browser.

use askama::Template;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;

use crate::assets;

/// What every page needs.
struct Shell {
    assets: &'static str,
    section: &'static str,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "graph.html")]
struct Graph {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "service.html")]
struct Service {
    shell: Shell,
    namespace: String,
    name: String,
}

#[derive(Template)]
#[template(path = "traces.html")]
struct Traces {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct Trace {
    shell: Shell,
    id: String,
}

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    shell: Shell,
    version: &'static str,
}

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFound {
    shell: Shell,
}

pub(crate) async fn overview() -> Response {
    page(&Overview { shell: Shell::of("overview") })
}

pub(crate) async fn graph() -> Response {
    page(&Graph { shell: Shell::of("graph") })
}

pub(crate) async fn services() -> Response {
    page(&Services { shell: Shell::of("services") })
}

pub(crate) async fn service(Path((namespace, name)): Path<(String, String)>) -> Response {
    page(&Service { shell: Shell::of("services"), namespace, name })
}

pub(crate) async fn traces() -> Response {
    page(&Traces { shell: Shell::of("traces") })
}

pub(crate) async fn trace(Path(id): Path<String>) -> Response {
    page(&Trace { shell: Shell::of("traces"), id })
}

pub(crate) async fn about() -> Response {
    page(&About { shell: Shell::of("about"), version: env!("CARGO_PKG_VERSION") })
}

/// The page for addresses that lead nowhere, with status 404: for the fallback of whoever serves [`crate::router`].
pub async fn not_found() -> Response {
    let mut response = crate::headers::protect(page(&NotFound { shell: Shell::of("") })).await;
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(CACHE_CONTROL, "no-cache")], Html(html)).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("The page could not be rendered: {error}\n")).into_response()
        }
    }
}

// === impl Shell ===

impl Shell {
    fn of(section: &'static str) -> Self {
        Self { assets: assets::base(), section }
    }
}
