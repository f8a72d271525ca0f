//! The fault filter's configuration.

use std::mem::take;

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::FaultDelay;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use orrery_core::fault::{Abort, AbortAnswer, Delay, Fault, Fraction};

use super::plain::{duration, fraction};
use super::{Result, Within, nothing_left, refuse};

pub(super) fn fault(mut fault: pb::HttpFault) -> Result<Fault> {
    let delay = fault.delay.take().map(delay).transpose().within("delay")?;
    let abort = fault.abort.take().map(abort).transpose().within("abort")?;
    nothing_left(&fault)?;
    Ok(Fault { delay, abort })
}

fn delay(delay: FaultDelay) -> Result<Delay> {
    match delay.fault_delay_secifier {
        Some(FaultDelaySecifier::FixedDelay(fixed)) => {
            let duration = duration(Some(fixed))?.unwrap_or_default();
            Ok(Delay { duration, share: share(delay.percentage)? })
        }
        Some(FaultDelaySecifier::HeaderDelay(_)) => refuse("header_delay", "this proxy does not support it"),
        None => refuse("fixed_delay", "it is missing"),
    }
}

fn abort(mut abort: pb::FaultAbort) -> Result<Abort> {
    let answer = match abort.error_type {
        Some(ErrorType::HttpStatus(status)) => match u16::try_from(status) {
            Ok(status) if (200..600).contains(&status) => AbortAnswer::Http(status),
            _ => return refuse("http_status", format!("{status} is no status from 200 to 599")),
        },
        Some(ErrorType::GrpcStatus(status)) => AbortAnswer::Grpc(status),
        Some(ErrorType::HeaderAbort(_)) => return refuse("header_abort", "this proxy does not support it"),
        None => return refuse("error_type", "it is missing"),
    };
    if !take(&mut abort.response_body).is_empty() {
        return refuse("response_body", "this proxy does not support it");
    }
    Ok(Abort { answer, share: share(abort.percentage)? })
}

/// No percentage means nobody, as in Envoy.
fn share(percentage: Option<FractionalPercent>) -> Result<Fraction> {
    percentage.map_or(Ok(Fraction::NONE), fraction)
}
