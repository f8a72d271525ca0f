//! The mesh's certificate authority: roots, signing requests, SPIFFE certificates and bootstrap tokens.
//!
//! Issuing and verifying are pure: the time is an argument. Only [`store`] touches files.
//! This crate knows nothing of gRPC, of sockets, or of how a caller proved who it is.

pub mod authority;
pub mod csr;
pub mod error;
pub mod identity;
pub mod root;
pub mod store;
pub mod token;

pub use authority::{Authority, Issued, Limits, ServerCertificate};
pub use csr::SigningRequest;
pub use error::{Error, Result};
pub use identity::Identity;
pub use root::Root;
pub use token::{Claims, TokenError, TokenKey};
