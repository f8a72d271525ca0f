//! Assets inside the binary: scripts, styles and images, served under a path that changes with their content.
//!
//! `/assets/<version>/...` may be kept for ever; under any other version (a page from before an upgrade) the current file
//! is served, to be asked for again. Knows nothing of pages.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) body: &'static [u8],
}

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        &[$(Asset { path: $path, body: include_bytes!(concat!("../assets/", $path)) }),*]
    };
}

/// Every asset, sorted by path.
pub(crate) const ALL: &[Asset] = embed![
    "css/about.css",
    "css/base.css",
    "css/charts.css",
    "css/graph.css",
    "css/overview.css",
    "css/panel.css",
    "css/parts.css",
    "css/service.css",
    "css/shell.css",
    "css/tokens.css",
    "css/traces.css",
    "img/favicon.svg",
    "img/logo.svg",
    "js/about.js",
    "js/api.js",
    "js/cells.js",
    "js/chart.js",
    "js/codes.js",
    "js/dom.js",
    "js/format.js",
    "js/graph/bar.js",
    "js/graph/drawing.js",
    "js/graph/find.js",
    "js/graph/history.js",
    "js/graph/labels.js",
    "js/graph/legend.js",
    "js/graph/marks.js",
    "js/graph/model.js",
    "js/graph/page.js",
    "js/graph/panel.js",
    "js/graph/particles.js",
    "js/graph/stream.js",
    "js/graph/viewport.js",
    "js/motion.js",
    "js/notice.js",
    "js/orbits.js",
    "js/overview.js",
    "js/pulse.js",
    "js/query.js",
    "js/series.js",
    "js/service.js",
    "js/services.js",
    "js/shell.js",
    "js/sparkline.js",
    "js/table.js",
    "js/theme.js",
    "js/trace.js",
    "js/traces.js",
    "js/tracing/model.js",
    "js/tracing/scatter.js",
    "js/tracing/waterfall.js",
];

/// Path under which pages refer to assets, without a slash at its end.
pub(crate) fn base() -> &'static str {
    static BASE: LazyLock<String> = LazyLock::new(|| {
        let parts = ALL.iter().flat_map(|asset| [asset.path.as_bytes(), asset.body]);
        format!("/assets/{:016x}", digest(parts))
    });
    &BASE
}

pub(crate) async fn serve(Path((version, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let is_current = base().ends_with(&format!("/{version}"));
    match find(&path) {
        Some(asset) => respond(asset, &headers, if is_current { FOR_EVER } else { ASK_AGAIN }),
        None => (StatusCode::NOT_FOUND, "There is no such asset.\n").into_response(),
    }
}

/// What browsers ask for without being told to.
pub(crate) async fn favicon(headers: HeaderMap) -> Response {
    match find("img/favicon.svg") {
        Some(asset) => respond(asset, &headers, ASK_AGAIN),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn find(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.path == path)
}

fn respond(asset: &'static Asset, headers: &HeaderMap, cache: &'static str) -> Response {
    let tag = format!("\"{:016x}\"", digest([asset.body]));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let head = [(CONTENT_TYPE, content_type(asset.path)), (CACHE_CONTROL, cache)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head, [(ETAG, tag)]).into_response();
    }
    (head, [(ETAG, tag)], asset.body).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    }
}

/// FNV-1a, 64 bits: tells versions of our own files apart, and nothing more.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, step)
}
