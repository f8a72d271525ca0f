//! How a gateway's server ends TLS.

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::TrustChainVerification;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
    TlsParameters,
};
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::util::pack_any;
use orrery_api::{ServerTls, ServerTlsMode, TlsVersion};

use super::merge::Attached;
use super::{Scene, credential};
use crate::build::cluster;
use crate::build::value::{ads, flag};
use crate::compile::Compiled;

/// What is asked of clients.
struct Clients {
    required: bool,
    validation: Option<ValidationContextType>,
}

/// The transport socket of a server, whose secrets are added to the resources; none when one of them is not to be had.
pub(super) fn socket(scene: &Scene<'_>, attached: &Attached<'_>, compiled: &mut Compiled) -> Option<TransportSocket> {
    let tls = attached.server.tls.as_ref()?;
    let certificates = certificates(scene, attached, tls, compiled)?;
    let clients = clients(scene, attached, tls, compiled)?;
    let alpn: &[&str] = if attached.server.ends_https() { &["h2", "http/1.1"] } else { &[] };
    let context = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_params: parameters(tls),
            tls_certificate_sds_secret_configs: certificates,
            alpn_protocols: alpn.iter().map(|one| (*one).to_owned()).collect(),
            validation_context_type: clients.validation,
            ..Default::default()
        }),
        require_client_certificate: flag(clients.required),
        ..Default::default()
    };
    let config_type = Some(ConfigType::TypedConfig(pack_any(context)));
    Some(TransportSocket { name: "envoy.transport_sockets.tls".into(), config_type })
}

fn certificates(
    scene: &Scene<'_>,
    attached: &Attached<'_>,
    tls: &ServerTls,
    compiled: &mut Compiled,
) -> Option<Vec<SdsSecretConfig>> {
    match tls.mode {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => None,
        ServerTlsMode::IstioMutual => Some(vec![cluster::sds("default", &scene.proxy.secrets)]),
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => {
            let names = tls.credentials.iter().map(|written| credential::resource_name(written));
            let pair = |name: String| {
                let secret = credential::key_pair(scene.world, scene.proxy, attached, &name)?;
                compiled.add(&name, &secret);
                Some(over_stream(&name))
            };
            names.map(pair).collect()
        }
    }
}

fn clients(scene: &Scene<'_>, attached: &Attached<'_>, tls: &ServerTls, compiled: &mut Compiled) -> Option<Clients> {
    let required = match tls.mode {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => return None,
        ServerTlsMode::Simple => return Some(Clients { required: false, validation: None }),
        ServerTlsMode::IstioMutual => {
            let roots = cluster::sds("ROOTCA", &scene.proxy.secrets);
            let validation = combined(roots, names(tls), TrustChainVerification::VerifyTrustChain);
            return Some(Clients { required: true, validation: Some(validation) });
        }
        ServerTlsMode::Mutual => true,
        ServerTlsMode::OptionalMutual => false,
    };
    // Who is let in without being known is no more known for having a certificate.
    let (required, verification) = match tls.accept_untrusted {
        false => (required, TrustChainVerification::VerifyTrustChain),
        true => (false, TrustChainVerification::AcceptUntrusted),
    };
    let name = match (&tls.ca_credential, tls.credentials.first()) {
        (Some(written), _) => credential::resource_name(written),
        (None, Some(written)) => credential::companion(&credential::resource_name(written)),
        (None, None) => return None,
    };
    let secret = credential::roots(scene.world, scene.proxy, attached, &name)?;
    compiled.add(&name, &secret);
    Some(Clients { required, validation: Some(combined(over_stream(&name), names(tls), verification)) })
}

fn combined(
    roots: SdsSecretConfig,
    match_typed_subject_alt_names: Vec<SubjectAltNameMatcher>,
    verification: TrustChainVerification,
) -> ValidationContextType {
    let context = CertificateValidationContext {
        match_typed_subject_alt_names,
        trust_chain_verification: verification.into(),
        ..Default::default()
    };
    ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(context),
        validation_context_sds_secret_config: Some(roots),
        ..Default::default()
    })
}

/// A name may be a DNS name or a URI: either will do.
fn names(tls: &ServerTls) -> Vec<SubjectAltNameMatcher> {
    let one = |name: &String| {
        let san_type = if name.contains("://") { SanType::Uri } else { SanType::Dns };
        SubjectAltNameMatcher {
            san_type: san_type.into(),
            matcher: Some(StringMatcher {
                match_pattern: Some(MatchPattern::Exact(name.clone())),
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    tls.subject_alt_names.iter().map(one).collect()
}

fn parameters(tls: &ServerTls) -> Option<TlsParameters> {
    let version = |version: Option<TlsVersion>, otherwise| match version {
        None => otherwise,
        Some(TlsVersion::V1_2) => TlsProtocol::TlSv12,
        Some(TlsVersion::V1_3) => TlsProtocol::TlSv13,
    };
    Some(TlsParameters {
        tls_minimum_protocol_version: version(tls.versions.0, TlsProtocol::TlSv12).into(),
        tls_maximum_protocol_version: version(tls.versions.1, TlsProtocol::TlSv13).into(),
        cipher_suites: tls.cipher_suites.clone(),
        ..Default::default()
    })
}

/// A secret that comes with everything else, also to an Envoy that has its own in files.
fn over_stream(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: ads() }
}
