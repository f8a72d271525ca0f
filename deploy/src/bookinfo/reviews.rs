//! `reviews`: what readers say; versions 2 and 3 add the stars that ratings knows.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::bookinfo::ReviewsVersion;
use crate::bookinfo::calls::Calls;

/// How long ratings may take. Version 2 is as patient as the documentation of fault injection needs; 3 is the fixed one.
const PATIENT: Duration = Duration::from_secs(10);
const IMPATIENT: Duration = Duration::from_millis(2_500);

#[derive(Debug, Clone)]
struct Reviews {
    version: ReviewsVersion,
    calls: Calls,
}

pub(super) fn router(version: ReviewsVersion, calls: Calls) -> Router {
    Router::new()
        .route("/reviews/{id}", get(reviews))
        .route("/health", get(|| async { Json(json!({ "status": "Reviews is healthy" })) }))
        .with_state(Reviews { version, calls })
}

async fn reviews(State(state): State<Reviews>, Path(id): Path<u32>, headers: HeaderMap) -> Json<Value> {
    let (podname, stars) = match state.version {
        ReviewsVersion::V1 => ("reviews-v1", None),
        ReviewsVersion::V2 => ("reviews-v2", Some(("black", PATIENT))),
        ReviewsVersion::V3 => ("reviews-v3", Some(("red", IMPATIENT))),
    };
    let ratings = match stars {
        None => None,
        Some((colour, limit)) => Some((colour, ratings(&state.calls, id, &headers, limit).await)),
    };
    let mut reviews = [
        json!({
            "reviewer": "Reviewer1",
            "text": "Two pairs of twins, one city and a single afternoon: I lost track happily and laughed all the way.",
        }),
        json!({
            "reviewer": "Reviewer2",
            "text": "Short, fast and very silly. The plot is thinner than in his later comedies, which I forgave at once.",
        }),
    ];
    if let Some((colour, ratings)) = ratings {
        for review in &mut reviews {
            let reviewer = review["reviewer"].as_str().unwrap_or_default().to_owned();
            review["rating"] = match &ratings {
                Some(known) => json!({ "stars": known[&reviewer], "color": colour }),
                None => json!({ "error": "Ratings cannot be shown at the moment" }),
            };
        }
    }
    Json(json!({ "id": id.to_string(), "podname": podname, "clustername": "null", "reviews": reviews }))
}

/// Stars by reviewer; `None` when ratings does not answer well.
async fn ratings(calls: &Calls, id: u32, headers: &HeaderMap, limit: Duration) -> Option<Value> {
    match calls.get("ratings", &format!("/ratings/{id}"), headers, limit).await {
        Ok(answer) if answer.status().is_success() => {
            let mut document: Value = serde_json::from_slice(answer.body()).ok()?;
            Some(document["ratings"].take()).filter(Value::is_object)
        }
        Ok(answer) => {
            tracing::info!(status = answer.status().as_u16(), "ratings failed");
            None
        }
        Err(error) => {
            tracing::info!(%error, "ratings failed");
            None
        }
    }
}
