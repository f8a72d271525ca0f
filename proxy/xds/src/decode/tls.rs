//! TLS contexts: which secrets by name, which peers are accepted, which protocols are offered.

use std::mem::take;

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::TrustChainVerification;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;
use orrery_core::cluster::{SanMatch, Transport, UpstreamTls};
use orrery_core::listener::{CipherSuite, ClientCertificate, ClientTrust, DownstreamTls, TlsVersions};
use orrery_core::names::SecretName;
use prost::Name;
use std::sync::Arc;

use super::plain::flag;
use super::{Result, Within, nothing_left, refuse, unpack};

/// What both directions have in common.
struct Common {
    certificates: Vec<SecretName>,
    roots: Option<SecretName>,
    names: Vec<SanMatch>,
    alpn: Vec<Box<str>>,
    parameters: Option<pb::TlsParameters>,
    trust: Trust,
}

/// Whether a certificate has to be good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Verified,
    AcceptUntrusted,
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
    if common.certificates.is_empty() {
        return refuse(
            "common_tls_context.tls_certificate_sds_secret_configs",
            "a server needs a certificate from SDS",
        );
    }
    let trust = common.roots.map(|roots| ClientTrust { roots, names: common.names });
    let client = match (required, common.trust, trust) {
        (true, Trust::AcceptUntrusted, _) => {
            return refuse("trust_chain_verification", "a certificate that is required is verified, too");
        }
        (false, Trust::AcceptUntrusted, _) => ClientCertificate::Untrusted,
        (true, Trust::Verified, Some(trust)) => ClientCertificate::Required(trust),
        (false, Trust::Verified, Some(trust)) => ClientCertificate::Optional(trust),
        (false, Trust::Verified, None) => ClientCertificate::NotAsked,
        (true, Trust::Verified, None) => {
            return refuse(
                "validation_context",
                "client certificates are required, but nothing to check them with is named",
            );
        }
    };
    let Parameters { versions, cipher_suites } =
        parameters(common.parameters).within("common_tls_context.tls_params")?;
    Ok(Some(DownstreamTls { certificates: common.certificates, client, alpn: common.alpn, versions, cipher_suites }))
}

/// How bytes go to an endpoint.
pub(super) fn upstream(socket: Option<TransportSocket>) -> Result<Transport> {
    let Some(any) = typed(socket)? else { return Ok(Transport::Plain) };
    let mut context: pb::UpstreamTlsContext = unpack(&any)?;
    // TLS 1.2 and 1.3 with strong suites are all that this proxy speaks to servers.
    let mut common = common(context.common_tls_context.take()).within("common_tls_context")?;
    if common.certificates.len() > 1 {
        return refuse("common_tls_context.tls_certificate_sds_secret_configs", "a client has one certificate at most");
    }
    if common.trust == Trust::AcceptUntrusted {
        return refuse("trust_chain_verification", "servers are verified; leave the validation context out");
    }
    let sni = take(&mut context.sni);
    context.max_session_keys = None;
    nothing_left(&context)?;
    let mesh = common.alpn.iter().any(|protocol| &**protocol == "istio" || &**protocol == "istio-peer-exchange");
    Ok(Transport::Tls(Arc::new(UpstreamTls {
        certificate: common.certificates.pop(),
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
    let certificates = take(&mut context.tls_certificate_sds_secret_configs);
    let certificates = certificates.into_iter().map(|config| config.name.into()).collect();
    let (roots, (names, trust)) = match context.validation_context_type.take() {
        None => (None, (Vec::new(), Trust::Verified)),
        Some(ValidationContextType::ValidationContextSdsSecretConfig(config)) => {
            (Some(config.name.into()), (Vec::new(), Trust::Verified))
        }
        Some(ValidationContextType::CombinedValidationContext(mut combined)) => {
            let validated =
                validation(combined.default_validation_context.take()).within("default_validation_context")?;
            let roots = combined.validation_context_sds_secret_config.take().map(|config| config.name.into());
            nothing_left(&combined)?;
            (roots, validated)
        }
        Some(ValidationContextType::ValidationContext(context)) => (None, validation(Some(context))?),
        Some(
            ValidationContextType::ValidationContextCertificateProvider(_)
            | ValidationContextType::ValidationContextCertificateProviderInstance(_),
        ) => return refuse("validation_context_type", "certificate providers are not supported; use SDS"),
    };
    let alpn = take(&mut context.alpn_protocols).into_iter().map(Box::from).collect();
    let parameters = context.tls_params.take();
    nothing_left(&context)?;
    Ok(Common { certificates, roots, names, alpn, parameters, trust })
}

fn validation(context: Option<pb::CertificateValidationContext>) -> Result<(Vec<SanMatch>, Trust)> {
    let mut context = context.unwrap_or_default();
    let trust = match TrustChainVerification::try_from(take(&mut context.trust_chain_verification)) {
        Ok(TrustChainVerification::VerifyTrustChain) => Trust::Verified,
        Ok(TrustChainVerification::AcceptUntrusted) => Trust::AcceptUntrusted,
        Err(_) => return refuse("trust_chain_verification", "it is none"),
    };
    let names = take(&mut context.match_typed_subject_alt_names)
        .into_iter()
        .map(|name| subject_name(name.san_type, name.matcher))
        .collect::<Result<_>>()
        .within("match_typed_subject_alt_names")?;
    nothing_left(&context)?;
    Ok((names, trust))
}

/// Which TLS is spoken to clients.
struct Parameters {
    versions: TlsVersions,
    cipher_suites: Vec<CipherSuite>,
}

/// Versions that clients may speak: nothing older than 1.2, whatever is asked for.
fn parameters(parameters: Option<pb::TlsParameters>) -> Result<Parameters> {
    let mut parameters = parameters.unwrap_or_default();
    let least = TlsProtocol::try_from(take(&mut parameters.tls_minimum_protocol_version)).unwrap_or_default();
    let most = TlsProtocol::try_from(take(&mut parameters.tls_maximum_protocol_version)).unwrap_or_default();
    let versions = match (least, most) {
        (_, TlsProtocol::TlSv10 | TlsProtocol::TlSv11) => {
            return refuse("tls_maximum_protocol_version", "this proxy speaks TLS 1.2 and 1.3");
        }
        (TlsProtocol::TlSv10 | TlsProtocol::TlSv11, _) => {
            return refuse("tls_minimum_protocol_version", "this proxy speaks TLS 1.2 and 1.3");
        }
        (TlsProtocol::TlSv13, TlsProtocol::TlSv12) => return refuse("tls_params", "no version is left"),
        (TlsProtocol::TlSv13, TlsProtocol::TlSv13 | TlsProtocol::TlsAuto) => TlsVersions::Only13,
        (TlsProtocol::TlsAuto | TlsProtocol::TlSv12, TlsProtocol::TlSv12) => TlsVersions::Only12,
        (TlsProtocol::TlsAuto | TlsProtocol::TlSv12, TlsProtocol::TlSv13 | TlsProtocol::TlsAuto) => TlsVersions::Both,
    };
    let suites = take(&mut parameters.cipher_suites);
    let cipher_suites = suites.iter().map(|name| cipher_suite(name)).collect::<Result<_>>().within("cipher_suites")?;
    nothing_left(&parameters)?;
    Ok(Parameters { versions, cipher_suites })
}

fn cipher_suite(name: &str) -> Result<CipherSuite> {
    match name {
        "ECDHE-ECDSA-AES128-GCM-SHA256" => Ok(CipherSuite::EcdsaAes128),
        "ECDHE-ECDSA-AES256-GCM-SHA384" => Ok(CipherSuite::EcdsaAes256),
        "ECDHE-ECDSA-CHACHA20-POLY1305" => Ok(CipherSuite::EcdsaChacha20),
        "ECDHE-RSA-AES128-GCM-SHA256" => Ok(CipherSuite::RsaAes128),
        "ECDHE-RSA-AES256-GCM-SHA384" => Ok(CipherSuite::RsaAes256),
        "ECDHE-RSA-CHACHA20-POLY1305" => Ok(CipherSuite::RsaChacha20),
        other => refuse(other, "this proxy does not have it"),
    }
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
