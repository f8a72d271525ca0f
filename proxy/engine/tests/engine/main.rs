//! The engine from outside: real sockets on loopback, real worker threads, snapshots made by hand.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod connections;
mod cors;
mod datagrams;
mod faults;
mod framing;
mod harness;
mod mesh;
mod protocols;
mod retries;
mod routing;
mod tunnels;
