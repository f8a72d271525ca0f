//! The configuration API: apply, get and delete objects of a running mesh over HTTP.
//!
//! Only for whoever holds the administrator's token. A request from a web page (it has an `Origin`)
//! is refused even with the token. What a document means is decided by [`crate::apply`].

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::apply::{self, Deletion, Refused};
use crate::authenticate::AdminToken;
use crate::metrics::{Family, Metrics};
use crate::reconcile::Handle;

/// Largest body in bytes: as large as the largest object that Kubernetes stores, times a few.
const LARGEST_BODY: usize = 8 * 1024 * 1024;
/// Longest file name that is repeated in messages.
const LONGEST_FILE: usize = 512;

/// The routes. Without a token the API is closed.
pub(crate) fn router(handle: Handle, metrics: Metrics, admin: Option<AdminToken>) -> Router {
    Router::new()
        .route("/api/v1/apply", post(apply_documents))
        .route("/api/v1/resources", get(list))
        .route("/api/v1/resources/{kind}/{namespace}/{name}", delete(remove))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::new(admin), authorize))
        .with_state(Shared { handle, metrics })
}

#[derive(Clone)]
struct Shared {
    handle: Handle,
    metrics: Metrics,
}

async fn authorize(State(admin): State<Arc<Option<AdminToken>>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) {
        return message(StatusCode::FORBIDDEN, "requests of web pages (with an Origin header) are not taken here");
    }
    let Some(admin) = admin.as_ref() else {
        return message(
            StatusCode::FORBIDDEN,
            "this control plane was started without an admin token: the API is closed",
        );
    };
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !admin.accepts(presented) {
        return message(
            StatusCode::UNAUTHORIZED,
            "the admin token is missing or wrong (authorization: Bearer <token>)",
        );
    }
    next.run(request).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplyQuery {
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default)]
    dry_run: Flag,
}

/// `?dryRun=`, `=true`, `=1` and Kubernetes' `=All` all mean yes.
#[derive(Default, Deserialize)]
#[serde(from = "String")]
struct Flag(bool);

impl From<String> for Flag {
    fn from(text: String) -> Self {
        Self(!matches!(text.as_str(), "" | "false" | "0" | "None"))
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}

async fn apply_documents(
    State(Shared { handle, metrics }): State<Shared>,
    Query(query): Query<ApplyQuery>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let file = headers.get("x-orrery-file").and_then(|value| value.to_str().ok()).unwrap_or("(request)");
    let file: String = file.chars().take(LONGEST_FILE).collect();
    let objects = match apply::parse(&body, &file, &query.namespace, query.dry_run.0) {
        Ok(objects) => objects,
        Err(refused) => {
            metrics.add(Family::ValidationFailed, &[("reason", "invalid_resource")]);
            return refusal(&refused);
        }
    };
    match handle.apply(objects).await {
        Some(Ok(outcome)) => {
            metrics.add(Family::ValidationPassed, &[]);
            Json(outcome).into_response()
        }
        Some(Err(refused)) => {
            metrics.add(Family::ValidationFailed, &[("reason", "references")]);
            refusal(&refused)
        }
        None => stopping(),
    }
}

#[derive(Deserialize)]
struct ListQuery {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

async fn list(State(Shared { handle, .. }): State<Shared>, Query(query): Query<ListQuery>) -> Response {
    let look = handle
        .inspect(move |state| state.objects(query.kind.as_deref(), query.namespace.as_deref(), query.name.as_deref()));
    match look.await {
        Some(objects) => Json(objects).into_response(),
        None => stopping(),
    }
}

async fn remove(
    State(Shared { handle, .. }): State<Shared>,
    Path((kind, namespace, name)): Path<(String, String, String)>,
) -> Response {
    let target = Deletion { kind, namespace, name };
    let shown = json!({ "kind": target.kind, "namespace": target.namespace, "name": target.name, "result": "deleted" });
    match handle.delete(target).await {
        Some(Ok(())) => Json(shown).into_response(),
        Some(Err(refused)) => refusal(&refused),
        None => stopping(),
    }
}

fn refusal(refused: &Refused) -> Response {
    match refused {
        Refused::Invalid(problems) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "errors": problems }))).into_response()
        }
        Refused::NotFound(text) => message(StatusCode::NOT_FOUND, text),
        Refused::Conflict(text) => message(StatusCode::CONFLICT, text),
        Refused::Disk(text) => message(StatusCode::INTERNAL_SERVER_ERROR, text),
    }
}

fn stopping() -> Response {
    message(StatusCode::SERVICE_UNAVAILABLE, "the control plane is stopping")
}

fn message(status: StatusCode, text: &str) -> Response {
    let body: Value = json!({ "errors": [{ "message": text }] });
    (status, Json(body)).into_response()
}
