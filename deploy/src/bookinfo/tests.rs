use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::Full;

use super::*;
use crate::client::Client;

const LIMIT: Duration = Duration::from_secs(10);

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// Stands where the outbound listener is: sends each call to the service that its Host names, or fails those of one.
async fn outbound(version: ReviewsVersion, broken: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let services = |service| router(service, version, Some(address));
    let targets = Targets {
        details: services(Service::Details),
        reviews: services(Service::Reviews),
        ratings: services(Service::Ratings),
        broken,
    };
    let router = Router::new().fallback(forward).with_state(targets);
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

#[derive(Clone)]
struct Targets {
    details: Router,
    reviews: Router,
    ratings: Router,
    broken: Option<&'static str>,
}

async fn forward(State(targets): State<Targets>, headers: HeaderMap, request: Request) -> Response {
    assert!(headers.contains_key("x-request-id"), "the request id is handed on: {headers:?}");
    let host = headers["host"].to_str().unwrap().to_owned();
    let name = host.strip_suffix(":9080").unwrap();
    if targets.broken == Some(name) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "fault").into_response();
    }
    let router = match name {
        "details" => targets.details,
        "reviews" => targets.reviews,
        "ratings" => targets.ratings,
        other => panic!("{other}"),
    };
    let address = serve(router).await;
    let mut forwarded = http::Request::new(Full::default());
    *forwarded.uri_mut() = request.uri().clone();
    *forwarded.headers_mut() = headers;
    let (head, body) = Client::default().send(&address.to_string(), forwarded, LIMIT).await.unwrap().into_parts();
    let mut response = Response::from_parts(head, axum::body::Body::from(body));
    response.headers_mut().remove("transfer-encoding");
    response
}

async fn get(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> (StatusCode, String) {
    let mut request = http::Request::builder().uri(path).header("host", "x").header("x-request-id", "1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer =
        Client::default().send(&address.to_string(), request.body(Full::default()).unwrap(), LIMIT).await.unwrap();
    (answer.status(), String::from_utf8_lossy(answer.body()).into_owned())
}

async fn page(version: ReviewsVersion, broken: Option<&'static str>, path: &str) -> (StatusCode, String) {
    let outbound = outbound(version, broken).await;
    get(serve(router(Service::Productpage, version, Some(outbound))).await, path, &[]).await
}

#[tokio::test]
async fn the_page_has_the_stars_of_its_version() {
    for (version, has, has_not) in [
        (ReviewsVersion::V1, "Reviewer1", "★"),
        (ReviewsVersion::V2, "stars black", "stars red"),
        (ReviewsVersion::V3, "stars red", "stars black"),
    ] {
        let (status, text) = page(version, None, "/productpage?u=normal").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("Comedy of Errors") && text.contains("William Shakespeare"), "{text}");
        assert!(text.contains(has) && !text.contains(has_not), "{version:?}: {text}");
        assert!(!text.contains("{details}") && !text.contains("class=\"problem\""), "{text}");
    }
}

#[tokio::test]
async fn what_fails_is_told_on_the_page() {
    for (broken, words) in [
        ("details", "details of this book cannot be shown"),
        ("reviews", "Reviews of this book cannot be shown"),
        ("ratings", "Ratings cannot be shown at the moment"),
    ] {
        let (status, text) = page(ReviewsVersion::V2, Some(broken), "/productpage").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains(words), "{broken}: {text}");
    }
    let (status, _) = page(ReviewsVersion::V2, Some("details"), "/api/v1/products/0").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn the_api_hands_through_what_services_answer() {
    for (path, words) in [
        ("/api/v1/products", "The Comedy of Errors"),
        ("/api/v1/products/0", "ISBN-13"),
        ("/api/v1/products/0/reviews", "\"color\":\"red\""),
        ("/api/v1/products/0/ratings", "\"Reviewer2\":4"),
        ("/health", "healthy"),
        ("/static/bookinfo.css", "color-scheme"),
    ] {
        let (status, text) = page(ReviewsVersion::V3, None, path).await;
        assert!(status == StatusCode::OK && text.contains(words), "{path}: {status} {text}");
    }
}

#[tokio::test]
async fn a_login_is_kept_in_a_cookie_and_names_the_end_user() {
    async fn echo(headers: HeaderMap) -> Response {
        axum::Json(serde_json::json!({ "author": headers.get("end-user").map(|v| v.to_str().unwrap().to_owned()) }))
            .into_response()
    }
    let other = serve(Router::new().fallback(echo)).await;
    let address = serve(router(Service::Productpage, ReviewsVersion::V1, Some(other))).await;
    let login = http::Request::post("/login")
        .header("host", "x")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from("username=jason&passwd="))
        .unwrap();
    let answer = Client::default().send(&address.to_string(), login, LIMIT).await.unwrap();
    assert_eq!(answer.headers()["location"], "/productpage");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (_, text) = get(address, "/productpage", &[("cookie", &cookie)]).await;
    assert!(text.contains("by jason") && text.contains("Sign out"), "{text}");
    let (_, text) = get(address, "/productpage", &[("cookie", "bookinfo-user=<script>")]).await;
    assert!(!text.contains("<script>") && text.contains("Sign in"), "{text}");
}
