//! Names of configuration resources as newtypes, so that a route's name cannot stand in for a cluster's.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as the control plane spelt it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared string, for records that outlive the snapshot.
            pub fn shared(&self) -> &Arc<str> {
                &self.0
            }
        }

        impl<S: Into<Arc<str>>> From<S> for $name {
            fn from(name: S) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A listener's name, e.g. `virtualOutbound` or `127.1.0.11_9080`.
    ListenerName
);
name!(
    /// A route configuration's name, e.g. `http_proxy`, `9080` or `http.8080`.
    RouteConfigName
);
name!(
    /// A cluster's name, e.g. `outbound|9080|v1|reviews.default.svc.cluster.local`.
    ClusterName
);
name!(
    /// A secret's name in SDS, e.g. `default`, `ROOTCA` or `kubernetes://shop-credential`.
    SecretName
);
