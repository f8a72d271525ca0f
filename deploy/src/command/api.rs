//! Calls to the configuration API of a running control plane.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::mesh::{Mesh, authority};

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The configuration API.
#[derive(Debug)]
pub(super) struct Api<'a> {
    mesh: &'a Mesh,
    client: Client,
}

/// What an accepted document did.
#[derive(Debug, Deserialize)]
pub(super) struct Applied {
    pub results: Vec<Outcome>,
    #[serde(default)]
    pub warnings: Vec<Value>,
}

/// What became of one object.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub result: String,
}

/// Why something was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub line: Option<u64>,
    pub column: Option<u64>,
    pub kind: Option<String>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub field: Option<String>,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Problems {
    errors: Vec<Problem>,
}

impl<'a> Api<'a> {
    pub(super) fn new(mesh: &'a Mesh) -> Self {
        Self { mesh, client: Client::default() }
    }

    /// Applies documents; `Err` in the result are the reasons why nothing was changed.
    pub(super) async fn apply(
        &self,
        text: &str,
        file: Option<&str>,
        namespace: &str,
        dry_run: bool,
    ) -> anyhow::Result<Result<Applied, Vec<Problem>>> {
        let dry_run = if dry_run { "&dryRun=true" } else { "" };
        let path = format!("/api/v1/apply?namespace={}{dry_run}", encode(namespace));
        let mut request = self.request(Method::POST, &path, text.to_owned())?;
        if let Some(name) = file.and_then(|name| name.parse().ok()) {
            request.headers_mut().insert("x-orrery-file", name);
        }
        let (status, body) = self.send(request).await?;
        if status == StatusCode::OK {
            return Ok(Ok(serde_json::from_slice(&body).context("the control plane's answer is not understood")?));
        }
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            return Ok(Err(problems(&body)?));
        }
        bail!(refusal(status, &body))
    }

    /// The objects that match.
    pub(super) async fn list(
        &self,
        kind: Option<&str>,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> anyhow::Result<Vec<Value>> {
        let filters = [("kind", kind), ("namespace", namespace), ("name", name)];
        let query: Vec<String> =
            filters.iter().filter_map(|(key, value)| Some(format!("{key}={}", encode((*value)?)))).collect();
        let path = format!("/api/v1/resources?{}", query.join("&"));
        let (status, body) = self.send(self.request(Method::GET, &path, String::new())?).await?;
        if status != StatusCode::OK {
            bail!(refusal(status, &body));
        }
        serde_json::from_slice(&body).context("the control plane's answer is not understood")
    }

    /// Deletes an object; `false` when there is none.
    pub(super) async fn delete(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<bool> {
        let path = format!("/api/v1/resources/{}/{}/{}", encode(kind), encode(namespace), encode(name));
        let (status, body) = self.send(self.request(Method::DELETE, &path, String::new())?).await?;
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            other => bail!(refusal(other, &body)),
        }
    }

    fn request(&self, method: Method, path: &str, body: String) -> anyhow::Result<Request<Full<Bytes>>> {
        Ok(Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority(&self.mesh.control)?)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.mesh.admin_token))
            .header(header::CONTENT_TYPE, "application/yaml")
            .body(Full::from(body))?)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer = self.client.send(authority(&self.mesh.control)?, request, LIMIT).await;
        let answer = answer.context("the control plane cannot be reached; does the mesh still run?")?;
        Ok((answer.status(), answer.into_body()))
    }
}

fn problems(body: &[u8]) -> anyhow::Result<Vec<Problem>> {
    let problems: Problems = serde_json::from_slice(body).context("the control plane's errors are not understood")?;
    Ok(problems.errors)
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let said = match problems(body) {
        Ok(errors) => errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    format!("the control plane answered {status}: {said}")
}

/// Percent-encodes everything that has a meaning in a URL.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
