//! `productpage`: the page that people see, the login, and a small API over the other services.

use std::time::Duration;

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bookinfo::calls::Calls;
use crate::bookinfo::page::{self, Page};

/// How long one call may take. Reviews is asked twice, which is why a delay of more than 6 s behind it shows on the page.
const LIMIT: Duration = Duration::from_secs(3);
const REVIEWS_ATTEMPTS: u32 = 2;
/// Most bytes of a user's name.
const LONGEST_USER: usize = 64;
const COOKIE: &str = "bookinfo-user";

/// An answer of another service: its status and document, or why there is none.
type Answer = (StatusCode, Value);

pub(super) fn router(calls: Calls) -> Router {
    Router::new()
        .route("/", get(|| async { Html(page::INDEX) }))
        .route("/index.html", get(|| async { Html(page::INDEX) }))
        .route("/productpage", get(productpage))
        .route("/login", post(login))
        .route("/logout", get(logout))
        .route("/health", get(|| async { "Product page is healthy" }))
        .route("/static/bookinfo.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) }))
        .route("/static/cover.svg", get(|| async { ([(header::CONTENT_TYPE, "image/svg+xml")], page::COVER) }))
        .route("/api/v1/products", get(|| async { Json(json!([page::product()])) }))
        .route("/api/v1/products/{id}", get(product))
        .route("/api/v1/products/{id}/reviews", get(product_reviews))
        .route("/api/v1/products/{id}/ratings", get(product_ratings))
        .with_state(calls)
}

async fn productpage(State(calls): State<Calls>, headers: HeaderMap) -> Html<String> {
    let user = user(&headers);
    let headers = on_behalf(headers, user.as_deref());
    let details = ask(&calls, "details", 0, &headers).await;
    let reviews = reviews(&calls, 0, &headers).await;
    Html(Page { user: user.as_deref(), details: &details, reviews: &reviews }.render())
}

async fn product(State(calls): State<Calls>, Path(id): Path<u32>, headers: HeaderMap) -> Response {
    let headers = with_user(headers);
    answer(ask(&calls, "details", id, &headers).await)
}

async fn product_reviews(State(calls): State<Calls>, Path(id): Path<u32>, headers: HeaderMap) -> Response {
    let headers = with_user(headers);
    answer(reviews(&calls, id, &headers).await)
}

async fn product_ratings(State(calls): State<Calls>, Path(id): Path<u32>, headers: HeaderMap) -> Response {
    let headers = with_user(headers);
    answer(ask(&calls, "ratings", id, &headers).await)
}

fn answer((status, document): Answer) -> Response {
    (status, Json(document)).into_response()
}

async fn reviews(calls: &Calls, id: u32, headers: &HeaderMap) -> Answer {
    let mut last = ask(calls, "reviews", id, headers).await;
    for _ in 1..REVIEWS_ATTEMPTS {
        if last.0.is_success() {
            break;
        }
        last = ask(calls, "reviews", id, headers).await;
    }
    last
}

async fn ask(calls: &Calls, service: &str, id: u32, headers: &HeaderMap) -> Answer {
    let failed = |status, what: &str| (status, json!({ "error": format!("{service} {what}") }));
    match calls.get(service, &format!("/{service}/{id}"), headers, LIMIT).await {
        Ok(answer) if answer.status().is_success() => match serde_json::from_slice(answer.body()) {
            Ok(document) => (StatusCode::OK, document),
            Err(_) => failed(StatusCode::BAD_GATEWAY, "answered something that is not understood"),
        },
        Ok(answer) => failed(answer.status(), &format!("answered {}", answer.status().as_u16())),
        Err(error) => {
            tracing::info!(%error, service, "call failed");
            failed(StatusCode::SERVICE_UNAVAILABLE, "did not answer")
        }
    }
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

/// Any name is let in; the password is not looked at, as in a sample that is about routing by user.
async fn login(headers: HeaderMap, Form(login): Form<Login>) -> Response {
    let name = login.username.trim();
    if !is_name(name) {
        return (StatusCode::BAD_REQUEST, "a user name has letters, digits, '-', '_', '.' and '@' only")
            .into_response();
    }
    back(&headers, &format!("{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax"))
}

async fn logout(headers: HeaderMap) -> Response {
    back(&headers, &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"))
}

fn back(headers: &HeaderMap, cookie: &str) -> Response {
    let normal = headers.get(header::REFERER).is_some_and(|from| from.as_bytes().ends_with(b"u=normal"));
    let mut response = Redirect::to(if normal { "/productpage?u=normal" } else { "/productpage" }).into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_USER).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

/// Who is logged in.
fn user(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let named = cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE));
    named.and_then(|rest| rest.strip_prefix('=')).filter(|name| is_name(name)).map(str::to_owned)
}

fn with_user(headers: HeaderMap) -> HeaderMap {
    let user = user(&headers);
    on_behalf(headers, user.as_deref())
}

/// Calls of a logged-in user carry the name, by which Istio's samples route.
fn on_behalf(mut headers: HeaderMap, user: Option<&str>) -> HeaderMap {
    if let Some(value) = user.and_then(|name| HeaderValue::from_str(name).ok()) {
        headers.insert("end-user", value);
    }
    headers
}
