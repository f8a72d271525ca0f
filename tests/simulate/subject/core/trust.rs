//! Whether a filter chain lets a client in with the certificate that it has, and shows one that the client trusts.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orrery_core::listener::{ClientCertificate, FilterChain};
use orrery_core::names::SecretName;
use orrery_core::secret::SecretContent;
use orrery_core::snapshot::Snapshot;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;

use crate::case::{ObjectRef, Outcome, Tls};
use crate::cluster::Cluster;

pub(super) fn client_is_let_in(
    snapshot: &Snapshot,
    cluster: &Cluster,
    chain: &FilterChain,
    tls: &Tls,
    path: &mut Vec<String>,
) -> Result<(), Outcome> {
    let Some(settings) = &chain.tls else { return Ok(()) };
    let verdict = match (&settings.client, &tls.certificate) {
        (ClientCertificate::NotAsked | ClientCertificate::Untrusted, _) | (ClientCertificate::Optional(_), None) => {
            Ok(())
        }
        (ClientCertificate::Required(_), None) => Err("a client certificate is required".to_owned()),
        (ClientCertificate::Required(trust) | ClientCertificate::Optional(trust), Some(shown)) => {
            verify(snapshot, cluster, &trust.roots, shown)
        }
    };
    verdict.map_err(|why| {
        path.push(why);
        Outcome::TlsError
    })
}

fn verify(snapshot: &Snapshot, cluster: &Cluster, roots: &SecretName, shown: &ObjectRef) -> Result<(), String> {
    let Some(SecretContent::Roots { bundle, .. }) = snapshot.secrets.get(roots).map(|secret| &secret.content) else {
        return Err(format!("the roots {roots} are not there"));
    };
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        store.add(root.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let pem = certificate(cluster, shown).ok_or_else(|| format!("{shown} has no certificate"))?;
    let leaf = CertificateDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let verified = verifier.verify_client_cert(&leaf, &[], UnixTime::now());
    verified.map(drop).map_err(|error| format!("the client's certificate is refused: {error}"))
}

fn certificate(cluster: &Cluster, shown: &ObjectRef) -> Option<Vec<u8>> {
    let secret = cluster.get("Secret", &shown.namespace, &shown.name)?;
    STANDARD.decode(secret["data"]["tls.crt"].as_str()?).ok()
}
