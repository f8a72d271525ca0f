//! Conditions of HTTP routes.

use std::collections::BTreeMap;

use super::{HttpMatch, StringMatch, is_regex};
use crate::reader::Reader;
use crate::yaml::{Node, Value};

pub(super) fn http_match(reader: &Reader<'_>) -> Option<HttpMatch> {
    let fields = reader.fields()?;
    let text = |name: &str| fields.take(name).and_then(|reader| string_match(&reader));
    let matches = HttpMatch {
        name: fields.text("name").unwrap_or_default(),
        uri: text("uri"),
        scheme: text("scheme"),
        method: text("method"),
        authority: text("authority"),
        ignore_uri_case: fields.take("ignoreUriCase").and_then(|flag| flag.flag()).unwrap_or(false),
        headers: fields.take("headers").map(|all| named(&all)).unwrap_or_default(),
        without_headers: fields.take("withoutHeaders").map(|all| named(&all)).unwrap_or_default(),
        query_params: fields.take("queryParams").map(|all| named(&all)).unwrap_or_default(),
        port: fields.port("port"),
        source_labels: fields.text_map("sourceLabels"),
        source_namespace: fields.text("sourceNamespace"),
        gateways: fields.texts("gateways"),
        stat_prefix: fields.text("statPrefix").unwrap_or_default(),
    };
    fields.finish(&[
        "name",
        "uri",
        "scheme",
        "method",
        "authority",
        "headers",
        "port",
        "sourceLabels",
        "gateways",
        "queryParams",
        "ignoreUriCase",
        "withoutHeaders",
        "sourceNamespace",
        "statPrefix",
    ]);
    Some(matches)
}

/// Headers or parameters by name. Claims of tokens are named like headers, and are no headers.
fn named(reader: &Reader<'_>) -> BTreeMap<String, Option<StringMatch>> {
    let one = |(name, one): (String, Reader<'_>)| {
        if name.is_empty() || name.starts_with('@') {
            let why = if name.is_empty() { "the name is missing" } else { "claims of tokens are not supported yet" };
            one.report(why, "");
            return None;
        }
        let condition = if asks_for_presence(&one) { None } else { string_match(&one) };
        Some((name, condition))
    };
    reader.entries().into_iter().filter_map(one).collect()
}

/// An empty match asks only that the thing is there, and so does the expression `*`, which is none.
fn asks_for_presence(reader: &Reader<'_>) -> bool {
    if matches!(reader.node.value, Value::Null) {
        return true;
    }
    let entries = reader.entries();
    let star = |node: &Node| matches!(&node.value, Value::Text(text) if text == "*");
    entries.iter().all(|(name, value)| name == "regex" && star(value.node))
}

pub(super) fn string_match(reader: &Reader<'_>) -> Option<StringMatch> {
    let fields = reader.fields()?;
    let exact = fields.text("exact").map(StringMatch::Exact);
    let prefix = fields.text("prefix").map(StringMatch::Prefix);
    let regex = fields.take("regex").and_then(|regex| {
        let text = regex.text()?;
        is_regex(&regex, &text).then_some(StringMatch::Regex(text))
    });
    let given = ["exact", "prefix", "regex"].iter().filter(|name| fields.has(name)).count();
    fields.finish(&["exact", "prefix", "regex"]);
    if given != 1 {
        reader.report(format!("one of exact, prefix and regex is expected, not {given} of them"), "");
    }
    exact.or(prefix).or(regex)
}
