//! `tls`: how a client secures its connections.

use crate::reader::{Fields, Reader};

/// `tls` of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    pub mode: ClientTlsMode,
    /// Files of the proxy with its certificate and key.
    pub client_certificate: String,
    pub private_key: String,
    /// A file of the proxy with certificates of authorities; empty: those of its system.
    pub ca_certificates: String,
    /// A Secret (or `configmap://`) with all of these.
    pub credential_name: String,
    pub subject_alt_names: Vec<String>,
    pub sni: String,
    pub insecure_skip_verify: bool,
}

/// How connections are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTlsMode {
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

pub(super) fn read(reader: &Reader<'_>) -> Option<ClientTls> {
    let fields = reader.fields()?;
    let words = [
        ("DISABLE", ClientTlsMode::Disable),
        ("SIMPLE", ClientTlsMode::Simple),
        ("MUTUAL", ClientTlsMode::Mutual),
        ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
    ];
    let tls = ClientTls {
        mode: fields.take("mode").map_or(Some(ClientTlsMode::Disable), |mode| mode.word(&words))?,
        client_certificate: fields.text("clientCertificate").unwrap_or_default(),
        private_key: fields.text("privateKey").unwrap_or_default(),
        ca_certificates: fields.text("caCertificates").unwrap_or_default(),
        credential_name: fields.text("credentialName").unwrap_or_default(),
        subject_alt_names: fields.texts("subjectAltNames").into_iter().map(|name| name.value).collect(),
        sni: fields.text("sni").unwrap_or_default(),
        insecure_skip_verify: fields.take("insecureSkipVerify").and_then(|flag| flag.flag()).unwrap_or(false),
    };
    check(&fields, &tls);
    fields.not_supported(&["caCrl"]);
    fields.finish(&[
        "mode",
        "clientCertificate",
        "privateKey",
        "caCertificates",
        "credentialName",
        "subjectAltNames",
        "sni",
        "insecureSkipVerify",
    ]);
    Some(tls)
}

/// What Istio's validation refuses too.
fn check(fields: &Fields<'_>, tls: &ClientTls) {
    let files = [&tls.client_certificate, &tls.private_key, &tls.ca_certificates];
    let some_file = files.iter().any(|file| !file.is_empty());
    if tls.insecure_skip_verify && !(tls.ca_certificates.is_empty() && tls.subject_alt_names.is_empty()) {
        fields
            .report("what is not verified needs no authorities and no names", "leave out insecureSkipVerify, or them");
    }
    match tls.mode {
        ClientTlsMode::Disable | ClientTlsMode::Simple => {}
        ClientTlsMode::IstioMutual if some_file || !tls.credential_name.is_empty() => {
            fields.report("with ISTIO_MUTUAL the mesh's own certificates are used", "leave the other ones out");
        }
        ClientTlsMode::IstioMutual => {}
        ClientTlsMode::Mutual if !tls.credential_name.is_empty() && some_file => {
            fields.report("credentialName and files exclude each other", "leave one of them");
        }
        ClientTlsMode::Mutual
            if tls.credential_name.is_empty() && (tls.client_certificate.is_empty() || tls.private_key.is_empty()) =>
        {
            fields.report("MUTUAL needs a certificate", "give clientCertificate and privateKey, or credentialName");
        }
        ClientTlsMode::Mutual => {}
    }
}
