//! Wrapped scalars, durations, addresses, metadata, header changes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use envoy_types::pb::envoy::config::core::v3 as core_pb;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{Metadata, address, data_source, socket_address};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use envoy_types::pb::google::protobuf::{self, value::Kind};
use ipnet::IpNet;
use orrery_core::fault::Fraction;
use orrery_core::route::{HeaderOp, HeaderOps};

use super::{Result, Within, refuse};

pub(super) fn flag(value: Option<protobuf::BoolValue>, default: bool) -> bool {
    value.map_or(default, |wrapped| wrapped.value)
}

pub(super) fn number(value: Option<protobuf::UInt32Value>, default: u32) -> u32 {
    value.map_or(default, |wrapped| wrapped.value)
}

/// `None` when not set.
pub(super) fn duration(value: Option<protobuf::Duration>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    match (u64::try_from(value.seconds), u32::try_from(value.nanos)) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Some(Duration::new(seconds, nanos))),
        _ => refuse("duration", format!("{} s and {} ns is not a duration", value.seconds, value.nanos)),
    }
}

/// Envoy's way to say "no limit" is 0.
pub(super) fn limit(value: Option<protobuf::Duration>, default: Option<Duration>) -> Result<Option<Duration>> {
    Ok(match duration(value)? {
        None => default,
        Some(Duration::ZERO) => None,
        Some(limit) => Some(limit),
    })
}

pub(super) fn port(value: u32) -> Result<u16> {
    u16::try_from(value).or_else(|_| refuse("port", format!("{value} is no port")))
}

/// An address as text and port; the text may be a host name.
pub(super) fn host_and_port(address: Option<core_pb::Address>) -> Result<(String, u16)> {
    let Some(address::Address::SocketAddress(socket)) = address.and_then(|address| address.address) else {
        return refuse("address", "only socket addresses are supported");
    };
    match socket.port_specifier {
        Some(socket_address::PortSpecifier::PortValue(value)) => Ok((socket.address, port(value)?)),
        Some(socket_address::PortSpecifier::NamedPort(_)) | None => {
            refuse("address.socket_address", "a port number is needed")
        }
    }
}

pub(super) fn socket_address(address: Option<core_pb::Address>) -> Result<SocketAddr> {
    let (host, port) = host_and_port(address)?;
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => refuse("address", format!("{host:?} is no IP address")),
    }
}

pub(super) fn range(range: core_pb::CidrRange) -> Result<IpNet> {
    let text = format!("{}/{}", range.address_prefix, number(range.prefix_len, 0));
    text.parse::<IpNet>()
        .map(|net| net.trunc())
        .or_else(|_| refuse("prefix_ranges", format!("{text} is no address range")))
}

pub(super) fn fraction(value: FractionalPercent) -> Result<Fraction> {
    let scale = match DenominatorType::try_from(value.denominator) {
        Ok(DenominatorType::Hundred) => 10_000,
        Ok(DenominatorType::TenThousand) => 100,
        Ok(DenominatorType::Million) => 1,
        Err(_) => return refuse("denominator", format!("{} is none", value.denominator)),
    };
    Ok(Fraction::per_million(value.numerator.saturating_mul(scale)))
}

/// A share that may be changed at run time: the default holds here.
pub(super) fn runtime_fraction(value: Option<core_pb::RuntimeFractionalPercent>) -> Result<Option<Fraction>> {
    value.and_then(|value| value.default_value).map(fraction).transpose()
}

pub(super) fn inline(source: Option<core_pb::DataSource>) -> Result<Vec<u8>> {
    match source.and_then(|source| source.specifier) {
        Some(data_source::Specifier::InlineString(text)) => Ok(text.into_bytes()),
        Some(data_source::Specifier::InlineBytes(bytes)) => Ok(bytes),
        Some(data_source::Specifier::Filename(_) | data_source::Specifier::EnvironmentVariable(_)) => {
            refuse("data_source", "files and variables of this machine are not read for the control plane")
        }
        None => refuse("data_source", "it is empty"),
    }
}

/// A string in `filter_metadata.<filter>.<key>`.
pub(super) fn metadata_text<'a>(metadata: Option<&'a Metadata>, filter: &str, key: &str) -> Option<&'a str> {
    match metadata?.filter_metadata.get(filter)?.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_) | Kind::StructValue(_) | Kind::ListValue(_) => {
            None
        }
    }
}

/// The configuration object that made a resource (`filter_metadata.istio.config`).
pub(super) fn origin(metadata: Option<&Metadata>) -> Option<Arc<str>> {
    metadata_text(metadata, "istio", "config").map(Arc::from)
}

/// All string fields of a struct.
pub(super) fn labels(fields: &HashMap<String, protobuf::Value>) -> Vec<(Box<str>, Box<str>)> {
    let mut labels: Vec<(Box<str>, Box<str>)> = fields
        .iter()
        .filter_map(|(key, value)| match value.kind.as_ref()? {
            Kind::StringValue(text) => Some((key.as_str().into(), text.as_str().into())),
            Kind::NullValue(_)
            | Kind::NumberValue(_)
            | Kind::BoolValue(_)
            | Kind::StructValue(_)
            | Kind::ListValue(_) => None,
        })
        .collect();
    labels.sort();
    labels
}

/// Header changes of one level: added and removed request headers, added and removed response headers.
pub(super) fn header_ops(
    request_add: Vec<core_pb::HeaderValueOption>,
    request_remove: Vec<String>,
    response_add: Vec<core_pb::HeaderValueOption>,
    response_remove: Vec<String>,
) -> Result<HeaderOps> {
    Ok(HeaderOps {
        request: changes(request_add, request_remove).within("request_headers")?,
        response: changes(response_add, response_remove).within("response_headers")?,
    })
}

fn changes(add: Vec<core_pb::HeaderValueOption>, remove: Vec<String>) -> Result<Vec<HeaderOp>> {
    let mut changes = Vec::with_capacity(add.len() + remove.len());
    for name in remove {
        changes.push(HeaderOp::Remove(header_name(&name)?));
    }
    for option in add {
        changes.push(addition(option)?);
    }
    Ok(changes)
}

fn addition(option: core_pb::HeaderValueOption) -> Result<HeaderOp> {
    let Some(header) = option.header else { return refuse("header", "it is missing") };
    if header.value.contains('%')
        && !header.value.replace("%%", "").is_empty()
        && header.value.replace("%%", "").contains('%')
    {
        return refuse("header.value", format!("{:?}: command operators are not supported", header.value));
    }
    let name = header_name(&header.key)?;
    let bytes =
        if header.raw_value.is_empty() { header.value.replace("%%", "%").into_bytes() } else { header.raw_value };
    let Ok(value) = HeaderValue::from_bytes(&bytes) else {
        return refuse("header.value", format!("the value of {} has bytes that no header may have", header.key));
    };
    // The older boolean says the same as two of the actions.
    if let Some(append) = option.append {
        return Ok(if append.value { HeaderOp::Append(name, value) } else { HeaderOp::Set(name, value) });
    }
    match HeaderAppendAction::try_from(option.append_action) {
        Ok(HeaderAppendAction::AppendIfExistsOrAdd) => Ok(HeaderOp::Append(name, value)),
        Ok(HeaderAppendAction::AddIfAbsent) => Ok(HeaderOp::Default(name, value)),
        Ok(HeaderAppendAction::OverwriteIfExistsOrAdd) => Ok(HeaderOp::Set(name, value)),
        Ok(HeaderAppendAction::OverwriteIfExists) | Err(_) => refuse("append_action", "this proxy does not support it"),
    }
}

/// `:authority` is what HTTP/1 calls `host`.
pub(super) fn header_name(name: &str) -> Result<HeaderName> {
    let name = if name == ":authority" { "host" } else { name };
    HeaderName::from_bytes(name.as_bytes()).or_else(|_| refuse("header.key", format!("{name:?} is no header name")))
}
