//! `ratings`: how many stars each reviewer gives.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

pub(super) fn router() -> Router {
    Router::new()
        .route("/ratings/{id}", get(|Path(id): Path<u32>| async move { Json(ratings(id)) }))
        .route("/health", get(|| async { Json(json!({ "status": "Ratings is healthy" })) }))
}

fn ratings(id: u32) -> Value {
    json!({ "id": id, "ratings": { "Reviewer1": 5, "Reviewer2": 4 } })
}
