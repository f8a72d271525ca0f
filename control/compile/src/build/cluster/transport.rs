//! How connections to endpoints are secured.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::TransportSocketMatch;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::proxy_protocol_config::Version;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{DataSource, ProxyProtocolConfig, TransportSocket};
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::SystemRootCerts;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, SubjectAltNameMatcher, TlsCertificate,
    UpstreamTlsContext,
};
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::util::pack_any;
use orrery_api::{ClientTls, ClientTlsMode, ProxyProtocol, TrafficPolicy};

use super::Target;
use crate::build::value::{ads, fields, file, text};
use crate::policy::HostRules;
use crate::proxy::{ProxyKind, Secrets};
use crate::registry::{PortProtocol, ServiceEndpoint};

const TLS: &str = "envoy.transport_sockets.tls";
/// The authorities of the proxy's system, under the name that Istio's agent knows them by.
const SYSTEM_ROOTS: &str = "file-root:system";

/// How a cluster's endpoints are reached.
#[derive(Default)]
pub(super) struct Transports {
    /// By the endpoint's labels.
    matches: Vec<TransportSocketMatch>,
    /// Of all of them.
    socket: Option<TransportSocket>,
}

impl Transports {
    fn all(socket: TransportSocket) -> Self {
        Self { matches: Vec::new(), socket: Some(socket) }
    }

    pub(super) fn put_into(self, cluster: &mut Cluster) {
        cluster.transport_socket_matches = self.matches;
        cluster.transport_socket = self.socket;
    }

    /// Begins each connection with what it was before this proxy.
    fn with_proxy_protocol(self, version: ProxyProtocol) -> Self {
        let version = match version {
            ProxyProtocol::V1 => Version::V1,
            ProxyProtocol::V2 => Version::V2,
        };
        let wrapped = |inner: TransportSocket| {
            let config = ProxyProtocolConfig { version: version.into(), ..Default::default() };
            let outer = ProxyProtocolUpstreamTransport {
                config: Some(config),
                transport_socket: Some(inner),
                ..Default::default()
            };
            socket("envoy.transport_sockets.upstream_proxy_protocol", pack_any(outer))
        };
        let matches: Vec<TransportSocketMatch> = self
            .matches
            .into_iter()
            .map(|one| TransportSocketMatch { transport_socket: one.transport_socket.map(wrapped), ..one })
            .collect();
        let socket = match (self.socket, matches.is_empty()) {
            (Some(socket), _) => Some(wrapped(socket)),
            (None, true) => Some(wrapped(plain())),
            (None, false) => None,
        };
        Self { matches, socket }
    }
}

impl Target<'_> {
    /// As the rule says; without one mutual TLS with endpoints that have a proxy of the mesh (automatic mTLS).
    pub(super) fn transports(&self, policy: &TrafficPolicy, endpoints: &[&ServiceEndpoint]) -> Transports {
        let transports = match &policy.tls {
            Some(tls) => match tls.mode {
                ClientTlsMode::Disable => Transports::default(),
                ClientTlsMode::IstioMutual => Transports::all(self.mesh_tls(endpoints, Some(tls))),
                ClientTlsMode::Simple | ClientTlsMode::Mutual => {
                    self.foreign_tls(policy, tls).map(Transports::all).unwrap_or_default()
                }
            },
            None if self.service.external || !self.world.settings().auto_mtls => Transports::default(),
            None => self.automatic(endpoints),
        };
        match policy.proxy_protocol {
            Some(version) => transports.with_proxy_protocol(version),
            None => transports,
        }
    }

    fn automatic(&self, endpoints: &[&ServiceEndpoint]) -> Transports {
        let one = |name: &str, wanted, socket| TransportSocketMatch {
            name: name.to_owned(),
            r#match: Some(fields(wanted)),
            transport_socket: Some(socket),
        };
        let mesh = one("tlsMode-istio", vec![("tlsMode", text("istio"))], self.mesh_tls(endpoints, None));
        Transports { matches: vec![mesh, one("tlsMode-disabled", Vec::new(), plain())], socket: None }
    }

    /// Mutual TLS of the mesh. Names of the rule come before those of the service, and before the endpoints' identities.
    fn mesh_tls(&self, endpoints: &[&ServiceEndpoint], rule: Option<&ClientTls>) -> TransportSocket {
        let domain = &self.world.settings().trust_domain;
        let ruled = rule.map(|tls| &tls.subject_alt_names).filter(|names| !names.is_empty());
        let mut names = ruled.unwrap_or(&self.service.subject_alt_names).clone();
        if names.is_empty() {
            let id = |e: &&ServiceEndpoint| format!("spiffe://{domain}/ns/{}/sa/{}", e.namespace, e.service_account);
            names = endpoints.iter().map(id).collect();
        }
        names.sort();
        names.dedup();
        let combined = CombinedCertificateValidationContext {
            default_validation_context: Some(with_names(&names)),
            validation_context_sds_secret_config: Some(sds("ROOTCA", &self.key.secrets)),
            ..Default::default()
        };
        let alpn: &[&str] = if self.port.protocol.is_http() { &["istio"] } else { &["istio-peer-exchange", "istio"] };
        let context = UpstreamTlsContext {
            common_tls_context: Some(CommonTlsContext {
                tls_certificate_sds_secret_configs: vec![sds("default", &self.key.secrets)],
                alpn_protocols: alpn.iter().map(|one| (*one).to_owned()).collect(),
                validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
                ..Default::default()
            }),
            sni: match rule.map(|tls| tls.sni.as_str()).filter(|sni| !sni.is_empty()) {
                Some(sni) => sni.to_owned(),
                None => format!("outbound_.{}_.{}_.{}", self.port.number, self.subset_name(), self.service.host),
            },
            ..Default::default()
        };
        socket(TLS, pack_any(context))
    }

    /// TLS with servers outside of the mesh.
    fn foreign_tls(&self, policy: &TrafficPolicy, tls: &ClientTls) -> Option<TransportSocket> {
        if is_secret(tls) && !self.key.credentials {
            return None;
        }
        let mut common = CommonTlsContext { alpn_protocols: self.offered(policy), ..Default::default() };
        let sni = if tls.sni.is_empty() && !self.service.host.contains('*') { &self.service.host } else { &tls.sni };
        if tls.mode == ClientTlsMode::Mutual {
            self.show_certificate(tls, &mut common);
        }
        if !tls.insecure_skip_verify {
            let given = [&tls.subject_alt_names, &self.service.subject_alt_names];
            let own: Vec<String> = Some(sni.clone()).into_iter().filter(|sni| !sni.is_empty()).collect();
            let names = given.into_iter().find(|names| !names.is_empty()).unwrap_or(&own);
            common.validation_context_type = Some(self.verification(tls, with_names(names)));
        }
        let context = UpstreamTlsContext { common_tls_context: Some(common), sni: sni.clone(), ..Default::default() };
        Some(socket(TLS, pack_any(context)))
    }

    /// HTTP/2 is offered where it is spoken whatever the client speaks; else the proxy offers what it comes to speak.
    fn offered(&self, policy: &TrafficPolicy) -> Vec<String> {
        let pool = policy.connection_pool.as_ref();
        let upgraded = pool.is_some_and(|pool| pool.h2_upgrade == orrery_api::H2Upgrade::Yes);
        let is_h2 = matches!(self.port.protocol, PortProtocol::Http2 | PortProtocol::Grpc) || upgraded;
        if is_h2 { vec!["h2".to_owned()] } else { Vec::new() }
    }

    fn show_certificate(&self, tls: &ClientTls, common: &mut CommonTlsContext) {
        match (&self.key.secrets, tls.credential_name.is_empty()) {
            (_, false) => {
                let name = format!("kubernetes://{}", tls.credential_name);
                common.tls_certificate_sds_secret_configs = vec![by_stream(&name)];
            }
            (Secrets::Stream, true) => {
                let name = format!("file-cert:{}~{}", tls.client_certificate, tls.private_key);
                common.tls_certificate_sds_secret_configs = vec![by_stream(&name)];
            }
            (Secrets::Directory(_), true) => {
                common.tls_certificates = vec![TlsCertificate {
                    certificate_chain: Some(in_file(&tls.client_certificate)),
                    private_key: Some(in_file(&tls.private_key)),
                    ..Default::default()
                }];
            }
        }
    }

    fn verification(&self, tls: &ClientTls, names: CertificateValidationContext) -> ValidationContextType {
        let combined = |roots: String| {
            ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
                default_validation_context: Some(names.clone()),
                validation_context_sds_secret_config: Some(by_stream(&roots)),
                ..Default::default()
            })
        };
        if let Some(name) = Some(&tls.credential_name).filter(|name| !name.is_empty()) {
            return combined(match name.starts_with("configmap://") {
                true => format!("{name}-cacert"),
                false => format!("kubernetes://{name}-cacert"),
            });
        }
        match (&self.key.secrets, tls.ca_certificates.as_str()) {
            (Secrets::Stream, "" | "system") => combined(SYSTEM_ROOTS.to_owned()),
            (Secrets::Stream, path) => combined(format!("file-root:{path}")),
            (Secrets::Directory(_), "" | "system") => {
                let roots = Some(SystemRootCerts {});
                ValidationContextType::ValidationContext(CertificateValidationContext {
                    system_root_certs: roots,
                    ..names
                })
            }
            (Secrets::Directory(_), path) => {
                let trusted_ca = Some(in_file(path));
                ValidationContextType::ValidationContext(CertificateValidationContext { trusted_ca, ..names })
            }
        }
    }
}

/// Whether rules name Secrets that proxies of this kind may have. A sidecar gets one only if the rule selects its
/// workload: not every workload of a namespace may see its secrets.
pub(super) fn may_have_secrets(rules: &HostRules<'_>, kind: ProxyKind) -> bool {
    (kind == ProxyKind::Router || rules.selected)
        && rules.policies().any(|policy| policy.tls.as_ref().is_some_and(is_secret))
}

fn is_secret(tls: &ClientTls) -> bool {
    !tls.credential_name.is_empty() && !tls.credential_name.starts_with("configmap://")
}

/// The server must have one of these names.
fn with_names(names: &[String]) -> CertificateValidationContext {
    let one = |name: &String| SubjectAltNameMatcher {
        san_type: if name.contains("://") { SanType::Uri.into() } else { SanType::Dns.into() },
        matcher: Some(StringMatcher { match_pattern: Some(MatchPattern::Exact(name.clone())), ..Default::default() }),
        ..Default::default()
    };
    CertificateValidationContext {
        match_typed_subject_alt_names: names.iter().map(one).collect(),
        ..Default::default()
    }
}

fn socket(name: &str, config: envoy_types::pb::google::protobuf::Any) -> TransportSocket {
    TransportSocket { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(config)) }
}

fn plain() -> TransportSocket {
    socket("envoy.transport_sockets.raw_buffer", pack_any(RawBuffer {}))
}

fn in_file(path: &str) -> DataSource {
    DataSource { specifier: Some(Specifier::Filename(path.to_owned())), ..Default::default() }
}

fn by_stream(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: ads() }
}

/// Where the proxy gets its own certificate and the mesh's roots from.
pub(in crate::build) fn sds(name: &str, secrets: &Secrets) -> SdsSecretConfig {
    let sds_config = match secrets {
        Secrets::Stream => ads(),
        Secrets::Directory(dir) => file(&format!("{dir}/{name}.yaml")),
    };
    SdsSecretConfig { name: name.to_owned(), sds_config }
}
