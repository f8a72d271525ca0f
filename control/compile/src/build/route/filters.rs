//! What a route says to the filters before the router: faults and CORS.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::FaultDelay;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use orrery_api::{Abort, Fault, HttpRoute};

use super::matching::string;
use crate::build::value::{duration, flag, percent};

const FAULT: &str = "envoy.filters.http.fault";
const CORS: &str = "envoy.filters.http.cors";

/// `typed_per_filter_config` of a route.
pub(super) fn per_filter(http: &HttpRoute) -> HashMap<String, Any> {
    let fault = http.fault.as_ref().map(|fault| (FAULT.to_owned(), pack_any(http_fault(fault))));
    let cors = http.cors.as_ref().map(|policy| (CORS.to_owned(), pack_any(cors_policy(policy))));
    fault.into_iter().chain(cors).collect()
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
