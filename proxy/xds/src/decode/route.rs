//! Route configurations.

use std::mem::take;
use std::sync::Arc;

use ::http::StatusCode;

use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::virtual_host::TlsRequirementType;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy as CorsMessage;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::google::protobuf::Any;
use orrery_core::cors::CorsPolicy;
use orrery_core::fault::Fault;
use orrery_core::matching::{HeaderMatch, StringMatch, ValueMatch};
use orrery_core::route::{
    DomainIndex, HeaderOps, PathMatch, Redirect, Route, RouteAction, RouteMatch, RouteTable, VirtualHost,
};

use super::plain::{flag, header_ops, origin, runtime_fraction};
use super::{Result, Within, cors, fault, matcher, nothing_left, refuse, route_action, unpack};

/// The fault filter's name in `typed_per_filter_config`.
const FAULT: &str = "envoy.filters.http.fault";
/// The CORS filter's.
const CORS: &str = "envoy.filters.http.cors";

pub(crate) fn table(mut config: pb::RouteConfiguration) -> Result<RouteTable> {
    let name = take(&mut config.name);
    let virtual_hosts: Vec<Arc<VirtualHost>> = take(&mut config.virtual_hosts)
        .into_iter()
        .map(|host| {
            let place = format!("virtual_hosts[{}]", host.name);
            virtual_host(host).map(Arc::new).within(&place)
        })
        .collect::<Result<_>>()?;
    let domains =
        DomainIndex::build(&virtual_hosts).or_else(|duplicate| refuse("virtual_hosts", duplicate.to_string()))?;
    let header_ops = header_ops(
        take(&mut config.request_headers_to_add),
        take(&mut config.request_headers_to_remove),
        take(&mut config.response_headers_to_add),
        take(&mut config.response_headers_to_remove),
    )?;
    let ignore_port = take(&mut config.ignore_port_in_host_matching);
    // Whether clusters exist is looked at per request; a bound on bodies holds by the message's own size; path
    // parameters are part of the path here as they are by default in Envoy; metadata explains, nothing more.
    config.validate_clusters = None;
    config.max_direct_response_body_size_bytes = None;
    config.metadata = None;
    nothing_left(&config)?;
    Ok(RouteTable { name: name.into(), virtual_hosts, domains, ignore_port, header_ops })
}

fn virtual_host(mut host: pb::VirtualHost) -> Result<VirtualHost> {
    let routes = take(&mut host.routes).into_iter().enumerate().map(|(at, one)| {
        let place = format!("routes[{at}]");
        route(one).map(Arc::new).within(&place)
    });
    let mut routes: Vec<Arc<Route>> = routes.collect::<Result<_>>()?;
    match TlsRequirementType::try_from(take(&mut host.require_tls)) {
        Ok(TlsRequirementType::None) => {}
        Ok(TlsRequirementType::All) => routes.insert(0, Arc::new(to_https())),
        Ok(TlsRequirementType::ExternalOnly) | Err(_) => {
            return refuse("require_tls", "this proxy does not support it");
        }
    }
    let ops = header_ops(
        take(&mut host.request_headers_to_add),
        take(&mut host.request_headers_to_remove),
        take(&mut host.response_headers_to_add),
        take(&mut host.response_headers_to_remove),
    )?;
    let decoded = VirtualHost {
        name: take(&mut host.name).into(),
        domains: take(&mut host.domains).into_iter().map(Box::from).collect(),
        routes,
        include_attempt_count: take(&mut host.include_request_attempt_count),
        header_ops: ops,
    };
    host.metadata = None;
    nothing_left(&host)?;
    Ok(decoded)
}

/// Where TLS is required, requests without it are sent to the same place with it.
fn to_https() -> Route {
    let plain = HeaderMatch {
        name: ":scheme".into(),
        condition: ValueMatch::Value(StringMatch::Exact { value: "http".into(), ignore_case: false }),
        invert: false,
        missing_as_empty: false,
    };
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
        strip_query: false,
    };
    Route {
        name: "https redirect".into(),
        matches: RouteMatch {
            path: PathMatch::Prefix { value: "".into(), case_sensitive: true },
            headers: vec![plain],
            query: Vec::new(),
            share: None,
            grpc_only: false,
        },
        action: RouteAction::Redirect(redirect),
        header_ops: HeaderOps::default(),
        fault: None,
        cors: None,
        origin: None,
        operation: None,
    }
}

fn route(mut route: pb::Route) -> Result<Route> {
    let Some(matches) = route.r#match.take() else { return refuse("match", "it is missing") };
    let matches = route_match(matches).within("match")?;
    let action = route_action::action(route.action.take())?;
    let PerFilter { fault, cors } = per_filter(&mut route)?;
    let ops = header_ops(
        take(&mut route.request_headers_to_add),
        take(&mut route.request_headers_to_remove),
        take(&mut route.response_headers_to_add),
        take(&mut route.response_headers_to_remove),
    )?;
    let decoded = Route {
        name: take(&mut route.name).into(),
        matches,
        action,
        header_ops: ops,
        fault,
        cors,
        origin: origin(route.metadata.take().as_ref()),
        operation: route.decorator.take().map(|decorator| decorator.operation.into()),
    };
    // Names statistics of its own in Envoy, which the standard metrics do not have.
    route.stat_prefix.clear();
    nothing_left(&route)?;
    Ok(decoded)
}

/// What a route says to the filters before the router.
struct PerFilter {
    fault: Option<Fault>,
    cors: Option<Arc<CorsPolicy>>,
}

fn per_filter(route: &mut pb::Route) -> Result<PerFilter> {
    let mut configs = take(&mut route.typed_per_filter_config);
    let (fault, cors): (Option<Any>, Option<Any>) = (configs.remove(FAULT), configs.remove(CORS));
    if let Some(filter) = configs.keys().min() {
        return refuse("typed_per_filter_config", format!("the filter {filter} is not supported"));
    }
    let fault = fault.map(|config| unpack::<HttpFault>(&config).and_then(fault::fault).within("fault")).transpose()?;
    let cors = cors.map(|config| unpack::<CorsMessage>(&config).and_then(cors::cors).within("cors")).transpose()?;
    Ok(PerFilter { fault, cors: cors.flatten() })
}

fn route_match(mut matches: pb::RouteMatch) -> Result<RouteMatch> {
    let case_sensitive = flag(matches.case_sensitive.take(), true);
    let path = match matches.path_specifier.take() {
        Some(PathSpecifier::Prefix(value)) => PathMatch::Prefix { value: value.into(), case_sensitive },
        Some(PathSpecifier::Path(value)) => PathMatch::Exact { value: value.into(), case_sensitive },
        Some(PathSpecifier::PathSeparatedPrefix(value)) => {
            PathMatch::SeparatedPrefix { value: value.into(), case_sensitive }
        }
        Some(PathSpecifier::SafeRegex(regex)) => PathMatch::Regex(matcher::whole(&regex.regex)?),
        Some(PathSpecifier::ConnectMatcher(_)) => PathMatch::Connect,
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            return refuse("path_match_policy", "this proxy does not support it");
        }
        None => return refuse("path_specifier", "it is missing"),
    };
    let headers =
        take(&mut matches.headers).into_iter().map(matcher::header).collect::<Result<_>>().within("headers")?;
    let query = take(&mut matches.query_parameters)
        .into_iter()
        .map(matcher::query)
        .collect::<Result<_>>()
        .within("query_parameters")?;
    let decoded = RouteMatch {
        path,
        headers,
        query,
        share: runtime_fraction(matches.runtime_fraction.take())?,
        grpc_only: matches.grpc.take().is_some(),
    };
    nothing_left(&matches)?;
    Ok(decoded)
}
