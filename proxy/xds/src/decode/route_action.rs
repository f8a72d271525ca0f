//! What a route does: forward, redirect, answer.

use std::mem::take;
use std::time::Duration;

use ::http::{HeaderValue, StatusCode};
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{CookieAttribute, PolicySpecifier};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HashPolicy, HostRewriteSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use orrery_core::fault::Fraction;
use orrery_core::route::{
    Forward, HashCookie, HashInput, HeaderOps, HostRewrite, Mirror, PathRewrite, Redirect, RouteAction, WeightedCluster,
};

use super::plain::{duration, header_name, header_ops, inline, limit, number, port, runtime_fraction};
use super::{Result, Within, matcher, nothing_left, refuse, retry};

/// Envoy's timeout of a route that names none.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) fn action(action: Option<Action>) -> Result<RouteAction> {
    match action {
        Some(Action::Route(route)) => {
            forward(route).within("route").map(|forward| RouteAction::Forward(Box::new(forward)))
        }
        Some(Action::Redirect(redirect)) => self::redirect(redirect).within("redirect").map(RouteAction::Redirect),
        Some(Action::DirectResponse(direct)) => direct_response(direct).within("direct_response"),
        Some(Action::NonForwardingAction(_)) | None => Ok(RouteAction::None),
        Some(Action::FilterAction(_)) => refuse("filter_action", "this proxy does not support it"),
    }
}

fn forward(mut route: pb::RouteAction) -> Result<Forward> {
    let clusters = clusters(route.cluster_specifier.take()).within("cluster_specifier")?;
    let cluster_not_found =
        match ClusterNotFoundResponseCode::try_from(take(&mut route.cluster_not_found_response_code)) {
            Ok(ClusterNotFoundResponseCode::ServiceUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Ok(ClusterNotFoundResponseCode::NotFound) => StatusCode::NOT_FOUND,
            Ok(ClusterNotFoundResponseCode::InternalServerError) => StatusCode::INTERNAL_SERVER_ERROR,
            Err(_) => return refuse("cluster_not_found_response_code", "it is none"),
        };
    let forward = Forward {
        clusters,
        timeout: limit(route.timeout.take(), Some(TIMEOUT)).within("timeout")?,
        idle_timeout: duration(route.idle_timeout.take()).within("idle_timeout")?,
        retry: route.retry_policy.take().map(retry::policy).transpose().within("retry_policy")?,
        path_rewrite: path_rewrite(&mut route)?,
        host_rewrite: route.host_rewrite_specifier.take().map(host_rewrite).transpose()?,
        mirrors: take(&mut route.request_mirror_policies)
            .into_iter()
            .map(mirror)
            .collect::<Result<_>>()
            .within("request_mirror_policies")?,
        hash: take(&mut route.hash_policy).into_iter().map(hash).collect::<Result<_>>().within("hash_policy")?,
        cluster_not_found,
    };
    // gRPC deadlines are kept as the client sent them; how long one may be is the route's timeout.
    route.max_grpc_timeout = None;
    route.max_stream_duration = None;
    nothing_left(&route)?;
    Ok(forward)
}

fn clusters(specifier: Option<ClusterSpecifier>) -> Result<Vec<WeightedCluster>> {
    match specifier {
        Some(ClusterSpecifier::Cluster(name)) => {
            Ok(vec![WeightedCluster { name: name.into(), weight: 1, header_ops: HeaderOps::default() }])
        }
        Some(ClusterSpecifier::WeightedClusters(mut split)) => {
            let clusters: Vec<_> = take(&mut split.clusters).into_iter().map(weighted).collect::<Result<_>>()?;
            split.total_weight = None;
            split.runtime_key_prefix.clear();
            nothing_left(&split)?;
            if clusters.is_empty() { refuse("weighted_clusters", "it has no cluster") } else { Ok(clusters) }
        }
        Some(
            ClusterSpecifier::ClusterHeader(_)
            | ClusterSpecifier::ClusterSpecifierPlugin(_)
            | ClusterSpecifier::InlineClusterSpecifierPlugin(_),
        ) => refuse("cluster_specifier", "only a cluster or weighted clusters are supported"),
        None => refuse("cluster_specifier", "it is missing"),
    }
}

fn weighted(mut cluster: ClusterWeight) -> Result<WeightedCluster> {
    let ops = header_ops(
        take(&mut cluster.request_headers_to_add),
        take(&mut cluster.request_headers_to_remove),
        take(&mut cluster.response_headers_to_add),
        take(&mut cluster.response_headers_to_remove),
    )?;
    let decoded = WeightedCluster {
        name: take(&mut cluster.name).into(),
        weight: number(cluster.weight.take(), 0),
        header_ops: ops,
    };
    nothing_left(&cluster)?;
    Ok(decoded)
}

fn path_rewrite(route: &mut pb::RouteAction) -> Result<Option<PathRewrite>> {
    let prefix = take(&mut route.prefix_rewrite);
    let full = take(&mut route.path_rewrite);
    if let Some(regex) = route.regex_rewrite.take() {
        return regex_rewrite(regex).within("regex_rewrite").map(Some);
    }
    Ok(match (prefix.is_empty(), full.is_empty()) {
        (false, _) => Some(PathRewrite::Prefix(prefix.into())),
        (true, false) => Some(PathRewrite::Full(full.into())),
        (true, true) => None,
    })
}

/// RE2 writes groups as `\1` and a backslash as `\\`; here they are `${1}`, and `$` must be doubled.
fn regex_rewrite(rewrite: RegexMatchAndSubstitute) -> Result<PathRewrite> {
    let Some(pattern) = rewrite.pattern else { return refuse("pattern", "it is missing") };
    let pattern = matcher::part(&pattern)?;
    let mut substitution = String::new();
    let mut characters = rewrite.substitution.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some(digit @ '0'..='9') => substitution.push_str(&format!("${{{digit}}}")),
                Some('\\') => substitution.push('\\'),
                other => {
                    return refuse(
                        "substitution",
                        format!("\\{} is no group", other.map(String::from).unwrap_or_default()),
                    );
                }
            },
            ('$', false) => substitution.push_str("$$"),
            (other, false) => substitution.push(other),
        }
    }
    Ok(PathRewrite::Regex { pattern, substitution: substitution.into() })
}

fn host_rewrite(specifier: HostRewriteSpecifier) -> Result<HostRewrite> {
    match specifier {
        HostRewriteSpecifier::HostRewriteLiteral(host) => match HeaderValue::from_str(&host) {
            Ok(value) => Ok(HostRewrite::Literal(value)),
            Err(_) => refuse("host_rewrite_literal", format!("{host:?} is no host")),
        },
        HostRewriteSpecifier::AutoHostRewrite(_) => Ok(HostRewrite::Endpoint),
        HostRewriteSpecifier::HostRewriteHeader(_)
        | HostRewriteSpecifier::HostRewritePathRegex(_)
        | HostRewriteSpecifier::HostRewrite(_) => refuse("host_rewrite_specifier", "this proxy does not support it"),
    }
}

fn mirror(mut policy: RequestMirrorPolicy) -> Result<Mirror> {
    let share = runtime_fraction(policy.runtime_fraction.take())?.unwrap_or(Fraction::ALL);
    let cluster = take(&mut policy.cluster);
    policy.trace_sampled = None;
    policy.disable_shadow_host_suffix_append = false;
    nothing_left(&policy)?;
    Ok(Mirror { cluster: cluster.into(), share })
}

fn hash(policy: HashPolicy) -> Result<HashInput> {
    match policy.policy_specifier {
        Some(PolicySpecifier::Header(header)) => Ok(HashInput::Header(header_name(&header.header_name)?)),
        Some(PolicySpecifier::Cookie(cookie)) => {
            let attribute = |one: &CookieAttribute| match one.value.is_empty() {
                true => format!("; {}", one.name),
                false => format!("; {}={}", one.name, one.value),
            };
            Ok(HashInput::Cookie(HashCookie {
                attributes: cookie.attributes.iter().map(attribute).collect::<String>().into(),
                name: cookie.name.into(),
                ttl: duration(cookie.ttl)?,
                path: cookie.path.into(),
            }))
        }
        Some(PolicySpecifier::ConnectionProperties(_)) => Ok(HashInput::SourceIp),
        Some(PolicySpecifier::QueryParameter(parameter)) => Ok(HashInput::QueryParameter(parameter.name.into())),
        Some(PolicySpecifier::FilterState(_)) => refuse("filter_state", "this proxy does not support it"),
        None => refuse("policy_specifier", "it is missing"),
    }
}

fn redirect(mut redirect: pb::RedirectAction) -> Result<Redirect> {
    let status = match RedirectResponseCode::try_from(take(&mut redirect.response_code)) {
        Ok(RedirectResponseCode::MovedPermanently) => StatusCode::MOVED_PERMANENTLY,
        Ok(RedirectResponseCode::Found) => StatusCode::FOUND,
        Ok(RedirectResponseCode::SeeOther) => StatusCode::SEE_OTHER,
        Ok(RedirectResponseCode::TemporaryRedirect) => StatusCode::TEMPORARY_REDIRECT,
        Ok(RedirectResponseCode::PermanentRedirect) => StatusCode::PERMANENT_REDIRECT,
        Err(_) => return refuse("response_code", "it is no redirect"),
    };
    let scheme = match redirect.scheme_rewrite_specifier.take() {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some("https".into()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => Some(scheme.into()),
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => None,
    };
    let path = match redirect.path_rewrite_specifier.take() {
        Some(PathRewriteSpecifier::PathRedirect(path)) => Some(PathRewrite::Full(path.into())),
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => Some(PathRewrite::Prefix(prefix.into())),
        Some(PathRewriteSpecifier::PathRewrite(_)) => {
            return refuse("path_rewrite", "formatted paths are not supported");
        }
        Some(PathRewriteSpecifier::RegexRewrite(regex)) => Some(regex_rewrite(regex).within("regex_rewrite")?),
        None => None,
    };
    let host = take(&mut redirect.host_redirect);
    let number = take(&mut redirect.port_redirect);
    let decoded = Redirect {
        scheme,
        host: (!host.is_empty()).then(|| host.into()),
        port: if number == 0 { None } else { Some(port(number)?) },
        path,
        status,
        strip_query: take(&mut redirect.strip_query),
    };
    nothing_left(&redirect)?;
    Ok(decoded)
}

fn direct_response(mut direct: pb::DirectResponseAction) -> Result<RouteAction> {
    let number = take(&mut direct.status);
    let status = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else { return refuse("status", format!("{number} is no status")) };
    let body = match direct.body.take() {
        Some(body) => inline(Some(body)).within("body")?,
        None => Vec::new(),
    };
    nothing_left(&direct)?;
    Ok(RouteAction::DirectResponse { status, body: body.into() })
}
