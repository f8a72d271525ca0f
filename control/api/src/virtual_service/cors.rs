//! CORS policies of HTTP routes.

use super::matching::string_match;
use super::{CorsPolicy, StringMatch};
use crate::header::is_header_value;
use crate::reader::Reader;

pub(super) fn cors_policy(reader: &Reader<'_>) -> Option<CorsPolicy> {
    let fields = reader.fields()?;
    let texts = |name: &str| -> Vec<String> {
        let words = fields.list(name);
        words.iter().filter_map(|word| word.text().filter(|text| is_header_value(word, text))).collect()
    };
    let mut allow_origins: Vec<StringMatch> = fields.list("allowOrigins").iter().filter_map(string_match).collect();
    // Deprecated: exact origins, or `*`.
    allow_origins.extend(texts("allowOrigin").into_iter().map(|origin| match origin.as_str() {
        "*" => StringMatch::Prefix(String::new()),
        _ => StringMatch::Exact(origin),
    }));
    let policy = CorsPolicy {
        allow_origins,
        allow_methods: texts("allowMethods"),
        allow_headers: texts("allowHeaders"),
        expose_headers: texts("exposeHeaders"),
        max_age: fields.duration("maxAge"),
        allow_credentials: fields.take("allowCredentials").and_then(|flag| flag.flag()).unwrap_or(false),
        forward_unmatched: fields
            .take("unmatchedPreflights")
            .and_then(|word| word.word(&[("UNSPECIFIED", true), ("FORWARD", true), ("IGNORE", false)]))
            .unwrap_or(true),
    };
    fields.finish(&[
        "allowOrigin",
        "allowOrigins",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "maxAge",
        "allowCredentials",
        "unmatchedPreflights",
    ]);
    Some(policy)
}
