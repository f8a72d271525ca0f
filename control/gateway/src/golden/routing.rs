//! Istio objects as tables of decisions: what is listened for, which routes each host of a gateway has, in their order,
//! and how services are called.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use orrery_api::{
    Destination, Gateway, HttpMatch, HttpRoute, L4Match, Object, RouteSemantics, Spec, StringMatch, VirtualService,
    WeightedDestination,
};
use serde_json::{Value, json};

/// Decisions by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table(BTreeMap<String, Vec<String>>);

/// In the place of a destination that there is none of.
const NOWHERE: &str = "nowhere";

impl Table {
    pub(super) fn of<'a>(objects: impl IntoIterator<Item = (String, &'a Object)>) -> Self {
        let mut table = Self::default();
        for (key, object) in objects {
            match &object.spec {
                Spec::Gateway(gateway) => table.gateway(&key, gateway),
                Spec::VirtualService(service) => table.virtual_service(&object.key.namespace, service),
                Spec::DestinationRule(rule) => {
                    let decision = format!("{:?} {:?}", rule.policy, rule.subsets);
                    table.add(format!("calls to {} from {}", rule.host.value, object.key.namespace), decision);
                }
                other => panic!("{key}: {other:?}"),
            }
        }
        table
    }

    /// Where two tables decide differently.
    pub(super) fn differences(&self, other: &Self, name: &str) -> Vec<String> {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differ = |key: &&String| self.0.get(*key) != other.0.get(*key);
        let shown =
            |key: &String| format!("{name}: {key}: ours {:#?}, theirs {:#?}", self.0.get(key), other.0.get(key));
        keys.into_iter().filter(differ).map(shown).collect()
    }

    fn add(&mut self, key: String, decision: String) {
        self.0.entry(key).or_default().push(decision);
    }

    fn gateway(&mut self, key: &str, gateway: &Gateway) {
        for server in &gateway.servers {
            let mut hosts: Vec<String> =
                server.hosts.iter().map(|host| format!("{:?}/{}", host.namespace, host.host.value)).collect();
            hosts.sort();
            let decision = format!("{} {:?} {hosts:?} {:?}", server.port, server.protocol, server.tls);
            self.add(format!("{key} listens"), decision);
        }
    }

    fn virtual_service(&mut self, namespace: &str, service: &VirtualService) {
        assert_eq!(service.semantics, RouteSemantics::GatewayApi);
        for gateway in &service.gateways {
            for host in &service.hosts {
                let at = format!("{} {} for {namespace}", gateway.value, host.value);
                for http in &service.http {
                    self.add(at.clone(), http_route(http));
                }
                for tls in &service.tls {
                    let names: Vec<String> = tls
                        .matches
                        .iter()
                        .flat_map(|one| one.sni_hosts.iter().map(|name| format!("{}:{:?}", name.value, one.l4.port)))
                        .collect();
                    self.add(at.clone(), format!("tls {names:?} {}", shares(&tls.route)));
                }
                for tcp in &service.tcp {
                    let ports: Vec<Option<u16>> = tcp.matches.iter().map(|one: &L4Match| one.port).collect();
                    self.add(at.clone(), format!("tcp {ports:?} {}", shares(&tcp.route)));
                }
            }
        }
    }
}

fn http_route(route: &HttpRoute) -> String {
    let matches: Vec<String> = route.matches.iter().map(http_match).collect();
    let mut text = format!("{} {matches:?} -> {}", route.name, shares(&route.route));
    let HttpRoute { redirect, direct_response, rewrite, timeout, retries, headers, cors, share, .. } = route;
    let changes = format!("{redirect:?} {direct_response:?} {rewrite:?} {headers:?} {cors:?} {share:?}");
    let mirrors: Vec<String> =
        route.mirrors.iter().map(|mirror| format!("{} {}", destination(&mirror.destination), mirror.percent)).collect();
    write!(text, " {changes} {timeout:?} {retries:?} {mirrors:?}").expect("text can be written");
    text
}

fn http_match(one: &HttpMatch) -> String {
    let HttpMatch { uri, scheme, method, authority, headers, without_headers, query_params, port, .. } = one;
    // The prefix of everything is no condition.
    let uri = uri.as_ref().filter(|uri| **uri != StringMatch::Prefix(String::new()));
    format!("{uri:?} {scheme:?} {method:?} {authority:?} {headers:?} {without_headers:?} {query_params:?} {port:?}")
}

fn shares(route: &[WeightedDestination]) -> String {
    let sum: u32 = route.iter().map(|one| one.weight).sum();
    let shares: Vec<String> = route
        .iter()
        .map(|one| format!("{}/{sum} {} {:?}", one.weight, destination(&one.destination), one.headers))
        .collect();
    format!("{shares:?}")
}

fn destination(destination: &Destination) -> String {
    let host = if destination.host.value.is_empty() { NOWHERE } else { &destination.host.value };
    format!("{host}|{:?}|{:?}", destination.subset.as_ref().map(|subset| &subset.value), destination.port)
}

/// Reads what Istio wrote for itself: names that no object of a person can have, and destinations that are none.
pub(super) fn read(name: &str, documents: Vec<Value>) -> Vec<(String, Object)> {
    let mut objects = Vec::new();
    for (at, mut document) in documents.into_iter().enumerate() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &document["metadata"];
        let key = format!("{} {}/{}", text(&document["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
        let semantics = &metadata["annotations"]["internal.istio.io/route-semantics"];
        let of_gateway_api = semantics.as_str() == Some("gateway");
        document["metadata"]["name"] = json!(format!("golden-{at}"));
        mend(&mut document);
        let parsed = orrery_api::parse(&document.to_string(), name, "default");
        let parsed = parsed.unwrap_or_else(|problems| panic!("{name}: {key}: {problems:?}"));
        for mut object in parsed {
            if let Spec::VirtualService(service) = &mut object.spec
                && of_gateway_api
            {
                service.semantics = RouteSemantics::GatewayApi;
            }
            objects.push((key.clone(), object));
        }
    }
    objects
}

fn mend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(destination) = fields.get_mut("destination")
                && *destination == json!({})
            {
                *destination = json!({ "host": NOWHERE });
            }
            // Settings that say nothing.
            if fields.get("loadBalancer") == Some(&json!({})) {
                fields.remove("loadBalancer");
            }
            fields.values_mut().for_each(mend);
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
