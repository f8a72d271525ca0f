//! What the tests of the whole mesh stand on: starting it as a person would, and asking it questions.
//!
//! Knows the command line and the HTTP interfaces, and nothing of the crates behind them.

pub mod browser;
pub mod calls;
pub mod demo;
pub mod events;
pub mod eventually;
pub mod http;
pub mod kubernetes;
pub mod prometheus;
pub mod tools;
