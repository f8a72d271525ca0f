//! Sockets and what is spoken on them: listeners, protocol detection, TLS with SPIFFE identities,
//! HTTP/1 and HTTP/2 connections, pools of them, and byte copying.
//!
//! It does not know the mesh's configuration, routes, policies or metrics: see `orrery-core` for
//! what is decided and `orrery-engine` for what calls this.

pub mod activity;
pub mod addr;
pub mod connect;
pub mod copy;
pub mod datagram;
pub mod detect;
pub mod http;
pub mod listener;
pub mod pool;
pub mod stream;
pub mod tls;
