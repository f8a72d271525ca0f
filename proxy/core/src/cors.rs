//! Cross-origin requests of browsers (Envoy's CORS filter, the Fetch standard's CORS protocol).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::matching::StringMatch;

/// Which pages of other origins may call a route.
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    pub allow_origins: Vec<StringMatch>,
    pub allow_methods: Option<HeaderValue>,
    pub allow_headers: Option<HeaderValue>,
    pub expose_headers: Option<HeaderValue>,
    /// Seconds.
    pub max_age: Option<HeaderValue>,
    pub allow_credentials: bool,
    /// `forward_not_matching_preflights`: preflights of other origins go upstream.
    pub forward_unmatched: bool,
}

/// What a request is to the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsVerdict {
    /// Not from a page of another origin that is allowed: goes on as it is.
    Plain,
    /// Goes on, and its answer tells the browser that the page of this origin may read it.
    Allowed(HeaderValue),
    /// Asks beforehand, from this allowed origin: answered here.
    Preflight(HeaderValue),
    /// Asks beforehand, and is answered here without permission.
    RefusedPreflight,
}

impl CorsPolicy {
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> CorsVerdict {
        let Some(origin) = headers.get(ORIGIN).filter(|origin| !origin.is_empty()) else { return CorsVerdict::Plain };
        let preflight = method == Method::OPTIONS
            && headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|asked| !asked.is_empty());
        let allowed = origin.to_str().is_ok_and(|text| self.allow_origins.iter().any(|known| known.matches(text)));
        match (allowed, preflight) {
            (true, true) => CorsVerdict::Preflight(origin.clone()),
            (true, false) => CorsVerdict::Allowed(origin.clone()),
            (false, true) if !self.forward_unmatched => CorsVerdict::RefusedPreflight,
            (false, true | false) => CorsVerdict::Plain,
        }
    }

    /// The headers that answer a preflight which asks with these headers.
    pub fn answer_preflight(&self, origin: HeaderValue, asked: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.permit(origin, &mut headers);
        let more = [
            (ACCESS_CONTROL_ALLOW_METHODS, granted(&self.allow_methods, asked.get(ACCESS_CONTROL_REQUEST_METHOD))),
            (ACCESS_CONTROL_ALLOW_HEADERS, granted(&self.allow_headers, asked.get(ACCESS_CONTROL_REQUEST_HEADERS))),
            (ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref()),
            (ACCESS_CONTROL_EXPOSE_HEADERS, self.expose_headers.as_ref()),
        ];
        more.into_iter().for_each(|(name, value)| set(&mut headers, name, value));
        headers
    }

    /// Adds to an answer what lets the page read it; what the upstream said of it is replaced.
    pub fn allow(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        self.permit(origin, headers);
        set(headers, ACCESS_CONTROL_EXPOSE_HEADERS, self.expose_headers.as_ref());
    }

    fn permit(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.allow_credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// What a preflight is granted. "Any" is said by what it asked for: a browser does not take `*` together with credentials.
fn granted<'a>(allowed: &'a Option<HeaderValue>, asked: Option<&'a HeaderValue>) -> Option<&'a HeaderValue> {
    allowed.as_ref().and_then(|allowed| if allowed == "*" { asked } else { Some(allowed) })
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(forward_unmatched: bool) -> CorsPolicy {
        CorsPolicy {
            allow_origins: vec![StringMatch::Exact { value: "https://a.io".into(), ignore_case: false }],
            allow_methods: Some(HeaderValue::from_static("GET,POST")),
            max_age: Some(HeaderValue::from_static("60")),
            allow_credentials: true,
            forward_unmatched,
            ..CorsPolicy::default()
        }
    }

    #[test]
    fn origins_and_preflights_are_told_apart() {
        let good = HeaderValue::from_static("https://a.io");
        for (method, origin, asks, forward, expected) in [
            (Method::GET, None, false, true, CorsVerdict::Plain),
            (Method::GET, Some("https://a.io"), false, true, CorsVerdict::Allowed(good.clone())),
            (Method::GET, Some("https://b.io"), false, false, CorsVerdict::Plain),
            (Method::OPTIONS, Some("https://a.io"), true, true, CorsVerdict::Preflight(good.clone())),
            (Method::OPTIONS, Some("https://a.io"), false, true, CorsVerdict::Allowed(good)),
            (Method::OPTIONS, Some("https://b.io"), true, true, CorsVerdict::Plain),
            (Method::OPTIONS, Some("https://b.io"), true, false, CorsVerdict::RefusedPreflight),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            if asks {
                headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
            }
            assert_eq!(policy(forward).judge(&method, &headers), expected, "{method} {origin:?} {asks} {forward}");
        }
    }

    #[test]
    fn answers_say_what_the_policy_allows() {
        let origin = || HeaderValue::from_static("https://a.io");
        let asked = HeaderMap::from_iter([
            (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT")),
            (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-a, x-b")),
        ]);
        let mut policy = policy(true);
        let headers = policy.answer_preflight(origin(), &asked);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "GET,POST");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "60");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
        assert!(!headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS));
        let any = Some(HeaderValue::from_static("*"));
        (policy.allow_methods, policy.allow_headers, policy.expose_headers) = (any.clone(), any.clone(), any);
        let headers = policy.answer_preflight(origin(), &asked);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "PUT");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "x-a, x-b");
        assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "*");
        assert!(!policy.answer_preflight(origin(), &HeaderMap::new()).contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
        let mut answer = HeaderMap::from_iter([(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))]);
        policy.allow(origin(), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.io");
    }
}
