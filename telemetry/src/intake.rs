//! What proxies and apps push, in OTLP: metrics into series, spans into traces. Knows OTLP, not HTTP or gRPC.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;

pub(crate) mod grpc;
pub(crate) mod http;
mod metrics;
mod spans;

pub(crate) use metrics::take_metrics;
pub(crate) use spans::take_spans;

/// Attributes of one message part that are looked at.
const MOST_ATTRIBUTES: usize = 128;

/// How much of a message was refused, and the first reason.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) count: i64,
    pub(crate) reason: String,
}

/// Who pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) instance: String,
    pub(crate) job: String,
    pub(crate) service: String,
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) pod: String,
    pub(crate) namespace: String,
    pub(crate) scrape: Option<String>,
    pub(crate) is_gateway: bool,
}

impl Refused {
    fn add(&mut self, reason: impl ToString) {
        self.count += 1;
        if self.reason.is_empty() {
            self.reason = reason.to_string();
        }
    }
}

impl Resource {
    fn read(resource: Option<&OtlpResource>) -> Self {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        let get = |name: &str| {
            let found = attributes.iter().take(MOST_ATTRIBUTES).find(|attribute| attribute.key == name);
            found.and_then(|attribute| text_of(attribute.value.as_ref())).map(Cow::into_owned).unwrap_or_default()
        };
        let (service, id) = (get("service.name"), get("service.instance.id"));
        let scrape =
            Some(get("orrery.scrape.address")).filter(|address| address.parse::<std::net::SocketAddr>().is_ok());
        let first =
            |choices: [&String; 3]| choices.into_iter().find(|text| !text.is_empty()).cloned().unwrap_or_default();
        Self {
            instance: scrape.clone().unwrap_or_else(|| first([&id, &get("k8s.pod.name"), &service])),
            job: if scrape.is_some() { "orrery-proxy".into() } else { service.clone() },
            service,
            app: get("app"),
            version: get("version"),
            pod: get("k8s.pod.name"),
            namespace: get("k8s.namespace.name"),
            scrape,
            is_gateway: id.starts_with("router~"),
        }
    }

    /// The labels that Prometheus would add when it scrapes this sender.
    pub(crate) fn labels(&self) -> [(&'static str, &str); 6] {
        [
            ("app", &self.app),
            ("instance", &self.instance),
            ("job", &self.job),
            ("namespace", &self.namespace),
            ("pod", &self.pod),
            ("version", &self.version),
        ]
    }
}

/// An attribute's value as text; `None` for values without a short text.
fn text_of(value: Option<&AnyValue>) -> Option<Cow<'_, str>> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(Cow::Borrowed(text)),
        Value::BoolValue(flag) => Some(Cow::Owned(flag.to_string())),
        Value::IntValue(number) => Some(Cow::Owned(number.to_string())),
        Value::DoubleValue(number) => Some(Cow::Owned(number.to_string())),
        Value::ArrayValue(_) | Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_) => None,
    }
}

/// A name with everything that Prometheus does not allow replaced by `_`.
fn plain_name(name: &str) -> Cow<'_, str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    if name.bytes().all(fine) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.chars().map(|c| if c.is_ascii() && fine(c as u8) { c } else { '_' }).collect())
    }
}

fn labels_of(attributes: &[KeyValue]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let named = attributes.iter().take(MOST_ATTRIBUTES);
    named.filter_map(|attribute| Some((plain_name(&attribute.key), text_of(attribute.value.as_ref())?))).collect()
}

fn millis(nanos: u64) -> i64 {
    (nanos / 1_000_000) as i64
}
