//! TLS of listeners: which certificates they show, and which certificates of clients they ask for.

use std::collections::BTreeSet;

use orrery_api::gateway_api::{
    FrontendValidation, GatewayTls, ListenerTls, ListenerTlsMode, ObjectReference, ValidationMode,
};
use orrery_api::{Key, ServerTls, ServerTlsMode};

use crate::condition::Fault;
use crate::grant::{Grants, Referrer};
use crate::sources::Sources;

/// Whose listener it is, for the places where references are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) grants: &'a Grants,
    /// Gateway or ListenerSet.
    pub(crate) owner: &'a Key,
}

/// TLS of a listener, as far as it can be had.
#[derive(Debug, Default)]
pub(crate) struct ListenerCredentials {
    pub(crate) tls: ServerTls,
    /// Credentials that the listener may use.
    pub(crate) granted: BTreeSet<String>,
    pub(crate) fault: Option<Fault>,
}

/// Most certificates of a listener: one for each kind of key.
const CERTIFICATES: usize = 2;
const MODE_OPTION: &str = "gateway.istio.io/tls-terminate-mode";
const SUITES_OPTION: &str = "gateway.istio.io/tls-cipher-suites";

impl Place<'_> {
    fn referrer(&self) -> Referrer<'_> {
        Referrer { kind: self.owner.kind, namespace: &self.owner.namespace }
    }
}

/// How a listener's port looks at certificates of clients.
pub(crate) fn validation_of(tls: &GatewayTls, port: u16) -> Option<&FrontendValidation> {
    let frontend = tls.frontend.as_ref()?;
    match frontend.per_port.iter().find(|(known, _)| *known == port) {
        Some((_, validation)) => validation.as_ref(),
        None => frontend.default.as_ref(),
    }
}

/// What a listener's `tls` comes to.
pub(crate) fn credentials(
    place: Place<'_>,
    tls: &ListenerTls,
    validation: Option<&FrontendValidation>,
    passes_to_mesh: bool,
) -> ListenerCredentials {
    let mut made = match tls.mode.unwrap_or(ListenerTlsMode::Terminate) {
        ListenerTlsMode::Terminate => terminated(place, tls, validation),
        ListenerTlsMode::Passthrough => {
            let mode = if passes_to_mesh { ServerTlsMode::AutoPassthrough } else { ServerTlsMode::Passthrough };
            ListenerCredentials { tls: ServerTls { mode, ..ServerTls::default() }, ..ListenerCredentials::default() }
        }
    };
    if let Some(suites) = tls.options.get(SUITES_OPTION) {
        made.tls.cipher_suites = suites.split(',').map(|suite| suite.trim().to_owned()).collect();
    }
    made
}

fn terminated(place: Place<'_>, tls: &ListenerTls, validation: Option<&FrontendValidation>) -> ListenerCredentials {
    let asked = tls.options.get(MODE_OPTION).map(String::as_str).unwrap_or_default();
    let mut made = ListenerCredentials::default();
    made.tls.mode = match asked {
        "MUTUAL" => ServerTlsMode::Mutual,
        "OPTIONAL_MUTUAL" => ServerTlsMode::OptionalMutual,
        "ISTIO_MUTUAL" => {
            made.tls.mode = ServerTlsMode::IstioMutual;
            return made;
        }
        _ => ServerTlsMode::Simple,
    };
    made.fault = certificates(place, tls, &mut made);
    if made.fault.is_some() {
        return made;
    }
    if let Some(validation) = validation.filter(|validation| !validation.roots.is_empty()) {
        made.fault = client_certificates(place, validation, &mut made);
        match asked {
            _ if made.fault.is_some() => {}
            "MUTUAL" => (made.tls.mode, made.tls.accept_untrusted) = (ServerTlsMode::Mutual, false),
            "OPTIONAL_MUTUAL" => (made.tls.mode, made.tls.accept_untrusted) = (ServerTlsMode::OptionalMutual, false),
            _ => {}
        }
    }
    made
}

/// Takes the certificates that can be had; a fault only when there is none.
fn certificates(place: Place<'_>, tls: &ListenerTls, made: &mut ListenerCredentials) -> Option<Fault> {
    if tls.certificates.len() > CERTIFICATES {
        return Some(Fault::new("InvalidCertificateRef", format!("at most {CERTIFICATES} certificates are taken")));
    }
    if tls.certificates.is_empty() {
        return Some(Fault::new("InvalidCertificateRef", "TLS ends here, and there is no certificate for it"));
    }
    let mut faults: Vec<Fault> = Vec::new();
    for reference in &tls.certificates {
        match certificate(place, reference) {
            Ok(name) => made.tls.credentials.push(name),
            Err(fault) => faults.push(fault),
        }
    }
    made.granted.extend(made.tls.credentials.iter().cloned());
    made.tls.credentials.is_empty().then(|| joined(faults)).flatten()
}

/// The first reason with all messages.
pub(crate) fn joined(faults: Vec<Fault>) -> Option<Fault> {
    let reason = faults.first()?.reason;
    let messages: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
    Some(Fault::new(reason, messages.join("; ")))
}

/// The credential of a reference. Whether it may be referred to is asked first: nobody learns what exists elsewhere.
fn certificate(place: Place<'_>, reference: &ObjectReference) -> Result<String, Fault> {
    let namespace = reference.namespace.as_ref().unwrap_or(&place.owner.namespace);
    let shown = format!("Secret {namespace}/{}", reference.name);
    if !reference.group.is_empty() || reference.kind != "Secret" {
        let message = format!("a certificate is in a Secret, not in a {} of {:?}", reference.kind, reference.group);
        return Err(Fault::new("InvalidCertificateRef", message));
    }
    if !place.grants.allow(place.referrer(), "", "Secret", namespace, &reference.name) {
        let message = format!("no ReferenceGrant of {namespace} lets {} use {shown}", place.owner.namespace);
        return Err(Fault::new("RefNotPermitted", message));
    }
    let secret = place.sources.secret(namespace, &reference.name);
    let secret = secret.ok_or_else(|| Fault::new("InvalidCertificateRef", format!("there is no {shown}")))?;
    if let Err(error) = &secret.key_pair {
        return Err(Fault::new("InvalidCertificateRef", format!("{shown} has no certificate: {error}")));
    }
    Ok(format!("kubernetes-gateway://{namespace}/{}", reference.name))
}

fn client_certificates(
    place: Place<'_>,
    validation: &FrontendValidation,
    made: &mut ListenerCredentials,
) -> Option<Fault> {
    let [reference] = validation.roots.as_slice() else {
        return Some(Fault::new("InvalidCACertificateRef", "one caCertificateRef is taken, not several"));
    };
    match roots(place, reference) {
        Ok(name) => {
            made.granted.insert(name.clone());
            made.tls.ca_credential = Some(name);
        }
        Err(fault) => return Some(fault),
    }
    (made.tls.mode, made.tls.accept_untrusted) = match validation.mode {
        ValidationMode::AllowValidOnly => (ServerTlsMode::Mutual, false),
        ValidationMode::AllowInsecureFallback => (ServerTlsMode::OptionalMutual, true),
    };
    None
}

/// The credential with the roots of a reference.
fn roots(place: Place<'_>, reference: &ObjectReference) -> Result<String, Fault> {
    let (namespace, name) = (reference.namespace.as_ref().unwrap_or(&place.owner.namespace), &reference.name);
    let shown = format!("{} {namespace}/{name}", reference.kind);
    if !place.grants.allow(place.referrer(), &reference.group, &reference.kind, namespace, name) {
        let message = format!("no ReferenceGrant of {namespace} lets {} use {shown}", place.owner.namespace);
        return Err(Fault::new("RefNotPermitted", message));
    }
    let missing = || Fault::new("InvalidCACertificateRef", format!("there is no {shown}"));
    let (roots, scheme) = match (reference.group.as_str(), reference.kind.as_str()) {
        ("", "ConfigMap") => (&place.sources.config_map(namespace, name).ok_or_else(missing)?.roots, "configmap"),
        ("", "Secret") => (&place.sources.secret(namespace, name).ok_or_else(missing)?.roots, "kubernetes-gateway"),
        _ => {
            let message = format!("roots are in a ConfigMap or Secret, not in a {shown}");
            return Err(Fault::new("InvalidCACertificateKind", message));
        }
    };
    if let Err(error) = roots {
        return Err(Fault::new("InvalidCACertificateRef", format!("{shown} has no roots: {error}")));
    }
    Ok(format!("{scheme}://{namespace}/{name}-cacert"))
}

/// What is wrong with the certificate that a Gateway is to show to backends.
pub(crate) fn client_certificate_fault(place: Place<'_>, reference: &ObjectReference) -> Option<Fault> {
    let fault = certificate(place, reference).err()?;
    let reason = match fault.reason {
        "InvalidCertificateRef" => "InvalidClientCertificateRef",
        other => other,
    };
    Some(Fault { reason, ..fault })
}
