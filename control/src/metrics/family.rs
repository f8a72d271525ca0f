//! Every metric of the control plane: its name, its help, its kind. The names are Istio's.

const SECONDS: [f64; 8] = [0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0];
const PUSH_SECONDS: [f64; 9] = [0.01, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0];
const SIZES: [f64; 6] = [1.0, 10_000.0, 1_000_000.0, 4_000_000.0, 10_000_000.0, 40_000_000.0];

/// What kind of metric it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it in the text format.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Connected,
    Pushes,
    PushTriggers,
    Rejects,
    ExpiredNonces,
    InternalErrors,
    ConfigSize,
    PushTime,
    SendTime,
    Convergence,
    Compiled,
    Debounce,
    Updates,
    ConfigEvents,
    RegistryEvents,
    Services,
    VirtualServices,
    RejectedConfigs,
    Info,
    Build,
    Uptime,
    ProcessCpu,
    ProcessMemory,
    ValidationPassed,
    ValidationFailed,
    CsrCount,
    Issued,
    AuthenticationFailures,
    CsrParsingErrors,
    IdExtractionErrors,
    CsrSignErrors,
    RootExpiryTimestamp,
    RootExpiry,
    ChainExpiryTimestamp,
    ChainExpiry,
}

impl Family {
    /// Every metric.
    #[cfg(test)]
    pub(crate) const ALL: &'static [Self] = &[
        Self::Connected,
        Self::Pushes,
        Self::PushTriggers,
        Self::Rejects,
        Self::ExpiredNonces,
        Self::InternalErrors,
        Self::ConfigSize,
        Self::PushTime,
        Self::SendTime,
        Self::Convergence,
        Self::Compiled,
        Self::Debounce,
        Self::Updates,
        Self::ConfigEvents,
        Self::RegistryEvents,
        Self::Services,
        Self::VirtualServices,
        Self::RejectedConfigs,
        Self::Info,
        Self::Build,
        Self::Uptime,
        Self::ProcessCpu,
        Self::ProcessMemory,
        Self::ValidationPassed,
        Self::ValidationFailed,
        Self::CsrCount,
        Self::Issued,
        Self::AuthenticationFailures,
        Self::CsrParsingErrors,
        Self::IdExtractionErrors,
        Self::CsrSignErrors,
        Self::RootExpiryTimestamp,
        Self::RootExpiry,
        Self::ChainExpiryTimestamp,
        Self::ChainExpiry,
    ];

    /// Counters that have no labels.
    pub(crate) const PLAIN_COUNTERS: &'static [Self] = &[
        Self::InternalErrors,
        Self::RejectedConfigs,
        Self::CsrCount,
        Self::Issued,
        Self::AuthenticationFailures,
        Self::CsrParsingErrors,
        Self::IdExtractionErrors,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.describe().0
    }

    /// What it counts.
    pub(crate) fn help(self) -> &'static str {
        self.describe().2
    }

    /// What kind it is.
    pub(crate) fn kind(self) -> Kind {
        self.describe().1
    }

    fn describe(self) -> (&'static str, Kind, &'static str) {
        use Kind::{Counter as C, Gauge as G, Histogram as H};
        match self {
            Self::Connected => ("pilot_xds", G, "Proxies connected to this control plane, by protocol version."),
            Self::Pushes => ("pilot_xds_pushes", C, "Responses pushed, by resource type."),
            Self::PushTriggers => ("pilot_push_triggers", C, "Reasons that started a push."),
            Self::Rejects => ("pilot_total_xds_rejects", C, "Responses that proxies refused, by resource type."),
            Self::ExpiredNonces => {
                ("pilot_xds_expired_nonce", C, "Requests that answered another response than the last.")
            }
            Self::InternalErrors => {
                ("pilot_total_xds_internal_errors", C, "Failures inside the control plane while serving xDS.")
            }
            Self::ConfigSize => {
                ("pilot_xds_config_size_bytes", H(&SIZES), "Size of pushed responses in bytes, by resource type.")
            }
            Self::PushTime => (
                "pilot_xds_push_time",
                H(&PUSH_SECONDS),
                "Time to compile what a change or a new proxy asks for, in seconds.",
            ),
            Self::SendTime => {
                ("pilot_xds_send_time", H(&PUSH_SECONDS), "Time from sending a response to its answer, in seconds.")
            }
            Self::Convergence => (
                "pilot_proxy_convergence_time",
                H(&SECONDS),
                "Time from a change to the last answer of a proxy, in seconds.",
            ),
            Self::Compiled => (
                "orrery_control_compiled_total",
                C,
                "Units compiled: clusters of a service, a host's part of a view, a route table, a frame of the rest.",
            ),
            Self::Debounce => {
                ("pilot_debounce_time", H(&PUSH_SECONDS), "Time that changes were gathered before a push, in seconds.")
            }
            Self::Updates => ("pilot_inbound_updates", C, "Changes received, by type."),
            Self::ConfigEvents => ("pilot_k8s_cfg_events", C, "Configuration objects changed, by kind and event."),
            Self::RegistryEvents => ("pilot_k8s_reg_events", C, "Registry objects changed, by kind and event."),
            Self::Services => ("pilot_services", G, "Services that are known."),
            Self::VirtualServices => ("pilot_virt_services", G, "VirtualServices that are known."),
            Self::RejectedConfigs => ("pilot_total_rejected_configs", C, "Configuration objects that were refused."),
            Self::Info => ("pilot_info", G, "Version of the control plane."),
            Self::Build => ("istio_build", G, "Version of the component."),
            Self::Uptime => ("istiod_uptime_seconds", G, "Time since the control plane started, in seconds."),
            Self::ProcessCpu => {
                ("process_cpu_seconds_total", C, "User and system CPU time of the process, in seconds.")
            }
            Self::ProcessMemory => ("process_resident_memory_bytes", G, "Resident memory of the process, in bytes."),
            Self::ValidationPassed => ("galley_validation_passed", C, "Objects that passed validation, by kind."),
            Self::ValidationFailed => ("galley_validation_failed", C, "Objects that failed validation, by reason."),
            Self::CsrCount => ("citadel_server_csr_count", C, "Certificate signing requests received."),
            Self::Issued => ("citadel_server_success_cert_issuance_count", C, "Certificates issued."),
            Self::AuthenticationFailures => {
                ("citadel_server_authentication_failure_count", C, "Signing requests without a valid credential.")
            }
            Self::CsrParsingErrors => {
                ("citadel_server_csr_parsing_err_count", C, "Signing requests that could not be parsed.")
            }
            Self::IdExtractionErrors => {
                ("citadel_server_id_extraction_err_count", C, "Credentials that hold no usable identity.")
            }
            Self::CsrSignErrors => {
                ("citadel_server_csr_sign_err_count", C, "Signing requests that could not be signed, by error.")
            }
            Self::RootExpiryTimestamp => (
                "citadel_server_root_cert_expiry_timestamp",
                G,
                "When the root certificate ends, in seconds since 1970.",
            ),
            Self::RootExpiry => {
                ("citadel_server_root_cert_expiry_seconds", G, "Time until the root certificate ends, in seconds.")
            }
            Self::ChainExpiryTimestamp => {
                ("citadel_server_cert_chain_expiry_timestamp", G, "When the signing chain ends, in seconds since 1970.")
            }
            Self::ChainExpiry => {
                ("citadel_server_cert_chain_expiry_seconds", G, "Time until the signing chain ends, in seconds.")
            }
        }
    }
}
