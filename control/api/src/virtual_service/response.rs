//! Answers that a proxy gives itself: redirects and direct responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Redirect, RedirectPort};
use crate::header::is_header_value;
use crate::reader::{Fields, Reader};

/// Longest body of a direct response, in bytes (Istio's limit).
const LONGEST_BODY: usize = 1 << 20;
/// What Envoy can answer a redirect with.
const CODES: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) fn redirect(reader: &Reader<'_>) -> Option<Redirect> {
    let fields = reader.fields()?;
    let code = fields.take("redirectCode").and_then(|code| {
        let number = u16::try_from(code.number(0, 999)?).ok()?;
        if number != 0 && !CODES.contains(&number) {
            code.report(format!("{number} is no redirect that proxies can give"), "use 301, 302, 303, 307 or 308");
        }
        (number != 0).then_some(number)
    });
    let text = |name: &str| {
        let reader = fields.take(name)?;
        reader.text().filter(|text| !text.is_empty() && is_header_value(&reader, text))
    };
    let redirect = Redirect {
        uri: text("uri"),
        prefix: text("prefixRewrite"),
        authority: text("authority"),
        port: redirect_port(&fields),
        scheme: text("scheme"),
        code: code.unwrap_or(301),
    };
    fields.finish(&["uri", "authority", "port", "derivePort", "scheme", "redirectCode", "prefixRewrite"]);
    Some(redirect)
}

fn redirect_port(fields: &Fields<'_>) -> RedirectPort {
    let words =
        [("FROM_PROTOCOL_DEFAULT", RedirectPort::FromProtocol), ("FROM_REQUEST_PORT", RedirectPort::FromRequest)];
    let number = fields.port("port").map(RedirectPort::Number);
    let derived = fields.take("derivePort").and_then(|word| word.word(&words));
    if number.is_some() && derived.is_some() {
        fields.report("port and derivePort exclude each other", "");
    }
    number.or(derived).unwrap_or_default()
}

pub(super) fn direct_response(reader: &Reader<'_>) -> Option<(u16, Vec<u8>)> {
    let fields = reader.fields()?;
    let status = fields.require("status").and_then(|status| status.number(200, 599));
    let body = fields.take("body").and_then(|body| self::body(&body));
    fields.finish(&["status", "body"]);
    Some((u16::try_from(status?).ok()?, body.unwrap_or_default()))
}

fn body(reader: &Reader<'_>) -> Option<Vec<u8>> {
    let fields = reader.fields()?;
    let text = fields.text("string").map(String::into_bytes);
    let bytes = fields.take("bytes").and_then(|bytes| {
        let decoded = STANDARD.decode(bytes.text()?).ok();
        if decoded.is_none() {
            bytes.report("it is no base64", "");
        }
        decoded
    });
    if text.is_some() && bytes.is_some() {
        fields.report("string and bytes exclude each other", "");
    }
    fields.finish(&["string", "bytes"]);
    let body = text.or(bytes)?;
    if body.len() > LONGEST_BODY {
        reader.report(format!("a body of {} bytes is too long", body.len()), "at most 1 MiB is allowed");
    }
    Some(body)
}
