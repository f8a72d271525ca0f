//! Prefixes that are taken away whole: what stays begins with one slash.

use envoy_types::pb::envoy::config::route::v3::redirect_action::PathRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{RedirectAction, RouteAction, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use super::matching::regex;

/// With a prefix that ends at a slash, Envoy would put `/` in front of the slash that stays.
pub(super) fn without_prefix(matching: &RouteMatch, action: &mut RouteAction) {
    if let Some(rewrite) = taken_away(matching, &action.prefix_rewrite) {
        action.prefix_rewrite.clear();
        action.regex_rewrite = Some(rewrite);
    }
}

/// As [`without_prefix`], where callers are sent.
pub(super) fn without_prefix_of_redirect(matching: &RouteMatch, action: &mut RedirectAction) {
    if let Some(PathRewriteSpecifier::PrefixRewrite(prefix)) = &action.path_rewrite_specifier
        && let Some(rewrite) = taken_away(matching, prefix)
    {
        action.path_rewrite_specifier = Some(PathRewriteSpecifier::RegexRewrite(rewrite));
    }
}

fn taken_away(matching: &RouteMatch, replacement: &str) -> Option<RegexMatchAndSubstitute> {
    match &matching.path_specifier {
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) if replacement == "/" => Some(RegexMatchAndSubstitute {
            pattern: Some(regex(&format!("^{}(/?)(.*)", regex::escape(prefix)))),
            substitution: r"/\2".to_owned(),
        }),
        Some(
            PathSpecifier::PathSeparatedPrefix(_)
            | PathSpecifier::Prefix(_)
            | PathSpecifier::Path(_)
            | PathSpecifier::SafeRegex(_)
            | PathSpecifier::ConnectMatcher(_)
            | PathSpecifier::PathMatchPolicy(_),
        )
        | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_stays() {
        let matching = RouteMatch {
            path_specifier: Some(PathSpecifier::PathSeparatedPrefix("/a.b".to_owned())),
            ..RouteMatch::default()
        };
        let mut action = RouteAction { prefix_rewrite: "/".to_owned(), ..RouteAction::default() };
        without_prefix(&matching, &mut action);
        let rewrite = action.regex_rewrite.unwrap();
        assert_eq!(rewrite.pattern.unwrap().regex, r"^/a\.b(/?)(.*)");
        assert_eq!((rewrite.substitution.as_str(), action.prefix_rewrite.as_str()), (r"/\2", ""));
        let mut other = RouteAction { prefix_rewrite: "/c".to_owned(), ..RouteAction::default() };
        without_prefix(&matching, &mut other);
        assert_eq!((other.regex_rewrite, other.prefix_rewrite.as_str()), (None, "/c"));
    }
}
