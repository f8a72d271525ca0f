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
        &["orrery", "demo", "--address-range", "10.0.0.0/16"],
        &["orrery", "proxy", "sidecar"],
        &["orrery", "nonsense"],
    ] {
        assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
    }
    assert!(Cli::try_parse_from(["orrery", "demo", "--headless", "--duration", "60s", "--ports", "any"]).is_ok());
}
