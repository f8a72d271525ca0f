//! Routes: of virtual services where there are any, and the plain way to each service's port otherwise.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{DataSource, HeaderValue, HeaderValueOption, RuntimeFractionalPercent};
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::retry_policy::retry_host_predicate::ConfigType as PredicateConfig;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{RetryBackOff, RetryHostPredicate};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, Header as HashHeader, PolicySpecifier, QueryParameter,
};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HashPolicy, HostRewriteSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, DirectResponseAction, HeaderMatcher, QueryParameterMatcher, RedirectAction, RetryPolicy, Route,
    RouteAction, RouteConfiguration, RouteMatch, VirtualHost, WeightedCluster,
};
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::FaultDelay;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher, StringMatcher};
use envoy_types::util::pack_any;
use orrery_api::{
    Abort, Destination, Fault, HttpMatch, HttpRoute, LoadBalancer, Mirror, Object, Redirect, Retries, StringMatch,
    VirtualService, WeightedDestination,
};

use super::cluster::outbound_name;
use super::value::{duration, fields, flag, metadata, number, percent, text};
use crate::delegate::{self, EffectiveRoute};
use crate::policy::rules_for;
use crate::registry::{RegistryService, ServicePortInfo};
use crate::world::World;

const RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Bytes of a direct response; with Envoy's own limit of 4 KiB one larger body would cost the whole table.
const LARGEST_BODY: u32 = 1 << 20;
const FAULT: &str = "envoy.filters.http.fault";
const CORS: &str = "envoy.filters.http.cors";

/// For whom routes are made.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) world: &'a World,
    pub(super) namespace: &'a str,
    pub(super) labels: &'a orrery_api::Labels,
    /// `mesh`, or `namespace/name` of a gateway.
    pub(super) gateway: &'a str,
}

/// A route configuration whose clusters are looked up when a request comes.
pub(super) fn table(name: &str, virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts,
        validate_clusters: flag(false),
        max_direct_response_body_size_bytes: number(LARGEST_BODY),
        ..Default::default()
    }
}

/// The routes of an inbound port: everything to the application.
pub(super) fn inbound(name: &str, service: &RegistryService, port: &ServicePortInfo) -> RouteConfiguration {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(name.to_owned())),
        timeout: duration(Duration::ZERO),
        ..Default::default()
    };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(prefix("/")),
        action: Some(Action::Route(action)),
        decorator: decorator(&service.host, port.number),
        ..Default::default()
    };
    let host = VirtualHost {
        name: format!("inbound|http|{}", port.number),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..Default::default()
    };
    table(name, vec![host])
}

/// Requests for hosts that nobody knows.
pub(super) fn fallback(world: &World) -> VirtualHost {
    let (name, cluster) = match world.settings().allow_unknown_destinations {
        true => ("allow_any", "PassthroughCluster"),
        false => ("block_all", "BlackHoleCluster"),
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: duration(Duration::ZERO),
        ..Default::default()
    };
    let direct = DirectResponseAction { status: 502, ..Default::default() };
    let action = if world.settings().allow_unknown_destinations {
        Action::Route(action)
    } else {
        Action::DirectResponse(direct)
    };
    let route = Route { name: name.to_owned(), r#match: Some(prefix("/")), action: Some(action), ..Default::default() };
    VirtualHost { name: name.to_owned(), domains: vec!["*".to_owned()], routes: vec![route], ..Default::default() }
}

/// The way to a service's port when no virtual service says otherwise.
pub(super) fn plain(caller: &Caller<'_>, service: &RegistryService, port: u16) -> Route {
    let cluster = outbound_name(port, "", &service.host);
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
        timeout: duration(Duration::ZERO),
        retry_policy: Some(retry_policy(None)),
        hash_policy: hash(caller, service, "", port),
        ..Default::default()
    };
    Route {
        name: "default".to_owned(),
        r#match: Some(prefix("/")),
        action: Some(Action::Route(action)),
        decorator: decorator(&service.host, port),
        ..Default::default()
    }
}

/// The routes of a virtual service for a port, in its order; one per match.
pub(super) fn of_virtual_service(
    caller: &Caller<'_>,
    object: &Object,
    service: &VirtualService,
    port: u16,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for EffectiveRoute { object, http } in delegate::routes(caller.world, object, service) {
        let matches: Vec<&HttpMatch> = http.matches.iter().filter(|one| applies(caller, object, one, port)).collect();
        if matches.is_empty() && !http.matches.is_empty() {
            continue;
        }
        let made: Vec<(String, RouteMatch)> = match http.matches.is_empty() {
            true => vec![(String::new(), prefix("/"))],
            false => matches.iter().map(|one| (one.name.clone(), route_match(one))).collect(),
        };
        for (name, one) in made {
            routes.push(route(caller, object, &http, port, &name, one));
        }
    }
    routes
}

/// Whether a match can hold for this caller at all: its gateway, port, labels and namespace.
fn applies(caller: &Caller<'_>, object: &Object, one: &HttpMatch, port: u16) -> bool {
    let gateway = one.gateways.is_empty()
        || one.gateways.iter().any(|gateway| gateway_name(&gateway.value, &object.key.namespace) == caller.gateway);
    gateway
        && one.port.is_none_or(|wanted| wanted == port)
        && one.source_namespace.as_deref().is_none_or(|namespace| namespace == caller.namespace)
        && one.source_labels.iter().all(|(key, value)| caller.labels.get(key) == Some(value))
}

/// A gateway as its namespace and name; `mesh` stays.
pub(crate) fn gateway_name(name: &str, namespace: &str) -> String {
    if name == "mesh" || name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") }
}

fn route(
    caller: &Caller<'_>,
    object: &Object,
    http: &HttpRoute,
    port: u16,
    match_name: &str,
    one: RouteMatch,
) -> Route {
    let key = &object.key;
    let origin = format!("/apis/networking.istio.io/v1/namespaces/{}/virtual-service/{}", key.namespace, key.name);
    let name =
        [http.name.as_str(), match_name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
    let mut route = Route {
        name,
        r#match: Some(one),
        metadata: metadata(vec![("istio", fields(vec![("config", text(&origin))]))]),
        request_headers_to_add: additions(&http.headers.request_set, &http.headers.request_add),
        request_headers_to_remove: http.headers.request_remove.clone(),
        response_headers_to_add: additions(&http.headers.response_set, &http.headers.response_add),
        response_headers_to_remove: http.headers.response_remove.clone(),
        ..Default::default()
    };
    let fault = http.fault.as_ref().map(|fault| (FAULT.to_owned(), pack_any(http_fault(fault))));
    let cors = http.cors.as_ref().map(|policy| (CORS.to_owned(), pack_any(cors_policy(policy))));
    route.typed_per_filter_config = fault.into_iter().chain(cors).collect();
    let action = match (&http.redirect, &http.direct_response) {
        (Some(target), _) => Action::Redirect(redirect(target)),
        (None, Some((status, body))) => Action::DirectResponse(DirectResponseAction {
            status: (*status).into(),
            body: Some(DataSource { specifier: Some(Specifier::InlineString(body.clone())), ..Default::default() }),
            ..Default::default()
        }),
        (None, None) => {
            let first = http.route.first().map(|one| target(caller, object, &one.destination, port));
            route.decorator = first.and_then(|(host, port)| decorator(&host, port));
            Action::Route(forward(caller, object, http, port))
        }
    };
    route.action = Some(action);
    route
}

fn forward(caller: &Caller<'_>, object: &Object, http: &HttpRoute, port: u16) -> RouteAction {
    let mut action = RouteAction {
        cluster_specifier: Some(split(caller, object, &http.route, port)),
        timeout: duration(http.timeout.unwrap_or_default()),
        retry_policy: match &http.retries {
            Some(retries) if retries.attempts == 0 => None,
            retries => Some(retry_policy(retries.as_ref())),
        },
        request_mirror_policies: http.mirrors.iter().map(|one| mirror(caller, object, one, port)).collect(),
        ..Default::default()
    };
    if let [only] = http.route.as_slice() {
        let (host, port) = target(caller, object, &only.destination, port);
        if let Some(service) = caller.world.registry().service(&host) {
            let subset = only.destination.subset.as_ref().map_or("", |subset| subset.value.as_str());
            action.hash_policy = hash(caller, service, subset, port);
        }
    }
    if let Some(rewrite) = &http.rewrite {
        action.prefix_rewrite = rewrite.uri.clone().unwrap_or_default();
        action.regex_rewrite = rewrite.uri_regex.as_ref().map(|(pattern, substitution)| RegexMatchAndSubstitute {
            pattern: Some(regex(pattern)),
            substitution: substitution.clone(),
        });
        action.host_rewrite_specifier = rewrite.authority.clone().map(HostRewriteSpecifier::HostRewriteLiteral);
    }
    action
}

fn split(caller: &Caller<'_>, object: &Object, route: &[WeightedDestination], port: u16) -> ClusterSpecifier {
    match route {
        [only] if only.headers.is_empty() => {
            ClusterSpecifier::Cluster(cluster(caller, object, &only.destination, port))
        }
        many => {
            let clusters = many.iter().map(|one| ClusterWeight {
                name: cluster(caller, object, &one.destination, port),
                weight: number(one.weight),
                request_headers_to_add: additions(&one.headers.request_set, &one.headers.request_add),
                request_headers_to_remove: one.headers.request_remove.clone(),
                response_headers_to_add: additions(&one.headers.response_set, &one.headers.response_add),
                response_headers_to_remove: one.headers.response_remove.clone(),
                ..Default::default()
            });
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: clusters.collect(), ..Default::default() })
        }
    }
}

/// Host and port of a destination: its own port, the service's only one, or the port that was asked for.
pub(super) fn target(caller: &Caller<'_>, object: &Object, destination: &Destination, port: u16) -> (String, u16) {
    let host = caller.world.resolve(&destination.host.value, &object.key.namespace);
    let service = caller.world.registry().service(&host);
    let only = service.and_then(|service| match service.ports.as_slice() {
        [only] => Some(only.number),
        _ => None,
    });
    (host, destination.port.or(only).unwrap_or(port))
}

pub(super) fn cluster(caller: &Caller<'_>, object: &Object, destination: &Destination, port: u16) -> String {
    let (host, port) = target(caller, object, destination, port);
    outbound_name(port, destination.subset.as_ref().map_or("", |subset| subset.value.as_str()), &host)
}

fn mirror(caller: &Caller<'_>, object: &Object, mirror: &Mirror, port: u16) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: cluster(caller, object, &mirror.destination, port),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(percent(mirror.percent)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Consistent hashing belongs to the destination's rule, but is asked for in the route.
fn hash(caller: &Caller<'_>, service: &RegistryService, subset: &str, port: u16) -> Vec<HashPolicy> {
    let Some(rules) = rules_for(caller.world, &service.host, &service.namespace, caller.namespace) else {
        return Vec::new();
    };
    let named = rules.subsets.iter().find(|one| one.name == subset).and_then(|one| one.policy.load_balancer.clone());
    let at_port =
        rules.policy.ports.iter().find(|one| one.port == port).and_then(|one| one.policy.load_balancer.clone());
    let specifier = match named.or(at_port).or_else(|| rules.policy.load_balancer.clone()) {
        Some(LoadBalancer::HashHeader(name)) => {
            PolicySpecifier::Header(HashHeader { header_name: name, ..Default::default() })
        }
        Some(LoadBalancer::HashCookie { name, path, ttl }) => {
            PolicySpecifier::Cookie(Cookie { name, path, ttl: duration(ttl), ..Default::default() })
        }
        Some(LoadBalancer::HashSourceIp) => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
        }
        Some(LoadBalancer::HashQueryParameter(name)) => PolicySpecifier::QueryParameter(QueryParameter { name }),
        Some(
            LoadBalancer::LeastRequest | LoadBalancer::Random | LoadBalancer::RoundRobin | LoadBalancer::Passthrough,
        )
        | None => {
            return Vec::new();
        }
    };
    vec![HashPolicy { policy_specifier: Some(specifier), ..Default::default() }]
}

fn retry_policy(retries: Option<&Retries>) -> RetryPolicy {
    let conditions = retries.and_then(|retries| retries.retry_on.clone());
    let mut codes = vec![503];
    let retry_on = match conditions {
        None => RETRY_ON.to_owned(),
        Some(conditions) => {
            let words: Vec<&str> = conditions.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
            codes = words.iter().filter_map(|word| word.parse().ok()).collect();
            let mut named: Vec<&str> = words.into_iter().filter(|word| word.parse::<u32>().is_err()).collect();
            if !codes.is_empty() && !named.contains(&"retriable-status-codes") {
                named.push("retriable-status-codes");
            }
            named.join(",")
        }
    };
    let previous = RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(PredicateConfig::TypedConfig(pack_any(PreviousHostsPredicate {}))),
    };
    RetryPolicy {
        retry_on,
        num_retries: number(retries.map_or(2, |retries| retries.attempts)),
        per_try_timeout: retries.and_then(|retries| retries.per_try_timeout).and_then(duration),
        retriable_status_codes: codes,
        retry_back_off: retries
            .and_then(|retries| retries.backoff)
            .map(|base| RetryBackOff { base_interval: duration(base), ..Default::default() }),
        retry_host_predicate: vec![previous],
        host_selection_retry_max_attempts: 5,
        ..Default::default()
    }
}

fn http_fault(fault: &Fault) -> HttpFault {
    HttpFault {
        delay: fault.delay.as_ref().map(|delay| FaultDelay {
            percentage: Some(percent(delay.percent)),
            fault_delay_secifier: duration(delay.duration).map(FaultDelaySecifier::FixedDelay),
        }),
        abort: fault.abort.as_ref().map(|abort| {
            let (share, answer) = match abort {
                Abort::Http { status, percent } => (*percent, ErrorType::HttpStatus((*status).into())),
                Abort::Grpc { status, percent } => (*percent, ErrorType::GrpcStatus(*status)),
            };
            FaultAbort { percentage: Some(percent(share)), error_type: Some(answer), ..Default::default() }
        }),
        ..Default::default()
    }
}

fn cors_policy(policy: &orrery_api::CorsPolicy) -> CorsPolicy {
    CorsPolicy {
        allow_origin_string_match: policy.allow_origins.iter().map(string).collect(),
        allow_methods: policy.allow_methods.join(","),
        allow_headers: policy.allow_headers.join(","),
        expose_headers: policy.expose_headers.join(","),
        max_age: policy.max_age.map(|age| age.as_secs().to_string()).unwrap_or_default(),
        allow_credentials: flag(policy.allow_credentials),
        forward_not_matching_preflights: flag(policy.forward_unmatched),
        filter_enabled: Some(RuntimeFractionalPercent { default_value: Some(percent(100.0)), ..Default::default() }),
        ..Default::default()
    }
}

fn redirect(redirect: &Redirect) -> RedirectAction {
    let code = match redirect.code {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    };
    RedirectAction {
        host_redirect: redirect.authority.clone().unwrap_or_default(),
        port_redirect: redirect.port.map_or(0, u32::from),
        response_code: code.into(),
        scheme_rewrite_specifier: redirect.scheme.clone().map(SchemeRewriteSpecifier::SchemeRedirect),
        path_rewrite_specifier: redirect.uri.clone().map(PathRewriteSpecifier::PathRedirect),
        ..Default::default()
    }
}

fn route_match(one: &HttpMatch) -> RouteMatch {
    let mut headers = Vec::new();
    for (name, condition) in &one.headers {
        headers.push(header(name, condition.as_ref(), false));
    }
    for (name, condition) in &one.without_headers {
        headers.push(header(name, condition.as_ref(), true));
    }
    for (name, condition) in [(":method", &one.method), (":authority", &one.authority), (":scheme", &one.scheme)] {
        if let Some(condition) = condition {
            headers.push(header(name, Some(condition), false));
        }
    }
    let path = match &one.uri {
        None => PathSpecifier::Prefix("/".to_owned()),
        Some(StringMatch::Exact(path)) => PathSpecifier::Path(path.clone()),
        Some(StringMatch::Prefix(path)) => PathSpecifier::Prefix(path.clone()),
        Some(StringMatch::Regex(pattern)) => PathSpecifier::SafeRegex(regex(pattern)),
    };
    let query = one.query_params.iter().map(|(name, condition)| QueryParameterMatcher {
        name: name.clone(),
        query_parameter_match_specifier: Some(match condition {
            None => QueryParameterMatchSpecifier::PresentMatch(true),
            Some(condition) => QueryParameterMatchSpecifier::StringMatch(string(condition)),
        }),
    });
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: flag(!one.ignore_uri_case),
        headers,
        query_parameters: query.collect(),
        ..Default::default()
    }
}

fn header(name: &str, condition: Option<&StringMatch>, invert: bool) -> HeaderMatcher {
    let specifier = match condition {
        None => HeaderMatchSpecifier::PresentMatch(true),
        Some(condition) => HeaderMatchSpecifier::StringMatch(string(condition)),
    };
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        invert_match: invert,
        ..Default::default()
    }
}

fn string(condition: &StringMatch) -> StringMatcher {
    let pattern = match condition {
        StringMatch::Exact(value) => MatchPattern::Exact(value.clone()),
        StringMatch::Prefix(value) => MatchPattern::Prefix(value.clone()),
        StringMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    };
    StringMatcher { match_pattern: Some(pattern), ..Default::default() }
}

fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), ..Default::default() }
}

pub(super) fn prefix(value: &str) -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix(value.to_owned())), ..Default::default() }
}

fn decorator(host: &str, port: u16) -> Option<Decorator> {
    Some(Decorator { operation: format!("{host}:{port}/*"), ..Default::default() })
}

fn additions(
    set: &std::collections::BTreeMap<String, String>,
    add: &std::collections::BTreeMap<String, String>,
) -> Vec<HeaderValueOption> {
    let one = |(key, value): (&String, &String), action: HeaderAppendAction| HeaderValueOption {
        // `%` begins an operator in Envoy; Istio's values are plain text.
        header: Some(HeaderValue { key: key.clone(), value: value.replace('%', "%%"), ..Default::default() }),
        append_action: action.into(),
        ..Default::default()
    };
    let set = set.iter().map(|pair| one(pair, HeaderAppendAction::OverwriteIfExistsOrAdd));
    set.chain(add.iter().map(|pair| one(pair, HeaderAppendAction::AppendIfExistsOrAdd))).collect()
}
