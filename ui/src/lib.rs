//! The web interface: pages, their assets, and the layout of the graph.
//!
//! Pages are shells rendered here; what they show they fetch from the JSON APIs of the origin that serves them. This crate
//! holds no data, reads no clock and knows nothing of where signals come from.

mod assets;
mod headers;
pub mod layout;
mod pages;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::get;

pub use layout::layout;
pub use pages::not_found;

/// Every page and asset. Stateless; it has no fallback, so that it can be merged with the API's router, for whose
/// fallback [`not_found`] is meant.
pub fn router() -> Router {
    Router::new()
        .route("/", get(pages::overview))
        .route("/graph", get(pages::graph))
        .route("/services", get(pages::services))
        .route("/namespaces/{namespace}/services/{name}", get(pages::service))
        .route("/traces", get(pages::traces))
        .route("/traces/{id}", get(pages::trace))
        .route("/about", get(pages::about))
        .route("/favicon.ico", get(assets::favicon))
        .route("/assets/{version}/{*path}", get(assets::serve))
        .layer(axum::middleware::map_response(headers::protect))
}
