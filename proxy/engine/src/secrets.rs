//! TLS configurations made from secrets of the snapshot, kept until one of their secrets is replaced.
//!
//! Belongs to one worker. It does not fetch secrets: one that has not arrived is an error of the connection.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;
use orrery_core::cluster::{SanMatch, UpstreamTls};
use orrery_core::listener::{ClientCertificate, DownstreamTls, FilterChain};
use orrery_core::names::SecretName;
use orrery_core::secret::{Secret, SecretContent};
use orrery_core::snapshot::Snapshot;
use orrery_net::tls::{
    Acceptor, ClientAuth, ClientSettings, Connector, Identity, Roots, ServerSettings, SubjectName, TlsError,
};

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
    ) -> Result<Built<Acceptor>, SecretError> {
        let key = Arc::as_ptr(chain) as usize;
        if let Some(built) = self.acceptors.borrow().get(&key)
            && built.generation == snapshot.generation
        {
            return Ok(Built { value: built.acceptor.clone(), own: built.own.clone() });
        }
        let identity = self.identity(snapshot, &tls.certificate)?;
        let client = match &tls.client {
            ClientCertificate::NotAsked => ClientAuth::None,
            ClientCertificate::Optional { roots } => ClientAuth::Optional(self.roots(snapshot, roots)?),
            ClientCertificate::Required { roots } => ClientAuth::Required(self.roots(snapshot, roots)?),
        };
        let acceptor = Arc::new(Acceptor::new(&ServerSettings { identity: &identity, client, alpn: &tls.alpn })?);
        let own = identity.spiffe().cloned();
        let built = BuiltAcceptor {
            chain: chain.clone(),
            generation: snapshot.generation,
            acceptor: acceptor.clone(),
            own: own.clone(),
        };
        self.acceptors.borrow_mut().insert(key, built);
        Ok(Built { value: acceptor, own })
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

    fn roots(&self, snapshot: &Snapshot, name: &SecretName) -> Result<Roots, SecretError> {
        let secret = snapshot.secrets.get(name).ok_or_else(|| SecretError::Missing(name.clone()))?;
        if let Some((parsed, roots)) = self.roots.borrow().get(name)
            && Arc::ptr_eq(parsed, secret)
        {
            return Ok(roots.clone());
        }
        let SecretContent::Roots { bundle } = &secret.content else {
            return Err(SecretError::Kind(name.clone()));
        };
        let roots = Roots::from_pem(bundle).map_err(|source| SecretError::Unusable { name: name.clone(), source })?;
        self.roots.borrow_mut().insert(name.clone(), (secret.clone(), roots.clone()));
        Ok(roots)
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
