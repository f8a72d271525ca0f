//! What holds for the whole mesh (Istio's MeshConfig, as far as it is acted on).

/// Mesh-wide settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub trust_domain: String,
    /// DNS suffix of services.
    pub domain: String,
    /// Where mesh-wide policies live.
    pub root_namespace: String,
    pub cluster_id: String,
    /// `outboundTrafficPolicy.mode` is ALLOW_ANY.
    pub allow_unknown_destinations: bool,
    pub access_log: Option<AccessLogFormat>,
    /// Percent of requests whose caller did not decide.
    pub trace_sampling: f64,
    /// Plain text is refused where no PeerAuthentication says otherwise.
    pub strict_mtls: bool,
}

/// How proxies write their access logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".to_owned(),
            domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            cluster_id: "Kubernetes".to_owned(),
            allow_unknown_destinations: true,
            access_log: None,
            trace_sampling: 1.0,
            strict_mtls: false,
        }
    }
}
