//! VirtualServices, DestinationRules, ServiceEntries and gateways.

use super::check;

fn service(head: &str, spec: &str) -> String {
    format!("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{{head}}}\nspec: {{{spec}}}\n")
}

fn entry(head: &str, spec: &str) -> String {
    format!("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{{head}}}\nspec: {{{spec}}}\n")
}

fn gateway(name: &str, spec: &str) -> String {
    format!("---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

const TWO_PORTS: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {ports: [{port: 80}, {port: 81}]}\n";
const POD: &str =
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: edge, labels: {app: gate, tier: one}}\nspec: {}\n";

#[test]
fn destinations_of_routes() {
    let route = |destination: &str| {
        format!(
            "{TWO_PORTS}{}",
            service("name: v, namespace: shop", &format!("hosts: [a], http: [{{route: [{destination}]}}]"))
        )
    };
    let entries = |spec: &str, host: &str| {
        let to = format!("hosts: [x], http: [{{route: [{{destination: {{host: {host}}}}}]}}]");
        format!("{}{}", entry("name: e, namespace: other", spec), service("name: v, namespace: shop", &to))
    };
    let exported = |to: &str| {
        let hidden = TWO_PORTS.replace(
            "namespace: shop}",
            &format!("namespace: shop, annotations: {{networking.istio.io/exportTo: '{to}'}}}}"),
        );
        let away = "hosts: [x], http: [{route: [{destination: {host: a.shop.svc.cluster.local, port: {number: 80}}}]}]";
        format!("{hidden}{}", service("name: v, namespace: other", away))
    };
    check(
        "virtualservice.DestinationHostAnalyzer",
        &[
            (&route("{destination: {host: a, port: {number: 80}}}"), &[]),
            (&route("{destination: {host: a}}"), &["IST0112 VirtualService shop/v"]),
            (&route("{destination: {host: a, port: {number: 82}}}"), &["IST0101 VirtualService shop/v"]),
            (&route("{destination: {host: b}}"), &["IST0101 VirtualService shop/v"]),
            (&route("{}"), &["IST0101 VirtualService shop/v"]),
            (
                &route("{destination: {host: b}}, {destination: {host: b}}"),
                &["IST0101 VirtualService shop/v", "IST0101 VirtualService shop/v"],
            ),
            (&entries("hosts: [api.io], ports: [{number: 443}]", "api.io"), &[]),
            (&entries("hosts: [api.io], exportTo: [.]", "api.io"), &["IST0101 VirtualService shop/v"]),
            (&entries("hosts: [api.io], exportTo: [shop]", "api.io"), &[]),
            (&entries("hosts: ['*.io']", "api.io"), &[]),
            (&entries("hosts: ['*.io'], exportTo: [.]", "api.io"), &["IST0101 VirtualService shop/v"]),
            (&exported("shop, other"), &[]),
            (&exported("."), &["IST0101 VirtualService other/v"]),
            (
                &route("{destination: {host: a, port: {number: 80}}}], mirrors: [{destination: {host: nowhere}}"),
                &["IST0101 VirtualService shop/v"],
            ),
        ],
    );
}

#[test]
fn subsets_that_a_gateways_route_passes_by() {
    let rules = "hosts: [a], http: [{route: [{destination: {host: a, subset: v1, port: {number: 80}}}]}]";
    let bound = |destination: &str, gateways: &str| {
        let spec = format!(
            "hosts: [x], {gateways} http: [{{route: [{{destination: {{{destination}, port: {{number: 80}}}}}}]}}]"
        );
        format!(
            "{TWO_PORTS}{}{}",
            service("name: rules, namespace: shop", rules),
            service("name: edge, namespace: shop", &spec)
        )
    };
    check(
        "virtualservice.DestinationHostAnalyzer",
        &[
            (&bound("host: a", "gateways: [g],"), &["IST0140 VirtualService shop/edge"]),
            (&bound("host: a", ""), &[]),
            (&bound("host: a, subset: v1", "gateways: [g],"), &[]),
        ],
    );
}

#[test]
fn subsets_of_destinations() {
    let rule = |host: &str, namespace: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: {namespace}}}\nspec: {{host: {host}, subsets: [{{name: v1}}]}}\n"
        )
    };
    let to = |host: &str, subset: &str| {
        service(
            "name: v, namespace: shop",
            &format!("hosts: [a], http: [{{route: [{{destination: {{host: {host}, subset: {subset}}}}}]}}]"),
        )
    };
    let with = |one: String, other: String| format!("{one}{other}");
    check(
        "virtualservice.DestinationRuleAnalyzer",
        &[
            (&with(rule("a", "shop"), to("a", "v1")), &[]),
            (&with(rule("a", "shop"), to("a.shop.svc.cluster.local", "v1")), &[]),
            (&with(rule("a.shop.svc.cluster.local", "other"), to("a", "v1")), &[]),
            (&with(rule("a", "shop"), to("a", "v2")), &["IST0101 VirtualService shop/v"]),
            (&with(rule("a", "other"), to("a", "v1")), &["IST0101 VirtualService shop/v"]),
            (&with(rule("'*.shop.svc.cluster.local'", "shop"), to("a", "v1")), &["IST0101 VirtualService shop/v"]),
        ],
    );
}

#[test]
fn hosts_of_several_virtual_services() {
    let two = |one: &str, other: &str| {
        format!("{}{}", service("name: one, namespace: shop", one), service("name: two, namespace: other", other))
    };
    let both: &[&str] = &["IST0109 VirtualService other/two", "IST0109 VirtualService shop/one"];
    check(
        "virtualservice.ConflictingMeshGatewayHostsAnalyzer",
        &[
            (&two("hosts: [a.io]", "hosts: [a.io]"), both),
            (&two("hosts: [a]", "hosts: [a]"), &[]),
            (&two("hosts: [a]", "hosts: [a.shop.svc.cluster.local]"), both),
            (&two("hosts: [a.io], gateways: [g]", "hosts: [a.io]"), &[]),
            (&two("hosts: [a.io], gateways: [g, mesh]", "hosts: [a.io]"), both),
            (&two("hosts: [a.io], exportTo: [.]", "hosts: [a.io], exportTo: [.]"), &[]),
            (&two("hosts: [a.io], exportTo: [.]", "hosts: [a.io]"), both),
            (&two("hosts: [a.io], exportTo: [x, shop]", "hosts: [a.io], exportTo: [shop]"), both),
            (&two("hosts: ['*.io']", "hosts: [a.io]"), &[]),
            (&two("hosts: [a.io], exportTo: [.]", "hosts: ['*.io']"), both),
            (
                &service("name: one, namespace: shop", "hosts: [a, a.shop.svc.cluster.local]"),
                &["IST0109 VirtualService shop/one"],
            ),
        ],
    );
}

#[test]
fn gateways_of_virtual_services() {
    let bound = |hosts: &str, gateway_hosts: &str, reference: &str| {
        format!(
            "{}{}",
            gateway(
                "g",
                &format!(
                    "selector: {{istio: ingressgateway}}, servers: [{{port: {{number: 80}}, hosts: [{gateway_hosts}]}}]"
                )
            ),
            service("name: v", &format!("hosts: [{hosts}], gateways: [{reference}]"))
        )
    };
    let missing: &[&str] = &["IST0101 VirtualService v", "IST0132 VirtualService v"];
    check(
        "virtualservice.GatewayAnalyzer",
        &[
            (&bound("a.io", "a.io", "g"), &[]),
            (&bound("a.io", "'*.io'", "default/g"), &[]),
            (&bound("'*.io'", "a.io", "g"), &[]),
            (&bound("b.io", "a.io", "g"), &["IST0132 VirtualService v"]),
            (&bound("a.io", "./a.io", "g"), &[]),
            (&bound("a.io", "'*/a.io'", "g"), &[]),
            (&bound("a.io", "other/a.io", "g"), &["IST0132 VirtualService v"]),
            (&bound("a.io", "a.io", "h"), missing),
            (&bound("a.io", "a.io", "other/g"), missing),
            (&bound("a.io", "b.io", "mesh"), &[]),
            (&bound("a.io", "b.io", "x-istio-autogenerated-k8s-gateway-y"), &["IST0165 VirtualService v"]),
        ],
    );
}

#[test]
fn claims_need_somebody_who_verifies_them() {
    let with = |header: &str, policy: &str| {
        format!(
            "{POD}{}{}{policy}",
            gateway("g", "selector: {app: gate}, servers: []"),
            service(
                "name: v",
                &format!("hosts: [a], gateways: [g], http: [{{match: [{{headers: {{'{header}': {{exact: x}}}}}}]}}]")
            )
        )
    };
    let policy = |namespace: &str, selector: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: {namespace}}}\nspec: {{{selector}}}\n"
        )
    };
    let found: &[&str] = &["IST0149 VirtualService v"];
    check(
        "virtualservice.JWTClaimRouteAnalyzer",
        &[
            (&with("@request.auth.claims.group", ""), found),
            (&with("@request.auth.claims[group]", ""), found),
            (&with("@request.auth.claims", ""), &[]),
            (&with("x-group", ""), &[]),
            (&with("@request.auth.claims.group", &policy("edge", "")), &[]),
            (&with("@request.auth.claims.group", &policy("istio-system", "")), &[]),
            (&with("@request.auth.claims.group", &policy("edge", "selector: {matchLabels: {app: other}}")), found),
        ],
    );
}

#[test]
fn ports_of_gateways() {
    let with = |selector: &str, service: &str, port: u16| {
        format!(
            "{POD}{service}{}",
            gateway("g", &format!("selector: {{{selector}}}, servers: [{{port: {{number: {port}}}, hosts: ['*']}}]"))
        )
    };
    let service = |namespace: &str, ports: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: {namespace}}}\nspec: {{selector: {{app: gate}}, ports: [{ports}]}}\n"
        )
    };
    let port = "{port: 80, targetPort: 8080, protocol: TCP}";
    check(
        "gateway.IngressGatewayPortAnalyzer",
        &[
            (&with("app: gate", &service("edge", port), 80), &[]),
            (&with("app: gate", &service("edge", port), 8080), &[]),
            (&with("app: gate", &service("edge", port), 81), &["IST0162 Gateway g"]),
            (&with("app: gate", &service("other", port), 80), &["IST0162 Gateway g"]),
            (&with("app: gate", &service("edge", "{port: 80, protocol: UDP}"), 80), &["IST0162 Gateway g"]),
            (&with("app: none", "", 80), &["IST0101 Gateway g"]),
            (&with("istio: ingressgateway", "", 443), &[]),
            (&with("istio: ingressgateway", "", 8443), &["IST0162 Gateway g"]),
        ],
    );
}

#[test]
fn gateways_that_claim_the_same() {
    let server = |port: u16, hosts: &str| format!("{{port: {{number: {port}}}, hosts: [{hosts}]}}");
    let two = |one: &str, servers: &str, other: &str, others: &str| {
        format!(
            "{POD}{}{}",
            gateway("one", &format!("selector: {{{one}}}, servers: [{servers}]")),
            gateway("two", &format!("selector: {{{other}}}, servers: [{others}]"))
        )
    };
    let both: &[&str] = &["IST0145 Gateway one", "IST0145 Gateway two"];
    let (a, b) = (server(80, "a.io"), server(80, "b.io"));
    check(
        "gateway.ConflictingGatewayAnalyzer",
        &[
            (&two("app: gate", &a, "app: gate", &a), both),
            (&two("app: gate", &a, "app: gate", &b), &[]),
            (&two("app: gate", &a, "app: gate", &server(81, "a.io")), &[]),
            (&two("app: gate", &a, "app: gate, tier: one", &a), both),
            (&two("app: gate", &a, "app: gate, tier: two", &a), &[]),
            (&two("app: gate", &a, "tier: one", &a), &[]),
            (&two("app: gate", &a, "app: gate", &a.replace("hosts", "bind: 127.0.0.1, hosts")), &[]),
            (&two("app: gate", &a, "app: other", ""), &["IST0101 Gateway two"]),
        ],
    );
}

#[test]
fn certificates_of_several_gateways() {
    let two = |one: &str, tls: &str, other: &str, others: &str| {
        let servers = |tls: &str| format!("servers: [{{port: {{number: 443}}, hosts: ['*'], tls: {{{tls}}}}}]");
        format!(
            "{}{}",
            gateway("one", &format!("selector: {{{one}}}, {}", servers(tls))),
            gateway("two", &format!("selector: {{{other}}}, {}", servers(others)))
        )
    };
    let named = "mode: SIMPLE, credentialName: c";
    let files = "mode: SIMPLE, serverCertificate: /c, privateKey: /k";
    let both: &[&str] = &["IST0138 Gateway one", "IST0138 Gateway two"];
    check(
        "gateway.CertificateAnalyzer",
        &[
            (&two("app: gate", named, "app: gate", named), both),
            (&two("app: gate", named, "app: gate, tier: one", named), &["IST0138 Gateway one"]),
            (&two("", named, "app: gate", named), &["IST0138 Gateway one"]),
            (&two("app: gate", named, "app: other", named), &[]),
            (&two("app: gate", files, "app: gate", files), both),
            (&two("app: gate", files, "app: gate", &files.replace("/k", "/l")), &[]),
            (&two("app: gate", named, "app: gate", files), &[]),
        ],
    );
}

#[test]
fn destination_rules_without_verification() {
    let rule = |spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: a, {spec}}}\n"
        )
    };
    let port = |tls: &str| {
        rule(&format!(
            "trafficPolicy: {{portLevelSettings: [{{port: {{number: 80}}, tls: {{{tls}}}}}, {{port: {{number: 81}}, tls: {{{tls}}}}}]}}"
        ))
    };
    check(
        "destinationrule.CaCertificateAnalyzer",
        &[
            (&rule("trafficPolicy: {tls: {mode: SIMPLE}}"), &["IST0128 DestinationRule r"]),
            (&rule("trafficPolicy: {tls: {mode: MUTUAL}}"), &["IST0128 DestinationRule r"]),
            (&rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), &[]),
            (&rule("trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca}}"), &[]),
            (&rule("trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}"), &["IST0128 DestinationRule r"]),
            (&rule("workloadSelector: {}, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}"), &[]),
            (&port("mode: SIMPLE"), &["IST0129 DestinationRule r", "IST0129 DestinationRule r"]),
            (&port("mode: DISABLE"), &[]),
        ],
    );
}

#[test]
fn destination_rules_and_what_they_are_for() {
    let rule = |spec: &str| {
        format!(
            "{TWO_PORTS}{POD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: q}}\nspec: {{nodeName: n}}\n---\napiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{topology.kubernetes.io/region: eu, topology.istio.io/subzone: rack}}}}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: shop}}\nspec: {{{spec}}}\n"
        )
    };
    let subset = |labels: &str| rule(&format!("host: a, subsets: [{{name: v1, labels: {{{labels}}}}}]"));
    let unselected: &[&str] = &["IST0173 DestinationRule shop/r"];
    check(
        "destinationrule.PodNotSelectedAnalyzer",
        &[
            (&rule("host: a"), &[]),
            (&rule("host: b"), &["IST0174 DestinationRule shop/r"]),
            (&rule("host: '*.io'"), &["IST0174 DestinationRule shop/r"]),
            (&subset("app: gate"), &[]),
            (&subset("app: other"), unselected),
            (&subset("topology.kubernetes.io/region: eu"), &[]),
            (&subset("topology.kubernetes.io/region: us"), unselected),
            (&subset("topology.istio.io/subzone: rack"), unselected),
            (&subset("kubernetes.io/hostname: n"), &[]),
        ],
    );
}

#[test]
fn service_entries() {
    let tcp = "hosts: [a.io], ports: [{number: 1, protocol: TCP}, {number: 2}, {number: 3, protocol: HTTP}]";
    let two: &[&str] = &["IST0134 ServiceEntry e", "IST0134 ServiceEntry e"];
    check(
        "serviceentry.ProtocolAddressesAnalyzer",
        &[
            (&entry("name: e", tcp), two),
            (&entry("name: e", &tcp.replace("TCP", "tcp")), two),
            (&entry("name: e", &format!("{tcp}, addresses: [240.0.0.1]")), &[]),
            (&format!("{}status: {{addresses: [{{value: 240.240.0.1}}]}}\n", entry("name: e", tcp)), &[]),
        ],
    );
    let both = |one: &str, other: &str| {
        format!(
            "{}{}",
            entry("name: one, namespace: a", &format!("hosts: [a.io], ports: [{{number: 1, protocol: TCP}}]{one}")),
            entry("name: two, namespace: b", &format!("hosts: [a.io], ports: [{{number: 1, protocol: {other}"))
        )
    };
    let conflict: &[&str] = &["IST0177 ServiceEntry a/one", "IST0177 ServiceEntry b/two"];
    check(
        "serviceentry.ConflictingServiceEntryProtocolAnalyzer",
        &[
            (&both("", "HTTP}]"), conflict),
            (&both("", "tcp}]"), &[]),
            (&both(", exportTo: [.]", "HTTP}], exportTo: [.]"), &[]),
            (&both(", exportTo: [.]", "HTTP}], exportTo: [a]"), conflict),
            (&both(", exportTo: [.]", "HTTP}]"), conflict),
        ],
    );
}
