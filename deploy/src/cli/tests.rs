use clap::CommandFactory;

use super::*;

#[test]
fn flags_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn wrong_usage_is_told() {
    for line in [
        &["orrery", "demo", "--rps", "0"][..],
        &["orrery", "demo", "--address-range", "11.0.0.0/16"],
        &["orrery", "proxy", "sidecar"],
        &["orrery", "dashboard", "proxy"],
        &["orrery", "delete", "vs"],
        &["orrery", "delete", "vs", "reviews", "-f", "file.yaml"],
        &["orrery", "apply"],
        &["orrery", "get", "-A", "-n", "default"],
        &["orrery", "graph", "--duration", "soon"],
        &["orrery", "proxy-config", "bootstrap", "--workload", "reviews-v1"],
        &["orrery", "proxy-config", "bootstrap", "--envoy"],
        &["orrery", "nonsense"],
    ] {
        assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
    }
    assert!(Cli::try_parse_from(["orrery", "demo", "--headless", "--duration", "60s", "--ports", "any"]).is_ok());
}

#[test]
fn a_hop_takes_the_flags_of_the_bench() {
    let line = "orrery proxy hop --listen 0.0.0.0:1 --upstream localhost:2 --mode mesh --tls-in server --tls-out mutual \
        --certs d --proto-in h2 --proto-out h1 --workers 2 --services 100 --endpoints 1000";
    let Command::Proxy(ProxyCommand::Hop(hop)) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("not a hop");
    };
    assert_eq!((hop.mode, hop.tls_in, hop.tls_out), (HopMode::Mesh, HopTlsIn::Server, HopTlsOut::Mutual));
    assert_eq!((hop.proto_in, hop.proto_out), (HopProtocol::H2, HopProtocol::H1));
    assert_eq!((hop.workers, hop.services, hop.endpoints), (2, 100, 1000));
}
