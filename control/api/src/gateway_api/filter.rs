//! Filters of routes and of their backends.

use std::time::Duration;

use super::name::{Wildcard, at_most, host};
use super::reference::{self, BackendReference, ObjectReference};
use crate::header::is_header_name;
use crate::reader::{Fields, Reader};

/// One filter.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpFilter {
    RequestHeaders(HeaderFilter),
    ResponseHeaders(HeaderFilter),
    Mirror(MirrorFilter),
    Redirect(RedirectFilter),
    Rewrite(RewriteFilter),
    Cors(CorsFilter),
    /// A filter of a vendor.
    Extension(ObjectReference),
    /// A filter that this version does not know, by its type.
    Unknown(String),
}

/// Changes of headers. Values are not checked here: the route's status tells of wrong ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderFilter {
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
    pub remove: Vec<String>,
}

/// A copy of calls.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorFilter {
    pub backend: BackendReference,
    /// `None`: all.
    pub share: Option<Fraction>,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    pub numerator: u32,
    /// Never 0.
    pub denominator: u32,
}

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedirectFilter {
    pub scheme: Option<String>,
    pub hostname: Option<String>,
    pub path: Option<PathModifier>,
    pub port: Option<u16>,
    pub status: u16,
}

/// What is changed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RewriteFilter {
    pub hostname: Option<String>,
    pub path: Option<PathModifier>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PathModifier {
    ReplaceFull(String),
    /// Of the part that the match took.
    ReplacePrefix(String),
}

/// Which pages of other origins may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorsFilter {
    /// `*`, an origin, or one with `*` for the first labels of its host.
    pub allow_origins: Vec<String>,
    pub allow_credentials: bool,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    /// `None`: browsers do as they like.
    pub max_age: Option<Duration>,
}

/// Filters of one rule or backend.
pub(super) fn filters(fields: &Fields<'_>) -> Vec<HttpFilter> {
    let list = fields.list("filters");
    at_most(fields, "filters", list.len(), 16);
    list.iter().filter_map(filter).collect()
}

fn filter(reader: &Reader<'_>) -> Option<HttpFilter> {
    let fields = reader.fields()?;
    let kind = fields.require("type").and_then(|kind| kind.text())?;
    let part = |name: &str| fields.require(name);
    let filter = match kind.as_str() {
        "RequestHeaderModifier" => {
            part("requestHeaderModifier").and_then(|one| headers(&one)).map(HttpFilter::RequestHeaders)
        }
        "ResponseHeaderModifier" => {
            part("responseHeaderModifier").and_then(|one| headers(&one)).map(HttpFilter::ResponseHeaders)
        }
        "RequestMirror" => part("requestMirror").and_then(|one| mirror(&one)).map(HttpFilter::Mirror),
        "RequestRedirect" => part("requestRedirect").and_then(|one| redirect(&one)).map(HttpFilter::Redirect),
        "URLRewrite" => part("urlRewrite").and_then(|one| rewrite(&one)).map(HttpFilter::Rewrite),
        "CORS" => part("cors").and_then(|one| cors(&one)).map(HttpFilter::Cors),
        "ExtensionRef" => {
            part("extensionRef").and_then(|one| reference::object(&one, "", "")).map(HttpFilter::Extension)
        }
        _ => {
            fields.ignore_rest();
            return Some(HttpFilter::Unknown(kind));
        }
    };
    fields.finish(&[
        "type",
        "requestHeaderModifier",
        "responseHeaderModifier",
        "requestMirror",
        "requestRedirect",
        "urlRewrite",
        "cors",
        "extensionRef",
    ]);
    filter
}

fn headers(reader: &Reader<'_>) -> Option<HeaderFilter> {
    let fields = reader.fields()?;
    let filter = HeaderFilter {
        set: header_list(&fields, "set"),
        add: header_list(&fields, "add"),
        remove: fields
            .list("remove")
            .iter()
            .filter_map(|one| one.text().filter(|name| is_header_name(one, name)))
            .collect(),
    };
    fields.finish(&["set", "add", "remove"]);
    Some(filter)
}

/// Of two headers of one name the first counts.
fn header_list(fields: &Fields<'_>, name: &str) -> Vec<(String, String)> {
    let list = fields.list(name);
    at_most(fields, name, list.len(), 16);
    let mut headers: Vec<(String, String)> = Vec::new();
    for one in list {
        let Some(header) = one.fields() else { continue };
        let key = header.require("name").and_then(|key| {
            let text = key.text()?;
            is_header_name(&key, &text).then_some(text)
        });
        let value = header.require("value").and_then(|value| value.text());
        header.finish(&["name", "value"]);
        let (Some(key), Some(value)) = (key, value) else { continue };
        if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&key)) {
            headers.push((key.to_ascii_lowercase(), value));
        }
    }
    headers
}

fn mirror(reader: &Reader<'_>) -> Option<MirrorFilter> {
    let fields = reader.fields()?;
    let backend = fields.require("backendRef").and_then(|one| {
        let fields = one.fields()?;
        let backend = reference::backend(&fields);
        fields.finish(&["group", "kind", "name", "namespace", "port"]);
        backend
    });
    let percent = fields.take("percent").and_then(|percent| percent.number(0, 100));
    let share = percent.and_then(|percent| u32::try_from(percent).ok());
    let share = share.map(|numerator| Fraction { numerator, denominator: 100 });
    let fraction = fields.fields("fraction").map(|fraction| {
        let numerator = fraction.count("numerator").unwrap_or_default();
        let denominator = fraction.take("denominator").and_then(|one| one.number(1, i64::from(u32::MAX)));
        fraction.finish(&["numerator", "denominator"]);
        Fraction { numerator, denominator: denominator.and_then(|n| u32::try_from(n).ok()).unwrap_or(100) }
    });
    if let Some(one) = fraction.filter(|one| one.numerator > one.denominator) {
        fields.report(format!("{} of {} is more than all", one.numerator, one.denominator), "");
    }
    if share.is_some() && fraction.is_some() {
        fields.report("percent and fraction exclude each other", "");
    }
    fields.finish(&["backendRef", "percent", "fraction"]);
    Some(MirrorFilter { backend: backend?, share: fraction.or(share) })
}

fn redirect(reader: &Reader<'_>) -> Option<RedirectFilter> {
    let fields = reader.fields()?;
    let words = [301, 302, 303, 307, 308];
    let status = fields.take("statusCode").and_then(|status| {
        let number = status.number(300, 399)?;
        if !words.contains(&number) {
            status.report(format!("{number} is no status of a redirect"), "301, 302, 303, 307 and 308 are");
        }
        u16::try_from(number).ok()
    });
    let redirect = RedirectFilter {
        scheme: fields
            .take("scheme")
            .and_then(|scheme| scheme.word(&[("http", "http"), ("https", "https")]))
            .map(str::to_owned),
        hostname: fields.take("hostname").and_then(|one| host(&one, Wildcard::Refused)),
        path: fields.take("path").and_then(|path| path_modifier(&path)),
        port: fields.port("port"),
        status: status.unwrap_or(302),
    };
    fields.finish(&["scheme", "hostname", "path", "port", "statusCode"]);
    Some(redirect)
}

fn rewrite(reader: &Reader<'_>) -> Option<RewriteFilter> {
    let fields = reader.fields()?;
    let rewrite = RewriteFilter {
        hostname: fields.take("hostname").and_then(|one| host(&one, Wildcard::Refused)),
        path: fields.take("path").and_then(|path| path_modifier(&path)),
    };
    fields.finish(&["hostname", "path"]);
    Some(rewrite)
}

fn path_modifier(reader: &Reader<'_>) -> Option<PathModifier> {
    let fields = reader.fields()?;
    let kind =
        fields.require("type").and_then(|kind| kind.word(&[("ReplaceFullPath", true), ("ReplacePrefixMatch", false)]));
    let full = fields.text("replaceFullPath");
    let prefix = fields.text("replacePrefixMatch");
    let modifier = match (kind?, full, prefix) {
        (true, Some(path), None) => Some(PathModifier::ReplaceFull(path)),
        (false, None, Some(path)) => Some(PathModifier::ReplacePrefix(path)),
        (true, _, _) => {
            fields.report("type ReplaceFullPath has replaceFullPath, and nothing else", "");
            None
        }
        (false, _, _) => {
            fields.report("type ReplacePrefixMatch has replacePrefixMatch, and nothing else", "");
            None
        }
    };
    fields.finish(&["type", "replaceFullPath", "replacePrefixMatch"]);
    modifier
}

fn cors(reader: &Reader<'_>) -> Option<CorsFilter> {
    let fields = reader.fields()?;
    let texts = |name: &str, most: usize| -> Vec<String> {
        let words = fields.list(name);
        at_most(&fields, name, words.len(), most);
        words.iter().filter_map(Reader::text).collect()
    };
    let max_age = fields.take("maxAge").and_then(|age| age.number(1, i64::from(i32::MAX)));
    let cors = CorsFilter {
        allow_origins: texts("allowOrigins", 64),
        allow_credentials: fields.take("allowCredentials").and_then(|flag| flag.flag()).unwrap_or(false),
        allow_methods: texts("allowMethods", 9),
        allow_headers: texts("allowHeaders", 64),
        expose_headers: texts("exposeHeaders", 64),
        max_age: max_age.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
    };
    fields.finish(&["allowOrigins", "allowCredentials", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge"]);
    Some(cors)
}
