//! Installation profiles: what is installed, and with which settings, as IstioOperator documents.
//!
//! Each profile is the base with a few values replaced. This module knows the documents, not how to install them.

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::{Map, Value};

/// The profiles that Istio 1.7 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// For production: control plane, ingress gateway, telemetry and UI
    Default,
    /// To look around: both gateways, every request traced and logged, small resource requests
    Demo,
    /// Nothing, as a base for own settings
    Empty,
    /// The control plane alone
    Minimal,
    /// As default, with what is not yet stable
    Preview,
    /// A cluster whose control plane is elsewhere
    Remote,
}

/// How a profile is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// YAML
    #[default]
    Yaml,
    /// JSON
    Json,
    /// One path=value for each value, as --set takes them
    Flags,
}

const BASE: &str = include_str!("profile/default.yaml");

impl Name {
    /// As typed on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Demo => "demo",
            Self::Empty => "empty",
            Self::Minimal => "minimal",
            Self::Preview => "preview",
            Self::Remote => "remote",
        }
    }

    /// What the profile changes of the base.
    fn changes(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Demo => include_str!("profile/demo.yaml"),
            Self::Empty => include_str!("profile/empty.yaml"),
            Self::Minimal => include_str!("profile/minimal.yaml"),
            Self::Preview => include_str!("profile/preview.yaml"),
            Self::Remote => include_str!("profile/remote.yaml"),
        }
    }

    /// The whole profile as an IstioOperator document.
    ///
    /// # Errors
    /// When a built-in document is broken, which the tests rule out.
    pub fn operator(self) -> anyhow::Result<Value> {
        let mut whole: Value = serde_saphyr::from_str(BASE).context("the base profile")?;
        let changes = self.changes();
        if !changes.is_empty() {
            let changes = serde_saphyr::from_str(changes).with_context(|| format!("the profile {}", self.text()))?;
            merge(&mut whole, changes);
        }
        Ok(whole)
    }
}

/// Objects are merged key by key; everything else, lists too, is replaced. `null` removes.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert_with(|| Value::Object(Map::new())), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// The part of a document under a dotted path.
///
/// # Errors
/// Which step of the path does not exist.
pub(crate) fn under<'a>(document: &'a Value, path: &str) -> anyhow::Result<&'a Value> {
    let mut part = document;
    for step in path.split('.') {
        let next = match part {
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Object(fields) => fields.get(step),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let Some(next) = next else { bail!("{step:?} in {path} does not exist in this profile") };
        part = next;
    }
    Ok(part)
}

/// One `path=value` for each value.
pub(crate) fn flags(document: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk(document, "", &mut lines);
    lines
}

fn walk(value: &Value, path: &str, lines: &mut Vec<String>) {
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(value, &below(key), lines)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}[{index}]"), lines));
        }
        Value::String(text) => lines.push(format!("{path}={text}")),
        Value::Null | Value::Bool(_) | Value::Number(_) => lines.push(format!("{path}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_a_valid_document() {
        for name in Name::value_variants() {
            let operator = name.operator().unwrap();
            assert_eq!(operator["apiVersion"], "install.istio.io/v1alpha1", "{name:?}");
            assert_eq!(operator["kind"], "IstioOperator");
            assert_eq!(operator["spec"]["profile"], name.text());
            let printed = serde_saphyr::to_string(&operator).unwrap();
            assert_eq!(serde_saphyr::from_str::<Value>(&printed).unwrap(), operator, "{name:?}");
        }
    }

    #[test]
    fn profiles_differ_as_istios_do() {
        let part = |name: Name, path: &str| under(&name.operator().unwrap()["spec"], path).unwrap().clone();
        assert_eq!(part(Name::Default, "components.ingressGateways.0.enabled"), true);
        assert_eq!(part(Name::Minimal, "components.ingressGateways.0.enabled"), false);
        assert_eq!(part(Name::Demo, "components.egressGateways.0.enabled"), true);
        assert_eq!(part(Name::Demo, "meshConfig.accessLogFile"), "/dev/stdout");
        assert_eq!(part(Name::Demo, "values.global.proxy.resources.requests.cpu"), "10m");
        assert_eq!(part(Name::Default, "values.global.proxy.resources.requests.memory"), "128Mi");
        assert_eq!(part(Name::Empty, "components.pilot.enabled"), false);
        assert_eq!(part(Name::Remote, "components.pilot.enabled"), false);
    }

    #[test]
    fn paths_and_flags() {
        let operator = Name::Default.operator().unwrap();
        let said = under(&operator, "spec.nothing").unwrap_err().to_string();
        assert!(said.contains("\"nothing\" in spec.nothing"), "{said}");
        assert!(flags(&operator).contains(&"spec.components.pilot.enabled=true".to_owned()));
    }
}
