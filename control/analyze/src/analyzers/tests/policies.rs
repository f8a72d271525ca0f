//! Policies, Sidecars, Telemetries, EnvoyFilters, webhooks, conditions and definitions.

use super::check;

fn object(version: &str, kind: &str, head: &str, spec: &str) -> String {
    format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{{head}}}\nspec: {{{spec}}}\n")
}

fn pod(head: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{{head}}}\nspec: {{containers: [{{name: istio-proxy, image: x}}]}}\n"
    )
}

#[test]
fn authorization_policies() {
    let policy = |namespace: &str, spec: &str| {
        let pods = pod("name: p, namespace: shop, labels: {app: a}");
        let policy =
            object("security.istio.io/v1", "AuthorizationPolicy", &format!("name: x, namespace: {namespace}"), spec);
        format!("{pods}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n{policy}")
    };
    let from = |field: &str| policy("shop", &format!("rules: [{{from: [{{source: {{{field}}}}}]}}]"));
    check(
        "authz.AuthorizationPoliciesAnalyzer",
        &[
            (&policy("shop", ""), &[]),
            (&policy("other", ""), &["IST0127 AuthorizationPolicy other/x"]),
            (&policy("shop", "selector: {matchLabels: {app: a}}"), &[]),
            (&policy("shop", "selector: {matchLabels: {app: b}}"), &["IST0127 AuthorizationPolicy shop/x"]),
            (&policy("istio-system", ""), &[]),
            (&policy("istio-system", "selector: {matchLabels: {app: a}}"), &[]),
            (
                &policy("istio-system", "selector: {matchLabels: {app: b}}"),
                &["IST0127 AuthorizationPolicy istio-system/x"],
            ),
            (&from("namespaces: [shop, SHOP, 'sh*', '*op', '*']"), &[]),
            (
                &from("namespaces: [a, a]"),
                &["IST0101 AuthorizationPolicy shop/x", "IST0101 AuthorizationPolicy shop/x"],
            ),
            (&from("notNamespaces: [a]"), &["IST0101 AuthorizationPolicy shop/x"]),
        ],
    );
}

#[test]
fn keys_from_anywhere() {
    let with = |environment: &str, policy: &str| {
        let spec = format!("template: {{spec: {{containers: [{{env: [{environment}]}}]}}}}");
        format!("{}{policy}", object("apps/v1", "Deployment", "name: i, labels: {app: istiod}", &spec))
    };
    let policy = object("security.istio.io/v1", "RequestAuthentication", "name: r", "");
    check(
        "authn.BlockedCIDRsAnalyzer",
        &[
            (&with("", ""), &[]),
            (&with("", &policy), &["IST0175 Deployment i"]),
            (&with("{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: ''}", &policy), &["IST0175 Deployment i"]),
            (&with("{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 10.0.0.0/8}", &policy), &[]),
        ],
    );
}

#[test]
fn sidecars_and_telemetries() {
    let sidecar = |name: &str, selector: &str| {
        object("networking.istio.io/v1", "Sidecar", &format!("name: {name}, namespace: shop"), selector)
    };
    let (all, selecting) = ("", "workloadSelector: {labels: {app: a}}");
    let pods = |head: &str| pod(&format!("name: p, namespace: shop, labels: {{app: a}}{head}"));
    let (plain, ambient) = (pods(""), pods(", annotations: {ambient.istio.io/redirection: enabled}"));
    let with = |pods: &str, one: &str, other: &str| format!("{pods}{}{}", sidecar("one", one), sidecar("two", other));
    let shop = |labels: &str| {
        format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n")
    };
    let mode = "istio.io/dataplane-mode: ambient";
    check(
        "sidecar.SelectorAnalyzer",
        &[
            (&with(&plain, all, selecting), &[]),
            (&with(&plain, selecting, selecting), &["IST0110 Sidecar shop/one", "IST0110 Sidecar shop/two"]),
            (&with(&plain, all, all), &["IST0111 Sidecar shop/one", "IST0111 Sidecar shop/two"]),
            (&with("", all, selecting), &["IST0101 Sidecar shop/two"]),
            (&with(&ambient, all, selecting), &["IST0167 Sidecar shop/two"]),
            (&with(&shop(mode), all, all), &["IST0167 Sidecar shop/one", "IST0167 Sidecar shop/two"]),
            (
                &with(&shop(&format!("{mode}, istio-injection: enabled")), all, all),
                &["IST0111 Sidecar shop/one", "IST0111 Sidecar shop/two"],
            ),
        ],
    );
    let telemetry = |name: &str, spec: &str| {
        object("telemetry.istio.io/v1", "Telemetry", &format!("name: {name}, namespace: shop"), spec)
    };
    let two =
        |pods: &str, one: &str, other: &str| format!("{pods}{}{}", telemetry("one", one), telemetry("two", other));
    let selecting = "selector: {matchLabels: {app: a}}";
    check(
        "telemetry.SelectorAnalyzer",
        &[
            (&two(&plain, selecting, selecting), &["IST0159 Telemetry shop/one", "IST0159 Telemetry shop/two"]),
            (&two("", selecting, ""), &["IST0101 Telemetry shop/one"]),
        ],
    );
    check(
        "telemetry.DefaultSelectorAnalyzer",
        &[
            (&two("", "", ""), &["IST0160 Telemetry shop/one", "IST0160 Telemetry shop/two"]),
            (&two("", "", selecting), &[]),
        ],
    );
    check(
        "telemetry.ProviderAnalyzer",
        &[
            (&telemetry("one", "accessLogging: [{}]"), &["IST0157 Telemetry shop/one"]),
            (&telemetry("one", "accessLogging: [{disabled: true}]"), &[]),
            (&telemetry("one", "accessLogging: [{providers: [{name: x}]}]"), &[]),
            (&telemetry("one", "metrics: [{}]"), &[]),
        ],
    );
    let gateway = pod("name: g, namespace: shop, labels: {app: a, gateway.networking.k8s.io/gateway-name: g}");
    check(
        "k8sgateway.SelectorAnalyzer",
        &[
            (&format!("{gateway}{}", telemetry("one", selecting)), &["IST0166 Telemetry shop/one"]),
            (&format!("{gateway}{}", telemetry("one", &format!("{selecting}, targetRef: {{kind: Gateway}}"))), &[]),
            (&format!("{gateway}{}", telemetry("one", "")), &[]),
            (&format!("{plain}{}", telemetry("one", selecting)), &[]),
        ],
    );
}

#[test]
fn envoy_filters() {
    let filter = |spec: &str| object("networking.istio.io/v1alpha3", "EnvoyFilter", "name: f", spec);
    let patch = |target: &str, operation: &str, more: &str| {
        format!("{{applyTo: {target}, patch: {{operation: {operation}, value: {{name: n}}}}{more}}}")
    };
    let one = |target: &str, operation: &str| filter(&format!("configPatches: [{}]", patch(target, operation, "")));
    let versioned = patch("HTTP_FILTER", "ADD", ", match: {proxy: {proxyVersion: '1.*'}}");
    let relative = patch("HTTP_FILTER", "INSERT_BEFORE", "");
    check(
        "envoyfilter.EnvoyPatchAnalyzer",
        &[
            (&one("HTTP_FILTER", "INSERT_FIRST"), &[]),
            (&one("HTTP_FILTER", "INSERT_BEFORE"), &["IST0151 EnvoyFilter f"]),
            (&one("CLUSTER", "REMOVE"), &["IST0151 EnvoyFilter f"]),
            (&one("HTTP_FILTER", "MERGE"), &[]),
            (&one("VIRTUAL_HOST", "REPLACE"), &["IST0151 EnvoyFilter f"]),
            (&one("CLUSTER", "REPLACE"), &["IST0152 EnvoyFilter f"]),
            (&one("HTTP_ROUTE", "ADD"), &["IST0153 EnvoyFilter f"]),
            (&one("ROUTE_CONFIGURATION", "REMOVE"), &["IST0154 EnvoyFilter f"]),
            (&filter(&format!("priority: 10, configPatches: [{relative}]")), &[]),
            (&filter(&format!("configPatches: [{relative}, {relative}]")), &["IST0151 EnvoyFilter f"]),
            (&filter(&format!("configPatches: [{versioned}, {relative}]")), &["IST0155 EnvoyFilter f"]),
            (&filter(&format!("configPatches: [{relative}, {versioned}]")), &["IST0151 EnvoyFilter f"]),
            (&filter(&format!("configPatches: [{{applyTo: CLUSTER}}, {relative}]")), &[]),
        ],
    );
}

#[test]
fn webhooks() {
    let webhook = |kind: &str, name: &str, hooks: &str| {
        format!(
            "---\napiVersion: admissionregistration.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nwebhooks: [{hooks}]\n"
        )
    };
    let mutating = |name: &str, hook: &str| {
        webhook("MutatingWebhookConfiguration", name, &format!("{{name: i.istio.io, {hook}}}"))
    };
    let select = |value: &str| format!("namespaceSelector: {{matchLabels: {{istio-injection: {value}}}}}");
    let two = |one: &str, other: &str| format!("{}{}", mutating("a", one), mutating("b", other));
    check(
        "webhook.Analyzer",
        &[
            (&two(&select("enabled"), &select("disabled")), &[]),
            (
                &two(&select("enabled"), &select("enabled")),
                &["IST0139 MutatingWebhookConfiguration a", "IST0139 MutatingWebhookConfiguration b"],
            ),
            (
                &mutating("a", "clientConfig: {service: {name: s, namespace: n}}"),
                &["IST0139 MutatingWebhookConfiguration a"],
            ),
            (
                &webhook(
                    "MutatingWebhookConfiguration",
                    "a",
                    "{name: x.example.com, clientConfig: {service: {name: s}}}",
                ),
                &[],
            ),
        ],
    );
    let called = |name: &str, client: &str| {
        webhook("ValidatingWebhookConfiguration", name, &format!("{{name: v, clientConfig: {{{client}}}}}"))
    };
    check(
        "externalcontrolplane.ExternalControlPlaneAnalyzer",
        &[
            (&called("istio-validator-x", "url: 'https://istiod.example/'"), &[]),
            (
                &called("istio-validator", "url: 'https://10.0.0.1/'"),
                &["IST0164 ValidatingWebhookConfiguration istio-validator"],
            ),
            (&called("istio-validator", "service: {}"), &[]),
            (
                &called("istiod-default-validator", ""),
                &["IST0163 ValidatingWebhookConfiguration istiod-default-validator"],
            ),
            (&called("istio-validator", "url: ':x'"), &["IST0163 ValidatingWebhookConfiguration istio-validator"]),
            (&called("another", ""), &[]),
        ],
    );
}

#[test]
fn conditions() {
    let with = |version: &str, kind: &str, status: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nstatus: {{{status}}}\n")
    };
    let condition = |kind: &str, status: &str, reason: &str| {
        format!("conditions: [{{type: {kind}, status: '{status}', reason: {reason}, message: m}}]")
    };
    let gateway = "gateway.networking.k8s.io/v1";
    let security = "security.istio.io/v1";
    check(
        "conditions.ConditionAnalyzer",
        &[
            (&with("v1", "Service", &condition("istio.io/WaypointBound", "False", "R")), &["IST0171 Service x"]),
            (&with("v1", "Service", &condition("istio.io/WaypointBound", "True", "R")), &[]),
            (&with("v1", "Service", &condition("Ready", "False", "R")), &[]),
            (&with(gateway, "Gateway", &condition("Programmed", "False", "R")), &["IST0171 Gateway x"]),
            (&with("networking.istio.io/v1", "Gateway", &condition("Programmed", "False", "R")), &[]),
            (
                &with(gateway, "HTTPRoute", &format!("parents: [{{{}}}]", condition("ResolvedRefs", "False", "R"))),
                &["IST0171 HTTPRoute x"],
            ),
            (
                &with(security, "AuthorizationPolicy", &condition("WaypointAccepted", "True", "PartiallyInvalid")),
                &["IST0171 AuthorizationPolicy x"],
            ),
        ],
    );
}

#[test]
fn definitions_and_deprecated_fields() {
    let definition = |name: &str, version: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}.gateway.networking.k8s.io, annotations: {{gateway.networking.k8s.io/bundle-version: {version}}}}}\n"
        )
    };
    let old: &[&str] = &["IST0176 CustomResourceDefinition tlsroutes.gateway.networking.k8s.io"];
    check(
        "k8sgateway.CRDVersionAnalyzer",
        &[
            (&definition("tlsroutes", "v1.5.0"), &[]),
            (&definition("tlsroutes", "v1.5.0-rc.1"), &[]),
            (&definition("tlsroutes", "v1.4.9"), old),
            (&definition("tlsroutes", "latest"), &[]),
            (&definition("httproutes", "v0.1.0"), &[]),
        ],
    );
    let delay = |delay: &str| {
        object(
            "networking.istio.io/v1",
            "VirtualService",
            "name: v",
            &format!("http: [{{fault: {{delay: {{{delay}}}}}}}]"),
        )
    };
    check(
        "deprecation.FieldAnalyzer",
        &[
            (&delay("percent: 1"), &["IST0002 VirtualService v"]),
            (&delay("percent: 0"), &[]),
            (&delay("percentage: {value: 1}"), &[]),
            (
                &object(
                    "networking.istio.io/v1",
                    "Sidecar",
                    "name: s",
                    "outboundTrafficPolicy: {egressProxy: {host: a}}",
                ),
                &["IST0002 Sidecar s"],
            ),
            (
                &object(
                    "apiextensions.k8s.io/v1",
                    "CustomResourceDefinition",
                    "name: c",
                    "group: rbac.istio.io, names: {kind: ServiceRole}",
                ),
                &["IST0002 CustomResourceDefinition c"],
            ),
        ],
    );
}
