//! Trace context: read from W3C and B3 headers, decided on, and passed to the upstream.
//!
//! Does not send spans; that is the record's work.

use http::{HeaderMap, HeaderName, HeaderValue};
use orrery_core::listener::Tracing;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// The span of this proxy for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
}

/// A caller's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Incoming {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    /// `None`: the caller leaves the decision to us.
    sampled: Option<bool>,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    W3c,
    B3Single,
    B3Multiple,
}

/// Three random numbers for new identifiers and the sampling decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// 0.0..1.0
    pub(crate) share: f64,
}

/// Decides whether this request is traced and tells the upstream. A request whose caller decided against keeps its
/// headers as they are: there is no span of ours that could be named in them.
pub(crate) fn begin(headers: &mut HeaderMap, tracing: &Tracing, chance: impl FnOnce() -> Chance) -> Option<Span> {
    let incoming = extract(headers);
    if let Some(Incoming { sampled: Some(false), .. }) = incoming {
        return None;
    }
    let chance = chance();
    let share = match incoming {
        Some(Incoming { sampled: Some(true), .. }) => tracing.client_sampling,
        Some(Incoming { sampled: Some(false) | None, .. }) | None => tracing.random_sampling,
    };
    let sampled = chance.share * 100.0 < share;
    let span = Span {
        trace_id: incoming.map_or(chance.trace.max(1).to_be_bytes(), |incoming| incoming.trace_id),
        span_id: chance.span.max(1).to_be_bytes(),
        parent: incoming.map(|incoming| incoming.span_id),
    };
    inject(headers, &span, sampled, incoming.map(|incoming| incoming.format));
    sampled.then_some(span)
}

fn extract(headers: &HeaderMap) -> Option<Incoming> {
    if let Some(value) = headers.get(TRACEPARENT)
        && let Some(incoming) = w3c(value.as_bytes())
    {
        return Some(incoming);
    }
    if let Some(trace) = headers.get(B3_TRACE) {
        return b3_multiple(headers, trace);
    }
    headers.get(B3).and_then(|value| b3_single(value.as_bytes()))
}

/// `00-<trace>-<span>-<flags>` (W3C Trace Context section 3.2); later versions may have more after that.
fn w3c(value: &[u8]) -> Option<Incoming> {
    if value.len() < 55 || (value.len() > 55 && (value.starts_with(b"00") || value[55] != b'-')) {
        return None;
    }
    let [version] = unhex::<1>(&value[..2])?;
    let separated = [2, 35, 52].iter().all(|at| value[*at] == b'-');
    let trace_id = unhex::<16>(&value[3..35])?;
    let span_id = unhex::<8>(&value[36..52])?;
    let [flags] = unhex::<1>(&value[53..55])?;
    let valid = version != 0xff && separated && trace_id != [0; 16] && span_id != [0; 8];
    valid.then_some(Incoming { trace_id, span_id, sampled: Some(flags & 1 == 1), format: Format::W3c })
}

fn b3_multiple(headers: &HeaderMap, trace: &HeaderValue) -> Option<Incoming> {
    let sampled = match headers.get(B3_SAMPLED).map(HeaderValue::as_bytes) {
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) | None => headers.get(B3_FLAGS).filter(|flags| flags.as_bytes() == b"1").map(|_debug| true),
    };
    Some(Incoming {
        trace_id: wide_trace(trace.as_bytes())?,
        span_id: unhex::<8>(headers.get(B3_SPAN)?.as_bytes())?,
        sampled,
        format: Format::B3Multiple,
    })
}

/// `<trace>-<span>[-<sampled>[-<parent>]]`.
fn b3_single(value: &[u8]) -> Option<Incoming> {
    let mut parts = value.split(|b| *b == b'-');
    let trace_id = wide_trace(parts.next()?)?;
    let span_id = unhex::<8>(parts.next()?)?;
    let sampled = match parts.next() {
        Some(b"1" | b"d") => Some(true),
        Some(b"0") => Some(false),
        Some(_) | None => None,
    };
    Some(Incoming { trace_id, span_id, sampled, format: Format::B3Single })
}

/// 64-bit trace ids are the low half of a 128-bit one.
fn wide_trace(text: &[u8]) -> Option<[u8; 16]> {
    let id = match text.len() {
        32 => unhex::<16>(text)?,
        16 => {
            let mut wide = [0; 16];
            wide[8..].copy_from_slice(&unhex::<8>(text)?);
            wide
        }
        _ => return None,
    };
    (id != [0; 16]).then_some(id)
}

fn inject(headers: &mut HeaderMap, span: &Span, sampled: bool, format: Option<Format>) {
    let flag = if sampled { b'1' } else { b'0' };
    let mut parent = [0; 55];
    parent[..3].copy_from_slice(b"00-");
    hex_into(&span.trace_id, &mut parent[3..35]);
    parent[35] = b'-';
    hex_into(&span.span_id, &mut parent[36..52]);
    parent[52] = b'-';
    parent[53] = b'0';
    parent[54] = flag;
    set(headers, TRACEPARENT, &parent);
    match format {
        None | Some(Format::W3c) => {}
        Some(Format::B3Single) => {
            let mut single = [0; 51];
            single[..49].copy_from_slice(&parent[3..52]);
            single[49] = b'-';
            single[50] = flag;
            set(headers, B3, &single);
            return;
        }
        Some(Format::B3Multiple) => {}
    }
    if headers.contains_key(B3_TRACE) {
        set(headers, B3_TRACE, &parent[3..35]);
        set(headers, B3_SPAN, &parent[36..52]);
        set(headers, B3_SAMPLED, &[flag]);
        if let Some(id) = &span.parent {
            let mut text = [0; 16];
            hex_into(id, &mut text);
            set(headers, B3_PARENT, &text);
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// Writes lower-case hexadecimal; `out` must be twice as long.
pub(crate) fn hex_into(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Tracing = Tracing { random_sampling: 100.0, client_sampling: 100.0 };
    const NONE: Tracing = Tracing { random_sampling: 0.0, client_sampling: 100.0 };
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn chance() -> Chance {
        Chance { trace: 7, span: 0x1122_3344_5566_7788, share: 0.5 }
    }

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_format_becomes_the_parent() {
        let w3c = format!("00-{TRACE}-b7ad6b7169203331-01");
        let single = format!("{TRACE}-b7ad6b7169203331-1");
        let cases = [
            map(&[("traceparent", &w3c)]),
            map(&[("b3", &single)]),
            map(&[("x-b3-traceid", TRACE), ("x-b3-spanid", "b7ad6b7169203331"), ("x-b3-sampled", "1")]),
        ];
        for mut headers in cases {
            let before = headers.clone();
            let span = begin(&mut headers, &NONE, chance).unwrap();
            assert_eq!(span.parent, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]), "{before:?}");
            assert_eq!(headers["traceparent"], format!("00-{TRACE}-1122334455667788-01"));
            if before.contains_key("b3") {
                assert_eq!(headers["b3"], format!("{TRACE}-1122334455667788-1"));
            }
            if before.contains_key("x-b3-traceid") {
                assert_eq!(headers["x-b3-spanid"], "1122334455667788");
                assert_eq!(headers["x-b3-parentspanid"], "b7ad6b7169203331");
            }
        }
    }

    #[test]
    fn a_decision_against_is_left_alone_and_a_new_trace_is_told() {
        let unsampled = format!("00-{TRACE}-b7ad6b7169203331-00");
        let mut headers = map(&[("traceparent", &unsampled)]);
        assert_eq!(begin(&mut headers, &ALL, chance), None);
        assert_eq!(headers["traceparent"], unsampled);
        let mut headers = HeaderMap::new();
        assert_eq!(begin(&mut headers, &NONE, chance), None);
        assert_eq!(headers["traceparent"], "00-00000000000000000000000000000007-1122334455667788-00");
        let mut headers = HeaderMap::new();
        assert_eq!(begin(&mut headers, &ALL, chance).unwrap().parent, None);
    }

    #[test]
    fn malformed_context_begins_a_new_trace() {
        for bad in ["", "00", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "zz", "00-é"] {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(begin(&mut headers, &ALL, chance).unwrap().parent, None, "{bad}");
        }
    }
}
