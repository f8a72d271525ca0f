//! The files, their lines and what must be said of them.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "syntax_tab",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
	- route: []
"#,
        line: 9,
        says: "",
    },
    Case {
        name: "syntax_bad_indent",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
       subset: v1
"#,
        line: 12,
        says: "",
    },
    Case {
        name: "duplicate_key",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - timeout: 1s
    timeout: 2s
    route:
    - destination:
        host: reviews
"#,
        line: 10,
        says: "timeout",
    },
    Case {
        name: "no_kind",
        yaml: r#"
apiVersion: networking.istio.io/v1
metadata:
  name: reviews
"#,
        line: 1,
        says: "kind",
    },
    Case {
        name: "unknown_kind",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualServise
metadata:
  name: reviews
spec: {}
"#,
        line: 2,
        says: "VirtualServise",
    },
    Case {
        name: "unknown_version",
        yaml: r#"
apiVersion: networking.istio.io/v9
kind: VirtualService
metadata:
  name: reviews
spec: {}
"#,
        line: 1,
        says: "v9",
    },
    Case {
        name: "foreign_kind",
        yaml: r#"
apiVersion: example.com/v1
kind: GatewayClas
metadata:
  name: custom
spec: {}
"#,
        line: 2,
        says: "GatewayClas is no kind",
    },
    Case {
        name: "no_name",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  namespace: default
spec:
  hosts: [reviews]
"#,
        line: 3,
        says: "name",
    },
    Case {
        name: "bad_name",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: Reviews_1
spec:
  hosts: [reviews]
"#,
        line: 4,
        says: "Reviews_1",
    },
    Case {
        name: "unknown_spec_field",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  htttp:
  - route:
    - destination:
        host: reviews
"#,
        line: 8,
        says: "spec.htttp",
    },
    Case {
        name: "unknown_route_field",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subsett: v1
"#,
        line: 12,
        says: "spec.http[0].route[0].destination.subsett",
    },
    Case {
        name: "hosts_is_a_string",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: reviews
"#,
        line: 6,
        says: "spec.hosts",
    },
    Case {
        name: "hosts_missing",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  http: []
"#,
        line: 5,
        says: "hosts",
    },
    Case {
        name: "weight_is_text",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
      weight: half
"#,
        line: 13,
        says: "spec.http[0].route[0].weight",
    },
    Case {
        name: "weight_is_negative",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
      weight: -10
"#,
        line: 13,
        says: "spec.http[0].route[0].weight",
    },
    Case {
        name: "timeout_without_unit",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - timeout: "5"
    route:
    - destination:
        host: reviews
"#,
        line: 9,
        says: "spec.http[0].timeout",
    },
    Case {
        name: "retry_attempts_is_a_list",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - retries:
      attempts: [3]
    route:
    - destination:
        host: reviews
"#,
        line: 10,
        says: "spec.http[0].retries.attempts",
    },
    Case {
        name: "abort_without_status",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - fault:
      abort:
        percentage:
          value: 50
    route:
    - destination:
        host: reviews
"#,
        line: 10,
        says: "spec.http[0].fault.abort",
    },
    Case {
        name: "abort_status_out_of_range",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - fault:
      abort:
        httpStatus: 5000
    route:
    - destination:
        host: reviews
"#,
        line: 11,
        says: "spec.http[0].fault.abort.httpStatus",
    },
    Case {
        name: "percentage_over_100",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - fault:
      delay:
        fixedDelay: 1s
        percentage:
          value: 150
    route:
    - destination:
        host: reviews
"#,
        line: 13,
        says: "spec.http[0].fault.delay.percentage.value",
    },
    Case {
        name: "bad_regex",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - match:
    - uri:
        regex: "/a(b"
    route:
    - destination:
        host: reviews
"#,
        line: 11,
        says: "spec.http[0].match[0].uri.regex",
    },
    Case {
        name: "two_match_kinds",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - match:
    - uri:
        exact: /a
        prefix: /b
    route:
    - destination:
        host: reviews
"#,
        line: 10,
        says: "spec.http[0].match[0].uri",
    },
    Case {
        name: "route_without_destination",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - weight: 100
"#,
        line: 10,
        says: "spec.http[0].route[0]",
    },
    Case {
        name: "unknown_host",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: revues
"#,
        line: 11,
        says: "spec.http[0].route[0].destination.host",
    },
    Case {
        name: "unknown_subset",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v9
"#,
        line: 12,
        says: "spec.http[0].route[0].destination.subset",
    },
    Case {
        name: "unknown_gateway",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  gateways:
  - nowhere
  http:
  - route:
    - destination:
        host: reviews
"#,
        line: 9,
        says: "spec.gateways[0]",
    },
    Case {
        name: "rule_for_unknown_host",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: revues
spec:
  host: revues
"#,
        line: 6,
        says: "spec.host",
    },
    Case {
        name: "subset_without_name",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
  subsets:
  - labels:
      version: v1
"#,
        line: 8,
        says: "spec.subsets[0]",
    },
    Case {
        name: "subsets_with_one_name",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v1
    labels:
      version: v2
"#,
        line: 11,
        says: "spec.subsets[1].name",
    },
    Case {
        name: "bad_load_balancer",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
  trafficPolicy:
    loadBalancer:
      simple: FASTEST
"#,
        line: 9,
        says: "spec.trafficPolicy.loadBalancer.simple",
    },
    Case {
        name: "bad_tls_mode",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
  trafficPolicy:
    tls:
      mode: VERY_SECURE
"#,
        line: 9,
        says: "spec.trafficPolicy.tls.mode",
    },
    Case {
        name: "gateway_port_out_of_range",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: broken
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 80800
      name: http
      protocol: HTTP
    hosts: ["*"]
"#,
        line: 10,
        says: "spec.servers[0].port.number",
    },
    Case {
        name: "gateway_without_hosts",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: broken
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 8081
      name: http
      protocol: HTTP
"#,
        line: 9,
        says: "spec.servers[0]",
    },
    Case {
        name: "gateway_bad_protocol",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: broken
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 8081
      name: http
      protocol: GOPHER
    hosts: ["*"]
"#,
        line: 12,
        says: "spec.servers[0].port.protocol",
    },
    Case {
        name: "bad_mtls_mode",
        yaml: r#"
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: broken
spec:
  mtls:
    mode: MAYBE
"#,
        line: 7,
        says: "spec.mtls.mode",
    },
    Case {
        name: "port_mtls_without_selector_number",
        yaml: r#"
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: broken
spec:
  selector:
    matchLabels:
      app: reviews
  portLevelMtls:
    http:
      mode: STRICT
"#,
        line: 10,
        says: "spec.portLevelMtls",
    },
    Case {
        name: "service_entry_without_hosts",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: broken
spec:
  ports:
  - number: 443
    name: https
    protocol: HTTPS
  resolution: DNS
"#,
        line: 5,
        says: "hosts",
    },
    Case {
        name: "service_entry_bad_resolution",
        yaml: r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: broken
spec:
  hosts: [api.example.com]
  ports:
  - number: 443
    name: https
    protocol: HTTPS
  resolution: GUESS
"#,
        line: 11,
        says: "spec.resolution",
    },
];
