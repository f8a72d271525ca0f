//! How a server of a Gateway ends TLS, or passes it on.

use std::collections::BTreeSet;

use crate::reader::{Fields, Reader};

/// How TLS is ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    pub mode: ServerTlsMode,
    /// `credentialName` or `credentialNames`: Secrets with certificates, as `NAME`, or in full as
    /// `kubernetes-gateway://NAMESPACE/NAME`. The client chooses among them by what it can verify.
    pub credentials: Vec<String>,
    /// What client certificates are checked against, where it is not the `-cacert` companion of the credential: as a
    /// credential, or `configmap://NAMESPACE/NAME`.
    pub ca_credential: Option<String>,
    /// Plain requests are answered with a redirection to HTTPS.
    pub https_redirect: bool,
    /// The least, and the most.
    pub versions: (Option<TlsVersion>, Option<TlsVersion>),
    /// For TLS 1.2, by OpenSSL's names; empty: the proxy's own.
    pub cipher_suites: Vec<String>,
    /// Names of which a client certificate must have one; empty: any.
    pub subject_alt_names: Vec<String>,
    /// Clients whose certificate cannot be verified are let in (`insecureSkipVerify`).
    pub accept_untrusted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// Not ended here: the server name chooses a TLS route.
    #[default]
    Passthrough,
    /// Not ended here: the server name is that of a cluster of the mesh.
    AutoPassthrough,
    Simple,
    /// With a certificate of the client.
    Mutual,
    /// With a certificate of the client if it has one.
    OptionalMutual,
    /// With the mesh's own certificates.
    IstioMutual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

const MODES: [(&str, ServerTlsMode); 6] = [
    ("PASSTHROUGH", ServerTlsMode::Passthrough),
    ("AUTO_PASSTHROUGH", ServerTlsMode::AutoPassthrough),
    ("SIMPLE", ServerTlsMode::Simple),
    ("MUTUAL", ServerTlsMode::Mutual),
    ("OPTIONAL_MUTUAL", ServerTlsMode::OptionalMutual),
    ("ISTIO_MUTUAL", ServerTlsMode::IstioMutual),
];

/// What proxies can do under TLS 1.2.
const CIPHER_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
/// Most certificates of one server: RSA, ECDSA and one to come, and some more.
const MOST_CREDENTIALS: usize = 8;

const FIELDS: [&str; 10] = [
    "mode",
    "credentialName",
    "credentialNames",
    "caCertCredentialName",
    "httpsRedirect",
    "minProtocolVersion",
    "maxProtocolVersion",
    "cipherSuites",
    "subjectAltNames",
    "insecureSkipVerify",
];

pub(super) fn read(reader: &Reader<'_>) -> Option<ServerTls> {
    let fields = reader.fields()?;
    let tls = ServerTls {
        mode: fields.take("mode").and_then(|mode| mode.word(&MODES)).unwrap_or_default(),
        credentials: credentials(&fields),
        ca_credential: fields.text("caCertCredentialName").filter(|name| !name.is_empty()),
        https_redirect: fields.take("httpsRedirect").and_then(|redirect| redirect.flag()).unwrap_or(false),
        versions: (version(&fields, "minProtocolVersion"), version(&fields, "maxProtocolVersion")),
        cipher_suites: cipher_suites(&fields),
        subject_alt_names: fields.texts("subjectAltNames").into_iter().map(|name| name.value).collect(),
        accept_untrusted: fields.take("insecureSkipVerify").and_then(|flag| flag.flag()).unwrap_or(false),
    };
    for file in ["serverCertificate", "privateKey", "caCertificates", "caCrl"] {
        if let Some(reader) = fields.take(file) {
            reader.report(
                "files of the proxy are not read",
                "put the certificates into a Secret, and name it in credentialName",
            );
        }
    }
    fields.not_supported(&["verifyCertificateSpki", "verifyCertificateHash", "tlsCertificates"]);
    check(&fields, &tls);
    fields.finish(&FIELDS);
    Some(tls)
}

fn check(fields: &Fields<'_>, tls: &ServerTls) {
    let named = !tls.credentials.is_empty();
    match tls.mode {
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual if !named => {
            fields.report("this mode needs a certificate", "name a Secret in credentialName");
        }
        ServerTlsMode::IstioMutual if named || tls.ca_credential.is_some() => {
            fields.report("ISTIO_MUTUAL uses the mesh's own certificates", "leave credentialName out, or use MUTUAL");
        }
        ServerTlsMode::Passthrough
        | ServerTlsMode::AutoPassthrough
        | ServerTlsMode::Simple
        | ServerTlsMode::Mutual
        | ServerTlsMode::OptionalMutual
        | ServerTlsMode::IstioMutual => {}
    }
    if let (Some(least), Some(most)) = tls.versions
        && least > most
    {
        fields.report("minProtocolVersion is above maxProtocolVersion", "");
    }
}

fn credentials(fields: &Fields<'_>) -> Vec<String> {
    let one = fields.text("credentialName").filter(|name| !name.is_empty());
    let many: Vec<String> = fields.texts("credentialNames").into_iter().map(|name| name.value).collect();
    if one.is_some() && !many.is_empty() {
        fields.report("credentialName and credentialNames are there both", "use one of them");
    }
    if many.len() > MOST_CREDENTIALS {
        fields.report(format!("{} credentials; at most {MOST_CREDENTIALS} are taken", many.len()), "");
        return Vec::new();
    }
    one.into_iter().chain(many).collect()
}

fn version(fields: &Fields<'_>, name: &str) -> Option<TlsVersion> {
    let reader = fields.take(name)?;
    match reader.text()?.as_str() {
        "TLS_AUTO" => None,
        "TLSV1_2" => Some(TlsVersion::V1_2),
        "TLSV1_3" => Some(TlsVersion::V1_3),
        old @ ("TLSV1_0" | "TLSV1_1") => {
            reader.report(format!("{old} is broken, and proxies do not speak it"), "use TLSV1_2 or TLSV1_3");
            None
        }
        other => {
            reader.report(format!("{other:?} is not one of TLS_AUTO, TLSV1_2, TLSV1_3"), "");
            None
        }
    }
}

fn cipher_suites(fields: &Fields<'_>) -> Vec<String> {
    let mut suites: BTreeSet<String> = BTreeSet::new();
    for reader in fields.list("cipherSuites") {
        let Some(suite) = reader.text() else { continue };
        if CIPHER_SUITES.contains(&suite.as_str()) {
            suites.insert(suite);
        } else {
            reader.report(
                format!("proxies do not have the cipher suite {suite:?}"),
                format!("they have {}", CIPHER_SUITES.join(", ")),
            );
        }
    }
    suites.into_iter().collect()
}
