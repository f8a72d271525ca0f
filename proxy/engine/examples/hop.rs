//! A standalone hop, with the flags of `orrery proxy hop`: for measurements of the engine alone.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::collections::HashMap;

use orrery_engine::hop::{HopConfig, HopMode, HopProtocol, HopTlsIn, HopTlsOut, run};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut flags: HashMap<String, String> = HashMap::new();
    let mut words = std::env::args().skip_while(|word| !word.starts_with("--"));
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        flags.insert(name, value);
    }
    let get = |name: &str, default: &str| flags.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let protocol = |name: &str| if get(name, "h1") == "h2" { HopProtocol::H2 } else { HopProtocol::H1 };
    let config = HopConfig {
        listen: get("--listen", "127.0.0.1:0").parse()?,
        upstream: get("--upstream", "127.0.0.1:80").parse()?,
        mode: match get("--mode", "http").as_str() {
            "h2" => HopMode::H2,
            "mesh" => HopMode::Mesh,
            "tcp" => HopMode::Tcp,
            _ => HopMode::Http,
        },
        tls_in: match get("--tls-in", "none").as_str() {
            "server" => HopTlsIn::Server,
            "mutual" => HopTlsIn::Mutual,
            _ => HopTlsIn::None,
        },
        tls_out: if get("--tls-out", "none") == "mutual" { HopTlsOut::Mutual } else { HopTlsOut::None },
        proto_in: protocol("--proto-in"),
        proto_out: protocol("--proto-out"),
        certs: get("--certs", ".").into(),
        workers: get("--workers", "1").parse()?,
        services: get("--services", "0").parse()?,
        endpoints: get("--endpoints", "0").parse()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(config, CancellationToken::new(), |address| println!("listening on {address}")))?;
    Ok(())
}
