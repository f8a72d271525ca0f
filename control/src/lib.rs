//! The control plane: from configuration files to what every proxy runs, and the mesh's authority.
//!
//! [`build`] binds everything and [`Bound::serve`] runs it. Decisions are made elsewhere: what
//! resources mean in `orrery-compile`, how streams behave in `orrery-serve`, what is signed in `orrery-ca`.

mod applied;
mod apply;
mod authenticate;
mod bound;
mod certificate;
mod certificate_service;
mod changes;
mod config;
mod configuration;
mod debug;
mod grpc;
mod listen;
mod metrics;
mod process;
mod reconcile;
mod state;
mod status;

pub use bound::{Bound, build};
pub use certificate_service::{CertificateRequest, CertificateResponse};
pub use config::{AccessLog, Addresses, Config, Debounce, Mesh};
