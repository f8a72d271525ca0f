//! What the tests of the whole mesh stand on: starting it as a person would, and asking it questions.
//!
//! Knows the command line and the HTTP interfaces, and nothing of the crates behind them.

pub mod ads;
pub mod browser;
pub mod calls;
pub mod control;
pub mod demo;
pub mod events;
pub mod eventually;
pub mod http;
pub mod prometheus;
pub mod tools;
pub mod wide_mesh;
