//! TLS configurations made from secrets of the snapshot, kept until one of their secrets is replaced.
//!
//! Belongs to one worker. It does not fetch secrets: one that has not arrived is an error of the connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use orrery_core::cluster::{SanMatch, UpstreamTls};
use orrery_core::listener::{CipherSuite, ClientCertificate, ClientTrust, DownstreamTls, FilterChain, TlsVersions};
use orrery_core::names::SecretName;
use orrery_core::secret::{Secret, SecretContent};
use orrery_core::snapshot::Snapshot;
use orrery_net::tls::{
    Acceptor, CipherSuite as SuiteNumber, ClientAuth, ClientSettings, Clients, Connector, Identity, Roots,
    ServerSettings, SubjectName, TlsError, Versions,
};

/// Handshakes at the same time of one filter chain and worker; further connections are closed.
const MAX_HANDSHAKES: u32 = 1024;

/// Why TLS cannot be spoken at the moment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the secret {0} has not arrived from the control plane or the certificate authority yet")]
    Missing(SecretName),
    #[error("the secret {0} is of the wrong kind: roots where a certificate belongs, or the other way round")]
    Kind(SecretName),
    #[error("the secret {name} cannot be used: {source}")]
    Unusable { name: SecretName, source: TlsError },
    #[error("TLS cannot be configured: {0}")]
    Config(#[from] TlsError),
}

/// What an upstream connection will carry: decides which protocols are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wire {
    Http1,
    Http2,
    Opaque,
}

/// Parsed secrets and what was built with them.
#[derive(Debug, Default)]
pub(crate) struct TlsStore {
    identities: RefCell<HashMap<SecretName, (Arc<Secret>, Identity)>>,
    roots: RefCell<HashMap<SecretName, (Arc<Secret>, Roots)>>,
    acceptors: RefCell<HashMap<usize, BuiltAcceptor>>,
    connectors: RefCell<HashMap<(usize, Wire), BuiltConnector>>,
}

#[derive(Debug)]
struct BuiltAcceptor {
    chain: Arc<FilterChain>,
    generation: u64,
    acceptor: Arc<Acceptor>,
    own: Option<Arc<str>>,
    handshakes: Handshakes,
}

/// Handshakes of one filter chain that are under way on this worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshakes(Rc<Cell<u32>>);

/// One of them; dropping it ends the count.
#[derive(Debug)]
pub(crate) struct Handshake(Rc<Cell<u32>>);

impl Handshakes {
    /// Begins one, if there are not too many: each costs time and memory before anybody knows who is there.
    pub(crate) fn begin(&self) -> Option<Handshake> {
        let count = self.0.get();
        (count < MAX_HANDSHAKES).then(|| {
            self.0.set(count + 1);
            Handshake(self.0.clone())
        })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// How TLS is ended for a filter chain.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) acceptor: Arc<Acceptor>,
    /// Our own SPIFFE name that it shows.
    pub(crate) own: Option<Arc<str>>,
    pub(crate) handshakes: Handshakes,
}

#[derive(Debug)]
struct BuiltConnector {
    tls: Arc<UpstreamTls>,
    generation: u64,
    connector: Arc<Connector>,
    own: Option<Arc<str>>,
}

/// Something built, and our own SPIFFE name that it shows.
#[derive(Clone, Debug)]
pub(crate) struct Built<T> {
    pub(crate) value: Arc<T>,
    pub(crate) own: Option<Arc<str>>,
}

impl BuiltAcceptor {
    fn ending(&self) -> Ending {
        Ending { acceptor: self.acceptor.clone(), own: self.own.clone(), handshakes: self.handshakes.clone() }
    }
}

impl TlsStore {
    /// Forgets what belongs to filter chains and clusters that are gone; called when a snapshot was replaced.
    pub(crate) fn forget_unused(&self) {
        self.acceptors.borrow_mut().retain(|_, built| Arc::strong_count(&built.chain) > 1);
        self.connectors.borrow_mut().retain(|_, built| Arc::strong_count(&built.tls) > 1);
    }

    /// How TLS is ended for this filter chain.
    pub(crate) fn acceptor(
        &self,
        snapshot: &Snapshot,
        chain: &Arc<FilterChain>,
        tls: &DownstreamTls,
    ) -> Result<Ending, SecretError> {
        let key = Arc::as_ptr(chain) as usize;
        let last = self.acceptors.borrow().get(&key).map(|built| (built.generation, built.ending()));
        let handshakes = match last {
            Some((generation, ending)) if generation == snapshot.generation => return Ok(ending),
            Some((_, ending)) => ending.handshakes,
            None => Handshakes::default(),
        };
        let identities: Vec<Identity> =
            tls.certificates.iter().map(|name| self.identity(snapshot, name)).collect::<Result<_, _>>()?;
        let client = match &tls.client {
            ClientCertificate::NotAsked => ClientAuth::None,
            ClientCertificate::Optional(trust) => ClientAuth::Optional(self.clients(snapshot, trust)?),
            ClientCertificate::Required(trust) => ClientAuth::Required(self.clients(snapshot, trust)?),
            ClientCertificate::Untrusted => ClientAuth::Untrusted,
        };
        let acceptor = Arc::new(Acceptor::new(&ServerSettings {
            identities: &identities,
            client,
            alpn: &tls.alpn,
            versions: versions(tls.versions),
            cipher_suites: &tls.cipher_suites.iter().copied().map(cipher_suite).collect::<Vec<_>>(),
        })?);
        let own = identities.first().and_then(|identity| identity.spiffe().cloned());
        let built = BuiltAcceptor { chain: chain.clone(), generation: snapshot.generation, acceptor, own, handshakes };
        let ending = built.ending();
        self.acceptors.borrow_mut().insert(key, built);
        Ok(ending)
    }

    /// How TLS is begun with endpoints of a cluster.
    pub(crate) fn connector(
        &self,
        snapshot: &Snapshot,
        tls: &Arc<UpstreamTls>,
        wire: Wire,
    ) -> Result<Built<Connector>, SecretError> {
        let key = (Arc::as_ptr(tls) as usize, wire);
        if let Some(built) = self.connectors.borrow().get(&key)
            && built.generation == snapshot.generation
        {
            return Ok(Built { value: built.connector.clone(), own: built.own.clone() });
        }
        let identity = tls.certificate.as_ref().map(|name| self.identity(snapshot, name)).transpose()?;
        let roots = tls.roots.as_ref().map(|name| self.roots(snapshot, name)).transpose()?;
        let names: Vec<SubjectName> = tls.subject_alt_names.iter().map(subject_name).collect();
        let connector = Arc::new(Connector::new(&ClientSettings {
            identity: identity.as_ref(),
            roots: roots.as_ref(),
            names: &names,
            sni: tls.sni.as_deref(),
            alpn: &offered(tls, wire),
        })?);
        let own = identity.as_ref().and_then(|identity| identity.spiffe().cloned());
        let built = BuiltConnector {
            tls: tls.clone(),
            generation: snapshot.generation,
            connector: connector.clone(),
            own: own.clone(),
        };
        self.connectors.borrow_mut().insert(key, built);
        Ok(Built { value: connector, own })
    }

    fn identity(&self, snapshot: &Snapshot, name: &SecretName) -> Result<Identity, SecretError> {
        let secret = snapshot.secrets.get(name).ok_or_else(|| SecretError::Missing(name.clone()))?;
        if let Some((parsed, identity)) = self.identities.borrow().get(name)
            && Arc::ptr_eq(parsed, secret)
        {
            return Ok(identity.clone());
        }
        let SecretContent::Certificate { chain, key } = &secret.content else {
            return Err(SecretError::Kind(name.clone()));
        };
        let identity = Identity::from_pem(chain, key.reveal())
            .map_err(|source| SecretError::Unusable { name: name.clone(), source })?;
        self.identities.borrow_mut().insert(name.clone(), (secret.clone(), identity.clone()));
        Ok(identity)
    }

    fn clients(&self, snapshot: &Snapshot, trust: &ClientTrust) -> Result<Clients, SecretError> {
        let names = trust.names.iter().map(subject_name).collect();
        Ok(Clients { roots: self.roots(snapshot, &trust.roots)?, names })
    }

    fn roots(&self, snapshot: &Snapshot, name: &SecretName) -> Result<Roots, SecretError> {
        let secret = snapshot.secrets.get(name).ok_or_else(|| SecretError::Missing(name.clone()))?;
        if let Some((parsed, roots)) = self.roots.borrow().get(name)
            && Arc::ptr_eq(parsed, secret)
        {
            return Ok(roots.clone());
        }
        let SecretContent::Roots { bundle, revoked } = &secret.content else {
            return Err(SecretError::Kind(name.clone()));
        };
        let roots = Roots::from_pem(bundle)
            .and_then(|roots| roots.without(revoked.as_deref()))
            .map_err(|source| SecretError::Unusable { name: name.clone(), source })?;
        self.roots.borrow_mut().insert(name.clone(), (secret.clone(), roots.clone()));
        Ok(roots)
    }
}

fn versions(versions: TlsVersions) -> Versions {
    match versions {
        TlsVersions::Both => Versions::Both,
        TlsVersions::Only12 => Versions::Only12,
        TlsVersions::Only13 => Versions::Only13,
    }
}

fn cipher_suite(suite: CipherSuite) -> SuiteNumber {
    match suite {
        CipherSuite::EcdsaAes128 => SuiteNumber::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256 => SuiteNumber::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20 => SuiteNumber::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::RsaAes128 => SuiteNumber::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256 => SuiteNumber::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChacha20 => SuiteNumber::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn subject_name(name: &SanMatch) -> SubjectName {
    match name {
        SanMatch::Uri(uri) => SubjectName::Uri(uri.clone()),
        SanMatch::UriPrefix(prefix) => SubjectName::UriPrefix(prefix.clone()),
        SanMatch::Dns(host) => SubjectName::Dns(host.clone()),
    }
}

/// Offered protocols. Inside the mesh Istio's own names come first: they tell the server's proxy that this is mesh TLS,
/// and not TLS of the application.
fn offered(tls: &UpstreamTls, wire: Wire) -> Vec<&str> {
    match (tls.mesh, wire) {
        (true, Wire::Http1) => vec!["istio-http/1.1", "istio", "http/1.1"],
        (true, Wire::Http2) => vec!["istio-h2", "istio", "h2"],
        (true, Wire::Opaque) => vec!["istio-peer-exchange", "istio"],
        (false, _) if !tls.alpn.is_empty() => tls.alpn.iter().map(|name| &**name).collect(),
        (false, Wire::Http1) => vec!["http/1.1"],
        (false, Wire::Http2) => vec!["h2"],
        (false, Wire::Opaque) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded() {
        let handshakes = Handshakes::default();
        let mut under_way: Vec<Handshake> = (0..MAX_HANDSHAKES).map(|_| handshakes.begin().unwrap()).collect();
        assert!(handshakes.begin().is_none());
        under_way.pop();
        assert!(handshakes.begin().is_some());
    }
}
