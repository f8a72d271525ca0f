//! Namespaces, pods, deployments, services, and what is injected into them.

use super::{check, findings};

fn namespace(labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n")
}

fn pod(head: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: shop, {head}}}\nspec: {{{spec}}}\n")
}

const INJECTOR: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector, namespace: istio-system}\ndata: {values: '{\"global\": {\"hub\": \"h\", \"tag\": \"1\", \"proxy\": {\"image\": \"proxyv2\"}}, \"sidecarInjectorWebhook\": {\"enableNamespacesByDefault\": true}}'}\n";

#[test]
fn namespaces_and_pods_without_injection() {
    let with = |labels: &str, pod: &str| format!("{}{pod}", namespace(labels));
    let (plain, on) = (pod("", "containers: [{name: app}]"), "istio-injection: enabled");
    let missing: &[&str] = &["IST0103 Pod shop/p"];
    check(
        "injection.Analyzer",
        &[
            (&with("", ""), &["IST0102 Namespace shop"]),
            (&format!("{INJECTOR}{}", with("", "")), &["IST0148 Namespace shop"]),
            (&with("istio-injection: disabled", &plain), &[]),
            (&with(on, &plain), missing),
            (&with("istio.io/rev: canary", &plain), &[]),
            (&with("istio.io/dataplane-mode: ambient", &plain), &[]),
            (&with(&format!("{on}, istio.io/rev: canary"), &plain), &["IST0103 Pod shop/p", "IST0123 Namespace shop"]),
            (&with(&format!("{on}, istio.io/dataplane-mode: ambient"), &plain), &["IST0123 Namespace shop"]),
            (&with("istio-injection: disabled, istio.io/rev: canary", &plain), &[]),
            (&with("istio.io/rev: canary, istio.io/dataplane-mode: ambient", ""), &["IST0123 Namespace shop"]),
            (&with(on, &pod("", "containers: [{name: istio-proxy, image: x}]")), &[]),
            (&with(on, &pod("", "initContainers: [{name: istio-proxy, image: x}]")), &[]),
            (&with(on, &pod("", "containers: [{name: istio-proxy}]")), missing),
            (&with(on, &pod("labels: {sidecar.istio.io/inject: 'False'}", "")), &[]),
            (&with(on, &pod("annotations: {sidecar.istio.io/inject: 'false'}", "")), &[]),
            (
                &with(
                    on,
                    &pod(
                        "annotations: {sidecar.istio.io/inject: 'false'}, labels: {sidecar.istio.io/inject: 'true'}",
                        "",
                    ),
                ),
                missing,
            ),
            (&with(on, &pod("", "hostNetwork: true")), &[]),
        ],
    );
    assert!(findings("injection.Analyzer", &namespace("").replace("name: shop", "name: istio-system")).is_empty());
    assert!(findings("injection.Analyzer", &namespace("").replace("name: shop", "name: kube-system")).is_empty());
}

#[test]
fn images_of_sidecars() {
    let with = |head: &str, image: &str, more: &str| {
        let pod = pod(head, &format!("containers: [{{name: istio-proxy, image: '{image}'}}]"));
        format!("{INJECTOR}{}{pod}{more}", namespace("istio-injection: enabled"))
    };
    let config = |head: &str, spec: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {{name: c, {head}}}\nspec: {{{spec}, image: {{imageType: debug}}}}\n"
        )
    };
    let old: &[&str] = &["IST0158 Namespace shop"];
    check(
        "injection.ImageAnalyzer",
        &[
            (&with("", "h/proxyv2:1", ""), &[]),
            (&with("", "h/proxyv2:0", ""), old),
            (&with("", "h/proxyv2:1-debug", ""), old),
            (&with("", "h/proxyv2:1-debug", &config("namespace: shop", "concurrency: 1")), &[]),
            (&with("", "h/proxyv2:1-debug", &config("namespace: istio-system", "concurrency: 1")), &[]),
            (&with("", "h/proxyv2:1-debug", &config("namespace: other", "concurrency: 1")), old),
            (&with("", "h/proxyv2:1-debug", &config("namespace: shop", "selector: {matchLabels: {a: b}}")), old),
            (
                &with(
                    "labels: {a: b}",
                    "h/proxyv2:1-debug",
                    &config("namespace: shop", "selector: {matchLabels: {a: b}}"),
                ),
                &[],
            ),
            (&with("annotations: {proxy.istio.io/config: 'image: {imageType: debug}'}", "h/proxyv2:1-debug", ""), &[]),
            (&with("annotations: {sidecar.istio.io/proxyImage: own}", "own", ""), &[]),
        ],
    );
    let auto = |kind: &str, labels: &str| {
        let containers = "containers: [{name: istio-proxy, image: auto}]";
        let spec = match kind {
            "Pod" => containers.to_owned(),
            _ => format!("template: {{metadata: {{labels: {{{labels}}}}}, spec: {{{containers}}}}}"),
        };
        let webhook = "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: w}\nwebhooks: [{name: namespace.sidecar-injector.istio.io, objectSelector: {matchLabels: {mesh: 'yes'}}}]\n";
        format!("{webhook}---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{{spec}}}\n")
    };
    check(
        "injection.ImageAutoAnalyzer",
        &[
            (&auto("Pod", ""), &["IST0147 Pod a"]),
            (&auto("Deployment", "mesh: 'yes'"), &[]),
            (&auto("Deployment", "mesh: 'no'"), &["IST0146 Deployment a"]),
        ],
    );
}

#[test]
fn deployments_and_the_services_that_select_them() {
    let deployment = |head: &str, labels: &str| {
        format!(
            "{}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: shop, {head}}}\nspec: {{template: {{metadata: {{labels: {{app: a{labels}}}}}, spec: {{}}}}}}\n",
            namespace("istio-injection: enabled")
        )
    };
    let service = |name: &str, ports: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: a}}, ports: [{ports}]}}\n"
        )
    };
    let with = |head: &str, labels: &str, ports: &str, more: &str| {
        format!("{}{}{}", deployment(head, labels), service("one", ports), service("two", more))
    };
    let udp = "{port: 80, protocol: UDP}";
    check(
        "deployment.ServiceAssociationAnalyzer",
        &[
            (&with("", "", "{port: 80}", "{port: 80}"), &[]),
            (&with("", "", "{port: 80}", udp), &["IST0116 Deployment shop/d"]),
            (&with("", ", sidecar.istio.io/inject: 'false'", "{port: 80}", udp), &[]),
            (&with("labels: {gateway.istio.io/managed: istio.io-mesh-controller}", "", "{port: 80}", udp), &[]),
            (
                &with("", "", "{port: 80, targetPort: 8080}", "{port: 81, targetPort: 8080}"),
                &["IST0137 Deployment shop/d"],
            ),
            (
                &with("", "", "{port: 80, targetPort: web}, {port: 81, targetPort: web}", ""),
                &["IST0137 Deployment shop/d"],
            ),
            (&with("", "", "{port: 80}", "{port: 81, targetPort: 80}"), &["IST0137 Deployment shop/d"]),
        ],
    );
}

#[test]
fn users_of_applications() {
    let root = "securityContext: {runAsUser: 1337}";
    check(
        "deployment.ApplicationUIDAnalyzer",
        &[
            (&pod("", root), &["IST0144 Pod shop/p"]),
            (&pod("", &format!("containers: [{{name: app, {root}}}]")), &["IST0144 Pod shop/p"]),
            (&pod("", &format!("containers: [{{name: istio-proxy, {root}}}]")), &[]),
            (&pod("", &format!("initContainers: [{{name: app, {root}}}]")), &[]),
            (&pod("labels: {istio: pilot}", root), &[]),
            (&pod("labels: {release: istio}", root), &[]),
        ],
    );
}

#[test]
fn names_of_ports() {
    let service = |head: &str, spec: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s, {head}}}\nspec: {{{spec}}}\n")
    };
    let named = |port: &str| service("", &format!("ports: [{{port: 80, {port}}}]"));
    let unnamed: &[&str] = &["IST0118 Service s"];
    check(
        "service.PortNameAnalyzer",
        &[
            (&named("name: http"), &[]),
            (&named("name: http-web"), &[]),
            (&named("name: grpc-web-x"), &[]),
            (&named("name: httpx"), unnamed),
            (&named("name: dns"), unnamed),
            (&named("name: x, protocol: UDP"), &[]),
            (&named("name: x, appProtocol: http"), &[]),
            (&named("name: http, appProtocol: x"), unnamed),
            (&named("name: x, appProtocol: kubernetes.io/h2c"), &[]),
            (&service("", "ports: [{port: 3306}]"), &[]),
            (&service("", "ports: [{port: 80}, {port: 81}]"), &["IST0118 Service s", "IST0118 Service s"]),
            (&service("labels: {istio: x}", "ports: [{port: 80}]"), &[]),
            (&service("labels: {gateway.istio.io/managed: istio.io-gateway-controller}", "ports: [{port: 80}]"), &[]),
            (&service("", "type: ExternalName, ports: [{port: 80, name: tcp}]"), &["IST0150 Service s"]),
            (&service("", "type: ExternalName, ports: [{port: 80, name: tls}]"), &[]),
        ],
    );
}

#[test]
fn annotations() {
    let with = |annotations: &str| pod(&format!("annotations: {{{annotations}}}"), "");
    check(
        "annotations.K8sAnalyzer",
        &[
            (&with("sidecar.istio.io/unheard: x"), &["IST0108 Pod shop/p"]),
            (&with("example.com/x: y"), &[]),
            (&with("networking.istio.io/exportTo: x"), &["IST0107 Pod shop/p"]),
            (&with("sidecar.istio.io/interceptionMode: x"), &["IST0125 Pod shop/p"]),
            (&with("sidecar.istio.io/inject: 'true'"), &["IST0135 Pod shop/p"]),
            (
                &pod("labels: {sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'true'}", ""),
                &[],
            ),
            (&with("sidecar.istio.io/status: x, istio.io/rev: y"), &[]),
        ],
    );
    check(
        "maturity.AlphaAnalyzer",
        &[
            (&with("sidecar.istio.io/logLevel: x, sidecar.istio.io/interceptionMode: NONE"), &["IST0136 Pod shop/p"]),
            (&with("proxy.istio.io/config: ''"), &[]),
            (
                &pod("annotations: {sidecar.istio.io/interceptionMode: NONE}", "initContainers: [{name: istio-init}]"),
                &["IST0136 Pod shop/p"],
            ),
        ],
    );
}

#[test]
fn services_of_several_clusters() {
    let service = |spec: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: shop}}\nspec: {{{spec}}}\n")
    };
    for (one, other, differs) in [
        ("ports: [{name: a, port: 1}, {name: b, port: 2}]", "ports: [{name: b, port: 2}, {name: a, port: 1}]", false),
        ("ports: [{port: 1}]", "ports: [{port: 2}]", true),
        ("clusterIP: None", "clusterIP: 10.0.0.1", true),
        ("type: NodePort", "type: LoadBalancer", true),
    ] {
        let mut builder = crate::SnapshotBuilder::new("default", std::time::SystemTime::UNIX_EPOCH);
        builder.add_file("one.yaml", &service(one)).unwrap();
        builder.add_file_of_cluster("two", "two.yaml", &service(other)).unwrap();
        let found = crate::analyze(&builder.build(), &[crate::find("multicluster.ServiceAnalyzer").unwrap()]);
        assert_eq!(found.iter().any(|finding| finding.code.number() == "IST0170"), differs, "{one} {other}");
    }
}
