//! `details`: what is printed on the book's cover.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

pub(super) fn router() -> Router {
    Router::new()
        .route("/details/{id}", get(|Path(id): Path<u32>| async move { Json(details(id)) }))
        .route("/health", get(|| async { Json(json!({ "status": "Details is healthy" })) }))
}

fn details(id: u32) -> Value {
    json!({
        "id": id,
        "author": "William Shakespeare",
        "year": 1595,
        "type": "paperback",
        "pages": 200,
        "publisher": "PublisherA",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    })
}
