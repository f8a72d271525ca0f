//! TLS contexts: which secrets by name, which peers are accepted, which protocols are offered.

use std::mem::take;

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::proxy_protocol_config::Version;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;
use orrery_core::cluster::{ProxyProtocol, SanMatch, Transport, UpstreamTls};
use orrery_core::listener::{ClientCertificate, DownstreamTls};
use orrery_core::names::SecretName;
use prost::Name;
use std::sync::Arc;

use super::plain::flag;
use super::{Result, Within, nothing_left, refuse, unpack};

/// What both directions have in common.
struct Common {
    certificate: Option<SecretName>,
    roots: Option<SecretName>,
    names: Vec<SanMatch>,
    alpn: Vec<Box<str>>,
}

/// TLS that ends here; `None` for plain text.
pub(super) fn downstream(socket: Option<TransportSocket>) -> Result<Option<DownstreamTls>> {
    let Some(any) = typed(socket)? else { return Ok(None) };
    let mut context: pb::DownstreamTlsContext = unpack(&any)?;
    let common = common(context.common_tls_context.take()).within("common_tls_context")?;
    let required = flag(context.require_client_certificate.take(), false);
    // How sessions are resumed is the TLS library's own business; both are safe.
    context.disable_stateful_session_resumption = false;
    context.session_ticket_keys_type = None;
    nothing_left(&context)?;
    let Some(certificate) = common.certificate else {
        return refuse(
            "common_tls_context.tls_certificate_sds_secret_configs",
            "a server needs a certificate from SDS",
        );
    };
    if !common.names.is_empty() {
        return refuse("match_typed_subject_alt_names", "names of clients are checked by authorization policies");
    }
    let client = match (required, common.roots) {
        (true, Some(roots)) => ClientCertificate::Required { roots },
        (false, Some(roots)) => ClientCertificate::Optional { roots },
        (false, None) => ClientCertificate::NotAsked,
        (true, None) => {
            return refuse(
                "validation_context",
                "client certificates are required, but nothing to check them with is named",
            );
        }
    };
    Ok(Some(DownstreamTls { certificate, client, alpn: common.alpn }))
}

/// How bytes go to an endpoint, and what connections begin with.
pub(super) fn upstream(socket: Option<TransportSocket>) -> Result<(Transport, Option<ProxyProtocol>)> {
    let Some(any) = typed(socket)? else { return Ok((Transport::Plain, None)) };
    if any.type_url != ProxyProtocolUpstreamTransport::type_url() {
        return Ok((upstream_tls(&any)?, None));
    }
    let mut outer: ProxyProtocolUpstreamTransport = unpack(&any)?;
    let mut config = outer.config.take().unwrap_or_default();
    let version = match Version::try_from(take(&mut config.version)) {
        Ok(Version::V1) => ProxyProtocol::V1,
        Ok(Version::V2) => ProxyProtocol::V2,
        Err(_) => return refuse("config.version", "it is none"),
    };
    nothing_left(&config).within("config")?;
    let inner = match typed(outer.transport_socket.take())? {
        None => Transport::Plain,
        Some(any) => upstream_tls(&any)?,
    };
    nothing_left(&outer)?;
    Ok((inner, Some(version)))
}

fn upstream_tls(any: &Any) -> Result<Transport> {
    let mut context: pb::UpstreamTlsContext = unpack(any)?;
    let common = common(context.common_tls_context.take()).within("common_tls_context")?;
    let sni = take(&mut context.sni);
    context.max_session_keys = None;
    nothing_left(&context)?;
    let mesh = common.alpn.iter().any(|protocol| &**protocol == "istio" || &**protocol == "istio-peer-exchange");
    Ok(Transport::Tls(Arc::new(UpstreamTls {
        certificate: common.certificate,
        roots: common.roots,
        subject_alt_names: common.names,
        sni: (!sni.is_empty()).then(|| sni.into()),
        alpn: common.alpn,
        mesh,
    })))
}

/// The typed configuration of a transport socket; `None` for plain text.
fn typed(socket: Option<TransportSocket>) -> Result<Option<Any>> {
    let Some(socket) = socket else { return Ok(None) };
    match socket.config_type {
        Some(ConfigType::TypedConfig(any)) if any.type_url == RawBuffer::type_url() => Ok(None),
        Some(ConfigType::TypedConfig(any)) => Ok(Some(any)),
        None if socket.name == "envoy.transport_sockets.raw_buffer" => Ok(None),
        None => refuse("transport_socket", format!("{} has no configuration", socket.name)),
    }
}

fn common(context: Option<pb::CommonTlsContext>) -> Result<Common> {
    let mut context = context.unwrap_or_default();
    let mut certificates = take(&mut context.tls_certificate_sds_secret_configs);
    if certificates.len() > 1 {
        return refuse("tls_certificate_sds_secret_configs", "more than one certificate is not supported");
    }
    let certificate = certificates.pop().map(|config| config.name.into());
    let (roots, names) = match context.validation_context_type.take() {
        None => (None, Vec::new()),
        Some(ValidationContextType::ValidationContextSdsSecretConfig(config)) => (Some(config.name.into()), Vec::new()),
        Some(ValidationContextType::CombinedValidationContext(mut combined)) => {
            let names = validation(combined.default_validation_context.take()).within("default_validation_context")?;
            let roots = combined.validation_context_sds_secret_config.take().map(|config| config.name.into());
            nothing_left(&combined)?;
            (roots, names)
        }
        Some(ValidationContextType::ValidationContext(context)) => (None, validation(Some(context))?),
        Some(
            ValidationContextType::ValidationContextCertificateProvider(_)
            | ValidationContextType::ValidationContextCertificateProviderInstance(_),
        ) => return refuse("validation_context_type", "certificate providers are not supported; use SDS"),
    };
    let alpn = take(&mut context.alpn_protocols).into_iter().map(Box::from).collect();
    // TLS 1.2 and 1.3 with strong suites are all that this proxy speaks.
    context.tls_params = None;
    nothing_left(&context)?;
    Ok(Common { certificate, roots, names, alpn })
}

fn validation(context: Option<pb::CertificateValidationContext>) -> Result<Vec<SanMatch>> {
    let mut context = context.unwrap_or_default();
    let names = take(&mut context.match_typed_subject_alt_names)
        .into_iter()
        .map(|name| subject_name(name.san_type, name.matcher))
        .collect::<Result<_>>()
        .within("match_typed_subject_alt_names")?;
    nothing_left(&context)?;
    Ok(names)
}

fn subject_name(san_type: i32, matcher: Option<StringMatcher>) -> Result<SanMatch> {
    let pattern = matcher.and_then(|matcher| matcher.match_pattern);
    match (SanType::try_from(san_type), pattern) {
        (Ok(SanType::Uri), Some(MatchPattern::Exact(uri))) => Ok(SanMatch::Uri(uri.into())),
        (Ok(SanType::Uri), Some(MatchPattern::Prefix(prefix))) => Ok(SanMatch::UriPrefix(prefix.into())),
        (Ok(SanType::Dns), Some(MatchPattern::Exact(name))) => Ok(SanMatch::Dns(name.into())),
        (san_type, pattern) => refuse("matcher", format!("{pattern:?} for {san_type:?} is not supported")),
    }
}
