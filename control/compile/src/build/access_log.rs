//! Access logs as proxies write them.

use envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType;
use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog, AccessLogFilter};
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{DataSource, SubstitutionFormatString};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::FileAccessLog;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::file_access_log::AccessLogFormat as FileFormat;
use envoy_types::util::pack_any;
use orrery_api::LogFormat;

use super::value::{fields, text};
use crate::settings::{AccessLogFile, AccessLogFormat};

/// Keys of Istio's JSON log and where their values come from.
const KEYS: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("route_name", "%ROUTE_NAME%"),
];

/// A log in a file.
pub(super) fn file(log: &AccessLogFile, filter: Option<AccessLogFilter>) -> AccessLog {
    let format = match (&log.format, log.encoding) {
        (LogFormat::Default, AccessLogFormat::Text) => None,
        (LogFormat::Default, AccessLogFormat::Json) => Some(json(KEYS)),
        (LogFormat::Labels(labels), _) => {
            Some(json(labels.iter().map(|(key, format)| (key.as_str(), format.as_str()))))
        }
        (LogFormat::Text(format), _) => Some(line(format)),
    };
    let file = FileAccessLog { path: log.path.clone(), access_log_format: format.map(FileFormat::LogFormat) };
    AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        filter,
        config_type: Some(ConfigType::TypedConfig(pack_any(file))),
    }
}

fn json<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> SubstitutionFormatString {
    let object = fields(keys.into_iter().map(|(key, format)| (key, text(format))).collect());
    SubstitutionFormatString { format: Some(Format::JsonFormat(object)), ..Default::default() }
}

/// Lines end, whether the format says so or not.
fn line(format: &str) -> SubstitutionFormatString {
    let whole = format!("{}\n", format.trim_end_matches('\n'));
    let source = DataSource { specifier: Some(Specifier::InlineString(whole)), ..Default::default() };
    SubstitutionFormatString { format: Some(Format::TextFormatSource(source)), ..Default::default() }
}
