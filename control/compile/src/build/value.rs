//! Small messages: wrapped scalars, durations, addresses, metadata.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Metadata, PathConfigSource, SocketAddress,
};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{BoolValue, Duration as PbDuration, ListValue, Struct, UInt32Value, Value};

pub(in crate::build) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(in crate::build) fn flag(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

pub(in crate::build) fn duration(value: Duration) -> Option<PbDuration> {
    let seconds = i64::try_from(value.as_secs()).unwrap_or(i64::MAX);
    Some(PbDuration { seconds, nanos: i32::try_from(value.subsec_nanos()).unwrap_or_default() })
}

pub(in crate::build) fn address(ip: &str, port: u16) -> Option<Address> {
    let socket = SocketAddress {
        address: ip.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    Some(Address { address: Some(AddressKind::SocketAddress(socket)) })
}

pub(in crate::build) fn ip_address(ip: IpAddr, port: u16) -> Option<Address> {
    address(&ip.to_string(), port)
}

/// "Ask the stream that brought this."
pub(in crate::build) fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        resource_api_version: ApiVersion::V3.into(),
        ..Default::default()
    })
}

/// "Read this file, and again when another takes its place."
pub(in crate::build) fn file(path: &str) -> Option<ConfigSource> {
    let source = PathConfigSource { path: path.to_owned(), ..Default::default() };
    Some(ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::PathConfigSource(source)),
        resource_api_version: ApiVersion::V3.into(),
        ..Default::default()
    })
}

/// Percent with four decimals.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(in crate::build) fn percent(value: f64) -> FractionalPercent {
    // Between 0 and 100 by validation, so the product fits.
    let numerator = (value.clamp(0.0, 100.0) * 10_000.0).round() as u32;
    FractionalPercent { numerator, denominator: DenominatorType::Million.into() }
}

pub(in crate::build) fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

pub(in crate::build) fn list(values: Vec<Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values })) }
}

pub(in crate::build) fn object(fields: Struct) -> Value {
    Value { kind: Some(Kind::StructValue(fields)) }
}

pub(in crate::build) fn fields(pairs: Vec<(&str, Value)>) -> Struct {
    Struct { fields: pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
}

/// Metadata by filter name.
pub(in crate::build) fn metadata(filters: Vec<(&str, Struct)>) -> Option<Metadata> {
    let filter_metadata: HashMap<String, Struct> = filters
        .into_iter()
        .filter(|(_, fields)| !fields.fields.is_empty())
        .map(|(name, fields)| (name.to_owned(), fields))
        .collect();
    (!filter_metadata.is_empty()).then(|| Metadata { filter_metadata, ..Default::default() })
}
