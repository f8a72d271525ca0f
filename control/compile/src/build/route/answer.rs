//! Answers that a proxy gives itself: redirects and direct responses.

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::{DirectResponseAction, RedirectAction};
use orrery_api::{Redirect, RedirectPort};

/// A redirect of requests that came to `port`, with TLS or without.
pub(super) fn redirect(redirect: &Redirect, port: u16, has_tls: bool) -> RedirectAction {
    let code = match redirect.code {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    };
    let path = match (&redirect.prefix, &redirect.uri) {
        (Some(prefix), _) => Some(PathRewriteSpecifier::PrefixRewrite(prefix.clone())),
        (None, uri) => uri.clone().map(PathRewriteSpecifier::PathRedirect),
    };
    RedirectAction {
        host_redirect: redirect.authority.clone().unwrap_or_default(),
        port_redirect: redirect_port(redirect, port, has_tls).into(),
        response_code: code.into(),
        scheme_rewrite_specifier: redirect.scheme.clone().map(SchemeRewriteSpecifier::SchemeRedirect),
        path_rewrite_specifier: path,
        ..Default::default()
    }
}

/// The port that is named; a scheme's own port is not, nor is one that the redirect says nothing of.
fn redirect_port(redirect: &Redirect, port: u16, has_tls: bool) -> u16 {
    let named = match redirect.port {
        RedirectPort::Unsaid | RedirectPort::FromProtocol => 0,
        RedirectPort::FromRequest => port,
        RedirectPort::Number(number) => number,
    };
    let own = if has_tls { "https" } else { "http" };
    match (named, redirect.scheme.as_deref().unwrap_or(own)) {
        (80, "http") | (443, "https") => 0,
        (named, _) => named,
    }
}

/// An answer with a body.
pub(super) fn direct(status: u16, body: &[u8]) -> DirectResponseAction {
    let specifier = match std::str::from_utf8(body) {
        Ok(text) => Specifier::InlineString(text.to_owned()),
        Err(_) => Specifier::InlineBytes(body.to_vec()),
    };
    let body = (!body.is_empty()).then(|| DataSource { specifier: Some(specifier), ..Default::default() });
    DirectResponseAction { status: status.into(), body, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_s_own_port_is_not_named() {
        for (port, scheme, has_tls, expected) in [
            (RedirectPort::Unsaid, None, false, 0),
            (RedirectPort::Number(80), None, false, 0),
            (RedirectPort::Number(80), None, true, 80),
            (RedirectPort::Number(443), Some("https"), false, 0),
            (RedirectPort::Number(8443), Some("https"), false, 8443),
            (RedirectPort::FromRequest, None, false, 9080),
            (RedirectPort::FromProtocol, Some("https"), false, 0),
        ] {
            let redirect = Redirect { port, scheme: scheme.map(str::to_owned), ..Redirect::default() };
            assert_eq!(redirect_port(&redirect, 9080, has_tls), expected, "{redirect:?}");
        }
    }
}
