//! Servers as Istio's documentation writes them, and what is refused of them.

use crate::{Gateway, Problem, ServerProtocol, ServerTlsMode, Spec, TlsVersion, parse};

fn read(server: &str) -> Result<Gateway, Vec<Problem>> {
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: g}}, spec: {{selector: {{a: b}}, servers: [{server}]}}}}"
    );
    parse(&text, "f", "shop").map(|mut objects| match objects.remove(0).spec {
        Spec::Gateway(gateway) => gateway,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_server_with_everything() {
    let gateway = read(
        "{name: n, bind: 10.0.0.1, port: {number: 443, name: https, protocol: HTTPS}, hosts: ['./a.example', '*/B.example', 'other/*.c.example', '*'],
          tls: {mode: OPTIONAL_MUTUAL, credentialNames: [rsa, ecdsa], caCertCredentialName: 'configmap://x/roots', minProtocolVersion: TLSV1_2,
                maxProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384], subjectAltNames: [c.example]}}",
    )
    .unwrap();
    let server = &gateway.servers[0];
    let hosts: Vec<(Option<&str>, &str)> =
        server.hosts.iter().map(|one| (one.namespace.as_deref(), one.host.value.as_str())).collect();
    assert_eq!(hosts, [(Some("shop"), "a.example"), (None, "b.example"), (Some("other"), "*.c.example"), (None, "*")]);
    assert_eq!((server.port, server.port_name.as_str(), server.protocol), (443, "https", ServerProtocol::Https));
    assert_eq!((server.name.as_str(), server.bind), ("n", "10.0.0.1".parse().ok()));
    let tls = server.tls.as_ref().unwrap();
    assert_eq!(
        (tls.mode, tls.versions),
        (ServerTlsMode::OptionalMutual, (Some(TlsVersion::V1_2), Some(TlsVersion::V1_3)))
    );
    assert_eq!(tls.credentials, ["rsa", "ecdsa"]);
    assert!(server.ends_https() && !server.passes_tls());
}

#[test]
fn tls_without_a_mode_is_passed_on_as_in_istio() {
    let gateway = read("{port: {number: 443, protocol: HTTPS}, hosts: ['*'], tls: {credentialName: x}}").unwrap();
    assert!(gateway.servers[0].passes_tls());
    let gateway = read("{port: {number: 80, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}").unwrap();
    assert!(gateway.servers[0].tls.as_ref().unwrap().https_redirect);
}

#[test]
fn what_cannot_be_done_is_refused_by_field() {
    for (server, field, message) in [
        ("{port: {number: 443, protocol: HTTPS}, hosts: ['*']}", "spec.servers[0]", "needs tls settings"),
        (
            "{port: {number: 80, protocol: HTTP}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: x}}",
            "spec.servers[0]",
            "has no TLS",
        ),
        (
            "{port: {number: 443, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}",
            "spec.servers[0].tls",
            "needs a certificate",
        ),
        (
            "{port: {number: 443, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: x, minProtocolVersion: TLSV1_0}}",
            "spec.servers[0].tls.minProtocolVersion",
            "do not speak it",
        ),
        (
            "{port: {number: 443, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: x, cipherSuites: [AES128-SHA]}}",
            "spec.servers[0].tls.cipherSuites[0]",
            "do not have the cipher suite",
        ),
        (
            "{port: {number: 443, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, serverCertificate: /a}}",
            "spec.servers[0].tls.serverCertificate",
            "files of the proxy are not read",
        ),
        ("{port: {number: 80, protocol: HTTP}, hosts: ['a*.b']}", "spec.servers[0].hosts[0]", "is no host"),
        ("{port: {number: 80, protocol: HTTP}, hosts: ['*'], bind: here}", "spec.servers[0].bind", "is no IP address"),
    ] {
        let problems = read(server).unwrap_err();
        let found = problems.iter().any(|problem| problem.field == field && problem.message.contains(message));
        assert!(found, "{server}: {problems:#?}");
    }
}
